"""A dry run: what a reporting run would send now. Nothing is sent, and nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from meterbridge.application.entitlements import Entitlements, Sending
from meterbridge.application.ports import Clock, Marketplace, Registry, Submission
from meterbridge.application.report_summary import Progress, ReportSummary
from meterbridge.domain.deadlines import ORDINARY_DELAY
from meterbridge.domain.errors import InvariantError
from meterbridge.domain.metering_record import MeteringRecord, RecordState
from meterbridge.domain.reporting import closed_at_deadline


def planned_report(
    pending: Sequence[MeteringRecord],
    *,
    marketplace: Marketplace,
    registry: Registry,
    clock: Clock,
) -> ReportSummary:
    """What would become of records that are pending, earliest deadline first.

    Raises:
        StoreUnavailableError: an agreement or a listing cannot be read now.
    """
    now = clock.now()
    entitlements = Entitlements(registry, clock)
    entitlements.expect(record for record in pending if now < record.open_until)
    counts: Counter[RecordState | Progress] = Counter()
    open_deadlines = []
    planned: list[Submission] = []
    for record in pending:
        if now >= record.open_until:
            counts[closed_at_deadline(record, at=now).state] += 1
            continue
        if entitlements.sending(record) is not Sending.NOW:
            counts[Progress.HELD] += 1
        else:
            try:
                planned.append(submission_of(record, marketplace))
            except InvariantError:
                counts[RecordState.REJECTED] += 1
                continue
            counts[Progress.WAITING] += 1
        if now >= record.created_at + ORDINARY_DELAY:
            open_deadlines.append(record.open_until)
    return ReportSummary(
        marketplace.channel,
        counts,
        min(open_deadlines, default=None),
        dry_run=True,
        planned=tuple(planned),
    )


def submission_of(record: MeteringRecord, marketplace: Marketplace) -> Submission:
    """What is sent of a record: what was sent first, if it was sent before.

    Raises:
        InvariantError: the marketplace cannot take such a record.
        StoreUnavailableError: the product's listing cannot be read now.
    """
    if record.submission:
        return Submission(record.key, record.product_id, record.submission)
    return marketplace.build(record)
