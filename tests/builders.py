"""Valid domain values; a test overrides only what it is about."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from meterbridge.domain.agreements import Agreement, AwsBuyerReference
from meterbridge.domain.metering_record import MeteringRecord, RecordKey
from meterbridge.domain.money import Money
from meterbridge.domain.offerings import Channel, Dimension, Offering, Plan, Product, QuantityKind
from meterbridge.domain.policy import policy_at
from meterbridge.domain.rating import RatedUsage
from meterbridge.domain.windows import BillingPeriod

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
GRACE = timedelta(minutes=15)
LICENSE_ARN = "arn:aws:license-manager::444455556666:license:l-0aaa1bbb2ccc3ddd4eee5fff6aaa7bbb"


def at(text: str) -> datetime:
    """Aware UTC from "2026-11-24T10" or longer ISO texts without an offset."""
    return datetime.fromisoformat(text if ":" in text else f"{text}:00").replace(tzinfo=UTC)


def dimension(**changes: Any) -> Dimension:
    values: dict[str, Any] = {
        "code": "requests",
        "meter_id": "mtr_requests",
        "unit_price": Money(Decimal("0.01"), "USD"),
        "quantity_kind": QuantityKind.INTEGER,
    }
    return Dimension(**{**values, **changes})


def product(**changes: Any) -> Product:
    values: dict[str, Any] = {
        "id": "prd_llm",
        "name": "LLM",
        "listings": {Channel.AWS: "prodcode123"},
    }
    return Product(**{**values, **changes})


def offering(*dimensions: Dimension, **changes: Any) -> Offering:
    values: dict[str, Any] = {
        "id": "off_std",
        "version": 1,
        "product_id": "prd_llm",
        "name": "Standard",
        "currency": "USD",
        "plans": (Plan(code="std", dimensions=dimensions or (dimension(),)),),
    }
    return Offering(**{**values, **changes})


def agreement(**changes: Any) -> Agreement:
    values: dict[str, Any] = {
        "id": "agr_1",
        "customer_id": "acme",
        "product_id": "prd_llm",
        "channel": Channel.AWS,
        "offering_id": "off_std",
        "offering_version": 1,
        "plan_code": "std",
        "starts_at": at("2026-11-01T00"),
        "aws": AwsBuyerReference("111122223333", LICENSE_ARN),
    }
    return Agreement(**{**values, **changes})


def all_billable(metered: Mapping[datetime, Decimal]) -> RatedUsage:
    """Usage of which nothing is included, free or taken off."""
    return RatedUsage(metered=metered, included={}, free_trial={}, billable=metered)


def metering_record(**changes: Any) -> MeteringRecord:
    hour = changes.pop("hour", at("2026-11-24T10"))
    quantity = Decimal(changes.pop("quantity", "5"))
    per_unit = Decimal(changes.pop("units_per_quantity", "1"))
    values: dict[str, Any] = {
        "key": RecordKey(
            changes.pop("agreement_id", "agr_1"), changes.pop("code", "requests"), hour
        ),
        "channel": Channel.AWS,
        "product_id": "prd_llm",
        "quantity": quantity,
        "units_per_quantity": per_unit,
        "allocations": {BillingPeriod.of(hour): quantity * per_unit} if quantity else {},
        "reported_hour_start": hour,
        "deadline": policy_at(Channel.AWS, hour).deadline(hour),
        "buyer": {"customer_aws_account_id": "111122223333", "license_arn": LICENSE_ARN},
        "created_at": hour + timedelta(hours=1, minutes=15),
    }
    return MeteringRecord(**{**values, **changes})
