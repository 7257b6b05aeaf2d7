"""The registry table: its keys, its one item shape, and how objects become text and back.

    pk                   sk             body                        also
    products             product id     Product                     references
    catalog              #version                                   version
    catalog              meter#<id>     Meter                       references
    offerings            offering id    newest Offering             references, ref_pk by product
    offering#<id>        version        Offering
    customers            customer id    Customer                    references
    agreements           agreement id   Agreement                   ref_pk by product
    parents              customer id    links of the customer as a child
    children#<parent>    customer id    those of them to this parent
    terms#<product>      customer id    terms of all agreements
    terms@<channel>      whom it charges  terms of all agreements
    api-keys             key id         ApiKey
    api-key#<digest>     key            ApiKey
    answers#<key id>     Idempotency-Key  Answer                    expires_at
    settings             usage-log      ShardPlan

`references` counts what refers to an object and must be 0 for it to go. Bodies are JSON with
decimals as text, so that a number never passes through a float.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.models import Model

from meterbridge.domain.customer_links import CustomerLink
from meterbridge.domain.event_filters import Filter, FilterOperator
from meterbridge.domain.meters import (
    Aggregation,
    GroupBy,
    Meter,
    ResetPeriod,
)
from meterbridge.domain.offerings import Channel

T = TypeVar("T")

PRODUCTS = "products"
CATALOG = "catalog"
CATALOG_VERSION = "#version"
METER_PREFIX = "meter#"
OFFERINGS = "offerings"
CUSTOMERS = "customers"
AGREEMENTS = "agreements"
API_KEYS = "api-keys"
API_KEY = "key"
SETTINGS = "settings"
USAGE_LOG_SETTING = "usage-log"


class ByReference(GlobalSecondaryIndex["RegistryItem"]):  # type: ignore[no-untyped-call]
    """Offerings and agreements by product."""

    class Meta:
        index_name = "by_reference"
        projection = AllProjection()

    ref_pk = UnicodeAttribute(hash_key=True)
    ref_sk = UnicodeAttribute(range_key=True)


class RegistryItem(Model):
    """Any item of the table. All its numbers are whole."""

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    body = UnicodeAttribute(null=True)
    version = NumberAttribute(null=True)
    references = NumberAttribute(null=True)
    ref_pk = UnicodeAttribute(null=True)
    ref_sk = UnicodeAttribute(null=True)
    expires_at = NumberAttribute(null=True)
    by_reference = ByReference()


def offering_pk(offering_id: str) -> str:
    """Partition of an offering's versions."""
    return f"offering#{offering_id}"


def version_sk(version: int) -> str:
    """Sort key of an offering's version."""
    return f"{version:08d}"


def terms_pk(product_id: str) -> str:
    """Partition of the terms of a product's customers."""
    return f"terms#{product_id}"


def buyer_terms_pk(channel: Channel) -> str:
    """Partition of the terms of a marketplace's buyers."""
    return f"terms@{channel.value}"


def by_product(kind: str, product_id: str) -> str:
    """Index partition of a product's offerings or agreements."""
    return f"{kind}#{product_id}"


def api_key_pk(digest: str) -> str:
    """Partition of the lookup of a key by its digest."""
    return f"api-key#{digest}"


def answers_pk(caller: str) -> str:
    """Partition of the answers given to a key."""
    return f"answers#{caller}"


@dataclass(frozen=True, slots=True)
class Term:
    """When an agreement entitles: [starts_at, ends_at)."""

    agreement_id: str
    starts_at: datetime
    ends_at: datetime | None = None

    def overlaps(self, other: Term) -> bool:
        """Whether both cover some moment; a term that ends before it starts covers none."""
        latest_start = max(self.starts_at, other.starts_at)
        return all(term.ends_at is None or latest_start < term.ends_at for term in (self, other))


def to_body(value: object) -> str:
    """Any object but a meter."""
    return msgspec.json.encode(value).decode()


def from_body(body: str | None, kind: type[T]) -> T:
    """The reverse of to_body."""
    return msgspec.json.decode(body or "", type=kind)


def terms_from_body(body: str | None) -> Sequence[Term]:
    """All terms of one customer or buyer; none before the first."""
    return msgspec.json.decode(body, type=tuple[Term, ...]) if body else ()


def links_from_body(body: str | None) -> Sequence[CustomerLink]:
    """All links of one customer as a child; none before the first."""
    return msgspec.json.decode(body, type=tuple[CustomerLink, ...]) if body else ()


def meter_to_body(meter: Meter) -> str:
    """A meter; a fractional operand of a filter is kept apart from a text."""
    fields: dict[str, Any] = msgspec.to_builtins(replace(meter, filters=()))
    fields["filters"] = [
        {"path": condition.path, "op": condition.op, "value": _operand_to_wire(condition.value)}
        for condition in meter.filters
    ]
    return json.dumps(fields)


def meter_from_body(body: str | None) -> Meter:
    """The reverse of meter_to_body."""
    fields: dict[str, Any] = json.loads(body or "")
    return Meter(
        id=fields["id"],
        product_id=fields["product_id"],
        name=fields["name"],
        event_type=fields["event_type"],
        aggregation=Aggregation(fields["aggregation"]),
        value_path=fields["value_path"],
        filters=tuple(
            Filter(each["path"], FilterOperator(each["op"]), _operand_from_wire(each["value"]))
            for each in fields["filters"]
        ),
        group_by=tuple(GroupBy(each["name"], each["path"]) for each in fields["group_by"]),
        reset=ResetPeriod(fields["reset"]),
        created_at=msgspec.convert(fields["created_at"], datetime | None),
        archived_at=msgspec.convert(fields["archived_at"], datetime | None),
    )


def _operand_to_wire(value: object) -> Any:
    if isinstance(value, tuple):
        return [_operand_to_wire(member) for member in value]
    return {"decimal": str(value)} if isinstance(value, Decimal) else value


def _operand_from_wire(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_operand_from_wire(member) for member in value)
    return Decimal(value["decimal"]) if isinstance(value, dict) else value
