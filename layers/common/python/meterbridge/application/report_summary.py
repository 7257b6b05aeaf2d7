"""How much one reporting run does, and what it says it did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from meterbridge.application.ports import Submission
from meterbridge.domain.errors import MeterbridgeError
from meterbridge.domain.metering_record import RecordState
from meterbridge.domain.offerings import Channel


@dataclass(frozen=True, slots=True)
class ReportLimits:
    """How much one run does.

    Attributes:
        max_records: read at most this many, earliest deadline first.
        workers: batches under way at once; the marketplace's own rate is kept by its adapter.
        rounds: how often a record is sent in one run while the marketplace asks for patience.
    """

    max_records: int = 20_000
    workers: int = 8
    rounds: int = 3


class Progress(StrEnum):
    """Where a run left a record that has no final state."""

    WAITING = "waiting"
    HELD = "held"
    RACED = "raced"


@dataclass(frozen=True, slots=True)
class ReportSummary:
    """What one run did on a channel.

    Attributes:
        counts: records by the final state they reached, or waiting for another try, held with their
            agreement, or raced: another run has gone on with them.
        next_deadline: earliest among the records that are open and should be accepted by now.
        dry_run: nothing was sent or written; counts tell what would have been decided unsent.
        planned: in a dry run, what would have been sent.
        error: why the run could not go on: the marketplace could not be asked (no record was judged
            by that) or the store could not be written (what was sent is resent identical).
            ProductRefusedError where it went on with other products.
        refusals: why the marketplace lets us report nothing, or not everything, by product.
        suspended, resumed: agreements that the marketplace bills no more, or again.
    """

    channel: Channel
    counts: Counter[RecordState | Progress]
    next_deadline: datetime | None
    dry_run: bool = False
    planned: tuple[Submission, ...] = ()
    error: MeterbridgeError | None = None
    refusals: Mapping[str, str] = field(default_factory=dict)
    suspended: tuple[str, ...] = ()
    resumed: tuple[str, ...] = ()
