"""Google's reporting rules, where they differ from its siblings'."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from builders import GRACE, agreement, at, dimension
from meterbridge.domain.agreements import AgreementState, GcpBuyerReference
from meterbridge.domain.metering_record import MeteringRecord
from meterbridge.domain.offerings import Channel, QuantityKind
from meterbridge.domain.policy import policy_at
from meterbridge.domain.settlement import SettlementInput, settle

POLICY = policy_at(Channel.GCP, at("2026-11-24T12"))


def settled(
    usage: dict[str, str], now: str, kind: QuantityKind = QuantityKind.INTEGER, **terms: object
) -> tuple[MeteringRecord, ...]:
    values = {"channel": Channel.GCP, "aws": None, "gcp": GcpBuyerReference("project_number:1")}
    one = dimension(quantity_kind=kind)
    given = SettlementInput(
        agreement=agreement(**{**values, **terms}),
        dimensions=(one,),
        billable={one.code: {at(hour): Decimal(value) for hour, value in usage.items()}},
        records=(),
        head=None,
        policy=POLICY,
        now=at(now),
        grace=GRACE,
    )
    return settle(given).new_records


@pytest.mark.parametrize(
    ("kind", "quantity"), [(QuantityKind.INTEGER, "2"), (QuantityKind.DECIMAL, "2.5")]
)
def test_a_record_says_which_kind_of_number_its_metric_takes(
    kind: QuantityKind, quantity: str
) -> None:
    (record,) = settled({"2026-11-24T10": "2.5"}, "2026-11-24T12", kind)
    assert (record.quantity_kind, record.quantity) == (kind, Decimal(quantity))
    assert record.buyer == {"usage_reporting_id": "project_number:1"}


def test_neither_the_duty_of_an_hour_nor_the_month_end_refuses_usage() -> None:
    hour = at("2026-11-30T20")
    assert POLICY.deadline(hour) == hour + timedelta(hours=48)
    (record,) = settled({"2026-11-30T20": "3"}, "2026-12-02T19:59")
    assert (record.key.hour, record.deadline) == (hour, at("2026-12-02T20"))


def test_the_last_hour_covers_the_time_until_the_end_and_is_flushed_within_an_hour() -> None:
    usage = {"2026-11-24T09": "1", "2026-11-24T10": "3"}
    records = settled(
        usage, "2026-11-24T10:40", state=AgreementState.ENDED, ends_at=at("2026-11-24T10:20")
    )
    assert [(r.covered_until, r.deadline) for r in records] == [
        (at("2026-11-24T10"), at("2026-11-24T11:20")),
        (at("2026-11-24T10:20"), at("2026-11-24T11:20")),
    ]


def test_an_agreement_that_reports_zeros_has_windows_without_gaps() -> None:
    records = settled(
        {"2026-11-24T09": "3"},
        "2026-11-24T13",
        zero_records=True,
        starts_at=at("2026-11-24T08:10"),
    )
    edges = [(r.reported_hour_start, r.covered_until) for r in records]
    assert [end for _, end in edges[:-1]] == [start for start, _ in edges[1:]]
    assert [str(r.quantity) for r in records] == ["0", "3", "0", "0"]


def test_the_greatest_decimal_is_one_that_a_double_keeps() -> None:
    most = POLICY.max_quantity[QuantityKind.DECIMAL]
    step = POLICY.step(QuantityKind.DECIMAL)
    assert Decimal(repr(float(most))) == most
    assert Decimal(repr(float(most - step))) == most - step
    assert POLICY.max_quantity[QuantityKind.INTEGER] == 2**63 - 1
