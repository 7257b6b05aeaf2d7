"""One agreement with usage, settled and reported when a test says so, on any of the marketplaces."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from builders import GRACE, agreement, at, dimension, offering, product
from fakes.clock import FakeClock
from fakes.ledger import FakeLedger
from fakes.marketplace import FakeMarketplace
from fakes.registry import FakeRegistry
from fakes.usage_log import FakeUsageLog
from fakes.usage_store import FakeUsageStore
from meterbridge.application.report_usage import ReportLimits, ReportSummary, report_usage
from meterbridge.application.reporting_status import ReportingStatus, reporting_status
from meterbridge.application.settle_agreements import settle_agreement
from meterbridge.application.waiting_agreements import WaitingAgreement, waiting_agreements
from meterbridge.domain.agreements import (
    AgreementState,
    AzureBuyerReference,
    Customer,
    GcpBuyerReference,
)
from meterbridge.domain.meter_states import CountState
from meterbridge.domain.meters import Aggregation, Meter
from meterbridge.domain.offerings import Channel
from meterbridge.domain.usage import FoldPosition, HourlyUsage

METER = Meter("mtr_requests", "prd_llm", "requests", "llm.request", Aggregation.COUNT)
BUYERS: dict[Channel, dict[str, Any]] = {
    Channel.AWS: {},
    Channel.AZURE: {"aws": None, "azure": AzureBuyerReference("std", resource_id="res")},
    Channel.GCP: {"aws": None, "gcp": GcpBuyerReference("project_number:1")},
    Channel.STRIPE: {"aws": None},
}


@dataclass
class Watched:
    """The stores and the present; `ledger` and `usage` may be wrapped."""

    now: datetime
    channel: Channel = Channel.AWS
    grace: timedelta = GRACE
    per_unit: int = 1
    registry: FakeRegistry = field(default_factory=FakeRegistry)
    usage: Any = field(default_factory=FakeUsageStore)
    log: Any = field(default_factory=FakeUsageLog)
    ledger: Any = field(default_factory=FakeLedger)
    marketplace: FakeMarketplace = field(default_factory=FakeMarketplace)
    starts_at: datetime = field(default_factory=lambda: at("2026-11-01T00"))

    def __post_init__(self) -> None:
        self.clock = FakeClock(self.now)
        self.marketplace.channel = self.channel
        self.registry.add_product(product())
        self.registry.add_meter(METER)
        self.registry.add_offering(
            offering(dimension(units_per_quantity=Decimal(self.per_unit))), {METER.id: 1}
        )
        self.add_agreement("agr_1", "acme")

    def add_agreement(self, agreement_id: str, customer_id: str, **changes: Any) -> None:
        self.registry.add_customer(Customer(customer_id))
        terms = {**BUYERS[self.channel], "starts_at": self.starts_at, **changes}
        self.registry.add_agreement(
            agreement(
                id=agreement_id, customer_id=customer_id, **{"channel": self.channel, **terms}
            )
        )

    def change(self, agreement_id: str = "agr_1", **changes: Any) -> None:
        before = self.registry.agreement(agreement_id)
        self.registry.save_agreement(replace(before, version=before.version + 1, **changes))

    def end(self, ends_at: datetime) -> None:
        self.change(state=AgreementState.ENDED, ends_at=ends_at)

    def use(self, hour: datetime, count: int, customer_id: str = "acme") -> None:
        """The customer has used so much in an hour, in all, and it is folded."""
        key = (METER.product_id, customer_id, hour)
        known = self.usage._rows.get(key)
        position = FoldPosition((known.position.segments if known else 0) + 1, 1)
        meters = {METER.id: {(): CountState(count)}}
        self.usage._put_row(HourlyUsage(*key, meters, position, hour, self.clock.now()))

    def settle(self, agreement_id: str = "agr_1") -> None:
        settle_agreement(
            agreement_id,
            registry=self.registry,
            usage=self.usage,
            ledger=self.ledger,
            clock=self.clock,
            grace=self.grace,
        )

    def report(self) -> ReportSummary:
        return report_usage(
            marketplace=self.marketplace,
            ledger=self.ledger,
            registry=self.registry,
            clock=self.clock,
            limits=ReportLimits(workers=1, rounds=1),
            backoff=lambda _round: None,
            may_continue=lambda: True,
        )

    def status(self, agreement_id: str = "agr_1") -> ReportingStatus:
        return reporting_status(
            agreement_id,
            registry=self.registry,
            usage=self.usage,
            ledger=self.ledger,
            log=self.log,
            clock=self.clock,
            grace=self.grace,
        )

    def waiting(self) -> list[WaitingAgreement]:
        return waiting_agreements(
            self.registry.agreements(),
            links=self.registry.customer_links(),
            ledger=self.ledger,
            usage=self.usage,
            now=self.clock.now(),
            grace=self.grace,
        )
