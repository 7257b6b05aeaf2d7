"""From an agreement's rated hours to the lines of an invoice: summed by what is charged and by rule.

The lines' amounts are the sums of exact parts, so that they make the period's net charge to the last
digit; whole minor units are made once, by a line of its own (billing_documents.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from meterbridge.domain.invoicing.invoice_lines import InvoiceLine, LineKind
from meterbridge.domain.invoicing.line_wording import (
    describe_deduction,
    describe_free,
    describe_part,
)
from meterbridge.domain.money import ZERO, exact_sum
from meterbridge.domain.pricing.charges import Part, Rule
from meterbridge.domain.pricing.plan_terms import PlanTerms
from meterbridge.domain.pricing.rated import RatedCharge, RatedHour
from meterbridge.domain.usage import GroupKey

KINDS = {
    Rule.SUBSCRIPTION: LineKind.FEE,
    Rule.SEATS: LineKind.FEE,
    Rule.ONE_OFF: LineKind.FEE,
    Rule.MINIMUM_CHARGE: LineKind.TRUE_UP,
    Rule.COMMITMENT: LineKind.TRUE_UP,
    Rule.TOP_UP: LineKind.TOP_UP,
}
"""What a line of a rule is; all others are USAGE."""

PERCENT_RULES = frozenset({Rule.PERCENTAGE, Rule.GRADUATED_PERCENTAGE})

_RULES = list(Rule)


@dataclass(frozen=True, slots=True)
class Billed:
    """A quantity that was rated, and the net charge of it."""

    quantity: Decimal
    amount: Decimal

    def since(self, before: Billed) -> Billed:
        """What this is more than what was billed before."""
        return Billed(
            exact_sum((self.quantity, before.quantity.copy_negate())),
            exact_sum((self.amount, before.amount.copy_negate())),
        )


NOTHING_BILLED = Billed(ZERO, ZERO)


def billed_by_code(hours: Iterable[RatedHour]) -> dict[str, Billed]:
    """What rated hours come to by what is charged; codes of nothing are left out."""
    found: dict[str, Billed] = {}
    for charge in _charges(hours):
        before = found.get(charge.code, NOTHING_BILLED)
        found[charge.code] = Billed(
            exact_sum((before.quantity, charge.rated)), exact_sum((before.amount, charge.net))
        )
    return {code: billed for code, billed in found.items() if billed != NOTHING_BILLED}


def lines_of(plan: PlanTerms, hours: Sequence[RatedHour]) -> list[InvoiceLine]:
    """The lines of a period, in the order of a bill, not numbered yet: charges, then deductions.

    Args:
        plan: the terms of the period.
        hours: its rated hours.
    """
    order = {code: place for place, code in enumerate(plan.codes())}
    charged = [*_part_lines(plan, hours), *_free_lines(plan, hours)]
    charged.sort(key=lambda line: _place(line, order))
    return [*charged, *_deduction_lines(plan, hours)]


def numbered(lines: Iterable[InvoiceLine]) -> tuple[InvoiceLine, ...]:
    """Lines with their numbers, from 1."""
    return tuple(replace(line, number=number) for number, line in enumerate(lines, start=1))


def part_identity(code: str, group: GroupKey, part: Part) -> tuple[object, ...]:
    """What the parts of one line have in common."""
    return (code, group, part.rule, part.tier, part.name, part.step, part.unit_price)


def line_identity(line: InvoiceLine) -> tuple[object, ...]:
    """The same of a line, to find the parts that made it."""
    return (
        line.code,
        line.group,
        line.rule,
        line.tier,
        line.tier_name,
        line.step,
        line.unit_price,
    )


def _part_lines(plan: PlanTerms, hours: Iterable[RatedHour]) -> Iterator[InvoiceLine]:
    found: dict[tuple[object, ...], InvoiceLine] = {}
    for charge in _charges(hours):
        for part in charge.parts:
            identity = part_identity(charge.code, charge.group, part)
            line = found.get(identity) or _line_of(plan, charge, part)
            found[identity] = replace(
                line,
                amount=exact_sum((line.amount, part.amount)),
                quantity=exact_sum((line.quantity, part.quantity)),
                units=exact_sum((line.units, part.units)),
            )
    for line in found.values():
        if line.amount or line.quantity or line.units:
            yield line


def _line_of(plan: PlanTerms, charge: RatedCharge, part: Part) -> InvoiceLine:
    return InvoiceLine(
        kind=KINDS.get(part.rule, LineKind.USAGE),
        description=describe_part(plan, charge.code, charge.group, part),
        amount=ZERO,
        code=charge.code,
        group=charge.group,
        rule=part.rule,
        tier=part.tier,
        tier_name=part.name,
        step=part.step,
        unit_price=part.unit_price,
        percent=part.rule in PERCENT_RULES,
    )


def _free_lines(plan: PlanTerms, hours: Sequence[RatedHour]) -> Iterator[InvoiceLine]:
    for kind in (LineKind.INCLUDED, LineKind.FREE_TRIAL, LineKind.OVER_LIMIT):
        found: dict[tuple[str, GroupKey], Decimal] = {}
        for charge in _charges(hours):
            key = (charge.code, charge.group)
            found[key] = exact_sum((found.get(key, ZERO), free_quantity(charge, kind)))
        for (code, group), quantity in found.items():
            if quantity:
                yield InvoiceLine(
                    kind=kind,
                    description=describe_free(plan, code, group, kind),
                    amount=ZERO,
                    code=code,
                    group=group,
                    quantity=quantity,
                    units=quantity,
                    unit_price=ZERO,
                )


def free_quantity(charge: RatedCharge, kind: LineKind) -> Decimal:
    """The quantity of a charge that is included, free on trial, or over the limit."""
    if kind is LineKind.INCLUDED:
        return charge.included
    return charge.free_trial if kind is LineKind.FREE_TRIAL else charge.over_limit


def _deduction_lines(plan: PlanTerms, hours: Sequence[RatedHour]) -> Iterator[InvoiceLine]:
    found: dict[tuple[LineKind, str], list[Decimal]] = {}
    for charge in _charges(hours):
        for kind, source, amount in taken_off(charge):
            found.setdefault((kind, source), []).append(amount)
    order = list(LineKind)
    for (kind, source), amounts in sorted(found.items(), key=lambda item: order.index(item[0][0])):
        total = exact_sum(amounts)
        if total:
            yield InvoiceLine(
                kind=kind,
                description=describe_deduction(plan, kind, source),
                amount=total.copy_negate(),
                source=source,
            )


def taken_off(charge: RatedCharge) -> Iterator[tuple[LineKind, str, Decimal]]:
    """What was taken off a charge: kind, discount or grant, amount."""
    if charge.trial_amount:
        yield LineKind.TRIAL_AMOUNT, "", charge.trial_amount
    for source, amount in charge.discounts.items():
        yield LineKind.DISCOUNT, source, amount
    for source, amount in charge.credits.items():
        yield LineKind.CREDIT, source, amount
    if charge.over_cap:
        yield LineKind.OVER_CAP, "", charge.over_cap


def _charges(hours: Iterable[RatedHour]) -> Iterator[RatedCharge]:
    for hour in hours:
        yield from hour.charges


def _place(line: InvoiceLine, order: Mapping[str, int]) -> tuple[object, ...]:
    rule = -1 if line.rule is None else _RULES.index(line.rule)
    free = line.kind in (LineKind.INCLUDED, LineKind.FREE_TRIAL)
    over = line.kind is LineKind.OVER_LIMIT
    return (
        order.get(line.code, len(order)),
        line.code,
        line.group,
        2 if over else 0 if free else 1,
        line.tier,
        rule,
        line.step,
        line.kind,
    )
