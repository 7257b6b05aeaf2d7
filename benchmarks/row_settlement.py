"""Settling one agreement after a year of history, against after a month of it.

Usage in every hour; tiers, packages and unit prices, a trial, monthly credits and a discount; two
dimensions in money and one in units. It is settled every third day until the day that is measured, and
then every hour. The stores answer from memory in order of key, as DynamoDB would, so that what is
timed is what a settlement reads and computes.
"""

from __future__ import annotations

import time
from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from statistics import median
from types import MappingProxyType

from benchmarks.row import Row
from meterbridge.application.settle_agreements import settle_agreement
from meterbridge.domain.agreements import Agreement, AwsBuyerReference
from meterbridge.domain.customer_links import CustomerLink
from meterbridge.domain.ledger_head import LedgerHead
from meterbridge.domain.meter_states import CountState, SumState
from meterbridge.domain.metering_record import MeteringRecord, RecordKey, RecordState
from meterbridge.domain.meters import Aggregation, Meter
from meterbridge.domain.offerings import Channel, Offering, Plan, QuantityKind
from meterbridge.domain.pricing.channel_reporting import (
    ChannelReporting,
    ReportedDimension,
    ReportingMode,
    Source,
)
from meterbridge.domain.pricing.models import Package, PerUnit
from meterbridge.domain.pricing.plan_terms import (
    CreditRule,
    Discount,
    Entitlement,
    FreeTrial,
    PlanTerms,
    PricedDimension,
    Recurrence,
    Rollover,
    TrialKind,
)
from meterbridge.domain.pricing.rating_state import RatingState
from meterbridge.domain.pricing.tiers import Graduated, Tier
from meterbridge.domain.usage import FoldPosition, HourlyUsage
from meterbridge.domain.windows import HOUR, BillingPeriod

START = datetime(2026, 1, 1, tzinfo=UTC)
GRACE = timedelta(minutes=15)
MEASURED_HOURS = 24
PACE = timedelta(days=3)
METERS = (
    Meter("requests", "prd", "requests", "call", Aggregation.COUNT),
    Meter("tokens", "prd", "tokens", "call", Aggregation.SUM, value_path="tokens"),
)
TIERS = Graduated((Tier(Decimal(100_000), Decimal("0.002")), Tier(None, Decimal("0.001"))))
TERMS = PlanTerms(
    currency="USD",
    dimensions=(
        PricedDimension("calls", "requests", PerUnit(Decimal("0.01"))),
        PricedDimension("tokens", "tokens", TIERS, entitlement=Entitlement(Decimal(10_000))),
        PricedDimension("blocks", "tokens", Package(Decimal(5000), Decimal(1))),
    ),
    trial=FreeTrial(TrialKind.QUANTITY, quantities={"tokens": Decimal(50_000)}),
    discounts=(Discount("deal", percent=Decimal(10), codes=frozenset({"tokens", "blocks"})),),
    credits=(
        CreditRule(
            "monthly",
            Decimal(100),
            Recurrence.CYCLE,
            lasts_cycles=2,
            codes=frozenset({"tokens"}),
            rollover=Rollover(Decimal(20)),
        ),
    ),
    reporting=(
        ChannelReporting(
            Channel.AWS,
            (
                ReportedDimension("requests", ReportingMode.NATIVE, (Source("calls"),)),
                ReportedDimension(
                    "charges", ReportingMode.CURRENCY, (Source("tokens"),), Decimal("0.01")
                ),
                ReportedDimension(
                    "money",
                    ReportingMode.CURRENCY,
                    (Source("blocks"),),
                    quantity_kind=QuantityKind.DECIMAL,
                ),
            ),
        ),
    ),
)
AGREEMENT = Agreement(
    id="agr",
    customer_id="acme",
    product_id="prd",
    channel=Channel.AWS,
    offering_id="off",
    offering_version=1,
    plan_code="std",
    starts_at=START,
    aws=AwsBuyerReference("111122223333", "arn:aws:license-manager::1:license:l-1"),
)


class _History:
    """Clock, registry, usage and ledger of one agreement, all in order of time."""

    def __init__(self, hours: int) -> None:
        self.moment = START
        self._head: LedgerHead | None = None
        self._records: list[MeteringRecord] = []
        self._ratings: dict[BillingPeriod, RatingState] = {}
        self._rows = [_row(START + n * HOUR, n) for n in range(hours)]
        self.read = 0

    def now(self) -> datetime:
        return self.moment

    def agreement(self, _agreement_id: str) -> Agreement:
        return AGREEMENT

    def children_of(self, _parent_id: str) -> list[CustomerLink]:
        return []

    def agreements_of(self, _product_id: str, _customer_id: str) -> list[Agreement]:
        return [AGREEMENT]

    def offering(self, offering_id: str, version: int) -> Offering:
        return Offering(offering_id, version, "prd", "", "USD", (Plan("std", terms=TERMS),))

    def meter(self, meter_id: str) -> Meter:
        return next(meter for meter in METERS if meter.id == meter_id)

    def hourly(
        self, _product: str, _subject: str, start: datetime, end: datetime
    ) -> list[HourlyUsage]:
        first = bisect_left(self._rows, start, key=lambda row: row.hour)
        last = bisect_left(self._rows, end, key=lambda row: row.hour)
        self.read += last - first
        return self._rows[first:last]

    def head(self, _agreement_id: str) -> LedgerHead | None:
        return self._head

    def records(
        self, _agreement_id: str, start: datetime | None = None, _end: datetime | None = None
    ) -> list[MeteringRecord]:
        first = bisect_left(self._records, start or START, key=lambda record: record.key.hour)
        self.read += len(self._records) - first
        return self._records[first:]

    def commit(
        self,
        head: LedgerHead,
        *,
        expected_version: int,
        new_records: Sequence[MeteringRecord],
        absorbed: Sequence[RecordKey] = (),
        rating_states: Mapping[BillingPeriod, RatingState] = MappingProxyType({}),
    ) -> None:
        assert expected_version == (self._head.version if self._head else 0)
        assert not absorbed
        self._head = head
        self._ratings |= rating_states
        for record in new_records:
            accepted = replace(record, state=RecordState.ACCEPTED)
            insort(self._records, accepted, key=lambda each: (each.key.hour, each.key.dimension))

    def rating_state(self, _agreement_id: str, period: BillingPeriod) -> RatingState | None:
        return self._ratings.get(period)

    def settle(self) -> None:
        settle_agreement(
            AGREEMENT.id,
            registry=self,
            usage=self,
            ledger=self,
            clock=self,
            grace=GRACE,  # type: ignore[arg-type]
        )


def _row(hour: datetime, number: int) -> HourlyUsage:
    return HourlyUsage(
        product_id="prd",
        subject="acme",
        hour=hour,
        meters={
            "requests": {(): CountState(100 + number % 7)},
            "tokens": {(): SumState(Decimal(f"{1000 + number % 13}.125"))},
        },
        position=FoldPosition(1, 1),
        fresh_through=hour,
        folded_at=hour,
    )


def _measured(months: int) -> tuple[float, int]:
    """CPU seconds and rows read of a settlement, ten days into the month after so many months."""
    year, month = divmod(months, 12)
    target = datetime(START.year + year, month + 1, 10, 0, 20, tzinfo=UTC)
    history = _History((target - START) // HOUR + MEASURED_HOURS + 1)
    history.moment = START + timedelta(minutes=20)
    while history.moment + PACE <= target:
        history.moment += PACE
        history.settle()
    seconds = []
    for _ in range(MEASURED_HOURS):
        history.moment += HOUR
        history.read = 0
        began = time.process_time()
        history.settle()
        seconds.append(time.process_time() - began)
    return median(seconds), history.read


def run() -> list[Row]:
    """After twelve months against after one."""
    month, month_read = _measured(1)
    year, year_read = _measured(12)
    return [
        Row(
            name="settling one agreement after 12 months of history",
            value=year,
            yardstick=month,
            ratio=year / month,
            target="<= 1.2",
            unit="CPU s",
            note=f"rows and records read: {year_read} after a year, {month_read} after a month",
        )
    ]
