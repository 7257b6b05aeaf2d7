"""Metering records and statements: what is answered."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from manage.answers import Listing
from manage.schemas_decisions import DecisionView
from meterbridge.domain.charge_lines import ChargeLine
from meterbridge.domain.metering_record import MeteringRecord, RecordState
from meterbridge.domain.money import Money, plain
from meterbridge.domain.offerings import Channel
from meterbridge.domain.statement import Bucket, Statement, StatementLine


class RecordView(BaseModel):
    """A quantity that was, or will be, reported to a marketplace."""

    agreement_id: str
    dimension: str
    hour: datetime
    channel: Channel
    state: RecordState
    reason: str
    quantity: str = Field(description="In the marketplace's units")
    units_per_quantity: str
    metered: str
    allocations: dict[str, str] = Field(description="Metered quantity by billing period")
    reported_hour_start: datetime
    deadline: datetime
    attempts: int
    receipt: str
    accepted_quantity: str | None
    request_id: str = Field(description="The marketplace's id of the last answered call")
    absorbed: bool = Field(
        description="What the marketplace did not accept of it has been taken back to be billed"
    )
    created_at: datetime
    submitted_at: datetime | None
    finished_at: datetime | None
    re_dated_from: datetime | None = Field(
        description="Hour of the record whose quantity somebody had billed in this hour instead"
    )
    decision: DecisionView | None = Field(description="What somebody decided about it")

    @classmethod
    def of(cls, record: MeteringRecord) -> RecordView:
        accepted = record.accepted_quantity
        return cls(
            agreement_id=record.key.agreement_id,
            dimension=record.key.dimension,
            hour=record.key.hour,
            channel=record.channel,
            state=record.state,
            reason=record.reason,
            quantity=plain(record.quantity),
            units_per_quantity=plain(record.units_per_quantity),
            metered=plain(record.metered),
            allocations={str(each): plain(part) for each, part in record.allocations.items()},
            reported_hour_start=record.reported_hour_start,
            deadline=record.deadline,
            attempts=record.attempts,
            receipt=record.receipt,
            request_id=record.request_id,
            accepted_quantity=None if accepted is None else plain(accepted),
            absorbed=record.absorbed,
            created_at=record.created_at,
            submitted_at=record.submitted_at,
            finished_at=record.finished_at,
            re_dated_from=record.re_dated_from,
            decision=record.decision and DecisionView.of(record.decision),
        )


class RecordList(Listing):
    """A page of metering records, by hour and dimension."""

    items: list[RecordView]


class MoneyView(BaseModel):
    """An exact amount."""

    amount: str
    currency: str

    @classmethod
    def of(cls, money: Money) -> MoneyView:
        return cls(amount=plain(money.amount), currency=money.currency)


class StatementLineView(BaseModel):
    """Where every metered unit of one dimension is."""

    dimension: str
    meter_id: str
    in_currency: bool = Field(description="Quantities are money: the dimension reports the charge")
    metered: str
    included: str
    free_trial: str
    taken_off: str = Field(
        description="By rounding and limits; in currency by discounts, credits and the spend cap"
    )
    rated: str
    buckets: dict[Bucket, str] = Field(description="Where the rated quantity is")
    difference: str = Field(description="rated less the sum of buckets: anything but 0 is a defect")
    charge: MoneyView
    charges: dict[Bucket, MoneyView]
    logged: str | None = Field(
        description="metered, recounted from the usage log; where that was asked for"
    )
    balanced: bool

    @classmethod
    def of(cls, line: StatementLine) -> StatementLineView:
        return cls(
            dimension=line.dimension.code,
            meter_id=line.dimension.meter_id,
            in_currency=line.dimension.in_currency,
            metered=plain(line.metered),
            included=plain(line.included),
            free_trial=plain(line.free_trial),
            taken_off=plain(line.taken_off),
            rated=plain(line.rated),
            buckets={bucket: plain(part) for bucket, part in line.buckets.items()},
            difference=plain(line.difference),
            charge=MoneyView.of(line.charge),
            charges={bucket: MoneyView.of(part) for bucket, part in line.charges.items()},
            logged=None if line.logged is None else plain(line.logged),
            balanced=line.balanced,
        )


class ChargeLineView(BaseModel):
    """What one dimension or fee came to: quantities, then money."""

    code: str
    metered: str
    adjusted: str = Field(description="What rounding to increments added")
    included: str
    free_trial: str
    over_limit: str = Field(description="Beyond an included quantity without overage: never billed")
    rated: str
    list_charge: MoneyView
    trial_amount: MoneyView
    discounts: MoneyView
    credits: MoneyView
    over_cap: MoneyView = Field(description="Beyond the spend cap: never billed")
    net: MoneyView
    logged: str | None = Field(
        description="metered, recounted from the usage log; where that was asked for"
    )
    balanced: bool

    @classmethod
    def of(cls, line: ChargeLine) -> ChargeLineView:
        return cls(
            code=line.code,
            metered=plain(line.metered),
            adjusted=plain(line.adjusted),
            included=plain(line.included),
            free_trial=plain(line.free_trial),
            over_limit=plain(line.over_limit),
            rated=plain(line.rated),
            list_charge=MoneyView.of(line.list_charge),
            trial_amount=MoneyView.of(line.trial_amount),
            discounts=MoneyView.of(line.discounts),
            credits=MoneyView.of(line.credits),
            over_cap=MoneyView.of(line.over_cap),
            net=MoneyView.of(line.net),
            logged=None if line.logged is None else plain(line.logged),
            balanced=line.balanced,
        )


class StatementView(BaseModel):
    """An agreement's books for one billing period."""

    agreement_id: str
    period: str
    balanced: bool = Field(description="Every unit is in exactly one bucket")
    settled_at: datetime | None
    unbillable_reason: str
    lines: list[StatementLineView]
    charge_lines: list[ChargeLineView]

    @classmethod
    def of(cls, statement: Statement) -> StatementView:
        return cls(
            agreement_id=statement.agreement_id,
            period=str(statement.period),
            balanced=statement.balanced,
            settled_at=statement.settled_at,
            unbillable_reason=statement.unbillable_reason,
            lines=[StatementLineView.of(line) for line in statement.lines],
            charge_lines=[ChargeLineView.of(line) for line in statement.charge_lines],
        )


class QueuedView(BaseModel):
    """It will be settled within a minute or so."""

    agreement_id: str
    queued: bool = True
