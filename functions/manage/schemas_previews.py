"""Previews: the agreement that is supposed, and what is used in its first cycle."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field, StrictInt, model_validator
from pydantic_core import PydanticCustomError

from manage.fields import Amount, Code, FullHour, Identifier, Input, Moment
from manage.schemas_agreed import Grant, Overrides
from manage.schemas_channels import SupposedDeal
from manage.schemas_offerings import Group
from meterbridge.application.preview_offering import Supposed
from meterbridge.application.usage_given import GivenUsage
from meterbridge.domain.agreements import SeatsInForce
from meterbridge.domain.channels import Channel
from meterbridge.domain.pricing.usage_spread import Spread
from meterbridge.domain.windows import BillingPeriod

Day = Annotated[
    date,
    Field(ge=date(2000, 1, 1), lt=date(2200, 1, 1), description="UTC", examples=["2026-11-24"]),
]


class SupposedUsage(Input):
    """Usage of a dimension or of a meter: in the whole cycle, on a day, or in an hour."""

    quantity: Amount
    dimension: Code | None = Field(None, description="Or meter_id")
    meter_id: Identifier | None = Field(
        None, description="Or dimension. Usage of a meter goes to all dimensions that bill it"
    )
    events: Annotated[StrictInt, Field(ge=0, lt=10**12)] = Field(
        0, description="Number of events, where there is a fixed part for each"
    )
    group: Group = Field(
        default_factory=dict, description="Values of all the meter's group_by names"
    )
    day: Day | None = None
    hour: FullHour | None = None

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if (self.dimension is None) == (self.meter_id is None):
            raise PydanticCustomError(
                "dimension_or_meter", "exactly one of dimension and meter_id is needed"
            )
        if self.day is not None and self.hour is not None:
            raise PydanticCustomError("day_or_hour", "at most one of day and hour may be given")
        return self

    def given(self) -> GivenUsage:
        """For the use case."""
        day = self.day
        return GivenUsage(
            quantity=self.quantity,
            dimension=self.dimension or "",
            meter_id=self.meter_id or "",
            events=Decimal(self.events),
            group=self.group,
            day=None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC),
            hour=self.hour,
        )


class SupposedSeats(Input):
    """Seats of a seat fee."""

    fee_code: Code
    seats: Amount
    at: Moment | None = Field(None, description="From when on; the start if left out")


class NewPreview(Input):
    """A supposed agreement, and what is used in its first cycle."""

    plan_code: Code
    version: Annotated[StrictInt, Field(ge=1, lt=10**8)] | None = Field(
        None, description="The newest if left out"
    )
    starts_at: Moment | None = Field(None, description="The next month if left out")
    usage: list[SupposedUsage] = Field(max_length=200)
    spread: Spread = Field(
        Spread.DAILY,
        description="How a total comes about: even shares, in the first hour of every 24 or in "
        "every hour",
    )
    overrides: Overrides = Field(
        default_factory=Overrides, description="What this buyer has differently from the plan"
    )
    grants: list[Grant] = Field(default_factory=list, max_length=50)
    seats: list[SupposedSeats] = Field(default_factory=list, max_length=50)
    deal: SupposedDeal | None = Field(
        None, description="For the channels' fees; by the offering's visibility if left out"
    )
    channels: list[Channel] = Field(
        default_factory=list, max_length=5, description="All if left out"
    )

    def supposed(self, now: datetime) -> Supposed:
        """For the use case."""
        starts_at = self.starts_at or BillingPeriod.of(now).next.start
        return Supposed(
            plan_code=self.plan_code,
            usage=[each.given() for each in self.usage],
            starts_at=starts_at,
            spread=self.spread,
            overrides=self.overrides.overrides(),
            grants=tuple(each.grant() for each in self.grants),
            seats=tuple(
                SeatsInForce(each.fee_code, each.at or starts_at, each.seats) for each in self.seats
            ),
            deal=None if self.deal is None else self.deal.deal(),
            channels=tuple(dict.fromkeys(self.channels)),
        )
