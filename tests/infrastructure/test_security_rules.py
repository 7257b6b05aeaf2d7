from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Validations
from cdk_nag import AwsSolutionsChecks

from infra.stack import MeterbridgeStack

# What is accepted, and how many times. Each has its reason beside the construct it is about.
ACCEPTED = {
    "AwsSolutions-L1": 11,
    "AwsSolutions-SQS3": 7,
    "AwsSolutions-S1": 1,
    "AwsSolutions-IAM5[Resource::*]": 1,
    "AwsSolutions-IAM5[Resource::<usage log>/stream/*]": 1,
    "AwsSolutions-IAM5[Resource::<archive>/events/*]": 1,
    "AwsSolutions-IAM5[Resource::<archive>/usage/*]": 1,
}


@pytest.fixture(scope="module")
def report(
    build_stack: Callable[..., MeterbridgeStack],
    marketplaces: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    """What cdk-nag's AwsSolutions rules say of the stack for AWS."""
    outdir = tmp_path_factory.mktemp("cdk.out")
    app = build_stack({"alarm_email": "b@example.com", **marketplaces}, outdir=outdir).node.root
    assert isinstance(app, App)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    try:
        app.synth()
    except RuntimeError as error:
        assert "ValidationFailed" in str(error)  # noqa: PT017
    written = json.loads(Path(outdir, "validation-report.json").read_text())
    (nag,) = (
        plugin for plugin in written["pluginReports"] if plugin["pluginName"] == "AwsSolutions"
    )
    found: dict[str, Any] = nag
    return found


def test_nothing_is_found(report: dict[str, Any]) -> None:
    findings = [
        f"{finding['ruleName']} {construct['constructPath']}"
        for finding in report["violations"]
        for construct in finding["violatingConstructs"]
    ]

    assert findings == []
    assert report["conclusion"] == "success"


def test_what_is_accepted_is_known_and_explained(report: dict[str, Any]) -> None:
    accepted = report["suppressedViolations"]

    assert Counter(_rule(finding["ruleName"]) for finding in accepted) == ACCEPTED
    for finding in accepted:
        assert len(finding["reason"].split()) >= 8, finding["ruleName"]


def _rule(name: str) -> str:
    """A finding's rule, without the hashes in logical ids."""
    name = re.sub(r"<StorageUsageLog\w+\.Arn>", "<usage log>", name)
    return re.sub(r"<ArchiveBucket\w+\.Arn>", "<archive>", name)
