"""What the use cases need from the outside. Each failure named here is part of the contract.

Every port may raise StoreUnavailableError where it talks to a store: nothing is known to have been
changed, and the call may be repeated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Protocol

from meterbridge.domain.agreements import Agreement, Customer
from meterbridge.domain.customer_links import CustomerLink
from meterbridge.domain.ledger_head import LedgerHead
from meterbridge.domain.metering_record import MeteringRecord, RecordKey, RecordState, ReportOutcome
from meterbridge.domain.meters import Meter
from meterbridge.domain.offerings import Channel, Offering, Product
from meterbridge.domain.pricing.rating_state import RatingState
from meterbridge.domain.usage import FoldHead, HourlyUsage
from meterbridge.domain.usage_log import Partition, SegmentDraft, ShardPlan, StoredSegment
from meterbridge.domain.windows import BillingPeriod


class Clock(Protocol):
    """The only source of the present."""

    def now(self) -> datetime:
        """Aware UTC."""


class UsageLog(Protocol):
    """Append-only segments of usage events."""

    def append(self, drafts: Sequence[SegmentDraft], received_at: datetime) -> None:
        """Store all drafts durably. The partition of each is noted as arrived *before* it is stored.

        Repeating a call that failed half-way appends some segments twice; the fold removes them.

        Raises:
            StoreUnavailableError: not all of them are known to be stored.
        """

    def read(self, partition: Partition, after: str = "") -> Iterator[StoredSegment]:
        """Segments of a partition with a sort key greater than `after`, in order, strongly read."""

    def arrivals(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, Partition]]:
        """What may have received a segment in the arrival buckets that start in [start, end).

        Yields bucket start and partition, in order of bucket, each pair once, strongly read.
        """


class UsageStore(Protocol):
    """Hourly usage and how far each partition has been folded."""

    def head(self, partition: Partition) -> FoldHead | None:
        """How far a partition has been folded, strongly read."""

    def heads(self, start: datetime, end: datetime) -> Iterator[FoldHead]:
        """Heads of the partitions of the hours [start, end), in order."""

    def advance(self, head: FoldHead, rows: Iterable[HourlyUsage]) -> None:
        """Store the rows of a fold, then its head. Only ever forward.

        Raises:
            StaleVersionError: a row or the head holds a fold that read more; that one stands.
        """

    def hourly(
        self, product_id: str, subject: str, start: datetime, end: datetime
    ) -> list[HourlyUsage]:
        """Rows of one customer for the hours [start, end), ascending, strongly read."""

    def cursor(self, name: str) -> str:
        """A named position of a scheduled task, "" before it was ever set."""

    def set_cursor(self, name: str, value: str, expected: str) -> None:
        """Move a position.

        Raises:
            StaleVersionError: it is not at `expected` any more.
        """


class Ledger(Protocol):
    """Metering records and the settlement head of each agreement."""

    def head(self, agreement_id: str) -> LedgerHead | None:
        """Strongly read; None before the first settlement."""

    def heads(self, agreement_ids: Iterable[str]) -> dict[str, LedgerHead]:
        """Those that exist, strongly read."""

    def records(
        self, agreement_id: str, start: datetime | None = None, end: datetime | None = None
    ) -> list[MeteringRecord]:
        """Records whose hour is in [start, end), strongly read, by hour then dimension."""

    def record(self, key: RecordKey) -> MeteringRecord | None:
        """One record, strongly read."""

    def commit(
        self,
        head: LedgerHead,
        *,
        expected_version: int,
        new_records: Sequence[MeteringRecord],
        absorbed: Sequence[RecordKey] = (),
        rating_states: Mapping[BillingPeriod, RatingState] = MappingProxyType({}),
    ) -> None:
        """Write head, new records, absorbed marks and rating states in one transaction.

        Args:
            expected_version: version read; 0 when there was no head.
            new_records: at most 90; none of their keys may exist. A key is never used twice, not
                even after a rejection.
            absorbed: records of which this settlement takes in that the marketplace does not hold
                what was written (see MeteringRecord.unabsorbed).
            rating_states: where rating stood before a month, to be kept for good.

        Raises:
            StaleVersionError: another settlement committed first, or a key exists. Nothing written.
        """

    def waiting(self) -> Iterator[str]:
        """Agreements to settle whenever an hour closes, each once, in order of id. May lag behind.

        Those whose head is waiting, and those with a record that is unabsorbed.
        """

    def due(self, before: datetime) -> Iterator[str]:
        """Agreements whose head is due at an hour before this one, in order of that; may lag behind.

        Those that are waiting are left out.
        """

    def rating_state(self, agreement_id: str, period: BillingPeriod) -> RatingState | None:
        """Where rating stood before a month, as sealed; None where it was not, or not yet."""

    def pending(self, channel: Channel, limit: int) -> list[MeteringRecord]:
        """Records in PENDING or SUBMITTED of a channel, earliest deadline first. May lag behind."""

    def save(
        self, record: MeteringRecord, *, expected_state: RecordState, expected_attempts: int
    ) -> None:
        """Replace a record's progress.

        Raises:
            StaleVersionError: it is not in that state with that many attempts any more.
        """


@dataclass(frozen=True, slots=True)
class Catalog:
    """The meters of all products at one version of the registry's metering set-up."""

    version: int
    meters: tuple[Meter, ...]


class Registry(Protocol):
    """Products, meters, offerings, customers, agreements, as the pipeline reads them."""

    def catalog(self) -> Catalog:
        """All meters, strongly read, with the version that any change of them increases."""

    def shard_plan(self) -> ShardPlan:
        """How many shards the usage log has, by hour."""

    def product(self, product_id: str) -> Product:
        """Raises NotFoundError."""

    def offering(self, offering_id: str, version: int) -> Offering:
        """Raises NotFoundError."""

    def meter(self, meter_id: str) -> Meter:
        """Raises NotFoundError."""

    def customers(self, ids: Iterable[str]) -> dict[str, Customer]:
        """Those of the ids that exist."""

    def agreement(self, agreement_id: str) -> Agreement:
        """Strongly read. Raises NotFoundError."""

    def agreements(self) -> Iterator[Agreement]:
        """Every agreement, in order of id."""

    def customer_links(self) -> Iterator[CustomerLink]:
        """Every link between customers, by child, strongly read."""

    def links_of(self, child_id: str) -> Sequence[CustomerLink]:
        """A customer's links as a child, strongly read, ascending."""

    def children_of(self, parent_id: str) -> Sequence[CustomerLink]:
        """Links in which a customer is the parent, strongly read, by child, ascending."""

    def agreements_of(self, product_id: str, customer_id: str) -> list[Agreement]:
        """Every agreement of a customer for a product, strongly read, in order of start."""

    def suspend(self, agreement_id: str, reason: str) -> None:
        """Set an ACTIVE agreement SUSPENDED by its marketplace; no change when it is not active.

        Raises NotFoundError, StaleVersionError: others kept changing it.
        """

    def resume(self, agreement_id: str) -> None:
        """Set an agreement ACTIVE that its marketplace suspended; no change to any other.

        Raises NotFoundError, StaleVersionError: others kept changing it.
        """


@dataclass(frozen=True, slots=True)
class ReportResult:
    """A marketplace's answer for one submission.

    Attributes:
        outcome: what it means for us.
        code: the marketplace's own word, kept as evidence.
        detail: for a person.
        receipt: its id for the record, when accepted.
        request_id: its id of the call, for its support.
        accepted_quantity: its figure, where it told one.
        reached: False only where it is certain that the marketplace did not book this submission
            (it answered so, or the call never left). True when in doubt.
        may_be_early: whether a refusal may mean that the usage lies in the marketplace's future.
    """

    key: RecordKey
    outcome: ReportOutcome
    code: str
    detail: str = ""
    receipt: str = ""
    request_id: str = ""
    accepted_quantity: Decimal | None = None
    reached: bool = True
    may_be_early: bool = False


@dataclass(frozen=True, slots=True)
class Submission:
    """A record built into one marketplace's request entry, frozen before the first send."""

    key: RecordKey
    product_id: str
    entry: Mapping[str, str]


class Marketplace(Protocol):
    """The shape that every marketplace adapter shares."""

    channel: Channel

    def build(self, record: MeteringRecord) -> Submission:
        """The same record of the same listing always builds the same submission; nothing is sent.

        Raises:
            InvariantError: the marketplace cannot take such a record.
            StoreUnavailableError: the product's listing cannot be read now.
        """

    def submit(self, submissions: Sequence[Submission]) -> list[ReportResult]:
        """Send up to the policy's max_batch of one product; one result per submission, always.

        Raises:
            MarketplaceError: the marketplace could not be asked and nothing was sent (credentials,
                role, name resolution). No record was judged.
            ProductRefusedError: likewise, but of this product only.
        """


class SettleQueue(Protocol):
    """Agreements to settle soon."""

    def enqueue(self, agreement_ids: Iterable[str]) -> None:
        """At least once each."""
