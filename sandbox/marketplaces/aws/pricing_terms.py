"""The schema checks that StartChangeSet makes on an offer's terms (contracts.md §1.3.4)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from .errors import validation

USAGE_TERM, TRIAL_TERM = "UsageBasedPricingTerm", "FreeTrialPricingTerm"
UPFRONT_TERM, FIXED_TERM = "ConfigurableUpfrontPricingTerm", "FixedUpfrontPricingTerm"
MODELS = frozenset({"Usage", "Contract", "Free", "Byol"})

_PRICE = re.compile(r"(?:0|[1-9][0-9]{0,17})(?:\.(?P<decimals>[0-9]+))?", re.ASCII)
_DURATION = re.compile(r"P[1-9][0-9]{0,3}[DMY]", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_UPFRONT_CURRENCIES = frozenset({"USD", "AUD", "EUR", "GBP", "JPY"})
_ROWS, _CARDS, _GRANTS = 800, 5, 200


def check_pricing(details: Any) -> None:
    """UpdatePricingTerms."""
    if text(details, "PricingModel") not in MODELS:
        raise validation(f"PricingModel must be one of {sorted(MODELS)}")
    for term in rows(details, "Terms", 10):
        check = _TERMS.get(text(term, "Type"))
        if check is None:
            raise validation(f"Terms[].Type {term['Type']!r} is not supported")
        check(term)


def check_terms(kind: str, check: Callable[[Mapping[str, Any]], None]) -> Callable[[Any], None]:
    """A change whose details hold one term of a kind."""

    def check_details(details: Any) -> None:
        for term in rows(details, "Terms", 1):
            if text(term, "Type") != kind:
                raise validation(f"Terms[].Type must be {kind}")
            check(term)

    return check_details


def validity(term: Mapping[str, Any]) -> None:
    """ValidityTerm: a duration, or dates."""
    if "AgreementDuration" in term:
        _duration(term, "AgreementDuration")
    elif not {"AgreementStartDate", "AgreementEndDate"} & set(term):
        raise validation("ValidityTerm needs AgreementDuration or dates")


def payment_schedule(term: Mapping[str, Any]) -> None:
    """PaymentScheduleTerm."""
    _currency(term, _UPFRONT_CURRENCIES)
    for row in rows(term, "Schedule", 60):
        if not _DATE.fullmatch(text(row, "ChargeDate")):
            raise validation("Schedule[].ChargeDate must be a date")
        price(row, "ChargeAmount", 3)


def legal(term: Mapping[str, Any]) -> None:
    """LegalTerm."""
    for document in rows(term, "Documents", 5):
        kind = text(document, "Type")
        member = {"StandardEula": "Version", "CustomEula": "Url"}.get(kind)
        if member is None:
            raise validation(f"Documents[].Type {kind!r} is not supported")
        text(document, member)


def support(term: Mapping[str, Any]) -> None:
    """SupportTerm."""
    text(term, "RefundPolicy")


def usage_prices(terms: Any) -> dict[str, Decimal]:
    """Prices by dimension of the usage term among an offer's terms."""
    return {
        row["DimensionKey"]: Decimal(row["Price"])
        for term in terms
        if term["Type"] == USAGE_TERM
        for row in term["RateCards"][0]["RateCard"]
    }


def dimension_keys(terms: Any) -> Iterator[tuple[str, str]]:
    """(key, type that the dimension must have) of everything that terms name."""
    for term in terms:
        wanted = "ExternallyMetered" if term["Type"] in (USAGE_TERM, TRIAL_TERM) else "Entitled"
        for card in term.get("RateCards", []):
            yield from ((row["DimensionKey"], wanted) for row in card["RateCard"])
        yield from ((row["DimensionKey"], wanted) for row in term.get("Grants", []))


def text(found: Any, member: str) -> str:
    """A required text."""
    value = found.get(member) if isinstance(found, Mapping) else None
    if not isinstance(value, str) or not value:
        raise validation(f"{member} is required")
    return value


def rows(found: Any, member: str, most: int) -> list[Any]:
    """A required list of 1 to `most`."""
    value = found.get(member) if isinstance(found, Mapping) else None
    if not isinstance(value, list) or not 1 <= len(value) <= most:
        raise validation(f"{member} must be a list of 1 to {most}")
    return value


def price(found: Any, member: str, decimals: int) -> None:
    """A price is a text, not negative, with so many decimals at most."""
    match = _PRICE.fullmatch(text(found, member))
    if match is None or len(match["decimals"] or "") > decimals:
        raise validation(f"{member} must be a decimal text with up to {decimals} places")


def _usage(term: Mapping[str, Any]) -> None:
    _currency(term, frozenset({"USD"}))
    for card in rows(term, "RateCards", 1):
        _rate_card(card, 8)


def _upfront(term: Mapping[str, Any]) -> None:
    _currency(term, _UPFRONT_CURRENCIES)
    for card in rows(term, "RateCards", _CARDS):
        selector, constraints = card.get("Selector"), card.get("Constraints")
        if text(selector, "Type") != "Duration":
            raise validation("Selector.Type must be Duration")
        _duration(selector, "Value")
        found = {
            text(constraints, name)
            for name in ("MultipleDimensionSelection", "QuantityConfiguration")
        }
        if len(found) != 1 or not found <= {"Allowed", "Disallowed"}:
            raise validation("both constraints must be Allowed, or both Disallowed")
        _rate_card(card, 3)


def _fixed(term: Mapping[str, Any]) -> None:
    _currency(term, _UPFRONT_CURRENCIES)
    price(term, "Price", 3)
    _duration(term, "Duration")
    _grants(term, _GRANTS, required=True)


def _trial(term: Mapping[str, Any]) -> None:
    _duration(term, "Duration")
    _grants(term, _ROWS, required=False)


def _recurring(term: Mapping[str, Any]) -> None:
    _currency(term, frozenset({"USD"}))
    price(term, "Price", 3)
    if text(term, "BillingPeriod") != "Monthly":
        raise validation("BillingPeriod must be Monthly")


_TERMS: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
    USAGE_TERM: _usage,
    UPFRONT_TERM: _upfront,
    FIXED_TERM: _fixed,
    TRIAL_TERM: _trial,
    "RecurringPaymentTerm": _recurring,
    "ByolPricingTerm": lambda _: None,
}


def _rate_card(card: Any, decimals: int) -> None:
    keys = []
    for row in rows(card, "RateCard", _ROWS):
        keys.append(text(row, "DimensionKey"))
        price(row, "Price", decimals)
    if len(set(keys)) != len(keys):
        raise validation("RateCard[].DimensionKey must be unique")


def _grants(term: Mapping[str, Any], most: int, *, required: bool) -> None:
    for grant in rows(term, "Grants", most):
        text(grant, "DimensionKey")
        quantity = grant.get("MaxQuantity")
        if (quantity is None and required) or (
            quantity is not None and (type(quantity) is not int or quantity < 1)
        ):
            raise validation("Grants[].MaxQuantity must be greater than 0")


def _duration(found: Any, member: str) -> None:
    if not _DURATION.fullmatch(text(found, member)):
        raise validation(f"{member} must be an ISO 8601 duration")


def _currency(term: Mapping[str, Any], allowed: frozenset[str]) -> None:
    if text(term, "CurrencyCode") not in allowed:
        raise validation(f"CurrencyCode must be one of {sorted(allowed)}")
