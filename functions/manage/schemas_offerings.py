"""Offerings: what is sent and what is answered."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from manage.answers import Listing
from manage.fields import (
    Amount,
    Code,
    Group,
    Identifier,
    Input,
    Name,
    OptionalName,
    PositiveAmount,
)
from manage.schemas_terms import Terms
from meterbridge.domain.money import CURRENCY_EXPONENTS, Money, plain
from meterbridge.domain.offerings import (
    Channel,
    Dimension,
    Offering,
    Plan,
    QuantityKind,
    Visibility,
)
from meterbridge.domain.pricing.derived_reporting import not_reported

Currency = Annotated[
    str,
    Field(pattern=f"^({'|'.join(sorted(CURRENCY_EXPONENTS))})$"),
    WithJsonSchema({"type": "string", "enum": sorted(CURRENCY_EXPONENTS)}),
]


class NewDimension(Input):
    """A billable unit as published on the marketplace."""

    code: Code = Field(description="API name on the marketplace")
    name: OptionalName = ""
    meter_id: Identifier
    unit_price: Amount
    quantity_kind: QuantityKind = Field(
        QuantityKind.INTEGER, description="integer carries fractions until they make a whole"
    )
    units_per_quantity: PositiveAmount = Field(
        Decimal(1), description="Metered quantity in one billed unit"
    )
    group: Group = Field(default_factory=dict)

    def dimension(self, currency: str) -> Dimension:
        """For the domain."""
        return Dimension(
            code=self.code,
            name=self.name,
            meter_id=self.meter_id,
            unit_price=Money(self.unit_price, currency),
            quantity_kind=self.quantity_kind,
            units_per_quantity=self.units_per_quantity,
            group=self.group,
        )


class NewPlan(Input):
    """A priced variant a buyer can take: dimensions with one unit price each, or terms."""

    code: Code
    name: OptionalName = ""
    dimensions: list[NewDimension] | None = Field(
        None, min_length=1, max_length=100, description="Either these or terms"
    )
    terms: Terms | None = Field(None, description="Either these or dimensions")

    @model_validator(mode="after")
    def _one_of_both(self) -> NewPlan:
        if (self.dimensions is None) == (self.terms is None):
            raise PydanticCustomError(
                "dimensions_or_terms", "exactly one of dimensions and terms is needed"
            )
        return self

    def plan(self, currency: str) -> Plan:
        """For the domain."""
        return Plan(
            code=self.code,
            name=self.name,
            dimensions=tuple(each.dimension(currency) for each in self.dimensions or ()),
            terms=self.terms and self.terms.terms(currency),
        )


class NewVersion(Input):
    """A version of an offering. Once published it never changes."""

    name: Name
    currency: Currency = "USD"
    visibility: Visibility = Visibility.PUBLIC
    plans: list[NewPlan] = Field(min_length=1, max_length=50)

    def offering(
        self, offering_id: str, product_id: str, version: int, created_at: datetime
    ) -> Offering:
        """For the domain."""
        return Offering(
            id=offering_id,
            version=version,
            product_id=product_id,
            name=self.name,
            currency=self.currency,
            plans=tuple(plan.plan(self.currency) for plan in self.plans),
            visibility=self.visibility,
            created_at=created_at,
        )


class NewOffering(NewVersion):
    """What is for sale, in its first version."""

    id: Identifier | None = Field(None, description="Chosen by you, or made up")
    product_id: Identifier


class DimensionView(BaseModel):
    """A billable unit."""

    code: str
    name: str
    meter_id: str
    unit_price: str
    quantity_kind: QuantityKind
    units_per_quantity: str
    group: dict[str, str]

    @classmethod
    def of(cls, dimension: Dimension) -> DimensionView:
        return cls(
            code=dimension.code,
            name=dimension.name,
            meter_id=dimension.meter_id,
            unit_price=plain(dimension.unit_price.amount),
            quantity_kind=dimension.quantity_kind,
            units_per_quantity=plain(dimension.units_per_quantity),
            group=dict(dimension.group),
        )


class UnreportedChannel(BaseModel):
    """A channel that a plan with terms is not reported through, so that none buys it there."""

    channel: Channel
    code: str
    detail: str


class PlanView(BaseModel):
    """A priced variant: dimensions, or terms."""

    code: str
    name: str
    dimensions: list[DimensionView]
    terms: Terms | None
    not_reported: list[UnreportedChannel]

    @classmethod
    def of(cls, plan: Plan) -> PlanView:
        missing = not_reported(plan.terms) if plan.terms is not None else {}
        return cls(
            code=plan.code,
            name=plan.name,
            dimensions=[DimensionView.of(each) for each in plan.dimensions],
            terms=plan.terms and Terms.of(plan.terms),
            not_reported=[
                UnreportedChannel(channel=channel, code=fault.code, detail=fault.detail)
                for channel, faults in missing.items()
                for fault in faults
            ],
        )


class OfferingView(BaseModel):
    """One version of an offering."""

    id: str
    version: int
    product_id: str
    name: str
    currency: str
    visibility: Visibility
    plans: list[PlanView]
    created_at: datetime | None

    @classmethod
    def of(cls, offering: Offering) -> OfferingView:
        return cls(
            id=offering.id,
            version=offering.version,
            product_id=offering.product_id,
            name=offering.name,
            currency=offering.currency,
            visibility=offering.visibility,
            plans=[PlanView.of(plan) for plan in offering.plans],
            created_at=offering.created_at,
        )


class OfferingList(Listing):
    """A page of offerings, or of versions of one."""

    items: list[OfferingView]
