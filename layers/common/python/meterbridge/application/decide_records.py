"""A person's decision about a record that nothing goes on with by itself, and the list of those."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from meterbridge.application.ledger_admin import AttentionPlace, LedgerAdmin
from meterbridge.application.manage_agreements import visible_agreement
from meterbridge.application.manage_catalog import Answering
from meterbridge.application.ports import Clock, SettleQueue
from meterbridge.application.refusals import Faults
from meterbridge.application.registry_admin import RegistryAdmin
from meterbridge.domain.agreements import Agreement
from meterbridge.domain.api_keys import Caller
from meterbridge.domain.deciding import Case, decide
from meterbridge.domain.decisions import Decision, DecisionAction
from meterbridge.domain.errors import NotFoundError, StaleVersionError
from meterbridge.domain.ledger_head import LedgerHead
from meterbridge.domain.metering_record import MeteringRecord, RecordKey
from meterbridge.domain.policy import reporting_policy
from meterbridge.domain.record_standing import awaits_person, standing_of

_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class DecisionOrder:
    """What somebody asks for. See Decision for the meaning.

    Raises:
        InvalidRequestError: something is missing or does not belong to the action.
    """

    action: DecisionAction
    reason: str
    accepted_quantity: Decimal | None = None
    new_hour: datetime | None = None

    def __post_init__(self) -> None:
        faults = Faults()
        for given, action, pointer in (
            (self.accepted_quantity, DecisionAction.CONFIRM, "/accepted_quantity"),
            (self.new_hour, DecisionAction.RE_DATE, "/hour"),
        ):
            if self.action is action and given is None:
                faults.add("missing", f"{action} needs it", pointer)
            if self.action is not action and given is not None:
                faults.add("unexpected", f"only {action} takes it", pointer)
        faults.refuse_any()


def decide_record(
    key: RecordKey,
    order: DecisionOrder,
    *,
    caller: Caller,
    registry: RegistryAdmin,
    ledger: LedgerAdmin,
    queue: SettleQueue,
    clock: Clock,
    grace: timedelta,
    new_id: Callable[[datetime], str],
    answering: Answering[Decision],
) -> Decision:
    """Decide about a record, and have the agreement settled soon if that leaves something to bill.

    Safe to kill: either all of it is stored, or nothing; and whatever is to be billed again is
    found by the schedule if the message to the queue is lost.

    Args:
        new_id: makes the decision's id, which sorts by the moment.

    Raises:
        NotFoundError: no such record, or not for this caller.
        RefusedDecisionError: its state does not allow it.
        InvalidInputError: the figure or the new hour cannot be.
        StaleVersionError: somebody else decided at the same moment; look again.
    """
    seen: MeteringRecord | None = None
    name = _name_of(caller, registry)
    for _ in range(_ATTEMPTS):
        agreement = visible_agreement(key.agreement_id, caller=caller, registry=registry).value
        head, record = ledger.head(key.agreement_id), ledger.record(key)
        if head is None or record is None:
            raise NotFoundError(str(key))
        if seen is not None and record != seen:
            raise StaleVersionError(f"{key} has just been changed: look again")
        seen, now = record, clock.now()
        decision = Decision(
            id=new_id(now),
            agreement_id=key.agreement_id,
            dimension=key.dimension,
            hour=key.hour,
            action=order.action,
            reason=order.reason,
            decided_by=caller.key_id,
            decided_by_name=name,
            decided_at=now,
            state_before=record.state.value,
            accepted_quantity=order.accepted_quantity,
            new_hour=order.new_hour,
        )
        effect = decide(decision, _case(record, head, agreement, ledger, order, now, grace))
        try:
            ledger.decide(effect, answering(decision))
        except StaleVersionError:
            # Most likely a settlement, which may go on; what was decided about is compared above.
            continue
        if effect.head.waiting:
            queue.enqueue([key.agreement_id])
        return decision
    raise StaleVersionError(f"{key}: its agreement keeps being settled")


def _case(
    record: MeteringRecord,
    head: LedgerHead,
    agreement: Agreement,
    ledger: LedgerAdmin,
    order: DecisionOrder,
    now: datetime,
    grace: timedelta,
) -> Case:
    taken = False
    if order.new_hour is not None:
        there = RecordKey(record.key.agreement_id, record.key.dimension, order.new_hour)
        taken = ledger.record(there) is not None
    policy = reporting_policy(agreement.channel, now)
    return Case(record, head, agreement, policy, grace, hour_taken=taken)


def _name_of(caller: Caller, registry: RegistryAdmin) -> str:
    try:
        return registry.api_key(caller.key_id).value.name
    except NotFoundError:
        return ""


def records_awaiting_person(
    after: AttentionPlace | None, *, caller: Caller, registry: RegistryAdmin, ledger: LedgerAdmin
) -> Iterator[MeteringRecord]:
    """Records of the caller's products that wait for a decision, from a place on. May lag behind."""
    agreements: dict[str, tuple[Agreement, LedgerHead | None]] = {}
    for record in ledger.attention(after):
        if not caller.sees(record.product_id):
            continue
        agreement_id = record.key.agreement_id
        if agreement_id not in agreements:
            found = registry.agreement(agreement_id), ledger.head(agreement_id)
            agreements[agreement_id] = found
        if awaits_person(record, standing_of(record, *agreements[agreement_id])):
            yield record
