"""Offerings: what is sent and what is answered."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, WithJsonSchema

from manage.answers import Listing
from manage.fields import Amount, Code, Identifier, Input, Name, OptionalName, PositiveAmount
from meterbridge.domain.money import CURRENCY_EXPONENTS, Money, plain
from meterbridge.domain.offerings import Dimension, Offering, Plan, QuantityKind, Visibility

Currency = Annotated[
    str,
    Field(pattern=f"^({'|'.join(sorted(CURRENCY_EXPONENTS))})$"),
    WithJsonSchema({"type": "string", "enum": sorted(CURRENCY_EXPONENTS)}),
]
Group = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=64)],
        Annotated[str, Field(min_length=1, max_length=256)],
    ],
    Field(max_length=5, description="Values of the meter's group_by that it bills; all if empty"),
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
        "1", validate_default=True, description="Metered quantity in one billed unit"
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
    """A priced variant a buyer can take."""

    code: Code
    name: OptionalName = ""
    dimensions: list[NewDimension] = Field(min_length=1, max_length=100)


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
        plans = tuple(
            Plan(
                code=plan.code,
                name=plan.name,
                dimensions=tuple(each.dimension(self.currency) for each in plan.dimensions),
            )
            for plan in self.plans
        )
        return Offering(
            id=offering_id,
            version=version,
            product_id=product_id,
            name=self.name,
            currency=self.currency,
            plans=plans,
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


class PlanView(BaseModel):
    """A priced variant."""

    code: str
    name: str
    dimensions: list[DimensionView]


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
            plans=[
                PlanView(
                    code=plan.code,
                    name=plan.name,
                    dimensions=[DimensionView.of(each) for each in plan.dimensions],
                )
                for plan in offering.plans
            ],
            created_at=offering.created_at,
        )


class OfferingList(Listing):
    """A page of offerings, or of versions of one."""

    items: list[OfferingView]
