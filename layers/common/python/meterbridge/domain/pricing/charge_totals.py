"""The charges of a span of time as the lines of a bill: one for each code and group."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from msgspec import structs

from meterbridge.domain.money import ZERO, exact_sum
from meterbridge.domain.pricing.charges import Part
from meterbridge.domain.pricing.rated import RatedCharge, RatedHour
from meterbridge.domain.usage import GroupKey

_SUMMED = (
    "metered",
    "incremented",
    "included",
    "free_trial",
    "over_limit",
    "rated",
    "list_charge",
    "trial_amount",
    "over_cap",
    "net",
)


def total_charges(hours: Iterable[RatedHour]) -> tuple[RatedCharge, ...]:
    """The sum of the hours' charges, by code and group in order of their first appearance.

    Parts of one rule, tier, step and price are added up; those that cancel out are left out.
    """
    found: dict[tuple[str, GroupKey], list[RatedCharge]] = {}
    for hour in hours:
        for charge in hour.charges:
            found.setdefault((charge.code, charge.group), []).append(charge)
    return tuple(_total(charges) for charges in found.values())


def _total(charges: Sequence[RatedCharge]) -> RatedCharge:
    return RatedCharge(
        code=charges[0].code,
        group=charges[0].group,
        parts=_parts(part for charge in charges for part in charge.parts),
        discounts=_by_id(charge.discounts.items() for charge in charges),
        credits=_by_id(charge.credits.items() for charge in charges),
        **{name: exact_sum(getattr(charge, name) for charge in charges) for name in _SUMMED},
    )


def _parts(parts: Iterable[Part]) -> tuple[Part, ...]:
    found: dict[object, list[Part]] = {}
    for part in parts:
        identity = (part.rule, part.tier, part.name, part.step, part.unit_price)
        found.setdefault(identity, []).append(part)
    totals = (
        structs.replace(
            same[0],
            amount=exact_sum(part.amount for part in same),
            quantity=exact_sum(part.quantity for part in same),
            units=exact_sum(part.units for part in same),
        )
        for same in found.values()
    )
    return tuple(part for part in totals if not part.empty)


def _by_id(given: Iterable[Iterable[tuple[str, Decimal]]]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for amounts in given:
        for name, amount in amounts:
            found[name] = exact_sum((found.get(name, ZERO), amount))
    return {name: amount for name, amount in found.items() if amount}
