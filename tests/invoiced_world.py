"""One agreement with terms, from usage to invoices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from builders import at
from fakes.invoice_store import FakeInvoiceStore
from fakes.usage_log import FakeUsageLog
from invoicing_setup import SELLER
from meterbridge.application.aggregate_usage import aggregate_usage
from meterbridge.application.fold_partitions import KeptFolds
from meterbridge.application.issue_invoices import IssueSummary, issue_invoices
from meterbridge.application.read_invoices import InvoiceSources
from meterbridge.domain.events import UsageEvent
from meterbridge.domain.invoicing.billing_documents import BillingDocument
from meterbridge.domain.invoicing.invoicing_rules import InvoicingRules
from meterbridge.domain.pricing.plan_terms import PlanTerms
from meterbridge.domain.usage_log import pack_events
from rated_world import RatedWorld


def always() -> bool:
    return True


class InvoicedWorld(RatedWorld):
    """A seller who invoices; usage is either said by the hour, or sent as events."""

    def __init__(self, *plans: PlanTerms, now: str = "2026-11-24T12:20", **terms: Any) -> None:
        super().__init__(*plans, now=now, **terms)
        self.invoices: Any = FakeInvoiceStore(self.registry)
        self.log = FakeUsageLog()
        self.rules = InvoicingRules(SELLER)
        for meter_id in sorted({each.meter_id for plan in plans for each in plan.dimensions}):
            entry = self.registry.meter_entry(meter_id)
            named = replace(entry.value, event_type=meter_id, value_path="v")
            self.registry.save_meter(named, entry.version)

    @property
    def sources(self) -> InvoiceSources:
        return InvoiceSources(self.registry, self.usage, self.ledger, self.invoices, self.rules)

    def send(self, moment: str, number: int, received: str = "", **quantities: Any) -> None:
        """Events `<meter>-<number>`, received at their moment or later, and folded."""
        events = [
            UsageEvent(
                product_id="prd_llm",
                source="app",
                id=f"{name}-{number}",
                type=f"mtr_{name}",
                subject="acme",
                occurred_at=at(moment),
                values={"v": Decimal(str(quantity))},
            )
            for name, quantity in quantities.items()
        ]
        received_at = at(received or moment)
        self.log.append(pack_events(events, self.registry.shard_plan()), received_at)
        failed = aggregate_usage(
            self.log.partitions(),
            log=self.log,
            usage=self.usage,
            registry=self.registry,
            clock=self.clock,
            kept=KeptFolds(),
        )
        assert failed == {}

    def go_to(self, moment: str | datetime) -> None:
        until = at(moment) if isinstance(moment, str) else moment
        self.clock.advance(until - self.clock.now())

    def issue(self, moment: str = "", may_go_on: Callable[[], bool] = always) -> IssueSummary:
        """A run of issuing, at a moment or now."""
        if moment:
            self.go_to(moment)
        return issue_invoices(self.sources, clock=self.clock, may_go_on=may_go_on)

    def documents(self, agreement_id: str = "agr_1") -> list[BillingDocument]:
        found = self.invoices.of_agreement(agreement_id, "", 100)
        return [self.invoices.document(summary.id) for summary in found]

    def document(self, number: str) -> BillingDocument:
        found: BillingDocument = self.invoices.document(self.invoices.numbered(number))
        return found
