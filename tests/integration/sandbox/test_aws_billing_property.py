"""Whatever is sent, resent, lost or refused: each key is billed its first accepted quantity."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integration.sandbox.seller import (
    BUYER,
    HOUR,
    LICENSE,
    OTHER_BUYER,
    SECOND_LICENSE,
    Seller,
    usage,
)

BUYERS = {LICENSE: BUYER, SECOND_LICENSE: OTHER_BUYER}
DIMENSIONS = ("api_calls", "tokens")
POISONS = ("", "", "", "dimension", "late", "licence", "quantity")
TROUBLES = ("", "", "lost_acknowledgement", "unprocessed", "internal_error", "connection_reset")

Key = tuple[str, str, datetime]


@dataclass(frozen=True)
class Row:
    license_arn: str
    dimension: str
    hour: datetime
    minute: int
    quantity: str

    @property
    def key(self) -> Key:
        return self.license_arn, self.dimension, self.hour

    def to_record(self) -> dict[str, object]:
        return usage(
            self.quantity,
            LicenseArn=self.license_arn,
            CustomerAWSAccountId=BUYERS[self.license_arn],
            Dimension=self.dimension,
            Timestamp=self.hour + timedelta(minutes=self.minute),
        )


@dataclass(frozen=True)
class Batch:
    rows: list[Row]
    poison: str
    trouble: str


ROWS = st.builds(
    Row,
    license_arn=st.sampled_from(list(BUYERS)),
    dimension=st.sampled_from(DIMENSIONS),
    hour=st.sampled_from([HOUR - timedelta(hours=hours) for hours in range(3)]),
    minute=st.integers(0, 59),
    quantity=st.sampled_from(["0", "1", "1.0", "1.000001", "2.5", "9999999999.999999"]),
)
BATCHES = st.builds(
    Batch,
    rows=st.lists(ROWS, min_size=1, max_size=8),
    poison=st.sampled_from(POISONS),
    trouble=st.sampled_from(TROUBLES),
)


def poisoned(kind: str) -> list[dict[str, object]]:
    return {
        "": [],
        "dimension": [usage(Dimension="none")],
        "late": [usage(Timestamp=HOUR - timedelta(days=2))],
        "licence": [usage(LicenseArn=LICENSE + "0")],
        "quantity": [usage(Quantity=1)],
    }[kind]


def expect(bill: dict[Key, Decimal], batch: Batch) -> None:
    """Applies a batch to the bill by the shortest statement of the rule."""
    if batch.poison or batch.trouble in ("internal_error", "connection_reset"):
        return
    for row in batch.rows:
        if not (batch.trouble == "unprocessed" and row.dimension == "tokens"):
            bill.setdefault(row.key, Decimal(row.quantity))


def send(seller: Seller, batch: Batch) -> None:
    if batch.trouble:
        match = {"dimension": "tokens"} if batch.trouble == "unprocessed" else {}
        seller.control.inject(batch.trouble, match=match)
    records = [row.to_record() for row in batch.rows] + poisoned(batch.poison)
    fails = bool(batch.poison) or batch.trouble not in ("", "unprocessed")
    if fails:
        with pytest.raises((ClientError, ConnectionClosedError)):
            seller.send(*records)
    else:
        seller.send(*records)
    seller.control.clear_faults()


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(batches=st.lists(BATCHES, max_size=8))
def test_each_key_is_billed_its_first_accepted_quantity_and_nothing_else(
    seller: Seller, batches: list[Batch]
) -> None:
    seller.control.reset(keep_setup=True)
    expected: dict[Key, Decimal] = {}
    for batch in batches:
        send(seller, batch)
        expect(expected, batch)
    bill = seller.control.billed()
    assert {(r.agreement, r.dimension, r.hour): r.quantity for r in bill.records} == expected
    assert len(bill.records) == len(expected)
    for license_arn in BUYERS:
        for dimension in DIMENSIONS:
            total = sum(
                (q for key, q in expected.items() if key[:2] == (license_arn, dimension)),
                Decimal(0),
            )
            assert bill.quantity(license_arn, dimension) == total
