"""What is agreed with one buyer: overrides, plan changes, credits and seats."""

from __future__ import annotations

import msgspec
from pydantic import Field, StrictInt

from manage.fields import Amount, Code, Identifier, Input, Moment
from manage.schemas_terms import as_texts
from manage.schemas_terms_prices import PriceModel
from manage.schemas_terms_reductions import Codes, Discount, Rollover, SpendCap
from manage.services import new_id
from meterbridge.domain import agreements as domain
from meterbridge.domain.pricing import agreement_terms, overrides


class DimensionOverride(Input):
    """One dimension's price or included quantity for this buyer; null leaves it as it is."""

    code: Code
    price: PriceModel | None = Field(
        None, description="Other prices in the plan's structure: its model, tiers, steps and groups"
    )
    included: Amount | None = Field(None, description="Quantity of each cycle that is included")


class Overrides(Input):
    """What this buyer has differently from the plan."""

    dimensions: list[DimensionOverride] = Field(default_factory=list, max_length=100)
    discounts: list[Discount] = Field(
        default_factory=list, max_length=50, description="They come after the plan's"
    )
    spend_cap: SpendCap | None = Field(None, description="In place of the plan's; null leaves it")

    def overrides(self) -> overrides.Overrides:
        """For the domain, whose members have the same names."""
        return msgspec.convert(self.model_dump(mode="json"), type=overrides.Overrides)

    @classmethod
    def of(cls, found: overrides.Overrides) -> Overrides:
        return cls.model_validate(as_texts(found))


class PlanChange(Input):
    """A move to another version or plan of the offering, or to other overrides, on a date."""

    starts_at: Moment = Field(description="The start of one of the agreement's cycles")
    offering_version: StrictInt = Field(ge=1, lt=10**8)
    plan_code: Code
    overrides: Overrides = Field(
        default_factory=Overrides, description="In place of those before, not in addition"
    )

    def plan_change(self) -> domain.PlanChange:
        """For the domain."""
        return domain.PlanChange(
            self.starts_at, self.offering_version, self.plan_code, self.overrides.overrides()
        )

    @classmethod
    def of(cls, found: domain.PlanChange) -> PlanChange:
        return cls.model_validate(as_texts(found))


class Seats(Input):
    """The seats that a seat fee charges for from a moment on; they count from its hour's start."""

    fee_code: Code
    at: Moment
    seats: Amount

    def seats_in_force(self) -> domain.SeatsInForce:
        """For the domain."""
        return domain.SeatsInForce(self.fee_code, self.at, self.seats)

    @classmethod
    def of(cls, found: domain.SeatsInForce) -> Seats:
        return cls.model_validate(as_texts(found))


class Grant(Input):
    """Prepaid credits granted to this buyer, beside those of the plan."""

    id: Identifier | None = Field(None, description="Chosen by you, or made up")
    amount: Amount
    effective_at: Moment
    expires_at: Moment | None = Field(None, description="They never expire if null")
    priority: StrictInt = Field(
        0,
        ge=0,
        le=1000,
        description="Lower ones are spent first, then the earliest to expire, then the oldest",
    )
    codes: Codes = Field(default_factory=list)
    rollover: Rollover | None = None

    def grant(self) -> agreement_terms.Grant:
        """For the domain, whose members have the same names."""
        members = {**self.model_dump(mode="json"), "id": self.id or new_id("grt")}
        return msgspec.convert(members, type=agreement_terms.Grant)

    @classmethod
    def of(cls, found: agreement_terms.Grant) -> Grant:
        return cls.model_validate(as_texts(found))
