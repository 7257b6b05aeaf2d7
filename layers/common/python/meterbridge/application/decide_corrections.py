"""A person's part in a correction: see what is drafted, approve it, decide against it, call it done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from meterbridge.application.correction_ledger import CorrectionLedger
from meterbridge.application.draft_corrections import read_overview
from meterbridge.application.manage_agreements import visible_agreement
from meterbridge.application.manage_catalog import Answering
from meterbridge.application.ports import Clock, SettleQueue
from meterbridge.application.refusals import Faults
from meterbridge.application.registry_admin import RegistryAdmin
from meterbridge.domain.agreements import Agreement
from meterbridge.domain.api_keys import Caller
from meterbridge.domain.channels import Channel
from meterbridge.domain.correcting import approved, completed, withdrawn
from meterbridge.domain.correction_requests import AcceptedRecord, accepted_records
from meterbridge.domain.corrections import Actor, Correction, CorrectionKey, CorrectionState
from meterbridge.domain.errors import (
    InvalidInputError,
    InvariantError,
    NotFoundError,
    RefusedDecisionError,
    StaleVersionError,
)
from meterbridge.domain.ledger_head import LedgerHead
from meterbridge.domain.money import ZERO
from meterbridge.domain.over_reported import CorrectionWrite, due_corrections
from meterbridge.domain.policy import LONGEST_LATENESS

_ATTEMPTS = 10
MAX_ID = 160
"""Characters of a correction's id."""


@dataclass(frozen=True, slots=True)
class Approval:
    """What a person approves.

    Attributes:
        quantity: what they saw; another draft than that is not approved.
        marketplace_agreement_id, invoice_id: AWS's ids, where the person knows them.
    """

    reason: str
    quantity: Decimal
    marketplace_agreement_id: str = ""
    invoice_id: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A correction with what proves it.

    Attributes:
        listing: the product's identity on the marketplace.
    """

    correction: Correction
    agreement: Agreement
    listing: str
    records: Sequence[AcceptedRecord]


@dataclass(frozen=True, slots=True)
class CorrectionDesk:
    """The use cases of people, over the same ports."""

    registry: RegistryAdmin
    ledger: CorrectionLedger
    queue: SettleQueue
    clock: Clock

    def approve(
        self,
        key: CorrectionKey,
        approval: Approval,
        *,
        caller: Caller,
        answering: Answering[Correction],
    ) -> Correction:
        """Approve a draft: the books count it as given back from now on.

        Raises:
            NotFoundError: no such correction, or not for this caller.
            InvalidRequestError: ids of AWS for another marketplace.
            RefusedDecisionError: it is no draft, or not of what is due now.
            StaleVersionError: somebody else changed it at the same moment; look again.
        """

        def approve(correction: Correction, head: LedgerHead, by: Actor) -> CorrectionWrite:
            _require_aws(correction, approval)
            if correction.quantity != approval.quantity:
                detail = f"{key} is over {correction.quantity}, not {approval.quantity}: look again"
                raise RefusedDecisionError("correction_outdated", detail)
            return approved(
                correction,
                head,
                self._due(correction, head),
                at=self.clock.now(),
                by=by,
                reason=approval.reason,
                marketplace_agreement_id=approval.marketplace_agreement_id,
                invoice_id=approval.invoice_id,
            )

        try:
            return self._change(key, approve, caller, answering)
        except RefusedDecisionError as refusal:
            if refusal.code == "correction_outdated":
                self.queue.enqueue([key.agreement_id])
            raise

    def withdraw(
        self, key: CorrectionKey, reason: str, *, caller: Caller, answering: Answering[Correction]
    ) -> Correction:
        """Decide against a draft, or against an approved correction that was not sent.

        Raises:
            NotFoundError, StaleVersionError: as approve.
            RefusedDecisionError: the marketplace may have it, or it is over.
        """

        def withdraw(correction: Correction, head: LedgerHead, by: Actor) -> CorrectionWrite:
            return withdrawn(correction, head, at=self.clock.now(), by=by, reason=reason)

        return self._change(key, withdraw, caller, answering)

    def complete(
        self,
        key: CorrectionKey,
        reason: str,
        reference: str,
        *,
        caller: Caller,
        answering: Answering[Correction],
    ) -> Correction:
        """State that the buyer has the money.

        Args:
            reference: the marketplace's id for it.

        Raises:
            NotFoundError, StaleVersionError: as approve.
            RefusedDecisionError: it was not approved, or is over.
        """

        def complete(correction: Correction, _head: LedgerHead, by: Actor) -> CorrectionWrite:
            now = self.clock.now()
            return completed(correction, at=now, by=by, reason=reason, reference=reference)

        return self._change(key, complete, caller, answering)

    def corrections_of(self, agreement_id: str, *, caller: Caller) -> list[Correction]:
        """All of an agreement, by period, dimension and number. Raises NotFoundError."""
        visible_agreement(agreement_id, caller=caller, registry=self.registry)
        return self.ledger.corrections(agreement_id)

    def corrections_in(
        self, state: CorrectionState, after: CorrectionKey | None, *, caller: Caller
    ) -> Iterator[Correction]:
        """Those of the caller's products in a state, from one on. May lag behind."""
        return (
            correction
            for correction in self.ledger.corrections_in(state, after)
            if caller.sees(correction.product_id)
        )

    def evidence(self, key: CorrectionKey, *, caller: Caller) -> Evidence:
        """A correction with the records that prove it. Raises NotFoundError."""
        agreement = visible_agreement(key.agreement_id, caller=caller, registry=self.registry).value
        correction = self._find(key)
        records = self.ledger.records(key.agreement_id, key.period.start - LONGEST_LATENESS)
        listings = self.registry.product(agreement.product_id).listings
        return Evidence(
            correction,
            agreement,
            listings.get(correction.channel, ""),
            accepted_records(correction, records),
        )

    def _change(
        self,
        key: CorrectionKey,
        change: Callable[[Correction, LedgerHead, Actor], CorrectionWrite],
        caller: Caller,
        answering: Answering[Correction],
    ) -> Correction:
        """Read, change, write in one transaction; again when the agreement was settled meanwhile.

        Safe to kill: either all of it is stored, or nothing.
        """
        visible_agreement(key.agreement_id, caller=caller, registry=self.registry)
        by = Actor(caller.key_id, self._name_of(caller))
        seen: Correction | None = None
        for _ in range(_ATTEMPTS):
            head = self.ledger.head(key.agreement_id)
            correction = self._find(key)
            if seen is not None and correction != seen:
                raise StaleVersionError(f"{key} has just been changed: look again")
            seen = correction
            if head is None:
                raise InvariantError(f"{key}: corrected without ever being settled")
            write = change(correction, head, by)
            try:
                self.ledger.write_correction(write, answering(write.after))
            except StaleVersionError:
                # Most likely a settlement, which may go on; what was decided about is compared above.
                continue
            return write.after
        raise StaleVersionError(f"{key}: its agreement keeps being settled")

    def _find(self, key: CorrectionKey) -> Correction:
        correction = self.ledger.correction(key)
        if correction is None:
            raise NotFoundError(str(key))
        return correction

    def _due(self, correction: Correction, head: LedgerHead) -> Decimal:
        key = correction.key
        agreement = self.registry.agreement(key.agreement_id)
        overview = read_overview(agreement, head, (), self.registry, self.ledger, self.clock)
        found = due_corrections(overview, key.dimension).get(key.period)
        return found.quantity if found is not None else ZERO

    def _name_of(self, caller: Caller) -> str:
        try:
            return self.registry.api_key(caller.key_id).value.name
        except NotFoundError:
            return ""


def parse_key(text: str) -> CorrectionKey:
    """The key that an id of the API stands for.

    Raises:
        NotFoundError: no correction has such an id.
    """
    try:
        return CorrectionKey.parse(text)
    except ValueError as exc:
        raise NotFoundError(text) from exc


def cursor_key(text: str) -> CorrectionKey | None:
    """Where a list of corrections goes on.

    Raises:
        InvalidInputError: `invalid_cursor`.
    """
    if not text:
        return None
    try:
        if len(text) > MAX_ID:
            raise ValueError(text)
        return CorrectionKey.parse(text)
    except ValueError as exc:
        detail = "must be a next_cursor of this list"
        raise InvalidInputError("invalid_cursor", detail, "cursor") from exc


def _require_aws(correction: Correction, approval: Approval) -> None:
    faults = Faults()
    if correction.channel is not Channel.AWS:
        for value, pointer in (
            (approval.marketplace_agreement_id, "/marketplace_agreement_id"),
            (approval.invoice_id, "/invoice_id"),
        ):
            if value:
                faults.add(
                    "unexpected", f"{correction.channel} takes no adjustment by API", pointer
                )
    faults.refuse_any()
