"""PynamoDB attributes that lose nothing, and the texts that keys are made of.

PynamoDB's `NumberAttribute` is a float and its datetimes accept naive values; both are refused here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
from pynamodb.attributes import Attribute
from pynamodb.constants import STRING

from meterbridge.domain.money import plain
from meterbridge.domain.windows import require_utc

_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
_TEXTS = msgspec.json.Decoder(dict[str, str])


def moment_text(moment: datetime) -> str:
    """Fixed-width UTC text to the microsecond, so that texts sort as moments do.

    Raises:
        InvariantError: the moment is naive or in another zone.
    """
    return require_utc(moment).strftime(_FORMAT)


def parse_moment(text: str) -> datetime:
    """The reverse of moment_text."""
    return datetime.fromisoformat(text).astimezone(UTC)


class DecimalAttribute(Attribute[Decimal]):
    """An exact decimal of any length, stored as plain text. Anything but a Decimal is refused."""

    attr_type = STRING

    def serialize(self, value: Decimal) -> str:
        """To text, without exponent.

        Raises:
            TypeError: the value is not a finite Decimal; a float has lost digits already.
        """
        if not isinstance(value, Decimal) or not value.is_finite():
            raise TypeError(f"{value!r} is not a finite Decimal")
        return plain(value)

    def deserialize(self, value: str) -> Decimal:
        """From text."""
        return Decimal(value)


class MomentAttribute(Attribute[datetime]):
    """An aware UTC moment to the microsecond, stored as sortable text."""

    attr_type = STRING

    def serialize(self, value: datetime) -> str:
        """To text; raises InvariantError for a naive moment."""
        return moment_text(value)

    def deserialize(self, value: str) -> datetime:
        """From text."""
        return parse_moment(value)


class TextsAttribute(Attribute[Mapping[str, str]]):
    """A small mapping of texts, stored as one JSON text."""

    attr_type = STRING

    def serialize(self, value: Mapping[str, str]) -> str:
        """To JSON, keys in their own order."""
        return msgspec.json.encode(dict(value)).decode()

    def deserialize(self, value: str) -> dict[str, str]:
        """From JSON."""
        return _TEXTS.decode(value)
