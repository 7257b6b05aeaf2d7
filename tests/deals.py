"""Buyers' agreements from usage to the bill: real use cases over fakes, adapters over HTTP, and a strict
marketplace behind them whose clock is the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from builders import GRACE, agreement, at, dimension, offering, product
from fakes.clock import FakeClock
from fakes.ledger import FakeLedger
from fakes.registry import FakeRegistry
from fakes.usage_log import FakeUsageLog
from fakes.usage_store import FakeUsageStore
from gcp_setup import SERVICE
from marketplace_setups import MarketplaceSetup
from meterbridge.application.aggregate_usage import aggregate_usage
from meterbridge.application.fold_partitions import KeptFolds
from meterbridge.application.manage_agreements import patched
from meterbridge.application.report_usage import ReportLimits, ReportSummary, report_usage
from meterbridge.application.settle_agreements import settle_agreement
from meterbridge.application.statement import statement
from meterbridge.domain.agreements import Agreement, AgreementState, Customer
from meterbridge.domain.events import UsageEvent
from meterbridge.domain.metering_record import MeteringRecord
from meterbridge.domain.meters import Aggregation, Meter
from meterbridge.domain.offerings import Channel, QuantityKind
from meterbridge.domain.statement import Bucket, Statement
from meterbridge.domain.usage_log import pack_events
from meterbridge.domain.windows import BillingPeriod
from sandbox.marketplaces.client import SandboxControl

STARTED = at("2026-11-01T00")
METER = Meter("mtr_v", "prd_llm", "v", "llm.request", Aggregation.SUM, value_path="v")
QUARTER = timedelta(minutes=15)


class Deals:
    """Agreements of one seller on one marketplace.

    Attributes:
        remote: the adapter, or what a test puts around it.
        ahead: how far our clock is ahead of the marketplace's.
    """

    def __init__(self, setup: MarketplaceSetup, control: SandboxControl, now: datetime) -> None:
        self.setup = setup
        self.control = control
        self.clock = FakeClock(now)
        self.registry: Any = FakeRegistry()
        self.ledger: Any = FakeLedger()
        self.log = FakeUsageLog()
        self.usage = FakeUsageStore()
        self.remote: Any = None
        self.ahead = timedelta(0)
        self._events = 0
        self.registry.add_product(
            product(listings={setup.channel: SERVICE if setup.channel is Channel.GCP else "any"})
        )
        self.registry.add_meter(METER)
        sold = dimension(code="d00", meter_id=METER.id, quantity_kind=QuantityKind.DECIMAL)
        self.registry.add_offering(offering(sold), {METER.id: 1})

    def sell(self, agreement_id: str = "agr_1", **changes: Any) -> Agreement:
        """One buyer's agreement."""
        self.registry.add_customer(Customer(agreement_id))
        terms = {"starts_at": STARTED, **self.setup.terms(agreement_id), **changes}
        sold = agreement(id=agreement_id, customer_id=agreement_id, **terms)
        self.registry.add_agreement(sold)
        return sold

    def change(self, agreement_id: str = "agr_1", **changes: Any) -> None:
        """A person's change of an agreement."""
        before = self.registry.agreement(agreement_id)
        after = replace(patched(before, changes), version=before.version + 1)
        self.registry.save_agreement(after)

    def use(
        self, moment: datetime, quantity: str, agreement_id: str = "agr_1", *, number: int = 0
    ) -> None:
        """Usage at a moment, sent now."""
        self._events += 1
        event = UsageEvent(
            product_id="prd_llm",
            source="app",
            id=f"event-{number or self._events}",
            type="llm.request",
            subject=agreement_id,
            occurred_at=moment,
            values={"v": Decimal(quantity)},
        )
        self.log.append(pack_events([event], self.registry.shard_plan()), self.clock.now())

    def advance(self, by: timedelta) -> None:
        """Both clocks go on."""
        self.clock.advance(by)
        self.control.set_clock(self.clock.now() - self.ahead)

    def settle(self) -> None:
        """Fold what was used, and settle every agreement."""
        failed = aggregate_usage(
            self.log.partitions(),
            log=self.log,
            usage=self.usage,
            registry=self.registry,
            clock=self.clock,
            kept=KeptFolds(),
        )
        assert failed == {}
        for each in self.registry.agreements():
            settle_agreement(
                each.id,
                registry=self.registry,
                usage=self.usage,
                ledger=self.ledger,
                clock=self.clock,
                grace=GRACE,
            )

    def report(self, rounds: int = 2) -> ReportSummary:
        return report_usage(
            marketplace=self.remote,
            ledger=self.ledger,
            registry=self.registry,
            clock=self.clock,
            limits=ReportLimits(workers=1, rounds=rounds),
            backoff=lambda _round: None,
            may_continue=lambda: True,
        )

    def cycle(self) -> ReportSummary:
        """One round of the schedules; the books balance before and after the report."""
        self.settle()
        self.check_balance()
        summary = self.report()
        self.check_balance()
        return summary

    def run_until(self, end: datetime, step: timedelta = QUARTER) -> None:
        """The schedules, to that moment and at it."""
        while self.clock.now() < end:
            self.advance(min(step, end - self.clock.now()))
            self.cycle()

    def records(self, agreement_id: str = "agr_1") -> list[MeteringRecord]:
        found: list[MeteringRecord] = self.ledger.records(agreement_id)
        return found

    def state(self, agreement_id: str = "agr_1") -> AgreementState:
        found: AgreementState = self.registry.agreement(agreement_id).state
        return found

    def billed(self, agreement_id: str = "agr_1") -> dict[datetime, Decimal]:
        """What the marketplace holds, by hour."""
        found: dict[datetime, Decimal] = {}
        for record in self.control.billed().records:
            if record.agreement == self.setup.reference(agreement_id):
                found[record.hour] = found.get(record.hour, Decimal(0)) + record.quantity
        return found

    def statements(self, agreement_id: str = "agr_1") -> list[Statement]:
        """Of every month until now, recounted from the log."""
        period, found = BillingPeriod.of(STARTED), []
        while period <= BillingPeriod.of(self.clock.now()):
            found.append(
                statement(
                    agreement_id,
                    period,
                    registry=self.registry,
                    usage=self.usage,
                    ledger=self.ledger,
                    clock=self.clock,
                )
            )
            period = period.next
        return found

    def buckets(self, agreement_id: str = "agr_1") -> dict[Bucket, Decimal]:
        """Where everything that was used is; nothing is left out and no bucket is empty."""
        found: dict[Bucket, Decimal] = {}
        for each in self.statements(agreement_id):
            for bucket, amount in each.lines[0].buckets.items():
                if amount:
                    found[bucket] = found.get(bucket, Decimal(0)) + amount
        return found

    def check_balance(self) -> None:
        """Raises AssertionError: a unit was lost or made up."""
        for sold in self.registry.agreements():
            assert all(each.balanced for each in self.statements(sold.id))


@contextmanager
def open_deals(
    setup: MarketplaceSetup, control: SandboxControl, url: str, now: datetime
) -> Iterator[Deals]:
    """Deals on an empty marketplace, at a moment."""
    control.reset()
    control.set_clock(now)
    setup.register(control)
    if setup.channel is Channel.GCP:
        # Google takes late usage; the suite of the siblings wants a limit there too.
        control.gcp.configure(late_limit_seconds=0)
    deals = Deals(setup, control, now)
    with setup.connected(url, clock=deals.clock, registry=deals.registry) as remote:
        deals.remote = remote
        yield deals
