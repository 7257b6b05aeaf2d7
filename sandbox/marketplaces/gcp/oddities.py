"""Billing that is legal and surely unwanted: counted twice, with gaps, late, or on a later invoice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from ..billed import BilledRecord
from ..clock import format_instant
from .service_control import Accepted
from .settings import GcpSettings

_PACIFIC = ZoneInfo("America/Los_Angeles")
_Span = tuple[datetime, datetime, str]


def warnings(bill: Sequence[Accepted], settings: GcpSettings) -> list[str]:
    """One sentence for each oddity."""
    return [
        *_counted_twice(bill),
        *_gaps_and_overlaps(bill),
        *_late(bill, settings),
        *_on_a_later_invoice(bill, settings),
    ]


def _counted_twice(bill: Iterable[Accepted]) -> list[str]:
    counts = Counter((accepted.service, accepted.operation_id) for accepted in bill)
    return [
        f"operation {operation_id} was added {count} times"
        for (_, operation_id), count in counts.items()
        if count > 1
    ]


def _gaps_and_overlaps(bill: Iterable[Accepted]) -> list[str]:
    """contracts.md §3.1.2: a report's startTime should equal the previous report's endTime."""
    spans: dict[tuple[str, str, str], set[_Span]] = {}
    for accepted in bill:
        for row in accepted.rows:
            place = (row.product, row.agreement, row.dimension)
            spans.setdefault(place, set()).add((row.used_at, accepted.end, accepted.operation_id))
    found = []
    for (_, consumer, metric), own in sorted(spans.items()):
        for (_, end, _), (start, _, _) in pairwise(sorted(own)):
            if start != end:
                what = "overlaps what was reported" if start < end else "leaves a gap after what"
                found.append(
                    f"{consumer} {metric}: the window from {format_instant(start)} {what} "
                    f"until {format_instant(end)}"
                )
    return found


def _late(bill: Iterable[Accepted], settings: GcpSettings) -> list[str]:
    duty = settings.seconds("duty")
    return [
        f"{row.agreement} {row.dimension}: usage until {format_instant(accepted.end)} was "
        f"reported at {format_instant(row.received_at)}, more than {duty} later"
        for accepted in bill
        for row in accepted.rows
        if row.received_at > accepted.end + duty
    ]


def _on_a_later_invoice(bill: Iterable[Accepted], settings: GcpSettings) -> list[str]:
    grace = settings.seconds("invoice_grace")
    return [
        f"{row.agreement} {row.dimension}: usage of {row.used_at.astimezone(_PACIFIC):%Y-%m} "
        f"may be invoiced with {row.received_at.astimezone(_PACIFIC):%Y-%m}"
        for accepted in bill
        for row in accepted.rows
        if row.received_at >= invoice_cutoff(row) + grace
    ]


def invoice_cutoff(row: BilledRecord) -> datetime:
    """End of the Pacific month that a row's usage belongs to."""
    local = row.used_at.astimezone(_PACIFIC)
    first = datetime(local.year, local.month, 1, tzinfo=_PACIFIC)
    following = (first + timedelta(days=32)).replace(day=1)
    return following.astimezone(UTC)
