"""Previews: the lines of a bill, and what each channel makes of it."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from manage.schemas_channels import (
    DealView,
    FaultView,
    ListingFeeView,
    ReportedThroughView,
    text_or_none,
)
from manage.schemas_rated import RatedLineView
from meterbridge.application.preview_offering import Preview, Supposed
from meterbridge.domain.channels import Channel, QuantityKind
from meterbridge.domain.money import exact_sum, plain
from meterbridge.domain.pricing.channel_preview import ChannelBill, ChannelPreview
from meterbridge.domain.pricing.rated import (
    CreditMovement,
    MovementKind,
    ThresholdPassed,
    Watched,
)
from meterbridge.domain.pricing.sent_quantities import CarriedBecause, SentQuantities
from meterbridge.domain.pricing.usage_spread import Spread

MAX_RECORDS_SHOWN = 100


class CreditMovementView(BaseModel):
    """Credits that came into the wallet or left it unspent."""

    kind: MovementKind
    grant_id: str
    amount: str

    @classmethod
    def of(cls, movement: CreditMovement) -> CreditMovementView:
        return cls(kind=movement.kind, grant_id=movement.grant_id, amount=plain(movement.amount))


class ThresholdView(BaseModel):
    """A share of a limit that was reached."""

    watched: Watched
    code: str
    percent: str
    used: str
    limit: str

    @classmethod
    def of(cls, passed: ThresholdPassed) -> ThresholdView:
        return cls(
            watched=passed.watched,
            code=passed.code,
            percent=plain(passed.percent),
            used=plain(passed.used),
            limit=plain(passed.limit),
        )


class SentRecordView(BaseModel):
    """What a marketplace is sent for an hour."""

    hour: datetime
    quantity: str = Field(description="In the marketplace's units")


class SentView(BaseModel):
    """What a marketplace is sent of one dimension."""

    dimension: str
    in_currency: bool
    unit_price: str
    units_per_quantity: str
    quantity_kind: QuantityKind
    to_report: str = Field(description="Metered quantity, or money where it is in currency")
    units: str = Field(description="In all records, in the marketplace's units")
    record_count: int
    records: list[SentRecordView] = Field(description=f"The first {MAX_RECORDS_SHOWN}")
    held_back_hours: int = Field(
        description="Hours with something to report in which nothing could be sent"
    )
    carried: str = Field(description="Of to_report, in no record; negative was sent too much")
    carried_because: CarriedBecause | None
    billed: str

    @classmethod
    def of(cls, sent: SentQuantities) -> SentView:
        records = list(sent.records.items())
        return cls(
            dimension=sent.dimension.code,
            in_currency=sent.dimension.in_currency,
            unit_price=plain(sent.dimension.unit_price.amount),
            units_per_quantity=plain(sent.dimension.units_per_quantity),
            quantity_kind=sent.dimension.quantity_kind,
            to_report=plain(sent.to_report),
            units=plain(sent.units),
            record_count=len(records),
            records=[
                SentRecordView(hour=hour, quantity=plain(units))
                for hour, units in records[:MAX_RECORDS_SHOWN]
            ],
            held_back_hours=sent.held_back,
            carried=plain(sent.carried),
            carried_because=sent.because,
            billed=plain(sent.billed),
        )


class ChannelBillView(BaseModel):
    """charged = billed + billed_apart + carried, exact and unrounded."""

    charged: str
    billed: str = Field(description="By the channel, for what it is sent")
    billed_apart: str
    carried: str
    fee: str | None
    net: str | None = Field(description="What is left of billed for the seller")
    sent: list[SentView]

    @classmethod
    def of(cls, bill: ChannelBill) -> ChannelBillView:
        return cls(
            charged=plain(bill.charged),
            billed=plain(bill.billed),
            billed_apart=plain(bill.billed_apart),
            carried=plain(bill.carried),
            fee=text_or_none(bill.fee),
            net=text_or_none(bill.net),
            sent=[SentView.of(each) for each in bill.sent],
        )


class ChannelPreviewView(BaseModel):
    """What the charges come to on one channel."""

    channel: Channel
    possible: bool
    faults: list[FaultView] = Field(description="Why these terms cannot be sold there")
    reporting: ReportedThroughView
    listing_fee: ListingFeeView
    bill: ChannelBillView | None

    @classmethod
    def of(cls, preview: ChannelPreview) -> ChannelPreviewView:
        return cls(
            channel=preview.channel,
            possible=not preview.faults,
            faults=[FaultView.of(fault) for fault in preview.faults],
            reporting=ReportedThroughView.of(preview.reporting, declared=preview.declared),
            listing_fee=ListingFeeView.of(preview.fee),
            bill=preview.bill and ChannelBillView.of(preview.bill),
        )


class PreviewView(BaseModel):
    """What a supposed agreement's first cycle comes to. Nothing was written."""

    offering_id: str
    version: int
    plan_code: str
    currency: str
    starts_at: datetime
    cycle_start: datetime
    cycle_end: datetime
    spread: Spread
    total: str = Field(description="The sum of the lines' net charges")
    lines: list[RatedLineView]
    credit_movements: list[CreditMovementView]
    thresholds: list[ThresholdView]
    deal: DealView
    channels: list[ChannelPreviewView]

    @classmethod
    def of(cls, preview: Preview, supposed: Supposed) -> PreviewView:
        return cls(
            offering_id=preview.offering.id,
            version=preview.offering.version,
            plan_code=supposed.plan_code,
            currency=preview.plan.currency,
            starts_at=supposed.starts_at,
            cycle_start=preview.cycle.start,
            cycle_end=preview.cycle.end,
            spread=supposed.spread,
            total=plain(exact_sum(line.net for line in preview.lines)),
            lines=[RatedLineView.of(line) for line in preview.lines],
            credit_movements=[CreditMovementView.of(each) for each in preview.movements],
            thresholds=[ThresholdView.of(each) for each in preview.thresholds],
            deal=DealView.of(preview.deal),
            channels=[ChannelPreviewView.of(each) for each in preview.channels],
        )
