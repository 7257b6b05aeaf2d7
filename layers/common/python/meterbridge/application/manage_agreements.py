"""Agreements: made, changed, suspended, ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from meterbridge.application.manage_catalog import Answering, changed, require_visible
from meterbridge.application.ports import Clock, SettleQueue
from meterbridge.application.refusals import Faults, StateError
from meterbridge.application.registry_admin import RegistryAdmin, Versioned
from meterbridge.domain.agreements import REPORTED_CHANNELS, Agreement, AgreementState, SuspendedBy
from meterbridge.domain.api_keys import Caller
from meterbridge.domain.errors import NotFoundError

TRANSITIONS = {
    AgreementState.PENDING: {AgreementState.ACTIVE, AgreementState.ENDED},
    AgreementState.ACTIVE: {AgreementState.SUSPENDED, AgreementState.ENDED},
    AgreementState.SUSPENDED: {AgreementState.ACTIVE, AgreementState.ENDED},
    AgreementState.ENDED: set(),
}
"""Where a state may go. ENDED is for ever: whoever comes back makes a new agreement."""

_SECOND = timedelta(seconds=1)


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
) -> Versioned[Agreement]:
    """Change an agreement and have it settled soon.

    To end it without saying when ends it now; what was used until then is flushed.

    Raises:
        StateError: it has ended, or its state cannot become the one asked for, or its start would
            move although it is not PENDING any more.
        InvalidRequestError, OverlapError: as for create_agreement.
    """

    def next_version(before: Agreement) -> Agreement:
        after = change(before)
        if after == before:
            return before
        _require_transition(before, after)
        if after.state is AgreementState.ENDED and before.state is not AgreementState.ENDED:
            after = replace(after, ends_at=_end_of(after, clock.now()))
        if after.buyers() != before.buyers():
            _require_buyer(after)
        return replace(after, version=before.version + 1)

    def save(after: Agreement, _: int) -> None:
        registry.save_agreement(after)

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
    _check_offering(agreement, registry, faults)
    _check_buyer(agreement, faults)
    faults.refuse_any()


def _check_offering(agreement: Agreement, registry: RegistryAdmin, faults: Faults) -> None:
    try:
        offering = registry.offering(agreement.offering_id, agreement.offering_version)
    except NotFoundError:
        detail = f"no offering {agreement.offering_id} version {agreement.offering_version}"
        faults.add("unknown_offering", detail, "/offering_id")
        return
    if offering.product_id != agreement.product_id:
        detail = f"product {agreement.product_id} has no offering {agreement.offering_id}"
        faults.add("unknown_offering", detail, "/offering_id")
        return
    try:
        offering.plan(agreement.plan_code)
    except NotFoundError:
        faults.add("unknown_plan", f"no plan {agreement.plan_code}", "/plan_code")


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
