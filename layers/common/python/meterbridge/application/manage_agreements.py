"""Agreements: made, changed, suspended, ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from meterbridge.application.agreed_terms import agreed_faults
from meterbridge.application.manage_catalog import Answering, changed, require_visible
from meterbridge.application.ports import Clock, SettleQueue
from meterbridge.application.refusals import Faults, StateError
from meterbridge.application.registry_admin import RegistryAdmin, Versioned
from meterbridge.domain.agreements import REPORTED_CHANNELS, Agreement, AgreementState, SuspendedBy
from meterbridge.domain.api_keys import Caller
from meterbridge.domain.errors import NotFoundError
from meterbridge.domain.pricing.faults import Fault
from meterbridge.domain.windows import hour_of

TRANSITIONS = {
    AgreementState.PENDING: {AgreementState.ACTIVE, AgreementState.ENDED},
    AgreementState.ACTIVE: {AgreementState.SUSPENDED, AgreementState.ENDED},
    AgreementState.SUSPENDED: {AgreementState.ACTIVE, AgreementState.ENDED},
    AgreementState.ENDED: set(),
}
"""Where a state may go. ENDED is for ever: whoever comes back makes a new agreement."""

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class AgreedPart:
    """A member of one of an agreement's lists: grants, seats, plan_changes."""

    name: str
    value: object

    def pointer(self, agreement: Agreement) -> str:
        """Where in the agreement it is."""
        return f"/{self.name}/{getattr(agreement, self.name).index(self.value)}"


def visible_agreement(
    agreement_id: str, *, caller: Caller, registry: RegistryAdmin
) -> Versioned[Agreement]:
    """Raises NotFoundError."""
    agreement = registry.agreement(agreement_id)
    require_visible(agreement.product_id, agreement_id, caller)
    return Versioned(agreement, agreement.version)


def create_agreement(
    agreement: Agreement,
    *,
    caller: Caller,
    registry: RegistryAdmin,
    queue: SettleQueue,
    answering: Answering[Agreement],
) -> Agreement:
    """Store an agreement and have what was used under it settled soon.

    Raises:
        InvalidRequestError: what it refers to does not exist or does not fit; names all faults.
        OverlapError: customer or buyer have another agreement for some of its term.
    """
    _require_fitting(agreement, caller, registry)
    agreement = _in_order(agreement)
    registry.add_agreement(agreement, answering(agreement))
    queue.enqueue([agreement.id])
    return agreement


def change_agreement(
    agreement_id: str,
    change: Callable[[Agreement], Agreement],
    expected_version: int | None,
    *,
    caller: Caller,
    registry: RegistryAdmin,
    queue: SettleQueue,
    clock: Clock,
    answering: Answering[Agreement] = lambda _: None,
    sent: AgreedPart | None = None,
) -> Versioned[Agreement]:
    """Change an agreement and have it settled soon.

    To end it without saying when ends it now; what was used until then is flushed.

    Args:
        sent: the one part of what is agreed that was sent; faults point into it.

    Raises:
        StateError: it has ended, or its state cannot become the one asked for, or its start would
            move although it is not PENDING any more.
        InvalidRequestError, OverlapError: as for create_agreement; or it would change what was
            agreed for an hour that may be rated.
    """

    def next_version(before: Agreement) -> Agreement:
        after = change(before)
        if after == before:
            return before
        _require_transition(before, after)
        if _agreed(after) != _agreed(before):
            faults, within = Faults(), "" if sent is None else sent.pointer(after)
            faults.add_all(_backdated(before, after, clock.now()), within)
            faults.add_all(agreed_faults(after, registry), within)
            faults.refuse_any()
        if after.state is AgreementState.ENDED and before.state is not AgreementState.ENDED:
            after = replace(after, ends_at=_end_of(after, clock.now()))
        if after.buyers() != before.buyers():
            _require_buyer(after)
        return replace(_in_order(after), version=before.version + 1)

    def save(after: Agreement, _: int) -> None:
        registry.save_agreement(after, answering(after))

    entry = changed(
        lambda: visible_agreement(agreement_id, caller=caller, registry=registry),
        save,
        next_version,
        expected_version,
    )
    queue.enqueue([agreement_id])
    return entry


def patched(agreement: Agreement, changes: Mapping[str, Any]) -> Agreement:
    """An agreement after a person's changes; who asks for a state answers for it.

    To suspend what its marketplace has suspended keeps it so, whatever the marketplace says later.
    """
    after = replace(agreement, **changes)
    if "state" not in changes:
        return after
    suspended = after.state is AgreementState.SUSPENDED
    return replace(after, suspended_by=SuspendedBy.SELLER if suspended else None)


def _end_of(agreement: Agreement, now: datetime) -> datetime:
    """When it ends, in whole seconds: as it says if that is past, otherwise now; after its start."""
    end = now.replace(microsecond=0) + (_SECOND if now.microsecond else timedelta(0))
    if agreement.ends_at is not None:
        end = min(end, agreement.ends_at)
    return max(end, agreement.starts_at + _SECOND)


def _require_transition(before: Agreement, after: Agreement) -> None:
    if before.state is AgreementState.ENDED:
        raise StateError("an agreement that has ended does not change")
    if after.state is not before.state and after.state not in TRANSITIONS[before.state]:
        raise StateError(f"an agreement that is {before.state} cannot become {after.state}")
    if after.starts_at != before.starts_at and before.state is not AgreementState.PENDING:
        raise StateError("only a pending agreement can move its start")


def _require_fitting(agreement: Agreement, caller: Caller, registry: RegistryAdmin) -> None:
    faults = Faults()
    try:
        require_visible(agreement.product_id, agreement.product_id, caller)
        registry.product(agreement.product_id)
    except NotFoundError:
        detail = f"no product {agreement.product_id}"
        faults.add("unknown_product", detail, "/product_id")
    if agreement.customer_id not in registry.customers([agreement.customer_id]):
        faults.add("unknown_customer", f"no customer {agreement.customer_id}", "/customer_id")
    faults.add_all(agreed_faults(agreement, registry))
    _check_buyer(agreement, faults)
    faults.refuse_any()


def _agreed(agreement: Agreement) -> tuple[object, ...]:
    """What rating depends on, and the start that cycles count from."""
    return (
        agreement.overrides,
        agreement.plan_changes,
        agreement.grants,
        agreement.seats,
        agreement.starts_at,
    )


def _in_order(agreement: Agreement) -> Agreement:
    """Seats in order of their moments."""
    return replace(agreement, seats=tuple(sorted(agreement.seats, key=lambda each: each.at)))


def rated_before(agreement: Agreement, now: datetime) -> datetime | None:
    """The start of the present hour, before which what is agreed stays; None while all may change.

    What was rated stays as it was rated; nothing is before the agreement starts, or is active.
    """
    if agreement.state is AgreementState.PENDING or now < agreement.starts_at:
        return None
    return hour_of(now)


def _backdated(before: Agreement, after: Agreement, now: datetime) -> Iterator[Fault]:
    hour = rated_before(before, now)
    if hour is None:
        return
    if after.overrides != before.overrides:
        detail = "once the agreement has started, overrides change with a plan change"
        yield Fault("/overrides", "already_rated", detail)
    detail = f"what was agreed for hours before {hour.isoformat()} stays"
    moments = {"grants": "effective_at", "seats": "at", "plan_changes": "starts_at"}
    for part, moment in moments.items():
        old = [each for each in getattr(before, part) if getattr(each, moment) < hour]
        new = getattr(after, part)
        for number, each in enumerate(new):
            if getattr(each, moment) < hour and each not in old:
                yield Fault(f"/{part}/{number}/{moment}", "already_rated", detail)
        if any(each not in new for each in old):
            yield Fault(f"/{part}", "already_rated", detail)


def _require_buyer(agreement: Agreement) -> None:
    faults = Faults()
    _check_buyer(agreement, faults)
    faults.refuse_any()


def _check_buyer(agreement: Agreement, faults: Faults) -> None:
    channel = agreement.channel
    given = {buyer.channel for buyer in agreement.buyers()}
    if channel in REPORTED_CHANNELS and channel not in given:
        faults.add(
            "missing_buyer", f"channel {channel} needs the buyer's reference there", f"/{channel}"
        )
    for other in sorted(given - {channel}):
        faults.add("unexpected_buyer", f"channel {channel} takes no {other} buyer", f"/{other}")
