"""A plan as a person enters it in Google's Producer Portal (contracts.md §3.3).

Google has no API that makes products, plans or metrics. The documents are in the words of what its
read-only API shows of a plan afterwards (StandardOffer, Sku), so that the two can be compared.
"""

from __future__ import annotations

from collections.abc import Iterator

from meterbridge.domain.channels import QuantityKind
from meterbridge.domain.money import exact_sum, plain
from meterbridge.domain.offerings import Dimension
from meterbridge.domain.pricing.cycles import CycleKind
from meterbridge.domain.pricing.plan_terms import SeatFee, SubscriptionFee
from meterbridge.domain.publishing.compiled import (
    Compiled,
    Document,
    Gap,
    Json,
    LastApplied,
    flattened,
)
from meterbridge.domain.publishing.gaps import plan_gaps, private_offering_gaps
from meterbridge.domain.publishing.listings import GcpListing
from meterbridge.domain.publishing.sale import Sale, unit_text

_MONTHS = {CycleKind.CALENDAR_MONTH: 1, CycleKind.ANNIVERSARY: 1, CycleKind.ANNUAL: 12}


def compile_for_gcp(sale: Sale, listing: GcpListing, before: LastApplied | None) -> Compiled:
    """What a person enters, and what the service's configuration then holds."""
    plan, metrics = _plan(sale, listing), _metrics(sale, listing)
    return Compiled(
        documents=(
            Document.of("producer_portal_plan", "", plan),
            Document.of("service_config_metrics", "", {"metrics": list(metrics.values())}),
        ),
        gaps=tuple(_gaps(sale)),
        steps=tuple(_steps(sale, listing, before)),
        content=flattened({"plan": plan, "metrics": dict(metrics)}),
    )


def _plan(sale: Sale, listing: GcpListing) -> Json:
    price_model: dict[str, Json] = {}
    fees = _flat_fees(sale)
    if fees:
        price = plain(exact_sum(each.price for each in fees))
        price_model["flat_fee"] = {
            "sku": {"flat_subscription_fee": {"price_per_unit": price, "unit": "mo"}}
        }
    if sale.dimensions:
        skus: list[Json] = [_sku(sale, listing, each) for each in sale.dimensions]
        price_model["usage"] = {"sku_list": {"skus": skus}}
    return {
        "service": listing.service_name,
        "service_level": listing.plan_id,
        "service_level_title": sale.title,
        "pricing_model": _pricing_model(sale),
        "term_duration_months": _MONTHS[sale.terms.cycle],
        "price_model": price_model,
    }


def _sku(sale: Sale, listing: GcpListing, dimension: Dimension) -> Json:
    text = unit_text(dimension, sale.terms.currency)
    return {
        "description": dimension.name or dimension.code,
        "managed_service_metric_usage_fee": {
            "canonical_metric": f"{listing.service_name}/{dimension.code}",
            "tiered_price": {
                "unit": "1",
                "unit_description": text,
                "price_unit_count": 1,
                "price_tiers": [{"start_amount": "0", "price": plain(dimension.unit_price.amount)}],
            },
        },
    }


def _metrics(sale: Sale, listing: GcpListing) -> dict[str, Json]:
    return {
        each.code: {
            "name": f"{listing.service_name}/{each.code}",
            "metricKind": "DELTA",
            "valueType": _value_type(each),
            "unit": "1",
        }
        for each in sale.dimensions
    }


def _value_type(dimension: Dimension) -> str:
    return "DOUBLE" if dimension.quantity_kind is QuantityKind.DECIMAL else "INT64"


def _pricing_model(sale: Sale) -> str:
    fees, usage = bool(_flat_fees(sale)), bool(sale.dimensions)
    if fees and usage:
        return "combined"
    return "subscription" if fees else "usage" if usage else "free"


def _flat_fees(sale: Sale) -> tuple[SubscriptionFee, ...]:
    return tuple(each for each in sale.upfront_fees() if isinstance(each, SubscriptionFee))


def _gaps(sale: Sale) -> Iterator[Gap]:
    fees = _flat_fees(sale)
    yield from plan_gaps(sale, {each.code for each in fees})
    # Google's private offers are made from public plans, by another API (§3.3).
    yield from private_offering_gaps(sale, "/gcp", ())
    if any(isinstance(each, SeatFee) for each in sale.upfront_fees()):
        yield Gap("/fees", "no_price_per_seat", "a plan's flat fee knows no seats", blocks=True)
    if sale.terms.currency != "USD" and not sale.dimensions:
        yield Gap("/currency", "channel_currency", "prices are given in USD", blocks=True)
    if len(fees) > 1:
        yield Gap("/fees", "shown_as_one", "Google shows the sum of the fees as one flat fee")
    if fees and sale.terms.cycle is CycleKind.ANNUAL:
        detail = "a flat fee is priced by the month, and N months are rarely N times its price"
        yield Gap("/cycle", "priced_by_month", detail, blocks=True)
    for dimension in sale.dimensions:
        if dimension.quantity_kind is QuantityKind.DECIMAL:
            detail = f"{dimension.code} needs a double metric; Google's pages disagree on them"
            yield Gap("/reporting", "double_metric", detail)
    yield from _shared_metric_gaps(sale)


def _shared_metric_gaps(sale: Sale) -> Iterator[Gap]:
    """A metric belongs to one plan (contracts.md §3.3, by third parties)."""
    mine = {each.code for each in sale.dimensions}
    for plan in sale.offering.plans:
        if plan.code == sale.plan.code:
            continue
        others = {each.code for each in Sale.of(sale.offering, plan.code, sale.channel).dimensions}
        for code in sorted(mine & others):
            detail = f"plan {plan.code} reports {code} too; on Google a metric's id is one plan's"
            yield Gap("/reporting", "metric_of_two_plans", detail, blocks=True)


def _steps(sale: Sale, listing: GcpListing, before: LastApplied | None) -> Iterator[str]:
    service, plan = listing.service_name, listing.plan_id
    if before is None:
        model = _pricing_model(sale)
        yield f"In Producer Portal, add the plan {plan} with the model {model} to {service}."
    else:
        yield f"In Producer Portal, open the plan {plan} of {service}; enter what has changed."
    for dimension in sale.dimensions:
        price, text = plain(dimension.unit_price.amount), unit_text(dimension, sale.terms.currency)
        yield f"Metric {dimension.code}: {_value_type(dimension)}, {price} USD for one unit. {text}."
    yield (
        "Submit for review: a pricing review takes up to 4 business days; an increase needs about "
        "45 days' notice."
    )
    yield (
        "When it is live, compare the metric names of the service configuration letter by letter, "
        "and confirm this publication."
    )
