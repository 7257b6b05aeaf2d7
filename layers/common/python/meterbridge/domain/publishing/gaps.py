"""What no compiler can put into a listing: faults of the terms, and what is done outside of it."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from meterbridge.domain.money import plain
from meterbridge.domain.offerings import Visibility
from meterbridge.domain.pricing.channel_reporting import ReportingMode
from meterbridge.domain.pricing.models import PerUnit
from meterbridge.domain.pricing.validation import validate
from meterbridge.domain.publishing.compiled import Gap
from meterbridge.domain.publishing.sale import Sale


def plan_gaps(sale: Sale, listed: Container[str]) -> Iterator[Gap]:
    """Gaps that every marketplace has.

    Args:
        listed: codes that the listing itself charges.
    """
    if sale.reporting is None:
        detail = f"the plan does not say how it is reported to {sale.channel}"
        yield Gap("/reporting", "not_reported", detail, blocks=True)
    for fault in validate(sale.terms):
        yield Gap(_in_plan(fault.pointer, sale), fault.code, fault.detail, blocks=True)
    yield from _rated_outside(sale)
    yield from _done_outside(sale)
    for code in sorted(sale.apart()):
        if code not in listed:
            detail = f"{code} is neither metered nor in the listing: you invoice it yourself"
            pointer = _in_plan("/reporting/0/billed_apart", sale)
            yield Gap(pointer, "invoiced_apart", detail)


def private_offering_gaps(sale: Sale, pointer: str, buyers: Sequence[str]) -> Iterator[Gap]:
    """A private offering that everybody would see."""
    if sale.offering.visibility is Visibility.PRIVATE and not buyers:
        yield Gap(pointer, "private_offering", "the offering is private: name its buyers", True)


def _in_plan(pointer: str, sale: Sale) -> str:
    """A pointer into the channel's terms as one into the plan's."""
    if sale.place is not None and pointer.startswith("/reporting/0"):
        return f"/reporting/{sale.place}{pointer.removeprefix('/reporting/0')}"
    return pointer


def _rated_outside(sale: Sale) -> Iterator[Gap]:
    in_currency = {
        source.code: dimension
        for dimension in sale.reported
        if dimension.mode is ReportingMode.CURRENCY
        for source in dimension.sources
    }
    for number, dimension in enumerate(sale.terms.dimensions):
        reported = in_currency.get(dimension.code)
        if reported is None:
            continue
        size = f"{plain(reported.units_per_quantity)} {sale.terms.currency}"
        detail = (
            f"the listing shows {reported.code} at {size} a unit; what {dimension.code} costs is "
            "rated here and reported in such units"
        )
        pointer = f"/dimensions/{number}/price"
        yield Gap(pointer, "rated_here", detail)
        if not isinstance(dimension.price, PerUnit):
            detail = f"the listing cannot show the {_model(dimension.price)} price of its tiers"
            yield Gap(pointer, "price_not_shown", detail)


def _model(price: object) -> str:
    config = getattr(price, "__struct_config__", None)
    return str(config.tag) if config is not None else type(price).__name__


def _done_outside(sale: Sale) -> Iterator[Gap]:
    """Terms that are kept by rating, not by the marketplace."""
    terms = sale.terms
    for number, dimension in enumerate(terms.dimensions):
        if dimension.entitlement is not None:
            detail = f"what of {dimension.code} is included is counted here; only more is reported"
            yield Gap(f"/dimensions/{number}/entitlement", "kept_here", detail)
    if terms.trial is not None and not terms.trial.native:
        yield Gap("/trial", "kept_here", "the free trial is given here: nothing is reported in it")
    for number, discount in enumerate(terms.discounts):
        detail = f"discount {discount.id} is taken off here; the listing shows prices without it"
        yield Gap(f"/discounts/{number}", "kept_here", detail)
    for number, rule in enumerate(terms.credits):
        detail = f"credits {rule.id} are spent here, before anything is reported"
        yield Gap(f"/credits/{number}", "kept_here", detail)
    reported = {source.code for each in sale.reported for source in each.sources}
    for name in ("minimum", "commitment", "top_up"):
        extra = getattr(terms, name)
        if extra is not None and extra.code in reported:
            detail = f"{extra.code} is charged here and reported as usage; the listing is silent"
            yield Gap(f"/{name}", "kept_here", detail)
    for number, fee in enumerate(terms.fees):
        if fee.code in reported:
            detail = f"{fee.code} is charged here and reported as usage; the listing is silent"
            yield Gap(f"/fees/{number}", "kept_here", detail)
    if terms.spend_cap is not None:
        yield Gap("/spend_cap", "kept_here", "usage beyond the cap is not reported")
