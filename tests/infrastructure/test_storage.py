from __future__ import annotations

from typing import Any

import pytest
from aws_cdk.assertions import Template

TABLES = ("UsageLog", "Usage", "Ledger", "Registry", "Invoices")


def _tables(template: Template) -> dict[str, dict[str, Any]]:
    found = template.find_resources("AWS::DynamoDB::Table")
    return {
        name: next(
            table
            for logical_id, table in found.items()
            if logical_id.removeprefix("Storage")[:-8] == name
        )
        for name in TABLES
    }


def test_there_are_exactly_the_tables_of_the_design(template: Template) -> None:
    template.resource_count_is("AWS::DynamoDB::Table", len(TABLES))


@pytest.mark.parametrize("name", TABLES)
def test_a_production_table_outlives_the_stack_and_can_be_restored(
    template: Template, name: str
) -> None:
    table = _tables(template)[name]
    properties = table["Properties"]

    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert properties["DeletionProtectionEnabled"] is True
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["SSESpecification"] == {"SSEEnabled": True}
    assert properties["KeySchema"] == [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ]


@pytest.mark.parametrize("name", TABLES)
def test_a_local_table_goes_with_the_stack(local_template: Template, name: str) -> None:
    table = _tables(local_template)[name]

    assert table["DeletionPolicy"] == "Delete"
    assert table["Properties"]["DeletionProtectionEnabled"] is False


def test_the_usage_log_streams_keys_and_expires(template: Template) -> None:
    tables = {name: table["Properties"] for name, table in _tables(template).items()}

    assert tables["UsageLog"]["StreamSpecification"] == {"StreamViewType": "KEYS_ONLY"}
    assert [name for name in TABLES if "StreamSpecification" in tables[name]] == ["UsageLog"]
    assert {
        name: tables[name]["TimeToLiveSpecification"]["AttributeName"]
        for name in TABLES
        if "TimeToLiveSpecification" in tables[name]
    } == {"UsageLog": "expires_at", "Registry": "expires_at"}


@pytest.mark.parametrize(
    ("table", "index", "prefix"),
    [
        ("Ledger", "pending", "pending"),
        ("Registry", "by_reference", "ref"),
        ("Invoices", "listed", "listed"),
    ],
)
def test_an_index_is_sparse_and_complete(
    template: Template, table: str, index: str, prefix: str
) -> None:
    assert _tables(template)[table]["Properties"]["GlobalSecondaryIndexes"] == [
        {
            "IndexName": index,
            "KeySchema": [
                {"AttributeName": f"{prefix}_pk", "KeyType": "HASH"},
                {"AttributeName": f"{prefix}_sk", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        }
    ]
