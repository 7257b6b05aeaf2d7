"""The fold: the segments of a partition become hourly usage, exactly, whatever came twice.

Folding is incremental: a fold kept in memory goes on where it stopped, and has the same result as
one that starts again. It looks nothing up: whether a customer is known is no question here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from meterbridge.domain.accumulators import Accumulator
from meterbridge.domain.errors import InvariantError
from meterbridge.domain.event_values import Reason
from meterbridge.domain.identities import MAX_SUSPECTS, Identities, NewRows
from meterbridge.domain.measuring import EventRows, Matcher, unmatched
from meterbridge.domain.meter_states import MeterState
from meterbridge.domain.meters import Meter
from meterbridge.domain.usage import FoldHead, FoldPosition, GroupKey, HourlyUsage
from meterbridge.domain.usage_log import Partition, StoredSegment


class MeterCatalog(Protocol):
    """All meters at one version of the metering set-up."""

    @property
    def version(self) -> int: ...

    @property
    def meters(self) -> Sequence[Meter]: ...


@dataclass(frozen=True, slots=True)
class FoldResult:
    """A row for every customer of the partition, and the head that goes with them."""

    head: FoldHead
    rows: tuple[HourlyUsage, ...]


class PartitionFold:
    """The fold of one partition.

    Args:
        catalog: fixed for the life of the fold; a newer one needs a new fold.
        identities: empty; given only to test events that share a fingerprint.
    """

    def __init__(
        self,
        partition: Partition,
        catalog: MeterCatalog,
        identities: Identities | None = None,
    ) -> None:
        self.partition = partition
        self._catalog_version = catalog.version
        self._matcher = Matcher(catalog.meters, partition.hour)
        self._accumulators: dict[str, Accumulator] = {}
        self._slots: dict[str, int] = {}
        self._customers: dict[str, set[int]] = {}
        self._identities = identities or Identities()
        self._unmatched: Counter[Reason] = Counter()
        self._segments = 0
        self._last_segment = ""
        self._fresh_through: datetime | None = None

    @property
    def last_segment(self) -> str:
        """Sort key of the newest segment taken in; "" before the first."""
        return self._last_segment

    @property
    def catalog_version(self) -> int:
        """Version of the catalog this fold works with."""
        return self._catalog_version

    def add(self, stored: StoredSegment) -> None:
        """Take in the next segment.

        Raises:
            InvariantError: it is of another partition, or not newer than the last one.
            CorruptSegmentError: it cannot be decoded. The fold is of no use any more.
        """
        if stored.partition != self.partition or stored.sk <= self._last_segment:
            raise InvariantError(f"{stored.partition} {stored.sk} after {self._last_segment!r}")
        for new in self._identities.take(stored.body):
            self._measure(new)
        if self._identities.suspected >= MAX_SUSPECTS:
            self._settle()
        self._segments += 1
        self._last_segment = stored.sk
        if self._fresh_through is None or stored.received_at > self._fresh_through:
            self._fresh_through = stored.received_at

    def result(self, *, started_at: datetime, folded_at: datetime) -> FoldResult:
        """Everything folded so far.

        Args:
            started_at: when the reading of the segments began.
            folded_at: now.

        Raises:
            InvariantError: nothing has been folded.
        """
        if self._fresh_through is None:
            raise InvariantError(f"{self.partition} has no segment")
        self._settle()
        events, duplicates, conflicts = self._identities.counts()
        head = FoldHead(
            partition=self.partition,
            position=FoldPosition(self._segments, self._catalog_version),
            last_segment=self._last_segment,
            started_at=started_at,
            fresh_through=self._fresh_through,
            events=events,
            duplicates=duplicates,
            conflicts=conflicts,
            unmatched={str(reason): count for reason, count in sorted(self._unmatched.items())},
        )
        return FoldResult(head, tuple(self._rows(head, folded_at)))

    def _settle(self) -> None:
        """Count the repeats. An event that only shared its fingerprint is measured now."""
        for new in self._identities.settle():
            self._measure(new)

    def _measure(self, new: NewRows) -> None:
        group = new.group
        rows = EventRows(group, new.kept, self._slots_of(new.subject_names))
        if not len(rows):
            return
        customers = self._customers.setdefault(group.product_id, set())
        customers.update(rows.counts.numbers.tolist())
        measurements = self._matcher.of(group.product_id, group.type)
        measured = [measurement.take(rows) for measurement in measurements]
        for measurement, taken in zip(measurements, measured, strict=True):
            meter = measurement.meter
            accumulator = self._accumulators.get(meter.id)
            if accumulator is None:
                accumulator = self._accumulators[meter.id] = Accumulator(meter)
            accumulator.add(taken)
        listed = unmatched(measurements, measured, len(rows))
        self._unmatched.update(each.reason for each in listed.values())

    def _slots_of(self, subjects: Sequence[str]) -> list[int]:
        slots = self._slots
        try:
            return list(map(slots.__getitem__, subjects))
        except KeyError:
            return [slots.setdefault(subject, len(slots)) for subject in subjects]

    def _rows(self, head: FoldHead, folded_at: datetime) -> Iterator[HourlyUsage]:
        names = list(self._slots)
        found: dict[tuple[str, str], dict[str, dict[GroupKey, MeterState]]] = {
            (product_id, subject): {}
            for product_id, customers in sorted(self._customers.items())
            for subject in sorted(map(names.__getitem__, customers))
        }
        for meter_id, accumulator in sorted(self._accumulators.items()):
            product_id = accumulator.meter.product_id
            for slot, group, state in accumulator.states():
                found[product_id, names[slot]].setdefault(meter_id, {})[group] = state
        for (product_id, subject), meters in found.items():
            yield HourlyUsage(
                product_id=product_id,
                subject=subject,
                hour=self.partition.hour,
                meters=meters,
                position=head.position,
                fresh_through=head.fresh_through,
                folded_at=folded_at,
            )
