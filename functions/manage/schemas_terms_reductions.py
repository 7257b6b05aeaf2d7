"""What is taken off a plan's charges, or made up to: trial, discounts, minimum, credits, cap."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field, StrictBool, StrictInt

from manage.fields import Amount, Code, Identifier, Input, Moment
from manage.schemas_terms_charges import Thresholds
from meterbridge.domain.pricing.plan_terms import THRESHOLDS, Recurrence, TrialKind

Codes = Annotated[
    list[Code],
    Field(max_length=200, description="What it is for, by code; everything if empty"),
]
Cycles = Annotated[StrictInt, Field(ge=1, le=1200)]
Days = Annotated[StrictInt, Field(ge=1, le=10_000)]


class FreeTrial(Input):
    """What an agreement has free at its start."""

    kind: TrialKind
    days: Days | None = Field(None, description="From the start; ends the other kinds too")
    quantities: Annotated[dict[Code, Amount], Field(max_length=100)] = Field(
        default_factory=dict, description="By dimension code, beyond what is included"
    )
    amount: Amount = Field(Decimal(0), description="Of usage charges")
    native: StrictBool = Field(
        False, description="The marketplace itself gives it: usage within is reported to it"
    )
    covers_fees: StrictBool = Field(False, description="Subscription and seats are free as well")


class Discount(Input):
    """What is taken off charges. Several apply one after another, each to what is left."""

    id: Identifier
    percent: Amount | None = Field(None, description="20 is 20 %; or else an amount")
    amount: Amount | None = Field(None, description="Off each cycle; or else a percentage")
    codes: Codes = Field(default_factory=list)
    starts_at: Moment | None = None
    ends_at: Moment | None = Field(None, description="First moment without it")


class MinimumCharge(Input):
    """The least that a cycle costs, after discounts and before credits."""

    amount: Amount
    prorate: StrictBool = False
    code: Code = "minimum_charge"


class Commitment(Input):
    """The least that some cycles cost together, made up for in their last hour (true-up)."""

    amount: Amount
    cycles: Cycles | None = Field(12, description="Until the agreement's end if null")
    code: Code = "commitment"


class Rollover(Input):
    """Credits left at their expiry live on for some cycles more."""

    cap: Amount | None = Field(None, description="The most that lives on; all if null")
    cycles: Cycles = 1


class CreditRule(Input):
    """Prepaid credits that come with a plan."""

    id: Identifier
    amount: Amount
    recurrence: Recurrence = Recurrence.ONCE
    lasts_cycles: Cycles | None = Field(None, description="They never expire if null")
    priority: StrictInt = Field(0, ge=0, le=1000, description="Lower ones are spent first")
    codes: Codes = Field(default_factory=list)
    rollover: Rollover | None = None


class TopUp(Input):
    """Buys credits when the wallet falls to a share of the amount."""

    amount: Amount
    threshold: Amount = Field(Decimal("0.2"))
    lasts_days: Days | None = None
    code: Code = "top_up"


class SpendCap(Input):
    """The most that a cycle costs after credits; what is beyond is never billed."""

    amount: Amount
    thresholds: Thresholds = Field(list(THRESHOLDS))
