"""From an hour's metered quantities to list charges: increment, included, trial, price model."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from meterbridge.domain.errors import InvariantError
from meterbridge.domain.money import ZERO, add, subtract
from meterbridge.domain.pricing.hour_context import HourContext
from meterbridge.domain.pricing.models import Dimensional, model_of
from meterbridge.domain.pricing.plan_terms import Entitlement, PricedDimension, TrialKind
from meterbridge.domain.pricing.pools import newly_taken, taken
from meterbridge.domain.pricing.progress import Line, Progress
from meterbridge.domain.pricing.rated import MeteredHour, Watched
from meterbridge.domain.pricing.rating_state import UsageState, usage_key
from meterbridge.domain.usage import GroupKey

FULL = (Decimal(100),)


def usage_lines(at: HourContext, progress: Progress, metered: MeteredHour) -> Iterator[Line]:
    """A line for each dimension and group that was used, or whose cycle begins.

    Raises:
        InvariantError: a quantity for which the plan has no dimension.
    """
    unknown = {*metered.quantities, *metered.events} - {each.code for each in at.plan.dimensions}
    if unknown:
        raise InvariantError(f"no dimension for the usage of {sorted(unknown)} at {at.hour}")
    for dimension in at.plan.dimensions:
        for group, (quantity, events) in _by_group(at, dimension, metered).items():
            yield _line(at, progress, dimension, group, quantity, events)


def _by_group(
    at: HourContext, dimension: PricedDimension, metered: MeteredHour
) -> dict[GroupKey, tuple[Decimal, Decimal]]:
    """Quantity and events by group as priced, in the price's order: credits are spent in it."""
    price = dimension.price
    order: list[GroupKey] = [()]
    if isinstance(price, Dimensional):
        order += [each.group for each in price.prices]
    groups = dict.fromkeys(order, (ZERO, ZERO)) if at.opening else {}
    for place, quantities in enumerate((metered.quantities, metered.events)):
        for group, quantity in quantities.get(dimension.code, {}).items():
            key = price.named(group) if isinstance(price, Dimensional) else ()
            found = list(groups.get(key, (ZERO, ZERO)))
            found[place] = add(found[place], quantity)
            groups[key] = (found[0], found[1])
    return {key: groups[key] for key in order if key in groups}


def _line(
    at: HourContext,
    progress: Progress,
    dimension: PricedDimension,
    group: GroupKey,
    quantity: Decimal,
    events: Decimal,
) -> Line:
    key = usage_key(dimension.code, group)
    before = progress.usage.get(key)
    state = before or UsageState()
    counted = state.counted.plus(quantity, at.hour, at.cycle.start, dimension.increment)
    earlier, total = state.counted.total(dimension.increment), counted.total(dimension.increment)
    incremented = subtract(total, earlier)
    included = over_limit = ZERO
    if (entitlement := dimension.entitlement) is not None:
        included = subtract(_included(entitlement, total), _included(entitlement, earlier))
        over_limit = subtract(_over_limit(entitlement, total), _over_limit(entitlement, earlier))
    billable = subtract(subtract(incremented, included), over_limit)
    free = _free(at, progress, dimension.code, billable)
    rated = subtract(billable, free)
    price = model_of(dimension.price, group).charge
    after = UsageState(
        counted=counted,
        rated=add(state.rated, rated),
        events=state.events if at.free_days else add(state.events, events),
    )
    charge_before = progress.charge_before(key, before, price)
    same = before is not None and (after.rated, after.events) == (state.rated, state.events)
    charge = charge_before if same else price(after.rated, after.events)
    progress.enter_usage(key, after, charge)
    _watch(progress, dimension, total)
    line = Line(
        code=dimension.code,
        group=group,
        charge=charge.since(charge_before),
        metered=quantity,
        incremented=incremented,
        included=included,
        free_trial=free,
        over_limit=over_limit,
        rated=rated,
    )
    if at.free_days:
        line.cover(line.left)
    return line


def _included(entitlement: Entitlement, total: Decimal) -> Decimal:
    return total if entitlement.quantity is None else taken(total, entitlement.quantity)


def _over_limit(entitlement: Entitlement, total: Decimal) -> Decimal:
    if entitlement.quantity is None or entitlement.overage_allowed:
        return ZERO
    return max(subtract(total, entitlement.quantity), ZERO)


def _free(at: HourContext, progress: Progress, code: str, billable: Decimal) -> Decimal:
    """What the trial takes of a quantity."""
    trial = at.plan.trial
    if trial is None or not at.trial_open:
        return ZERO
    if trial.kind is TrialKind.DAYS:
        return billable
    limit = trial.quantities.get(code)
    if trial.kind is not TrialKind.QUANTITY or limit is None or not billable:
        return ZERO
    offered = progress.trial_offered.get(code, ZERO)
    progress.trial_offered[code] = add(offered, billable)
    return newly_taken(offered, billable, limit)


def _watch(progress: Progress, dimension: PricedDimension, total: Decimal) -> None:
    entitlement = dimension.entitlement
    if entitlement is None or not entitlement.quantity:
        return
    limit = entitlement.quantity
    progress.watch(Watched.ENTITLEMENT, dimension.code, entitlement.thresholds, total, limit)
    if _over_limit(entitlement, total) > 0:
        progress.watch(Watched.OVER_LIMIT, dimension.code, FULL, total, limit)
