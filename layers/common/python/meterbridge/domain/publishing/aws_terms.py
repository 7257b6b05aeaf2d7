"""A plan's prices as AWS Marketplace's pricing terms (contracts.md §1.3.4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from meterbridge.domain.money import Rounding, exact_sum, plain, to_increment
from meterbridge.domain.pricing.cycles import CycleKind
from meterbridge.domain.pricing.plan_terms import PlanTerms, SeatFee, TrialKind
from meterbridge.domain.publishing.compiled import Gap, Json
from meterbridge.domain.publishing.listings import AwsPrivateOffer
from meterbridge.domain.publishing.sale import Sale

_UPFRONT_STEP = Decimal("0.001")
_UPFRONT_CURRENCIES = frozenset({"USD", "EUR", "GBP", "JPY"})
"""Of a private offer's upfront terms, as far as a plan can be in them; AUD is not known here."""

_DURATIONS = {
    CycleKind.CALENDAR_MONTH: "P1M",
    CycleKind.ANNIVERSARY: "P1M",
    CycleKind.ANNUAL: "P12M",
}


@dataclass(frozen=True, slots=True)
class UpfrontCharge:
    """What a listing charges in advance: a dimension that buyers are entitled to."""

    code: str
    price: Decimal
    by_quantity: bool


def upfront_charges(sale: Sale, private: AwsPrivateOffer | None) -> tuple[UpfrontCharge, ...]:
    """Fees for the listing; in a private deal with instalments, a commitment too."""
    found = [
        UpfrontCharge(fee.code, fee.price, isinstance(fee, SeatFee)) for fee in sale.upfront_fees()
    ]
    commitment = sale.terms.commitment
    paid = private is not None and bool(private.payments)
    if paid and commitment is not None and commitment.code in sale.apart():
        found.append(UpfrontCharge(commitment.code, commitment.amount, by_quantity=False))
    return tuple(found)


def unit_prices(sale: Sale) -> dict[str, Decimal]:
    """The price of one unit, by dimension."""
    return {each.code: each.unit_price.amount for each in sale.dimensions}


def usage_term(prices: Mapping[str, Decimal]) -> Json:
    """UsageBasedPricingTerm: one rate card, in US dollars."""
    return {
        "Type": "UsageBasedPricingTerm",
        "CurrencyCode": "USD",
        "RateCards": [{"RateCard": _rate_card(prices)}],
    }


def upfront_term(
    terms: PlanTerms, charges: tuple[UpfrontCharge, ...], private: AwsPrivateOffer | None
) -> Json:
    """What is paid in advance: for a cycle, or in the instalments of a private offer."""
    if private is not None and private.payments:
        return {
            "Type": "FixedUpfrontPricingTerm",
            "CurrencyCode": terms.currency,
            "Price": "0.0",
            "Duration": private.agreement_duration,
            "Grants": [{"DimensionKey": each.code, "MaxQuantity": 1} for each in charges],
        }
    by_quantity = any(each.by_quantity for each in charges)
    allowed = "Allowed" if by_quantity else "Disallowed"
    return {
        "Type": "ConfigurableUpfrontPricingTerm",
        "CurrencyCode": terms.currency,
        "RateCards": [
            {
                "Selector": {"Type": "Duration", "Value": _DURATIONS[terms.cycle]},
                "RateCard": _rate_card({each.code: each.price for each in charges}),
                "Constraints": {
                    "MultipleDimensionSelection": allowed,
                    "QuantityConfiguration": allowed,
                },
            }
        ],
    }


def trial_term(sale: Sale) -> Json:
    """FreeTrialPricingTerm: all dimensions, without limit, for the trial's days."""
    trial = sale.terms.trial
    days = trial.days if trial is not None else None
    return {
        "Type": "FreeTrialPricingTerm",
        "Duration": f"P{days}D",
        "Grants": [{"DimensionKey": each.code} for each in sale.dimensions],
    }


def has_own_trial(sale: Sale) -> bool:
    """Whether AWS itself gives the free trial."""
    trial = sale.terms.trial
    return trial is not None and trial.native and trial.kind is TrialKind.DAYS


def payment_schedule(terms: PlanTerms, private: AwsPrivateOffer) -> Json:
    """PaymentScheduleTerm: the instalments."""
    return {
        "Type": "PaymentScheduleTerm",
        "CurrencyCode": terms.currency,
        "Schedule": [
            {"ChargeDate": payment.due_on.isoformat(), "ChargeAmount": plain(payment.amount)}
            for payment in private.payments
        ],
    }


def upfront_gaps(
    sale: Sale, charges: tuple[UpfrontCharge, ...], private: AwsPrivateOffer | None
) -> Iterator[Gap]:
    """Why what is paid in advance is not quite, or not at all, what the plan says."""
    terms = sale.terms
    payments = private.payments if private is not None else ()
    if payments and not charges:
        detail = "instalments need a fee or a commitment that is not metered"
        yield Gap("/aws/private_offer/payments", "nothing_upfront", detail, blocks=True)
    if not charges:
        return
    currencies = _UPFRONT_CURRENCIES if private is not None else {"USD"}
    if terms.currency not in currencies:
        detail = f"AWS takes {', '.join(sorted(currencies))} in advance"
        yield Gap("/currency", "channel_currency", detail, blocks=True)
    amounts = [*(each.price for each in charges), *(each.amount for each in payments)]
    for amount in amounts:
        if to_increment(amount, _UPFRONT_STEP, Rounding.FLOOR) != amount:
            detail = f"AWS takes three decimals in advance, not {plain(amount)}"
            yield Gap("/fees", "price_precision", detail, blocks=True)
    if payments:
        total = exact_sum(each.amount for each in payments)
        due = exact_sum(each.price for each in charges)
        detail = (
            f"the buyer pays {plain(total)} by schedule; the plan's own charges are {plain(due)}"
        )
        yield Gap("/aws/private_offer/payments", "paid_by_schedule", detail)
        return
    if terms.cycle is CycleKind.CALENDAR_MONTH:
        detail = "AWS's months run from the day of purchase, the plan's by the calendar"
        yield Gap("/cycle", "other_cycle", detail)
    if len(charges) > 1:
        codes = ", ".join(each.code for each in charges)
        detail = f"AWS lets the buyer choose among {codes}; the plan charges all of them"
        yield Gap("/fees", "buyer_chooses", detail, blocks=True)


def _rate_card(prices: Mapping[str, Decimal]) -> list[Json]:
    return [{"DimensionKey": key, "Price": plain(price)} for key, price in prices.items()]
