"""One agreement's books over the fakes: usage, settlements, results of reports, and a person's decisions."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from itertools import count
from typing import Any

from builders import GRACE, agreement, all_billable, at, dimension, offering, product
from fakes.clock import FakeClock
from fakes.ledger import FakeLedger
from fakes.registry import FakeRegistry
from fakes.settle_queue import FakeSettleQueue
from meterbridge.application.decide_records import DecisionOrder, decide_record
from meterbridge.application.registry_admin import Answer
from meterbridge.domain.agreements import Agreement, Customer, RecoveryPolicy
from meterbridge.domain.api_keys import Caller, Scope
from meterbridge.domain.decisions import Decision, DecisionAction
from meterbridge.domain.ledger_head import LedgerHead
from meterbridge.domain.metering_record import MeteringRecord, RecordKey, RecordState
from meterbridge.domain.meters import Aggregation, Meter
from meterbridge.domain.offerings import Channel
from meterbridge.domain.policy import policy_at
from meterbridge.domain.settlement import SettlementInput, settle
from meterbridge.domain.statement import Bucket, Statement, statement_of
from meterbridge.domain.windows import BillingPeriod

OPERATOR = Caller("key_ops", frozenset({Scope.ADMIN}), None)
NOVEMBER = BillingPeriod(2026, 11)
_numbers = count()


def next_id(moment: datetime) -> str:
    """An id of a decision: in the order of time, then of asking."""
    return f"dec_{moment:%Y%m%dt%H%M%S}_{next(_numbers):06d}"


def unanswered(_: Decision) -> Answer | None:
    """A request without an idempotency key."""
    return None


def decision(
    action: DecisionAction, record: MeteringRecord, now: datetime, **more: Any
) -> Decision:
    """As the use case makes it."""
    key = record.key
    return Decision(
        id=next_id(now),
        agreement_id=key.agreement_id,
        dimension=key.dimension,
        hour=key.hour,
        action=action,
        reason="asked the marketplace",
        decided_by="key_ops",
        decided_by_name="",
        decided_at=now,
        state_before=record.state.value,
        **more,
    )


def conflicted(record: MeteringRecord, accepted: str | None = None) -> MeteringRecord:
    """Sent, and its outcome in doubt or another quantity told."""
    sent = record.submitted({"k": "v"}, at=record.created_at)
    return sent.finished(
        RecordState.CONFLICTED,
        at=record.deadline,
        reason="in doubt",
        accepted_quantity=None if accepted is None else Decimal(accepted),
    )


def refused(record: MeteringRecord, state: RecordState) -> MeteringRecord:
    """REJECTED or EXPIRED without having been booked."""
    return record.finished(state, at=record.deadline, reason="said no")


class Books:
    """One dimension of one agreement, settled and stated from the same usage and ledger."""

    def __init__(
        self,
        usage: dict[str, str],
        *,
        now: str = "2026-11-24T12:20",
        recovery: RecoveryPolicy = RecoveryPolicy.MANUAL,
        **changes: Any,
    ) -> None:
        self.usage = {at(hour): Decimal(value) for hour, value in usage.items()}
        self.clock = FakeClock(at(now))
        self.registry = FakeRegistry()
        self.ledger = FakeLedger(self.registry)
        self.queue = FakeSettleQueue()
        self.dimension = dimension()
        self.registry.add_product(product())
        self.registry.add_meter(
            Meter("mtr_requests", "prd_llm", "requests", "llm.request", Aggregation.COUNT)
        )
        self.registry.add_offering(offering(self.dimension), {"mtr_requests": 1})
        self.registry.add_customer(Customer("acme"))
        self.registry.add_agreement(agreement(recovery=recovery, **changes))

    @property
    def agreement(self) -> Agreement:
        return self.registry.agreement("agr_1")

    @property
    def head(self) -> LedgerHead:
        head = self.ledger.head("agr_1")
        assert head is not None
        return head

    def change(self, **changes: Any) -> None:
        """Change the agreement."""
        known = self.agreement
        self.registry.save_agreement(replace(known, version=known.version + 1, **changes))

    def settle(self, now: str | None = None) -> list[MeteringRecord]:
        """Settle once and commit; the records that were written."""
        if now is not None:
            self.clock.set(at(now))
        head = self.ledger.head("agr_1")
        start = head.live_from.start if head else None
        moment = self.clock.now()
        settlement = settle(
            SettlementInput(
                agreement=self.agreement,
                dimensions=(self.dimension,),
                billable={
                    self.dimension.code: {
                        hour: used
                        for hour, used in self.usage.items()
                        if start is None or hour >= start
                    }
                },
                records=self.ledger.records("agr_1", start=start),
                head=head,
                policy=policy_at(Channel.AWS, moment),
                now=moment,
                grace=GRACE,
            )
        )
        if settlement.changed:
            self.ledger.commit(
                settlement.head,
                expected_version=head.version if head else 0,
                new_records=settlement.new_records,
                absorbed=settlement.absorbed,
            )
        return list(settlement.new_records)

    def finish(self, after: MeteringRecord) -> None:
        """Save the result of a report."""
        known = self.record(after.key)
        self.ledger.save(after, expected_state=known.state, expected_attempts=known.attempts)

    def with_result(self, result: str) -> MeteringRecord:
        """The first settlement's record, with this result of its report."""
        (record,) = self.settle()
        after = {
            "in_doubt": lambda: conflicted(record),
            "same_told": lambda: conflicted(record, str(record.quantity)),
            "another_told": lambda: conflicted(record, "3"),
            "expired": lambda: refused(record, RecordState.EXPIRED),
            "rejected": lambda: refused(record, RecordState.REJECTED),
            "accepted": lambda: record.finished(RecordState.ACCEPTED, at=record.deadline),
            "submitted": lambda: record.submitted({"k": "v"}, at=record.created_at),
            "pending": lambda: record,
        }[result]()
        self.finish(after)
        return after

    def record(self, key: RecordKey) -> MeteringRecord:
        """As it stands now."""
        found = self.ledger.record(key)
        assert found is not None
        return found

    def decide(self, record: MeteringRecord, action: DecisionAction, **more: Any) -> Decision:
        """What a person decides."""
        return decide_record(
            record.key,
            DecisionOrder(action, "asked the marketplace", **more),
            caller=OPERATOR,
            registry=self.registry,
            ledger=self.ledger,
            queue=self.queue,
            clock=self.clock,
            grace=GRACE,
            new_id=next_id,
            answering=unanswered,
        )

    def statement(self, period: BillingPeriod = NOVEMBER) -> Statement:
        moment = self.clock.now()
        return statement_of(
            self.agreement,
            period,
            dimensions=(self.dimension,),
            rated={self.dimension.code: all_billable(self.usage)},
            records=self.ledger.records("agr_1", start=period.start),
            head=self.ledger.head("agr_1"),
            policy=policy_at(Channel.AWS, moment),
            now=moment,
        )

    def buckets(self, period: BillingPeriod = NOVEMBER) -> dict[Bucket, Decimal]:
        """What is not empty, of a statement that balances."""
        statement = self.statement(period)
        assert statement.balanced, statement
        return {bucket: part for bucket, part in statement.lines[0].buckets.items() if part}
