"""A ledger with records to report, a registry that knows their agreements, and one way to run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from builders import LICENSE_ARN, NOON, agreement, metering_record, offering, product
from fakes.clock import FakeClock
from fakes.ledger import FakeLedger
from fakes.marketplace import FakeMarketplace
from fakes.registry import FakeRegistry
from meterbridge.application.report_usage import ReportLimits, ReportSummary, report_usage
from meterbridge.domain.agreements import AgreementState, AwsBuyerReference, Customer
from meterbridge.domain.ledger_head import LedgerHead
from meterbridge.domain.metering_record import MeteringRecord, RecordState
from meterbridge.domain.settlement import MAX_NEW_RECORDS
from meterbridge.domain.windows import BillingPeriod


def always() -> bool:
    return True


def aws_terms(agreement_id: str) -> dict[str, Any]:
    """The buyer of an agreement on AWS."""
    return {"aws": AwsBuyerReference("111122223333", f"{LICENSE_ARN}-{agreement_id}")}


@dataclass
class Reporting:
    """Everything one reporting run needs. Ports may be wrapped before running."""

    marketplace: Any = field(default_factory=FakeMarketplace)
    ledger: Any = field(default_factory=FakeLedger)
    registry: Any = field(default_factory=FakeRegistry)
    clock: FakeClock = field(default_factory=lambda: FakeClock(NOON))
    backoffs: list[int] = field(default_factory=list)
    terms: Callable[[str], dict[str, Any]] = aws_terms

    def __post_init__(self) -> None:
        self.registry.add_product(product())
        self.registry.add_offering(offering(), {})

    def add(self, *records: MeteringRecord, state: AgreementState = AgreementState.ACTIVE) -> None:
        """Agreements in a state, with their records as settlements wrote them."""
        by_agreement: dict[str, list[MeteringRecord]] = {}
        for record in records:
            by_agreement.setdefault(record.key.agreement_id, []).append(record)
        for agreement_id, own in by_agreement.items():
            self.registry.add_customer(Customer(agreement_id))
            self.registry.add_agreement(
                agreement(
                    id=agreement_id,
                    customer_id=agreement_id,
                    state=state,
                    **self.terms(agreement_id),
                )
            )
            for number, start in enumerate(range(0, len(own), MAX_NEW_RECORDS)):
                self.ledger.commit(
                    LedgerHead(
                        agreement_id=agreement_id,
                        version=number + 1,
                        live_from=BillingPeriod(2026, 11),
                        settled_at=NOON,
                        settled_through=None,
                    ),
                    expected_version=number,
                    new_records=own[start : start + MAX_NEW_RECORDS],
                )

    def run(
        self,
        *,
        workers: int = 1,
        rounds: int = 3,
        max_records: int = 1000,
        may_continue: Callable[[], bool] = always,
        dry_run: bool = False,
    ) -> ReportSummary:
        return report_usage(
            marketplace=self.marketplace,
            ledger=self.ledger,
            registry=self.registry,
            clock=self.clock,
            limits=ReportLimits(max_records=max_records, workers=workers, rounds=rounds),
            backoff=self.backoffs.append,
            may_continue=may_continue,
            dry_run=dry_run,
        )

    def later(self, by: timedelta = timedelta(minutes=5), **how: Any) -> ReportSummary:
        self.clock.advance(by)
        return self.run(**how)

    def states(self, records: Iterable[MeteringRecord]) -> list[RecordState]:
        return [self.ledger.record(record.key).state for record in records]


def some_records(count: int = 3, **changes: Any) -> list[MeteringRecord]:
    """Records of one agreement, ascending by key."""
    return [metering_record(code=f"d{number:02d}", **changes) for number in range(count)]
