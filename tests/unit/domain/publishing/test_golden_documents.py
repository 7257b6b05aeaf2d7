"""What goes to each marketplace, whole. After a wanted change: look at the difference, then replace."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from meterbridge.adapters.marketplaces.aws_catalog_model import change_set_faults
from meterbridge.domain.publishing.azure_checks import configure_faults
from meterbridge.domain.publishing.compiled import Compiled
from meterbridge.domain.publishing.listings import AzureTarget
from publishing_setup import (
    INSTALMENTS,
    KNOWN_ON_AWS,
    NEW_ON_AWS,
    ON_AZURE,
    PRIVATE,
    SUBSCRIPTION,
    TENANT,
    TIERED,
    TRIAL,
    UNITS,
    blocking,
    on_aws,
    on_azure,
    on_gcp,
)

GOLDENS = Path(__file__).parents[3] / "goldens" / "publishing"
PREVIEW = replace(ON_AZURE, target=AzureTarget.PREVIEW, private_tenants=(TENANT,))

CASES: dict[str, Callable[[], Compiled]] = {
    "aws-tiers-in-cents-of-a-new-product": lambda: on_aws(TIERED, NEW_ON_AWS),
    "aws-unit-prices": lambda: on_aws(UNITS),
    "aws-free-trial": lambda: on_aws(TRIAL),
    "aws-contract-with-usage": lambda: on_aws(SUBSCRIPTION),
    "aws-private-offer": lambda: on_aws(SUBSCRIPTION, replace(KNOWN_ON_AWS, private=PRIVATE)),
    "aws-private-offer-in-instalments": lambda: on_aws(
        SUBSCRIPTION, replace(KNOWN_ON_AWS, private=INSTALMENTS)
    ),
    "azure-tiers-in-cents": lambda: on_azure(TIERED),
    "azure-unit-prices-for-a-tenant": lambda: on_azure(UNITS, PREVIEW),
    "azure-subscription-with-an-included-quantity": lambda: on_azure(SUBSCRIPTION),
    "gcp-tiers-in-cents": lambda: on_gcp(TIERED),
    "gcp-unit-prices": lambda: on_gcp(UNITS),
}
FAULTS = {"aws": change_set_faults, "azure": configure_faults}


@pytest.mark.parametrize("name", CASES)
def test_a_plan_compiles_to_exactly_these_documents(name: str) -> None:
    found = {
        each.name: json.loads(each.body, parse_float=Decimal) for each in CASES[name]().documents
    }
    golden = json.loads((GOLDENS / f"{name}.json").read_text(), parse_float=Decimal)
    assert found == golden


@pytest.mark.parametrize("name", CASES)
def test_every_golden_document_is_valid_and_holds_the_whole_plan(name: str) -> None:
    compiled = CASES[name]()
    check = FAULTS.get(name.split("-")[0])
    assert blocking(compiled) == set()
    assert check is None or [check(each.body) for each in compiled.documents] == [()]


def test_there_is_no_golden_document_without_a_case() -> None:
    assert {path.stem for path in GOLDENS.glob("*.json")} == set(CASES)
