"""One agreement with terms: its usage, settled at any moment, and its books."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from builders import GRACE, agreement, at, offering, product
from fakes.clock import FakeClock
from fakes.ledger import FakeLedger
from fakes.registry import FakeRegistry
from fakes.usage_store import FakeUsageStore
from meterbridge.application.settle_agreements import settle_agreement
from meterbridge.application.statement import statement
from meterbridge.domain.agreements import Agreement, Customer
from meterbridge.domain.meter_states import SumState
from meterbridge.domain.metering_record import MeteringRecord, RecordState
from meterbridge.domain.money import plain
from meterbridge.domain.offerings import Channel, Plan
from meterbridge.domain.partitions import Partition
from meterbridge.domain.pricing.channel_reporting import (
    ChannelReporting,
    ReportedDimension,
    ReportingMode,
    Source,
)
from meterbridge.domain.pricing.plan_terms import PlanTerms
from meterbridge.domain.pricing.validation import validate
from meterbridge.domain.statement import Statement
from meterbridge.domain.usage import FoldHead, FoldPosition, HourlyUsage
from meterbridge.domain.windows import BillingPeriod
from usage_events import meter

CENT = Decimal("0.01")


def in_cents(*codes: str, channel: Channel = Channel.AWS) -> tuple[ChannelReporting, ...]:
    """Everything is reported as money, in cents."""
    charges = ReportedDimension(
        "charges", ReportingMode.CURRENCY, tuple(map(Source, codes)), units_per_quantity=CENT
    )
    return (ChannelReporting(channel, (charges,)),)


def natively(*codes: str, channel: Channel = Channel.AWS) -> tuple[ChannelReporting, ...]:
    """Each dimension under its own name."""
    dimensions = tuple(
        ReportedDimension(code, ReportingMode.NATIVE, (Source(code),)) for code in codes
    )
    return (ChannelReporting(channel, dimensions),)


class RatedWorld:
    """An agreement on AWS, or elsewhere, under the terms of one or several plans."""

    def __init__(self, *plans: PlanTerms, now: str = "2026-11-24T12:20", **terms: Any) -> None:
        """Plan `p0`, `p1`, … of one offering; the agreement begins on the first."""
        self.registry, self.usage, self.ledger = FakeRegistry(), FakeUsageStore(), FakeLedger()
        self.clock = FakeClock(at(now))
        self._folds = 0
        self.registry.add_product(product())
        meters = sorted({each.meter_id for plan in plans for each in plan.dimensions})
        for meter_id in meters:
            self.registry.add_meter(replace(meter(), id=meter_id))
        named = tuple(Plan(f"p{number}", terms=each) for number, each in enumerate(plans))
        for each in plans:
            assert validate(each) == ()
        self.registry.add_offering(
            offering(plans=named),
            {each: self.registry.meter_entry(each).version for each in meters},
        )
        self.registry.add_customer(Customer("acme"))
        self.registry.add_agreement(agreement(plan_code="p0", **terms))

    @property
    def agreement(self) -> Agreement:
        return self.registry.agreement("agr_1")

    def change(self, **changes: Any) -> None:
        """A change of the agreement."""
        before = self.agreement
        self.registry.save_agreement(replace(before, version=before.version + 1, **changes))

    def use(self, hour: str, **quantities: Any) -> None:
        """What an hour's usage comes to, by meter without its prefix."""
        self._folds += 1
        moment, position = at(hour), FoldPosition(self._folds, 1)
        states: Mapping[str, Any] = {
            f"mtr_{name}": {(): SumState(Decimal(str(value)))} for name, value in quantities.items()
        }
        row = HourlyUsage("prd_llm", "acme", moment, states, position, moment, moment)
        head = FoldHead(Partition(moment, 0), position, "", moment, moment, 1, 0, 0)
        self.usage.advance(head, [row])

    def settle(self, now: str | datetime = "", *, agreement_id: str = "agr_1") -> None:
        """Settle, and have the marketplace accept everything at once."""
        if now:
            moment = at(now) if isinstance(now, str) else now
            self.clock.advance(moment - self.clock.now())
        settle_agreement(
            agreement_id,
            registry=self.registry,
            usage=self.usage,
            ledger=self.ledger,
            clock=self.clock,
            grace=GRACE,
        )
        for record in self.ledger.records(agreement_id):
            if record.state is RecordState.PENDING:
                self._accept(record)

    def _accept(self, record: MeteringRecord) -> None:
        now = self.clock.now()
        sent = record.submitted({"entry": "1"}, at=now)
        self.ledger.save(sent, expected_state=RecordState.PENDING, expected_attempts=0)
        self.ledger.save(
            sent.finished(RecordState.ACCEPTED, at=now, receipt="r"),
            expected_state=RecordState.SUBMITTED,
            expected_attempts=1,
        )

    def records(self) -> dict[str, str]:
        """Quantity by hour and dimension, as "11-24T10 requests"."""
        return {
            f"{record.key.hour:%m-%dT%H} {record.key.dimension}": plain(record.quantity)
            for record in self.ledger.records("agr_1")
        }

    def statement(self, period: str = "2026-11") -> Statement:
        found = statement(
            "agr_1",
            BillingPeriod.parse(period),
            registry=self.registry,
            usage=self.usage,
            ledger=self.ledger,
            clock=self.clock,
        )
        assert found.balanced
        return found

    def buckets(self, period: str = "2026-11") -> dict[str, dict[str, str]]:
        """What is in each bucket, by reported dimension; empty ones left out."""
        return {
            line.dimension.code: {
                bucket.value: plain(amount) for bucket, amount in line.buckets.items() if amount
            }
            for line in self.statement(period).lines
        }
