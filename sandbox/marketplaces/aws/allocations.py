"""Vendor-metered tagging: the split of a record's quantity into tagged buckets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from .errors import invalid_allocations, invalid_tag, serialization
from .records import UsageRecord, quantity_of

# As in the service model: the range from space to "=" inside it admits more than it seems.
_TAG_TEXT = re.compile(r"[a-zA-Z0-9+ -=._:\/@]+")
_MAX_TAGS = 5

TagSet = frozenset[tuple[str, str]]


def check_allocations(record: UsageRecord) -> None:
    """Checks a record's allocations (contracts.md §1.1.2).

    "At most five tags across the list" is read as five different tag keys, since up to 2,500
    allocations may each carry tags. The bucket without tags may occur once.

    Raises:
        AwsError: InvalidUsageAllocationsException or InvalidTagException; the whole call fails.
    """
    if record.allocations is None:
        return
    total = Decimal(0)
    seen: set[TagSet] = set()
    keys: set[str] = set()
    for allocation in record.allocations:
        total += _quantity(allocation, record)
        tags = _tags(allocation)
        if tags in seen:
            raise invalid_allocations("two allocations of one record have the same tags")
        seen.add(tags)
        keys |= {key for key, _ in tags}
    if len(keys) > _MAX_TAGS:
        raise invalid_tag(f"a record's allocations use {len(keys)} tags; at most 5 are allowed")
    if total != record.quantity.value:
        raise invalid_allocations(
            f"the allocations add up to {total}, the record says {record.quantity.value}"
        )


def _quantity(allocation: Mapping[str, Any], record: UsageRecord) -> Decimal:
    whole, decimal = "AllocatedUsageQuantity", "AllocatedUsageQuantityAsDecimal"
    if (whole in allocation) == (decimal in allocation):
        raise invalid_allocations(f"an allocation needs exactly one of {whole} and {decimal}")
    quantity = quantity_of(allocation, whole, decimal)
    if quantity is None or quantity.as_decimal != record.quantity.as_decimal:
        raise invalid_allocations("the allocations and the record use different quantity types")
    return quantity.value


def _tags(allocation: Mapping[str, Any]) -> TagSet:
    rows = allocation.get("Tags")
    if rows is None:
        return frozenset()
    if not isinstance(rows, list):
        raise serialization("tags must be a list")
    if not 1 <= len(rows) <= _MAX_TAGS:
        raise invalid_tag(f"an allocation has {len(rows)} tags; it must have 1 to {_MAX_TAGS}")
    tags = [(_tag_text(row, "Key", 100), _tag_text(row, "Value", 256)) for row in rows]
    if len({key for key, _ in tags}) < len(tags):
        raise invalid_tag("an allocation names a tag key twice")
    return frozenset(tags)


def _tag_text(row: Any, name: str, longest: int) -> str:
    if not isinstance(row, dict):
        raise serialization("a tag must be a JSON object")
    text = row.get(name)
    # The service model's prose allows an empty value, its own pattern does not: refused here.
    if not isinstance(text, str) or len(text) > longest or not _TAG_TEXT.fullmatch(text):
        raise invalid_tag(f"tag {name.lower()} {text!r} is not allowed")
    return text
