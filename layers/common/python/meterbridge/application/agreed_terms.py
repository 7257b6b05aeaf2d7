"""What is agreed with one buyer, checked against the offering: all faults, each with its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from meterbridge.application.ports import Registry
from meterbridge.domain.agreements import Agreement
from meterbridge.domain.errors import NotFoundError
from meterbridge.domain.offerings import Offering, Plan
from meterbridge.domain.plan_pricing import plan_terms
from meterbridge.domain.pricing.agreement_terms import AgreementTerms, SeatChange, TermsVersion
from meterbridge.domain.pricing.cycles import BilledSpan
from meterbridge.domain.pricing.derived_reporting import not_reported
from meterbridge.domain.pricing.faults import Fault
from meterbridge.domain.pricing.overrides import Overrides, overridden, override_faults
from meterbridge.domain.pricing.plan_terms import PlanTerms, SeatFee
from meterbridge.domain.pricing.validation import validate, validate_agreement

MAX_GRANTS = 200
"""Grants of one agreement, over all time: rating looks at each of them in every hour."""

MAX_SEAT_CHANGES = 500
"""Changes of the seats of one agreement, over all time."""

MAX_PLAN_CHANGES = 60
"""Plan changes of one agreement, over all time: five years of monthly ones."""


@dataclass(frozen=True, slots=True)
class _Stage:
    """What holds from a moment on.

    Attributes:
        at: JSON pointer to it; "" for the agreement itself.
    """

    at: str
    starts_at: datetime
    offering_version: int
    plan_code: str
    overrides: Overrides


def agreed_faults(agreement: Agreement, registry: Registry) -> Iterator[Fault]:
    """Everything in an agreement that its offering or its channel does not bear.

    Pointers are into the agreement as the API tells it.
    """
    too_many = list(_limit_faults(agreement))
    yield from too_many
    if too_many:
        return
    offerings: dict[int, Offering | None] = {}
    versions: list[TermsVersion] = []
    whole = True
    for stage in _stages(agreement):
        number = stage.offering_version
        if number not in offerings:
            offerings[number] = _offering(agreement, number, registry)
        found = _plan(stage, offerings[number])
        if isinstance(found, Fault):
            yield found
            whole = False
            continue
        terms, faults = _terms_of(agreement, stage, found)
        yield from faults
        versions.append(TermsVersion(stage.starts_at, terms))
    if whole:
        yield from _terms_faults(agreement, tuple(versions))


def _limit_faults(agreement: Agreement) -> Iterator[Fault]:
    for name, found, most in (
        ("grants", agreement.grants, MAX_GRANTS),
        ("seats", agreement.seats, MAX_SEAT_CHANGES),
        ("plan_changes", agreement.plan_changes, MAX_PLAN_CHANGES),
    ):
        if len(found) > most:
            detail = f"an agreement takes {most} over all time"
            yield Fault(f"/{name}", f"too_many_{_NAMES[name]}", detail)


_NAMES = {"grants": "grants", "seats": "seat_changes", "plan_changes": "plan_changes"}


def _stages(agreement: Agreement) -> Iterator[_Stage]:
    yield _Stage(
        "",
        agreement.starts_at,
        agreement.offering_version,
        agreement.plan_code,
        agreement.overrides,
    )
    for number, change in enumerate(agreement.plan_changes):
        yield _Stage(
            f"/plan_changes/{number}",
            change.starts_at,
            change.offering_version,
            change.plan_code,
            change.overrides,
        )


def _offering(agreement: Agreement, number: int, registry: Registry) -> Offering | None:
    try:
        found = registry.offering(agreement.offering_id, number)
    except NotFoundError:
        return None
    return found if found.product_id == agreement.product_id else None


def _plan(stage: _Stage, offering: Offering | None) -> tuple[Plan, str] | Fault:
    """The plan and its currency, or why there is none."""
    if offering is None:
        pointer = f"{stage.at}/offering_version" if stage.at else "/offering_id"
        detail = f"the product has no such offering in version {stage.offering_version}"
        return Fault(pointer, "unknown_offering", detail)
    try:
        return offering.plan(stage.plan_code), offering.currency
    except NotFoundError:
        return Fault(f"{stage.at}/plan_code", "unknown_plan", f"no plan {stage.plan_code}")


def _terms_of(
    agreement: Agreement, stage: _Stage, found: tuple[Plan, str]
) -> tuple[PlanTerms, list[Fault]]:
    """The plan as this buyer has it on this channel, and what its overrides do wrong."""
    listed = plan_terms(*found)
    mine = tuple(each for each in listed.reporting if each.channel is agreement.channel)
    plan = replace(listed, reporting=mine)
    faults: list[Fault] = []
    if not mine:
        why = "; ".join(each.detail for each in not_reported(listed)[agreement.channel])
        detail = f"the plan is not reported to {agreement.channel}: {why}"
        faults.append(Fault(stage.at or "/channel", "not_reported", detail))
    at = f"{stage.at}/overrides"
    wrong = override_faults(plan, stage.overrides)
    faults += [replace(each, pointer=at + each.pointer) for each in wrong]
    if wrong or stage.overrides == Overrides():
        return plan, faults
    changed = overridden(plan, stage.overrides)
    known = set(validate(plan))
    faults += [
        replace(each, pointer=at + within_overrides(each.pointer, plan, stage.overrides))
        for each in validate(changed)
        if each not in known
    ]
    return changed, faults


def within_overrides(pointer: str, plan: PlanTerms, overrides: Overrides) -> str:
    """Where in the overrides a fault of the overridden plan comes from; "" is all of them."""
    _, part, *rest = pointer.split("/")
    if part == "spend_cap" and overrides.spend_cap is not None:
        return pointer
    if part == "discounts" and rest and int(rest[0]) >= len(plan.discounts):
        return "/".join(("/discounts", str(int(rest[0]) - len(plan.discounts)), *rest[1:]))
    if part == "dimensions" and rest:
        code = plan.dimensions[int(rest[0])].code
        for number, override in enumerate(overrides.dimensions):
            if override.code == code:
                if rest[1:2] == ["entitlement"]:
                    return f"/dimensions/{number}/included"
                return "/".join(("/dimensions", str(number), *rest[1:]))
    return ""


def _terms_faults(agreement: Agreement, versions: tuple[TermsVersion, ...]) -> Iterator[Fault]:
    places: dict[str, list[int]] = {}
    for number, each in enumerate(agreement.seats):
        places.setdefault(each.fee_code, []).append(number)
    terms = AgreementTerms(
        span=BilledSpan.since(agreement.starts_at),
        versions=versions,
        grants=agreement.grants,
        seats={
            code: tuple(
                SeatChange(agreement.seats[each].at, agreement.seats[each].seats)
                for each in numbers
            )
            for code, numbers in places.items()
        },
    )
    for fault in validate_agreement(terms, agreement.channel):
        if fault.code != "not_reported":
            yield replace(fault, pointer=_in_agreement(fault.pointer, places))
    yield from _seat_fee_faults(places, versions)


def _in_agreement(pointer: str, seats: Mapping[str, list[int]]) -> str:
    """Where in the agreement a fault of its terms is."""
    _, part, *rest = pointer.split("/")
    if part == "versions" and rest[0] == "0":
        return "/plan_code"
    if part == "versions":
        return "/".join(("/plan_changes", str(int(rest[0]) - 1), *rest[1:]))
    if part == "seats":
        code, *member = rest
        number, field = member or ("0", "fee_code")
        return f"/seats/{seats[code][int(number)]}/{field}"
    return pointer


def _seat_fee_faults(
    places: Mapping[str, list[int]], versions: tuple[TermsVersion, ...]
) -> Iterator[Fault]:
    fees = {
        fee.code for version in versions for fee in version.plan.fees if isinstance(fee, SeatFee)
    }
    known = {code for version in versions for code in version.plan.codes()}
    for code in sorted((places.keys() & known) - fees):
        yield Fault(f"/seats/{places[code][0]}/fee_code", "not_a_seat_fee", "it has no seats")
