"""What the use cases of corrections need of the ledger, beyond records and heads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from meterbridge.application.ports import Ledger
from meterbridge.application.registry_admin import Answer
from meterbridge.domain.corrections import Correction, CorrectionKey, CorrectionState
from meterbridge.domain.over_reported import CorrectionWrite


class CorrectionLedger(Ledger, Protocol):
    """Keep corrections beside the books that they change."""

    def correction(self, key: CorrectionKey) -> Correction | None:
        """One correction, strongly read."""

    def corrections(self, agreement_id: str) -> list[Correction]:
        """All of an agreement, strongly read, by period, dimension and number."""

    def corrections_in(
        self, state: CorrectionState, after: CorrectionKey | None = None
    ) -> Iterator[Correction]:
        """Those of all agreements in a state, from one on; by agreement, period, dimension, number.

        May lag behind.
        """

    def write_correction(self, write: CorrectionWrite, answer: Answer | None = None) -> None:
        """Write a correction, the head that it changes, and the answer in one transaction.

        Raises:
            StaleVersionError: the correction or the head is not as it was read any more. Nothing
                written.
            AnsweredError: a request with the same idempotency key was finished first.
        """
