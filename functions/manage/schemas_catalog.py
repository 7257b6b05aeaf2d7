"""Products, meters, customers: what is sent and what is answered."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from manage.answers import Listing
from manage.fields import (
    CustomerId,
    Identifier,
    Input,
    Moment,
    Name,
    OptionalName,
    unchanged,
)
from meterbridge.application.registry_admin import Versioned
from meterbridge.domain.agreements import Customer
from meterbridge.domain.event_filters import Filter, FilterOperator
from meterbridge.domain.meters import Aggregation, GroupBy, Meter, ResetPeriod
from meterbridge.domain.money import plain
from meterbridge.domain.offerings import Channel, Product

Listings = Annotated[
    dict[Channel, Annotated[str, Field(min_length=1, max_length=200)]],
    Field(description="Its identity on each marketplace; aws: product code or product id"),
]


class NewProduct(Input):
    """What you sell."""

    id: Identifier | None = Field(None, description="Chosen by you, or made up")
    name: Name
    listings: Listings = Field(default_factory=dict)


class ProductPatch(Input):
    """JSON merge patch of a product; `listings` is replaced as a whole."""

    name: Name = unchanged()
    listings: Listings = unchanged()


class ProductView(BaseModel):
    """A product."""

    id: str
    name: str
    listings: dict[str, str]
    created_at: datetime | None
    version: int

    @classmethod
    def of(cls, entry: Versioned[Product]) -> ProductView:
        product = entry.value
        return cls(
            id=product.id,
            name=product.name,
            listings={channel.value: text for channel, text in product.listings.items()},
            created_at=product.created_at,
            version=entry.version,
        )


class ProductList(Listing):
    """A page of products."""

    items: list[ProductView]


def _operand(value: object) -> Any:
    """A text, whole number, boolean or null; {"decimal": "0.5"} for any other number; or a list."""
    if isinstance(value, list):
        return tuple(_operand(member) for member in value)
    if isinstance(value, dict) and value.keys() == {"decimal"}:
        return _decimal_operand(value["decimal"])
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, int) and abs(value) < 10**30):
        return value
    raise PydanticCustomError(
        "filter_value",
        'must be a text, a whole number, a boolean, null, {"decimal": "0.5"}, or a list of these',
    )


def _decimal_operand(text: object) -> Decimal:
    if isinstance(text, str) and text.isascii() and len(text) <= 60:
        whole, _, fraction = text.removeprefix("-").partition(".")
        if whole.isdigit() and (fraction.isdigit() or "." not in text):
            return Decimal(text)
    raise PydanticCustomError("decimal_text", 'must be a decimal in a text, such as "0.5"')


def _operand_to_wire(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_operand_to_wire(member) for member in value]
    return {"decimal": plain(value)} if isinstance(value, Decimal) else value


_SCALAR_SCHEMA: list[dict[str, Any]] = [
    {"type": "string", "maxLength": 1000},
    {"type": "integer"},
    {"type": "boolean"},
    {"type": "null"},
    {
        "type": "object",
        "properties": {"decimal": {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}},
        "required": ["decimal"],
        "additionalProperties": False,
    },
]
Operand = Annotated[
    Any,
    BeforeValidator(_operand),
    PlainSerializer(_operand_to_wire),
    WithJsonSchema(
        {"anyOf": [*_SCALAR_SCHEMA, {"type": "array", "items": {"anyOf": _SCALAR_SCHEMA}}]}
    ),
]


class FilterFields(Input):
    """A condition on the data of an event."""

    path: str = Field(max_length=256, examples=["$.status"])
    op: FilterOperator
    value: Operand = True

    def filter(self) -> Filter:
        """Raises InvalidInputError."""
        return Filter(self.path, self.op, self.value)

    @classmethod
    def of(cls, condition: Filter) -> FilterFields:
        wire = _operand_to_wire(condition.value)
        return cls(path=condition.path, op=condition.op, value=wire)


class GroupByFields(Input):
    """A name under which quantities are kept apart by the value at a path."""

    name: str = Field(max_length=64, examples=["region"])
    path: str = Field(max_length=256, examples=["$.region"])


class NewMeter(Input):
    """How usage events of one type become a quantity."""

    id: Identifier | None = Field(None, description="Chosen by you, or made up")
    product_id: Identifier
    name: Name
    event_type: str = Field(min_length=1, max_length=256, description="CloudEvents `type`")
    aggregation: Aggregation
    value_path: str = Field(
        "", max_length=256, description="Where the value is in `data`; not for count"
    )
    filters: list[FilterFields] = Field([], max_length=20, description="All must hold")
    group_by: list[GroupByFields] = Field([], max_length=5)
    reset: ResetPeriod = Field(
        ResetPeriod.HOUR, description="Period (UTC) after which it starts again"
    )


class MeterPatch(Input):
    """JSON merge patch of a meter. Usage of open periods is computed again with what changed."""

    name: Name = unchanged()
    event_type: str = unchanged(min_length=1, max_length=256)
    aggregation: Aggregation = unchanged()
    value_path: str = unchanged(max_length=256)
    filters: list[FilterFields] = unchanged(max_length=20)
    group_by: list[GroupByFields] = unchanged(max_length=5)
    reset: ResetPeriod = unchanged()
    archived_at: Moment | None = unchanged(
        description="Events that occurred from then on are not counted; null takes it back"
    )


class MeterView(BaseModel):
    """A meter."""

    id: str
    product_id: str
    name: str
    event_type: str
    aggregation: Aggregation
    value_path: str
    filters: list[FilterFields]
    group_by: list[GroupByFields]
    reset: ResetPeriod
    created_at: datetime | None
    archived_at: datetime | None
    version: int

    @classmethod
    def of(cls, entry: Versioned[Meter]) -> MeterView:
        meter = entry.value
        return cls(
            id=meter.id,
            product_id=meter.product_id,
            name=meter.name,
            event_type=meter.event_type,
            aggregation=meter.aggregation,
            value_path=meter.value_path,
            filters=[FilterFields.of(each) for each in meter.filters],
            group_by=[GroupByFields(name=each.name, path=each.path) for each in meter.group_by],
            reset=meter.reset,
            created_at=meter.created_at,
            archived_at=meter.archived_at,
            version=entry.version,
        )


class MeterList(Listing):
    """A page of meters."""

    items: list[MeterView]


def group_by_of(fields: list[GroupByFields]) -> tuple[GroupBy, ...]:
    """For the domain."""
    return tuple(GroupBy(each.name, each.path) for each in fields)


class NewCustomer(Input):
    """Who uses your product."""

    id: CustomerId = Field(description="Your own id: `subject` of the customer's usage events")
    name: OptionalName = ""


class CustomerPatch(Input):
    """JSON merge patch of a customer."""

    name: OptionalName = unchanged()


class CustomerView(BaseModel):
    """A customer."""

    id: str
    name: str
    created_at: datetime | None
    version: int

    @classmethod
    def of(cls, entry: Versioned[Customer]) -> CustomerView:
        customer = entry.value
        return cls(
            id=customer.id,
            name=customer.name,
            created_at=customer.created_at,
            version=entry.version,
        )


class CustomerList(Listing):
    """A page of customers."""

    items: list[CustomerView]
