"""A plan's prices as Azure's price-and-availability-plan has them (contracts.md §2.3, §2.1.5)."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from meterbridge.domain.money import exact_sum, multiply, plain, quotient, whole_count
from meterbridge.domain.pricing.channel_reporting import ReportedDimension, ReportingMode
from meterbridge.domain.pricing.cycles import CycleKind
from meterbridge.domain.pricing.plan_terms import Entitlement, SeatFee, SubscriptionFee
from meterbridge.domain.publishing.compiled import Gap, Json
from meterbridge.domain.publishing.listings import AzureListing
from meterbridge.domain.publishing.sale import Sale

MAX_DIMENSIONS = 30
"""Of an offer, shared by its plans (contracts.md §2.1.5)."""

_ONE = Decimal(1)
_DOUBLE_DIGITS = 15
"""What every double keeps; prices are JSON numbers there."""


def flat_fees(sale: Sale) -> tuple[SubscriptionFee, ...]:
    """What a flat-rate plan costs."""
    return tuple(each for each in sale.upfront_fees() if isinstance(each, SubscriptionFee))


def seat_fees(sale: Sale) -> tuple[SeatFee, ...]:
    """What a user of a per-user plan costs."""
    return tuple(each for each in sale.upfront_fees() if isinstance(each, SeatFee))


def recurrent_price(sale: Sale, listing: AzureListing) -> Json:
    """Flat rate, 0 where nothing is charged in advance; or per user."""
    seats = seat_fees(sale)
    fees = seats or flat_fees(sale)
    price: dict[str, Json] = {
        "recurrentPriceMode": "perUser" if seats else "flatRate",
        "priceInputOption": "usd",
        "prices": [
            {
                "billingTerm": _term(sale),
                "paymentOption": _term(sale),
                "pricePerPaymentInUsd": exact_sum(each.price for each in fees),
            }
        ],
    }
    if seats and listing.users is not None:
        price["userLimits"] = {"min": listing.users[0], "max": listing.users[1]}
    return price


def custom_meters(sale: Sale) -> Json:
    """The price of each dimension's unit, and what of it is included as far as Azure can show it."""
    meters: dict[str, Json] = {}
    for dimension, reported in zip(sale.dimensions, sale.reported, strict=True):
        meter: dict[str, Json] = {"pricePerPaymentInUsd": dimension.unit_price.amount}
        included = _shown_as_included(sale, reported)
        if included is not None:
            meter["includedQuantities"] = [included]
        meters[dimension.code] = meter
    return {"priceInputOption": "usd", "meters": meters}


def azure_price_gaps(sale: Sale, listing: AzureListing) -> Iterator[Gap]:
    """Prices and fees that Azure cannot hold."""
    seats, flat = seat_fees(sale), flat_fees(sale)
    if sale.terms.currency != "USD" and not sale.dimensions:
        yield Gap("/currency", "channel_currency", "prices are given in USD", blocks=True)
    if seats and sale.dimensions:
        detail = "Azure meters flat-rate plans only, not plans sold by the user"
        yield Gap("/fees", "no_meters_per_user", detail, blocks=True)
    if (seats and flat) or len(seats) > 1:
        detail = "a plan has one price: flat or per user"
        yield Gap("/fees", "several_prices", detail, blocks=True)
    if len(flat) > 1:
        yield Gap("/fees", "shown_as_one", "Azure shows the sum of the fees as one price")
    if seats and listing.users is None:
        yield Gap("/azure/users", "missing", "a plan sold by the user needs limits", blocks=True)
    if not seats and not flat and not sale.dimensions:
        detail = "neither a meter nor a fee of the listing: there is nothing to sell"
        yield Gap("/reporting", "nothing_to_sell", detail, blocks=True)
    prices = [(f"/fees/{n}/price", fee.price) for n, fee in enumerate(sale.terms.fees)]
    prices += [(f"/reporting/{sale.place}", each.unit_price.amount) for each in sale.dimensions]
    for pointer, price in prices:
        if len(plain(price).replace(".", "").strip("0")) > _DOUBLE_DIGITS:
            detail = f"{plain(price)} has more than the {_DOUBLE_DIGITS} digits that Azure keeps"
            yield Gap(pointer, "price_precision", detail, blocks=True)
    for reported in sale.reported:
        if _entitlement(sale, reported) is not None and _shown_as_included(sale, reported) is None:
            detail = (
                f"what of {reported.code} is included cannot be shown: not whole, or another cycle"
            )
            yield Gap("/dimensions", "included_not_shown", detail)
    if (seats or flat) and sale.terms.cycle is CycleKind.CALENDAR_MONTH:
        detail = "Azure's terms run from the day of purchase, the plan's cycles by the calendar"
        yield Gap("/cycle", "other_cycle", detail)


def _term(sale: Sale) -> Json:
    return {"type": "year" if sale.terms.cycle is CycleKind.ANNUAL else "month", "value": 1}


def _entitlement(sale: Sale, reported: ReportedDimension) -> Entitlement | None:
    if reported.mode is not ReportingMode.NATIVE or len(reported.sources) != 1:
        return None
    priced = {each.code: each for each in sale.terms.dimensions}.get(reported.sources[0].code)
    return priced.entitlement if priced is not None else None


def _shown_as_included(sale: Sale, reported: ReportedDimension) -> Json:
    """Azure's terms begin with the purchase, as the plan's cycles must; whole quantities only."""
    entitlement = _entitlement(sale, reported)
    if entitlement is None or sale.terms.cycle is CycleKind.CALENDAR_MONTH:
        return None
    if entitlement.quantity is None:
        return {"billingTerm": _term(sale), "isInfinite": True}
    if reported.units_per_quantity <= 0:
        return None
    units = quotient(entitlement.quantity, reported.units_per_quantity)
    if multiply(whole_count(units, _ONE), reported.units_per_quantity) != entitlement.quantity:
        return None
    return {"billingTerm": _term(sale), "isInfinite": False, "quantity": units}
