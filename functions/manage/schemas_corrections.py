"""Corrections of what was billed too much: what is sent and what is answered."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, Field

from manage.answers import Listing
from manage.fields import Input
from manage.schemas_books import MoneyView
from manage.schemas_decisions import Reason
from meterbridge.application.decide_corrections import Approval, Evidence
from meterbridge.domain.channels import Channel
from meterbridge.domain.correction_requests import (
    AcceptedRecord,
    aws_adjustment,
    support_request,
)
from meterbridge.domain.corrections import (
    Correction,
    CorrectionChange,
    CorrectionFigures,
    CorrectionState,
)
from meterbridge.domain.money import plain

_AWS_ID = r"^[A-Za-z0-9_/-]{1,64}$"

Quantity = Annotated[str, Field(pattern=r"^[0-9]{1,100}(\.[0-9]{1,100})?$", examples=["5"])]


class NewApproval(Input):
    """Approve a draft: from then on it counts as given back."""

    reason: Reason = Field(description="Kept for ever, with the API key that was used")
    quantity: Quantity = Field(description="The draft's, as seen: another one is not approved")
    marketplace_agreement_id: str | None = Field(
        None,
        pattern=_AWS_ID,
        description="AWS's id of the agreement; looked up where it is left out",
    )
    invoice_id: str | None = Field(
        None, pattern=_AWS_ID, description="AWS's id of the invoice to adjust; likewise"
    )

    def approval(self) -> Approval:
        """For the use case."""
        return Approval(
            self.reason,
            Decimal(self.quantity),
            self.marketplace_agreement_id or "",
            self.invoice_id or "",
        )


class NewWithdrawal(Input):
    """Decide against a correction that was not sent."""

    reason: Reason = Field(description="Kept for ever, with the API key that was used")


class NewCompletion(Input):
    """State that the buyer has the money."""

    reason: Reason = Field(description="Kept for ever, with the API key that was used")
    reference: str = Field(
        "",
        max_length=200,
        pattern=r"^[ -~]*$",
        description="The marketplace's id for it: of the adjustment, or the support case",
    )


class FiguresView(BaseModel):
    """How the quantity came about: accepted − corrected − metered − made_up. Metered quantity."""

    accepted: str
    corrected: str = Field(description="Given back by earlier corrections")
    metered: str = Field(description="What is due by usage")
    made_up: str = Field(description="Of what is over, what usage of other periods makes up for")
    settled_at: datetime

    @classmethod
    def of(cls, figures: CorrectionFigures) -> FiguresView:
        return cls(
            accepted=plain(figures.accepted),
            corrected=plain(figures.corrected),
            metered=plain(figures.metered),
            made_up=plain(figures.made_up),
            settled_at=figures.settled_at,
        )


class ChangeView(BaseModel):
    """One change of a correction. It stays for ever."""

    at: datetime
    state: CorrectionState
    quantity: str
    reason: str
    by: str = Field(description='Id of the API key; "" where it was Meterbridge itself')
    by_name: str = Field(description="The key's name at that moment")

    @classmethod
    def of(cls, change: CorrectionChange) -> ChangeView:
        return cls(
            at=change.at,
            state=change.state,
            quantity=plain(change.quantity),
            reason=change.reason,
            by=change.by.key_id,
            by_name=change.by.name,
        )


class CorrectionView(BaseModel):
    """A quantity that was reported too much, and what becomes of it."""

    id: str
    agreement_id: str
    product_id: str
    channel: Channel
    dimension: str
    period: str
    state: CorrectionState
    quantity: str = Field(description="Metered quantity")
    units: str = Field(description="The same in the marketplace's units")
    amount: MoneyView = Field(description="What the buyer was charged for it, before tax")
    figures: FiguresView
    history: list[ChangeView] = Field(description="Oldest first")
    marketplace_agreement_id: str
    invoice_id: str
    reference: str = Field(description="The marketplace's id for the request")
    note: str = Field(description="What it waits for, or why it failed")
    version: int
    created_at: datetime

    @classmethod
    def of(cls, correction: Correction) -> CorrectionView:
        return cls(**_members(correction))


class AcceptedRecordView(BaseModel):
    """A metering record that the marketplace accepted, as evidence."""

    hour: datetime
    reported_hour_start: datetime
    quantity: str = Field(description="What the marketplace accepted, in its units")
    of_period: str = Field(description="How much of it is usage of the period; metered quantity")
    receipt: str
    request_id: str

    @classmethod
    def of(cls, record: AcceptedRecord) -> AcceptedRecordView:
        return cls(
            hour=record.hour,
            reported_hour_start=record.reported_hour_start,
            quantity=plain(record.quantity),
            of_period=plain(record.of_period),
            receipt=record.receipt,
            request_id=record.request_id,
        )


class CorrectionEvidenceView(CorrectionView):
    """A correction with its evidence and what the marketplace is asked."""

    records: list[AcceptedRecordView]
    aws_adjustment: dict[str, str] | None = Field(
        description="On AWS, an entry of BatchCreateBillingAdjustmentRequest; an id that is not known "
        "yet is empty"
    )
    support_request: str | None = Field(
        description="On other marketplaces, a text for their support, ready to be pasted"
    )

    @classmethod
    def of_evidence(cls, evidence: Evidence) -> CorrectionEvidenceView:
        correction = evidence.correction
        on_aws = correction.channel is Channel.AWS
        return cls(
            **_members(correction),
            records=[AcceptedRecordView.of(record) for record in evidence.records],
            aws_adjustment=aws_adjustment(correction) if on_aws else None,
            support_request=None
            if on_aws
            else support_request(
                correction, evidence.agreement, evidence.listing, evidence.records
            ),
        )


class CorrectionList(Listing):
    """A page of corrections."""

    items: list[CorrectionView]


class CorrectionsOfAgreement(BaseModel):
    """All corrections of an agreement, by period, dimension and number."""

    items: list[CorrectionView]


def _members(correction: Correction) -> dict[str, object]:
    key = correction.key
    return {
        "id": str(key),
        "agreement_id": key.agreement_id,
        "product_id": correction.product_id,
        "channel": correction.channel,
        "dimension": key.dimension,
        "period": str(key.period),
        "state": correction.state,
        "quantity": plain(correction.quantity),
        "units": plain(correction.units),
        "amount": MoneyView.of(correction.amount),
        "figures": FiguresView.of(correction.figures),
        "history": [ChangeView.of(change) for change in correction.history],
        "marketplace_agreement_id": correction.marketplace_agreement_id,
        "invoice_id": correction.invoice_id,
        "reference": correction.reference,
        "note": correction.note,
        "version": correction.version,
        "created_at": correction.created_at,
    }
