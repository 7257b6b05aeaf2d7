"""What is for sale: products, and offerings whose published versions never change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from meterbridge.domain.channels import Channel as Channel
from meterbridge.domain.channels import QuantityKind as QuantityKind
from meterbridge.domain.errors import NotFoundError
from meterbridge.domain.money import Money
from meterbridge.domain.pricing.plan_terms import PlanTerms


@dataclass(frozen=True, slots=True)
class Product:
    """What is listed. `listings` holds its identity on each marketplace (AWS: product code or id)."""

    id: str
    name: str
    listings: Mapping[Channel, str] = field(default_factory=dict)
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Dimension:
    """A billable unit as published in the offer.

    Attributes:
        code: the marketplace's API name; case-sensitive.
        meter_id: whose quantity it bills.
        group: group-by value(s) of the meter that this dimension bills; empty bills all groups.
        unit_price: price of one unit, unrounded.
        quantity_kind: integer dimensions carry fractions until they make a whole.
        units_per_quantity: metered quantity in one billed unit (1000 bills thousands); money where
            the dimension reports the charge itself (0.01 bills cents).
        in_currency: whether its quantity is money.
    """

    code: str
    meter_id: str
    unit_price: Money
    quantity_kind: QuantityKind = QuantityKind.INTEGER
    units_per_quantity: Decimal = Decimal(1)
    group: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    in_currency: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A priced variant a buyer can take: dimensions with one unit price each, or terms.

    Attributes:
        dimensions: each reported natively on every channel, at its own unit price.
        terms: in their place, where more is agreed than unit prices (see plan_pricing.py).
    """

    code: str
    dimensions: tuple[Dimension, ...] = ()
    name: str = ""
    terms: PlanTerms | None = None

    def dimension(self, code: str) -> Dimension:
        """The dimension with this code.

        Raises:
            NotFoundError: the plan has none.
        """
        for dimension in self.dimensions:
            if dimension.code == code:
                return dimension
        raise NotFoundError(f"plan {self.code} has no dimension {code}")


class Visibility(StrEnum):
    """Who may buy it."""

    PUBLIC = "public"
    PRIVATE = "private"


@dataclass(frozen=True, slots=True)
class Offering:
    """One version of an offering. Agreements stay on the version they were made on."""

    id: str
    version: int
    product_id: str
    name: str
    currency: str
    plans: tuple[Plan, ...]
    visibility: Visibility = Visibility.PUBLIC
    created_at: datetime | None = None

    def plan(self, code: str) -> Plan:
        """The plan with this code.

        Raises:
            NotFoundError: the offering has none.
        """
        for plan in self.plans:
            if plan.code == code:
                return plan
        raise NotFoundError(f"offering {self.id} has no plan {code}")
