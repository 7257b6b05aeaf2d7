"""Which agreements have usage that is not accepted, most urgent first: cheap enough for every sweep.

Read are the index of open records, the settlement heads, and hourly usage only of agreements that
settling has left behind. So it also sees usage that no record holds because settling does not run.
The time left is never more than the deadline clock's of the agreement: usage that no whole unit or
no dimension comes of counts here, once settling is late.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from meterbridge.application.close_windows import FULL_PASS_EVERY, HISTORY
from meterbridge.application.ports import Ledger, UsageStore
from meterbridge.domain.agreements import Agreement
from meterbridge.domain.customer_links import BilledTogether, CustomerLink, owner_for_child
from meterbridge.domain.deadlines import (
    ORDINARY_DELAY,
    ClockState,
    WaitsFor,
    closes_at,
    record_deadline,
    state_of,
)
from meterbridge.domain.ledger_head import LedgerHead
from meterbridge.domain.metering_record import MeteringRecord
from meterbridge.domain.offerings import Channel
from meterbridge.domain.policy import MarketplacePolicy, reporting_policy
from meterbridge.domain.term import closed_hours, wire_moment
from meterbridge.domain.windows import HOUR, hour_of

MAX_OPEN_RECORDS = 20_000
"""Open records read of each channel, earliest deadline first: what one reporting run takes."""

_WORKERS = 8

SURELY_SETTLED_EVERY = FULL_PASS_EVERY + HOUR
"""Whatever an agreement used, settling has looked at it this often."""


@dataclass(frozen=True, slots=True)
class WaitingAgreement:
    """An agreement with usage that is not accepted.

    Attributes:
        deadline: when the first of it can no longer be reported for its hour.
        hour: that hour.
        waits_for: what has to happen with that usage next.
        state: how all of it stands.
        behind_until: earliest deadline of what should have been accepted by now; None when all of
            it is in its ordinary course.
        open_records: how many of its records are not accepted yet.
    """

    agreement: Agreement
    deadline: datetime
    hour: datetime
    waits_for: WaitsFor
    state: ClockState
    behind_until: datetime | None
    open_records: int
    settled_through: datetime | None
    settled_at: datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class _Waiting:
    deadline: datetime
    hour: datetime
    waits_for: WaitsFor
    behind: bool
    reason: str


class _Used:
    """Usage by the agreement that bills it."""

    def __init__(
        self,
        agreements: Iterable[Agreement],
        links: Iterable[CustomerLink],
        usage: UsageStore,
        now: datetime,
    ) -> None:
        self._usage = usage
        self._together = BilledTogether(links, since=hour_of(now - HISTORY))
        self._agreements: dict[tuple[str, str], list[Agreement]] = {}
        for agreement in agreements:
            key = (agreement.product_id, agreement.customer_id)
            self._agreements.setdefault(key, []).append(agreement)

    def first_hour(self, agreement: Agreement, start: datetime, end: datetime) -> datetime | None:
        """The first hour in [start, end) with usage that the agreement bills."""
        product_id, customer_id = agreement.product_id, agreement.customer_id
        rows = self._usage.hourly(product_id, customer_id, start, end)
        found = [row.hour for row in rows[:1]]
        siblings = self._agreements.get((product_id, customer_id), [])
        for child_id in self._together.children_of(customer_id):
            for row in self._usage.hourly(product_id, child_id, start, end):
                owner = owner_for_child(
                    row.hour,
                    own=self._agreements.get((product_id, child_id), []),
                    links=self._together.links_of(child_id),
                    parents=siblings,
                )
                if owner is not None and owner.id == agreement.id:
                    found.append(row.hour)
                    break
        return min(found, default=None)


def waiting_agreements(
    agreements: Iterable[Agreement],
    *,
    links: Iterable[CustomerLink],
    ledger: Ledger,
    usage: UsageStore,
    now: datetime,
    grace: timedelta,
) -> list[WaitingAgreement]:
    """Those of the agreements that have usage waiting, earliest deadline first.

    Args:
        agreements: all there are, or all of some products.
        links: all between customers.

    Raises:
        StoreUnavailableError: something could not be read.
    """
    every = list(agreements)
    known = {each.id: each for each in every if reporting_policy(each.channel, now)}
    used = _Used(every, links, usage, now)
    records = _open_records(known, ledger)
    heads = ledger.heads(known)

    def waiting_of(agreement: Agreement) -> WaitingAgreement | None:
        own, head = records.get(agreement.id, []), heads.get(agreement.id)
        return _waiting_of(agreement, own, head, used, now, grace)

    # Several at a time: usage of those that settling has left behind is read one by one.
    with ThreadPoolExecutor(_WORKERS) as pool:
        found = [each for each in pool.map(waiting_of, known.values()) if each is not None]
    return sorted(found, key=lambda each: (each.deadline, each.agreement.id))


def _open_records(known: dict[str, Agreement], ledger: Ledger) -> dict[str, list[MeteringRecord]]:
    found: dict[str, list[MeteringRecord]] = {}
    channels: set[Channel] = {agreement.channel for agreement in known.values()}
    for channel in sorted(channels):
        for record in ledger.pending(channel, MAX_OPEN_RECORDS):
            if record.key.agreement_id in known and record.quantity:
                found.setdefault(record.key.agreement_id, []).append(record)
    return found


def _waiting_of(
    agreement: Agreement,
    records: list[MeteringRecord],
    head: LedgerHead | None,
    used: _Used,
    now: datetime,
    grace: timedelta,
) -> WaitingAgreement | None:
    policy = reporting_policy(agreement.channel, now)
    if policy is None:
        return None
    waiting = [
        *_in_records(agreement, records, policy, now),
        *_unsettled(agreement, head, used, policy, now, grace),
    ]
    if not waiting:
        return None
    first = min(waiting, key=lambda each: each.deadline)
    behind_until = min((each.deadline for each in waiting if each.behind), default=None)
    return WaitingAgreement(
        agreement=agreement,
        deadline=first.deadline,
        hour=first.hour,
        waits_for=first.waits_for,
        state=state_of(
            behind_until or first.deadline, policy.safety_margin, now, behind=bool(behind_until)
        ),
        behind_until=behind_until,
        open_records=len(records),
        settled_through=head.settled_through if head else None,
        settled_at=head.settled_at if head else None,
        reason=first.reason,
    )


def _in_records(
    agreement: Agreement, records: list[MeteringRecord], policy: MarketplacePolicy, now: datetime
) -> Iterator[_Waiting]:
    held = agreement.why_not_reported
    for record in records:
        told = f": {record.reason}" if record.reason else ""
        yield _Waiting(
            deadline=record_deadline(record, agreement, policy),
            hour=record.key.hour,
            waits_for=WaitsFor.AGREEMENT if held else WaitsFor.MARKETPLACE,
            behind=now >= record.created_at + ORDINARY_DELAY,
            reason=held or f"the marketplace has not accepted it yet{told}",
        )


def _unsettled(
    agreement: Agreement,
    head: LedgerHead | None,
    used: _Used,
    policy: MarketplacePolicy,
    now: datetime,
    grace: timedelta,
) -> Iterator[_Waiting]:
    """The first hour into which usage goes that should have been settled by now."""
    created_at = agreement.created_at
    new = head is None and created_at is not None and now < created_at + ORDINARY_DELAY
    if agreement.why_not_reported or new:
        return
    settled_to = hour_of(agreement.starts_at)
    if head is not None and head.settled_through is not None:
        settled_to = head.settled_through + HOUR
    start = max(settled_to, hour_of(now - HISTORY))
    due = [
        hour
        for hour in closed_hours(agreement, start, now, grace)
        if now >= closes_at(agreement, hour, grace) + ORDINARY_DELAY
    ]
    still_open = [
        hour
        for hour in due
        if policy.deadline(wire_moment(agreement, hour), agreement.ends_at) > now
    ]
    if not still_open:
        return
    neglected = now >= closes_at(agreement, due[0], grace) + SURELY_SETTLED_EVERY
    if neglected or (head is not None and head.waiting):
        hour = still_open[0]
    else:
        first = used.first_hour(agreement, start, due[-1] + HOUR)
        if first is None:
            return
        hour = max(still_open[0], first)
    yield _Waiting(
        deadline=policy.deadline(wire_moment(agreement, hour), agreement.ends_at),
        hour=hour,
        waits_for=WaitsFor.SETTLEMENT,
        behind=True,
        reason="its hour is closed and not settled yet",
    )
