"""Three customers on a plan that no marketplace can express: tiers, a trial, credits, a private deal.

The plan is the same on all three clouds. What it comes to is reported in cents, under one dimension.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sandbox.demo.seller import PRODUCT, Seller

OFFERING = "inference-pro"
PLAN = "pro"
CHARGES = "usage_charges"
CENT = Decimal("0.01")
MILLION = Decimal(1_000_000)

FIRST_MILLION, BEYOND = Decimal("1.10"), Decimal("0.80")
GENERATED = Decimal("4.40")
REQUEST, INCLUDED_REQUESTS = Decimal("0.002"), Decimal(500)
PLATFORM_FEE = Decimal(25)
TRIAL = Decimal(1)
CREDITS = Decimal(5)

NEGOTIATED_FIRST, NEGOTIATED_BEYOND = Decimal("1.00"), Decimal("0.60")
NEGOTIATED_DISCOUNT = Decimal(10)


@dataclass(frozen=True, slots=True)
class Deal:
    """What a customer bought.

    Attributes:
        private: with negotiated prices and a discount on everything.
    """

    customer: int
    private: bool = False


DEALS = {deal.customer: deal for deal in (Deal(2), Deal(3, private=True), Deal(4))}
"""By number of the customer: one on each cloud, among those who use most."""


def create_offering(seller: Seller) -> None:
    """Publish it. How each channel is told is left to be derived."""
    terms = {
        "cycle": "anniversary",
        "dimensions": [
            {
                "code": "context_tokens",
                "name": "Context tokens",
                "meter_id": "context_tokens",
                "price": _tiers(FIRST_MILLION, BEYOND),
            },
            {
                "code": "generated_tokens",
                "name": "Generated tokens",
                "meter_id": "generated_tokens",
                "price": {"model": "per_unit", "unit_price": str(GENERATED), "per": str(MILLION)},
            },
            {
                "code": "requests",
                "name": "Requests",
                "meter_id": "requests",
                "price": {"model": "per_unit", "unit_price": str(REQUEST)},
                "entitlement": {"quantity": str(INCLUDED_REQUESTS)},
            },
        ],
        "fees": [
            {
                "kind": "subscription",
                "code": "platform",
                "price": str(PLATFORM_FEE),
                "prorate": False,
            }
        ],
        "trial": {"kind": "amount", "amount": str(TRIAL)},
        "credits": [{"id": "welcome", "amount": str(CREDITS)}],
    }
    seller.call(
        "POST",
        "/v1/offerings",
        {
            "id": OFFERING,
            "product_id": PRODUCT,
            "name": "Pro",
            "currency": "USD",
            "plans": [{"code": PLAN, "name": "Pro", "terms": terms}],
        },
    )


def overrides_of(deal: Deal) -> Mapping[str, Any]:
    """What a private deal has differently; prices change, the structure does not."""
    if not deal.private:
        return {}
    price = _tiers(NEGOTIATED_FIRST, NEGOTIATED_BEYOND)
    return {
        "dimensions": [{"code": "context_tokens", "price": price}],
        "discounts": [{"id": "negotiated", "percent": str(NEGOTIATED_DISCOUNT)}],
    }


def _tiers(first: Decimal, beyond: Decimal) -> dict[str, Any]:
    """Prices are for a million tokens, tiers for one."""
    return {
        "model": "graduated",
        "tiers": [
            {"up_to": str(MILLION), "unit_price": f"{first / MILLION:f}", "name": "First million"},
            {"unit_price": f"{beyond / MILLION:f}", "name": "Beyond a million"},
        ],
    }


def expected_charge(deal: Deal, used: Mapping[str, Decimal]) -> Decimal:
    """What a customer owes, worked out on its own: none of Meterbridge's rating is asked.

    Args:
        used: quantity by meter, all within the agreement's first month.
    """
    first, beyond = (
        (NEGOTIATED_FIRST, NEGOTIATED_BEYOND) if deal.private else (FIRST_MILLION, BEYOND)
    )
    context = used["context_tokens"]
    usage = (
        min(context, MILLION) * first / MILLION
        + max(context - MILLION, Decimal(0)) * beyond / MILLION
        + used["generated_tokens"] * GENERATED / MILLION
        + max(used["requests"] - INCLUDED_REQUESTS, Decimal(0)) * REQUEST
    )
    charged = max(usage - TRIAL, Decimal(0)) + PLATFORM_FEE
    if deal.private:
        charged -= charged * NEGOTIATED_DISCOUNT / 100
    return charged - min(charged, CREDITS)
