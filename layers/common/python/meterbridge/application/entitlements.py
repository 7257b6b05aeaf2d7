"""Which records one run may send: what is known of each buyer, and who is asked for again.

An agreement that its marketplace does not bill is stopped, and its records wait. Once an hour one of
them, the newest, is sent to find out whether the buyer is entitled again; if so, the agreement goes on
and the others follow. Whoever is entitled in a later hour and refused for an older one was not entitled
then, and whose agreement is over will not be: such a record waits for nothing, and stops nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import Enum, auto

from meterbridge.application.ports import Clock, Registry, ReportResult
from meterbridge.domain.agreements import Agreement, AgreementState
from meterbridge.domain.errors import NotFoundError
from meterbridge.domain.metering_record import MeteringRecord, RecordKey, ReportOutcome
from meterbridge.domain.reporting import ASKED_AGAIN_AFTER, reason_of

ENTITLED = frozenset(
    {ReportOutcome.ACCEPTED, ReportOutcome.ALREADY_ACCEPTED, ReportOutcome.CONFLICT}
)
"""Outcomes that only a buyer who is entitled gets."""


class Sending(Enum):
    """Whether a record is sent: NOW, AFTER_PROBE if that finds the buyer entitled, or not: HELD."""

    NOW = auto()
    AFTER_PROBE = auto()
    HELD = auto()


class _Standing(Enum):
    OPEN = auto()
    OVER = auto()
    STOPPED = auto()
    HELD = auto()


class Entitlements:
    """The buyers of one run. Agreements are read once; answers change what is known.

    Attributes:
        suspended, resumed: agreements that this run stopped, or found to be billed again.
    """

    def __init__(self, registry: Registry, clock: Clock) -> None:
        """Nothing is known yet."""
        self._registry = registry
        self._clock = clock
        self._standings: dict[str, _Standing] = {}
        self._newest: dict[str, RecordKey] = {}
        self._refused_at: dict[str, datetime] = {}
        self._accepted: dict[str, datetime] = {}
        self.suspended: set[str] = set()
        self.resumed: set[str] = set()

    def expect(self, records: Iterable[MeteringRecord]) -> None:
        """Note what is waiting: the newest record of each agreement, and when one was refused."""
        for record in records:
            agreement_id = record.key.agreement_id
            newest = self._newest.setdefault(agreement_id, record.key)
            if record.key.hour > newest.hour:
                self._newest[agreement_id] = record.key
            if record.refused_at is not None:
                known = self._refused_at.get(agreement_id, record.refused_at)
                self._refused_at[agreement_id] = max(known, record.refused_at)

    def sending(self, record: MeteringRecord) -> Sending:
        """Whether a record is sent.

        Raises:
            StoreUnavailableError: its agreement cannot be read now.
        """
        agreement_id = record.key.agreement_id
        standing = self._standing(agreement_id)
        if standing in (_Standing.OPEN, _Standing.OVER):
            return Sending.NOW
        asked_lately = self._is_recent(self._refused_at.get(agreement_id))
        if standing is _Standing.HELD or asked_lately:
            return Sending.HELD
        is_probe = record.key == self._newest.get(agreement_id)
        return Sending.NOW if is_probe else Sending.AFTER_PROBE

    def heard(self, record: MeteringRecord, result: ReportResult) -> None:
        """What an answer tells of the buyer.

        A stopped agreement goes on before the answer is saved: killed in between, the record is sent
        again, as it was, and answered the same.

        Raises:
            NotFoundError, StaleVersionError, StoreUnavailableError: it could not be set going.
        """
        agreement_id, hour = record.key.agreement_id, record.key.hour
        if result.outcome in ENTITLED:
            self._accepted[agreement_id] = max(hour, self._accepted.get(agreement_id, hour))
            if self._standings.get(agreement_id) is _Standing.STOPPED:
                self._registry.resume(agreement_id)
                self._standings[agreement_id] = _Standing.OPEN
                self.resumed.add(agreement_id)

    def is_final(self, record: MeteringRecord) -> bool:
        """Whether a record that was refused now will never be taken.

        Its agreement is over, or this run found the buyer entitled for a later hour.
        """
        agreement_id = record.key.agreement_id
        accepted = self._accepted.get(agreement_id)
        entitled_later = accepted is not None and accepted > record.key.hour
        return entitled_later or self._standings.get(agreement_id) is _Standing.OVER

    def refused(self, record: MeteringRecord, result: ReportResult) -> None:
        """The buyer is not entitled: stop the agreement.

        Raises:
            NotFoundError, StaleVersionError, StoreUnavailableError: it could not be stopped.
        """
        agreement_id = record.key.agreement_id
        if self._standings.get(agreement_id) is _Standing.OPEN:
            self.suspended.add(agreement_id)
        self._standings[agreement_id] = _Standing.HELD
        self._registry.suspend(agreement_id, reason_of(result))

    def _standing(self, agreement_id: str) -> _Standing:
        known = self._standings.get(agreement_id)
        if known is not None:
            return known
        try:
            found = _standing_of(self._registry.agreement(agreement_id), self._clock.now())
        except NotFoundError:
            found = _Standing.HELD
        # Not over what another thread has just heard.
        return self._standings.setdefault(agreement_id, found)

    def _is_recent(self, moment: datetime | None) -> bool:
        return moment is not None and self._clock.now() < moment + ASKED_AGAIN_AFTER


def _standing_of(agreement: Agreement, now: datetime) -> _Standing:
    if agreement.stopped_by_marketplace:
        return _Standing.STOPPED
    if agreement.state is AgreementState.ENDED:
        return _Standing.OVER
    if agreement.state is AgreementState.ACTIVE:
        over = agreement.ends_at is not None and agreement.ends_at <= now
        return _Standing.OVER if over else _Standing.OPEN
    return _Standing.HELD
