"""Meter states: what one meter knows of one customer, group and hour; exact, frozen, mergeable.

States of one group over different hours merge into the state of the longer period. Sums, counts,
extremes and sets also merge within an hour; latest values and gauges need to be in order of time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Self

import msgspec

from meterbridge.domain.errors import InvariantError
from meterbridge.domain.events import MAX_AGE, MICROSECOND
from meterbridge.domain.money import ZERO, exact_sum, multiply, quotient

DIGEST_SIZE = 16
MICROSECONDS_PER_HOUR = 3_600_000_000
GAUGE_HOLD = MAX_AGE
"""How long a gauge keeps a value that is not stated again."""

_HOLD = GAUGE_HOLD // MICROSECOND
_DIGESTS_PER_PART = 8_192


class MeterState(msgspec.Struct, frozen=True):
    """Base of the eight states. `quantity` is what the meter shows for the span it covers."""

    @property
    def aggregation(self) -> str:
        """How it was aggregated: the value of an Aggregation."""
        return str(type(self).__struct_config__.tag)

    @property
    def quantity(self) -> Decimal:
        """The aggregate. A gauge has none without a span: see gauge_integral."""
        raise InvariantError(f"{type(self).__name__} has no quantity of its own")

    def merged(self, later: Self) -> Self:
        """The state over both spans; `later` is not before this one."""
        raise InvariantError(f"{type(self).__name__} does not merge")

    def parts(self) -> Iterator[Self]:
        """States that merge into this one, none larger than about 180 KB on the wire."""
        yield self

    def to_wire(self) -> dict[str, Any]:
        """JSON-able: decimals as texts, digests as base64."""
        wire: dict[str, Any] = msgspec.to_builtins(self)
        return wire

    @staticmethod
    def from_wire(wire: Mapping[str, Any]) -> MeterState:
        """The reverse of to_wire.

        Raises:
            msgspec.ValidationError: not such a wire form.
        """
        state: MeterState = msgspec.convert(wire, AnyState)
        return state


class SumState(MeterState, frozen=True, tag_field="k", tag="sum"):
    """Total of the values."""

    total: Decimal

    @property
    def quantity(self) -> Decimal:
        return self.total

    def merged(self, later: SumState) -> SumState:
        return SumState(exact_sum((self.total, later.total)))


class CountState(MeterState, frozen=True, tag_field="k", tag="count"):
    """How many events."""

    events: int

    @property
    def quantity(self) -> Decimal:
        return Decimal(self.events)

    def merged(self, later: CountState) -> CountState:
        return CountState(self.events + later.events)


class MaxState(MeterState, frozen=True, tag_field="k", tag="max"):
    """Greatest value."""

    value: Decimal

    @property
    def quantity(self) -> Decimal:
        return self.value

    def merged(self, later: MaxState) -> MaxState:
        return MaxState(max(self.value, later.value))


class MinState(MeterState, frozen=True, tag_field="k", tag="min"):
    """Smallest value."""

    value: Decimal

    @property
    def quantity(self) -> Decimal:
        return self.value

    def merged(self, later: MinState) -> MinState:
        return MinState(min(self.value, later.value))


class AverageState(MeterState, frozen=True, tag_field="k", tag="average"):
    """Total and count, of which the average is taken once, at the end."""

    total: Decimal
    events: int

    @property
    def quantity(self) -> Decimal:
        return quotient(self.total, Decimal(self.events))

    def merged(self, later: AverageState) -> AverageState:
        return AverageState(exact_sum((self.total, later.total)), self.events + later.events)


class UniqueState(MeterState, frozen=True, tag_field="k", tag="unique_count"):
    """Digests of the distinct values, DIGEST_SIZE bytes each, ascending, joined."""

    digests: bytes

    @classmethod
    def of(cls, digests: Iterable[bytes]) -> UniqueState:
        """From distinct digests in any order."""
        return cls(b"".join(sorted(digests)))

    def each(self) -> Iterator[bytes]:
        """The digests one by one."""
        packed = self.digests
        return (packed[at : at + DIGEST_SIZE] for at in range(0, len(packed), DIGEST_SIZE))

    @property
    def quantity(self) -> Decimal:
        return Decimal(len(self.digests) // DIGEST_SIZE)

    def merged(self, later: UniqueState) -> UniqueState:
        return UniqueState.of({*self.each(), *later.each()})

    def parts(self) -> Iterator[UniqueState]:
        step = _DIGESTS_PER_PART * DIGEST_SIZE
        for at in range(0, len(self.digests), step):
            yield UniqueState(self.digests[at : at + step])


class LatestState(MeterState, frozen=True, tag_field="k", tag="latest"):
    """Value of the newest event; `at` is in microseconds since the epoch.

    Of two events of one moment the greater (id, source) is the newer.
    """

    at: int
    value: Decimal

    @property
    def quantity(self) -> Decimal:
        return self.value

    def merged(self, later: LatestState) -> LatestState:
        if later.at < self.at:
            raise InvariantError("latest values merge in order of time")
        return later


class GaugeState(MeterState, frozen=True, tag_field="k", tag="time_weighted"):
    """A gauge between its first and its last event of a span; times in µs since the epoch.

    Attributes:
        inner: integral from the first to the last event, in unit·µs.
        last_value: what it holds from the last event on.
    """

    first_at: int
    last_at: int
    last_value: Decimal
    inner: Decimal

    def merged(self, later: GaugeState) -> GaugeState:
        if later.first_at < self.last_at:
            raise InvariantError("gauges merge in order of time")
        held = min(later.first_at - self.last_at, _HOLD)
        between = multiply(self.last_value, Decimal(held))
        inner = exact_sum((self.inner, between, later.inner))
        return GaugeState(self.first_at, later.last_at, later.last_value, inner)


def gauge_integral(states: Iterable[GaugeState], start: int, end: int) -> Decimal:
    """A gauge's integral over [start, end), in unit·µs; times in µs since the epoch.

    Before it is first stated a gauge is zero. A statement holds until the next one, and no longer
    than GAUGE_HOLD, so that no more than so much history ever has to be known.

    Args:
        states: ascending; none of them reaches over start or end.
    """
    pieces = []
    value, since = ZERO, start

    def hold(until: int) -> None:
        held = min(until, since + _HOLD) - max(since, start)
        if held > 0:
            pieces.append(multiply(value, Decimal(held)))

    for state in states:
        if state.first_at >= start:
            hold(state.first_at)
            pieces.append(state.inner)
        value, since = state.last_value, state.last_at
    hold(end)
    return exact_sum(pieces)


def unit_hours(integral: Decimal) -> Decimal:
    """Unit·µs as unit-hours."""
    return quotient(integral, Decimal(MICROSECONDS_PER_HOUR))


AnyState = (
    SumState
    | CountState
    | MaxState
    | MinState
    | AverageState
    | UniqueState
    | LatestState
    | GaugeState
)
