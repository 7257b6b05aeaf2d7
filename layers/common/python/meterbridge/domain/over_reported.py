"""What a marketplace accepted beyond what is due, and the corrections to draft for it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from meterbridge.domain.agreements import Agreement, RecoveryPolicy
from meterbridge.domain.corrections import (
    Actor,
    Correction,
    CorrectionChange,
    CorrectionFigures,
    CorrectionKey,
    CorrectionState,
)
from meterbridge.domain.ledger_head import LedgerHead, Position
from meterbridge.domain.metering_record import MeteringRecord, RecordState
from meterbridge.domain.money import ZERO, Rounding, exact_sum, quotient, subtract
from meterbridge.domain.offerings import Dimension
from meterbridge.domain.policy import MarketplacePolicy
from meterbridge.domain.rating import charge_for
from meterbridge.domain.windows import BillingPeriod

SYSTEM = Actor()


@dataclass(frozen=True, slots=True)
class ReportedFrom:
    """What an agreement reports, at the prices its buyer is charged, from a moment on."""

    starts_at: datetime
    dimensions: Sequence[Dimension]


@dataclass(frozen=True, slots=True)
class Overview:
    """What drafting looks at.

    Attributes:
        reported: by version of its terms, in the order of time; at least one.
        head: the newest settlement.
        records: all that may hold a quantity of a period that `head` tells a position of.
        corrections: all of the agreement.
        policy: the channel's reporting rules; None where it takes no records.
    """

    agreement: Agreement
    reported: Sequence[ReportedFrom]
    head: LedgerHead
    records: Sequence[MeteringRecord]
    corrections: Sequence[Correction]
    policy: MarketplacePolicy | None
    now: datetime

    def dimension(self, code: str, period: BillingPeriod) -> Dimension | None:
        """As it is priced at a period's end, or when it was introduced later; None if it is unknown."""
        found = None
        for version in self.reported:
            for dimension in version.dimensions:
                if dimension.code == code and (found is None or version.starts_at < period.end):
                    found = dimension
        return found


@dataclass(frozen=True, slots=True)
class CorrectionWrite:
    """A correction as it was and as it is to be.

    Attributes:
        before: None for a new one.
        head: with what changes in the books, one version on; None where nothing does.
    """

    before: Correction | None
    after: Correction
    head: LedgerHead | None = None


def is_over_reported(head: LedgerHead) -> bool:
    """Whether more may have been accepted than is due, over all periods of a dimension."""
    return any(
        position.carried < 0 for known in head.positions.values() for position in known.values()
    )


def is_booked(record: MeteringRecord) -> bool:
    """Whether the marketplace surely charged the quantity that the record counts for."""
    if record.state is RecordState.CONFLICTED:
        return record.absorbed
    return record.state is RecordState.ACCEPTED


def due_corrections(given: Overview, code: str) -> dict[BillingPeriod, CorrectionFigures]:
    """What is to be given back of a dimension, by period, besides the corrections in force.

    Only what was surely accepted counts, and only for a period whose usage is final or once the
    agreement is over. What any other period owes makes up for it, oldest period first.
    """
    head = given.head
    own = [record for record in given.records if record.key.dimension == code]
    over: dict[BillingPeriod, CorrectionFigures] = {}
    owed = []
    for period, position in sorted(head.positions.get(code, {}).items()):
        accepted = _sum_of(period, filter(is_booked, own))
        corrected = head.corrected.get(code, {}).get(period, ZERO)
        figures = CorrectionFigures(accepted, corrected, position.metered, ZERO, head.settled_at)
        beyond = min(figures.over_reported, position.carried.copy_negate())
        if beyond > 0:
            made_up = subtract(figures.over_reported, beyond)
            over[period] = replace(figures, made_up=made_up)
        owed.append(_owed(period, position, own, given.agreement))
    left = exact_sum(owed)
    for period, figures in over.items():
        taken = min(left, figures.quantity)
        left = subtract(left, taken)
        over[period] = replace(figures, made_up=exact_sum((figures.made_up, taken)))
    return {
        period: figures
        for period, figures in over.items()
        if figures.quantity > 0 and _is_final(period, given)
    }


def draft_corrections(given: Overview) -> Iterator[CorrectionWrite]:
    """New drafts, drafts whose quantity has changed, and drafts that usage has made up for.

    A correction that a person decided against is not drafted again unless more is over-reported.
    """
    known: dict[tuple[str, BillingPeriod], list[Correction]] = {}
    for each in sorted(given.corrections, key=lambda correction: correction.key):
        known.setdefault((each.key.dimension, each.key.period), []).append(each)
    due = {
        (code, period): figures
        for code in given.head.positions
        for period, figures in due_corrections(given, code).items()
    }
    for code, period in sorted({*due, *known}):
        dimension = given.dimension(code, period)
        if dimension is None:
            continue
        of_period = known.get((code, period), [])
        write = _write(given, dimension, period, due.get((code, period)), of_period)
        if write is not None:
            yield write


def _write(
    given: Overview,
    dimension: Dimension,
    period: BillingPeriod,
    figures: CorrectionFigures | None,
    known: Sequence[Correction],
) -> CorrectionWrite | None:
    last = known[-1] if known else None
    open_draft = last if last is not None and last.state is CorrectionState.DRAFTED else None
    if figures is None or not _is_payable(dimension, figures.quantity):
        if open_draft is None:
            return None
        return CorrectionWrite(open_draft, _made_up_for(open_draft, given.now))
    if open_draft is not None:
        renewed = _renewed(open_draft, dimension, figures, given.now)
        return CorrectionWrite(open_draft, renewed) if renewed != open_draft else None
    if last is not None and last.declined and figures.quantity <= last.quantity:
        return None
    number = last.key.number + 1 if last is not None else 1
    key = CorrectionKey(given.agreement.id, dimension.code, period, number)
    return CorrectionWrite(None, _drafted(key, given, dimension, figures))


def _drafted(
    key: CorrectionKey, given: Overview, dimension: Dimension, figures: CorrectionFigures
) -> Correction:
    quantity = figures.quantity
    reason = "the marketplace accepted more than is due, and no usage made up for it"
    return Correction(
        key=key,
        channel=given.agreement.channel,
        product_id=given.agreement.product_id,
        quantity=quantity,
        units=quotient(quantity, dimension.units_per_quantity),
        amount=charge_for(dimension, quantity),
        figures=figures,
        created_at=given.now,
        history=(CorrectionChange(given.now, CorrectionState.DRAFTED, quantity, reason, SYSTEM),),
    )


def _renewed(
    draft: Correction, dimension: Dimension, figures: CorrectionFigures, now: datetime
) -> Correction:
    quantity = figures.quantity
    if quantity == draft.quantity:
        return draft
    reason = "the quantity that is over-reported has changed"
    change = CorrectionChange(now, CorrectionState.DRAFTED, quantity, reason, SYSTEM)
    return replace(
        draft,
        quantity=quantity,
        units=quotient(quantity, dimension.units_per_quantity),
        amount=charge_for(dimension, quantity),
        figures=figures,
        history=(*draft.history, change),
        version=draft.version + 1,
    )


def _made_up_for(draft: Correction, now: datetime) -> Correction:
    reason = "it is not over-reported any more"
    change = CorrectionChange(now, CorrectionState.WITHDRAWN, draft.quantity, reason, SYSTEM)
    return replace(
        draft,
        state=CorrectionState.WITHDRAWN,
        history=(*draft.history, change),
        version=draft.version + 1,
    )


def _is_payable(dimension: Dimension, quantity: Decimal) -> bool:
    """Whether it is worth the currency's smallest unit; less stays for later usage to make up for."""
    return charge_for(dimension, quantity).rounded(Rounding.FLOOR).amount > 0


def _is_final(period: BillingPeriod, given: Overview) -> bool:
    """Whether neither usage of the period nor, after an agreement's end, any usage is to come."""
    if period < given.head.live_from:
        return True
    ends_at = given.agreement.ends_at
    if ends_at is None or given.policy is None:
        return False
    return given.now >= ends_at + given.policy.flush_window


def _owed(
    period: BillingPeriod,
    position: Position,
    records: Iterable[MeteringRecord],
    agreement: Agreement,
) -> Decimal:
    """What the period may still bill: carried, or in records that may turn out not to be booked."""
    doubtful = _sum_of(
        period,
        (each for each in records if not is_booked(each) and not _is_forgiven(each, agreement)),
    )
    return max(exact_sum((position.carried, doubtful)), ZERO)


def _is_forgiven(record: MeteringRecord, agreement: Agreement) -> bool:
    """Whether it is never billed, nor ever was."""
    never = agreement.recovery is RecoveryPolicy.NEVER
    if record.state is RecordState.EXPIRED and not record.absorbed:
        return never
    return record.state is RecordState.WRITTEN_OFF


def _sum_of(period: BillingPeriod, records: Iterable[MeteringRecord]) -> Decimal:
    return exact_sum(
        counted for record in records if (counted := _counted(record).get(period)) is not None
    )


def _counted(record: MeteringRecord) -> Mapping[BillingPeriod, Decimal]:
    return record.counted(absorbed=record.absorbed)
