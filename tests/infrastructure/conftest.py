"""Templates of both stages, synthesised once and without building the dependency layer."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

# The kernel of the CDK says on every start that this Node is old.
os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")

from aws_cdk import App
from aws_cdk.assertions import Template

from infra.config import DeploymentConfig
from infra.stack import MeterbridgeStack

Resources = dict[str, dict[str, Any]]

PROJECT = Path(__file__).resolve().parents[2]
SANDBOX = "http://127.0.0.1:8642"
MARKETPLACES = {
    "azure_tenant_id": "11111111-2222-4333-8444-555555555555",
    "azure_client_id": "22222222-2222-4333-8444-555555555555",
    "azure_secret_arn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:azure-AbCdEf",
    "gcp_secret_arn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:google-AbCdEf",
}

FLAGS = {
    name: value
    for name, value in json.loads((PROJECT / "cdk.json").read_text())["context"].items()
    if name.startswith("@")
}


def build(
    settings: Mapping[str, object], *, outdir: Path | None = None, bundling: bool = False
) -> MeterbridgeStack:
    """The stack as `app.py` builds it under the CLI, with these settings as context."""
    context = FLAGS if bundling else {**FLAGS, "aws:cdk:bundling-stacks": []}
    app = App(context=context, outdir=str(outdir) if outdir else None)
    return MeterbridgeStack(app, "Meterbridge", config=DeploymentConfig.from_context(settings))


@pytest.fixture(scope="session")
def build_stack() -> Callable[..., MeterbridgeStack]:
    return build


@pytest.fixture(scope="session")
def marketplaces() -> dict[str, str]:
    """Settings with which every marketplace is reported to."""
    return MARKETPLACES


@pytest.fixture(scope="session")
def template() -> Template:
    """The template for AWS."""
    return Template.from_stack(build({"alarm_email": "billing@example.com", **MARKETPLACES}))


@pytest.fixture(scope="session")
def local_template() -> Template:
    """The template for the local cloud."""
    return Template.from_stack(
        build({"stage": "local", "marketplace_endpoint": SANDBOX, **MARKETPLACES})
    )


@pytest.fixture(scope="session")
def resources(template: Template) -> Resources:
    """All resources of the template for AWS by logical id."""
    found: Resources = template.to_json()["Resources"]
    return found
