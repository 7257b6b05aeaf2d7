"""From the bytes of a request to usage records, refusing what the service model refuses.

The order is fixed: a body that is not the protocol's JSON is a SerializationException, a value
outside its shape a ValidationException. Unknown members are ignored and null means absent, as
AWS's JSON protocol has it. Numbers are read without floats.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from ..wire import parse_json
from .catalog import LICENSE_ARN
from .errors import (
    invalid_license,
    serialization,
    timestamp_out_of_bounds,
    validation,
)
from .settings import AwsSettings

MAX_QUANTITY = 2147483647
_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,9})(\.[0-9]{1,6})?", re.ASCII)
_ACCOUNT_ID = re.compile(r"[0-9]{1,255}", re.ASCII)
_PRODUCT_CODE = re.compile(r"[-a-zA-Z0-9/=:_.@]*")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_SECOND = 253402300799


@dataclass(frozen=True)
class Quantity:
    """A quantity with the kind of field it came in; compared by value only elsewhere."""

    value: Decimal
    as_decimal: bool


@dataclass(frozen=True)
class UsageRecord:
    """One usage record of a call.

    Attributes:
        wire: The members as sent, to be echoed in the answer.
        used_at: Its Timestamp.
    """

    wire: Mapping[str, Any]
    used_at: datetime
    dimension: str
    quantity: Quantity
    account_id: str
    customer_identifier: str
    license_arn: str
    allocations: tuple[Mapping[str, Any], ...] | None

    @property
    def hour(self) -> datetime:
        """Start of the UTC hour that the record falls in."""
        return self.used_at.replace(minute=0, second=0, microsecond=0)


@dataclass(frozen=True)
class Batch:
    """A `BatchMeterUsage` request."""

    records: tuple[UsageRecord, ...]
    product_code: str


def read_json(body: bytes) -> Any:
    """Parses JSON with decimals instead of floats.

    Raises:
        AwsError: SerializationException.
    """
    try:
        return parse_json(body)
    except ValueError as exc:
        raise serialization("the body is not JSON") from exc


def read_batch(body: bytes, settings: AwsSettings) -> Batch:
    """Reads and checks a request (contracts.md §1.1.2).

    Raises:
        AwsError: The request as a whole fails.
    """
    if len(body) >= settings.max_body_bytes:
        raise validation(f"the request is {len(body)} bytes; it must be less than 1 MB")
    request = _structure(read_json(body), "request")
    rows = request.get("UsageRecords")
    if rows is None:
        raise validation("usageRecords must not be null")
    if not isinstance(rows, list):
        raise serialization("usageRecords must be a list")
    if len(rows) > settings.max_records:
        raise validation(
            f"usageRecords has {len(rows)} members; "
            f"it must have length less than or equal to {settings.max_records}"
        )
    product_code = _text(request, "ProductCode", longest=255)
    if not _PRODUCT_CODE.fullmatch(product_code):
        raise validation("productCode does not satisfy its pattern")
    return Batch(tuple(_record(row) for row in rows), product_code)


def _record(row: Any) -> UsageRecord:
    row = _structure(row, "usage record")
    used_at = _timestamp(row)
    dimension = _text(row, "Dimension", longest=255)
    if not dimension:
        raise validation("dimension must not be null or empty")
    account_id = _text(row, "CustomerAWSAccountId", longest=255)
    if "CustomerAWSAccountId" in row and not _ACCOUNT_ID.fullmatch(account_id):
        raise validation("customerAWSAccountId must be digits")
    customer_identifier = _text(row, "CustomerIdentifier", longest=255)
    if account_id and customer_identifier:
        raise validation("customerIdentifier and customerAWSAccountId exclude each other")
    license_arn = _text(row, "LicenseArn", longest=2048)
    if "LicenseArn" in row and not LICENSE_ARN.fullmatch(license_arn):
        raise invalid_license(f"the license ARN {license_arn!r} is malformed")
    quantity = quantity_of(row, "Quantity", "QuantityAsDecimal")
    return UsageRecord(
        wire={**_echo(row), "Timestamp": (used_at - _EPOCH) // timedelta(seconds=1)},
        used_at=used_at,
        dimension=dimension,
        quantity=quantity or Quantity(Decimal(0), as_decimal=False),
        account_id=account_id,
        customer_identifier=customer_identifier,
        license_arn=license_arn,
        allocations=_allocations(row),
    )


def _echo(row: Mapping[str, Any]) -> dict[str, Any]:
    members = (
        "Timestamp",
        "CustomerIdentifier",
        "Dimension",
        "Quantity",
        "QuantityAsDecimal",
        "UsageAllocations",
        "CustomerAWSAccountId",
        "LicenseArn",
    )
    return {name: row[name] for name in members if name in row}


def _timestamp(row: Mapping[str, Any]) -> datetime:
    seconds = row.get("Timestamp")
    if seconds is None:
        raise validation("timestamp must not be null")
    if isinstance(seconds, bool) or not isinstance(seconds, int | Decimal):
        raise serialization("timestamp must be a number of seconds")
    if not 0 <= seconds <= _LAST_SECOND:
        raise timestamp_out_of_bounds(f"timestamp {seconds} is out of range")
    # The service model does not say whether a fraction of a second is taken. AWS's own agent
    # skill refuses it before sending, under the same name, so the sandbox does.
    if seconds != int(seconds):
        raise timestamp_out_of_bounds(f"timestamp {seconds} is not a whole second")
    return _EPOCH + timedelta(seconds=int(seconds))


def quantity_of(row: Mapping[str, Any], whole: str, decimal: str) -> Quantity | None:
    """Reads a quantity from one of two members; None when neither is there.

    Raises:
        AwsError: Both are given, or one is outside its shape; the whole call fails.
    """
    if whole in row and decimal in row:
        raise validation(f"{whole} and {decimal} cannot be specified both")
    if whole in row:
        number = row[whole]
        if isinstance(number, bool) or not isinstance(number, int):
            raise serialization(f"{whole} must be a whole number")
        if not 0 <= number <= MAX_QUANTITY:
            raise validation(f"{whole} must be between 0 and {MAX_QUANTITY}")
        return Quantity(Decimal(number), as_decimal=False)
    if decimal in row:
        text = row[decimal]
        if not isinstance(text, str):
            raise serialization(f"{decimal} must be a string")
        if not _DECIMAL.fullmatch(text):
            raise validation(f"{decimal} {text!r} does not satisfy its pattern")
        return Quantity(Decimal(text), as_decimal=True)
    return None


def _allocations(row: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...] | None:
    rows = row.get("UsageAllocations")
    if rows is None:
        return None
    if not isinstance(rows, list):
        raise serialization("usageAllocations must be a list")
    if not 1 <= len(rows) <= 2500:
        raise validation(f"usageAllocations has {len(rows)} members; it must have 1 to 2500")
    return tuple(_structure(allocation, "usage allocation") for allocation in rows)


def _structure(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise serialization(f"a {what} must be a JSON object")
    return {name: member for name, member in value.items() if member is not None}


def _text(row: Mapping[str, Any], name: str, *, longest: int) -> str:
    value = row.get(name, "")
    if not isinstance(value, str):
        raise serialization(f"{name} must be a string")
    if len(value) > longest:
        raise validation(f"{name} must have length less than or equal to {longest}")
    return value
