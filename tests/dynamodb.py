"""Tables shaped as the deployed ones, in moto."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from os import environ
from unittest.mock import patch

import boto3
from moto import mock_aws

REGION = "us-east-1"


@contextmanager
def mocked_table(name: str, index: str = "", index_name: str = "") -> Iterator[str]:
    """An empty table with keys pk and sk, inside a mocked AWS.

    Args:
        name: of the table.
        index: prefix of a sparse index, as "pending" for pending_pk and pending_sk.
        index_name: where it is not the prefix.
    """
    with patch.dict(environ, {"AWS_DEFAULT_REGION": REGION}), mock_aws():
        make_table(name, index, index_name)
        yield name


def make_table(name: str, index: str = "", index_name: str = "") -> None:
    """Create the table in whatever AWS is mocked now."""
    attributes = ["pk", "sk"]
    indexes = []
    if index:
        attributes += [f"{index}_pk", f"{index}_sk"]
        indexes = [
            {
                "IndexName": index_name or index,
                "KeySchema": _keys(f"{index}_pk", f"{index}_sk"),
                "Projection": {"ProjectionType": "ALL"},
            }
        ]
    boto3.client("dynamodb", region_name=REGION).create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=_keys("pk", "sk"),
        AttributeDefinitions=[
            {"AttributeName": attribute, "AttributeType": "S"} for attribute in attributes
        ],
        **({"GlobalSecondaryIndexes": indexes} if indexes else {}),
    )


def _keys(partition: str, sort: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": partition, "KeyType": "HASH"},
        {"AttributeName": sort, "KeyType": "RANGE"},
    ]
