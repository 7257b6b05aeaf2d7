"""Rated lines: what each charge came from, and what was taken off it."""

from __future__ import annotations

from pydantic import BaseModel, Field

from manage.schemas_channels import text_or_none
from meterbridge.domain.money import plain
from meterbridge.domain.pricing.charges import Part, Rule
from meterbridge.domain.pricing.rated import RatedCharge


class PartView(BaseModel):
    """One part of a charge: amount = units × unit_price, where there is a unit price."""

    rule: Rule
    amount: str
    quantity: str
    units: str
    unit_price: str | None
    tier: int = Field(description="From 1; 0 without tiers")
    name: str
    step: str

    @classmethod
    def of(cls, part: Part) -> PartView:
        return cls(
            rule=part.rule,
            amount=plain(part.amount),
            quantity=plain(part.quantity),
            units=plain(part.units),
            unit_price=text_or_none(part.unit_price),
            tier=part.tier,
            name=part.name,
            step=part.step,
        )


class RatedLineView(BaseModel):
    """A line of a bill.

    metered + adjusted = included + free_trial + over_limit + rated; and list_charge = trial_amount
    + discounts + credits + over_cap + net.
    """

    code: str
    group: list[str]
    metered: str
    adjusted: str = Field(description="By increment and rounding")
    included: str
    free_trial: str
    over_limit: str
    rated: str
    list_charge: str
    parts: list[PartView]
    trial_amount: str
    discounts: dict[str, str]
    credits: dict[str, str]
    over_cap: str
    net: str

    @classmethod
    def of(cls, charge: RatedCharge) -> RatedLineView:
        return cls(
            code=charge.code,
            group=list(charge.group),
            metered=plain(charge.metered),
            adjusted=plain(charge.adjusted),
            included=plain(charge.included),
            free_trial=plain(charge.free_trial),
            over_limit=plain(charge.over_limit),
            rated=plain(charge.rated),
            list_charge=plain(charge.list_charge),
            parts=[PartView.of(part) for part in charge.parts],
            trial_amount=plain(charge.trial_amount),
            discounts={each: plain(amount) for each, amount in charge.discounts.items()},
            credits={each: plain(amount) for each, amount in charge.credits.items()},
            over_cap=plain(charge.over_cap),
            net=plain(charge.net),
        )
