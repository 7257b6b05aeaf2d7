"""Replays: which usage to rate again, by which terms, and what that comes to."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, Field, StrictInt, model_validator
from pydantic_core import PydanticCustomError

from manage.answers import Listing
from manage.fields import Code, FullHour, Input
from manage.schemas_agreed import Overrides
from manage.schemas_rated import RatedLineView
from meterbridge.application.replay_usage import AgreementReplay, OtherTerms
from meterbridge.domain.channels import Channel
from meterbridge.domain.money import exact_sum, plain, subtract
from meterbridge.domain.pricing.compared_charges import ComparedCharge
from meterbridge.domain.windows import BillingPeriod

PeriodText = Annotated[
    str,
    Field(pattern=r"^2[01][0-9]{2}-(0[1-9]|1[0-2])$", description="Billing period, as 2026-11"),
]


class NewReplay(Input):
    """Usage of one agreement, or of all of the offering, and the terms to rate it by."""

    agreement_id: Annotated[str, Field(max_length=64)] | None = Field(
        None, description="All agreements of the offering if left out"
    )
    version: Annotated[StrictInt, Field(ge=1, lt=10**8)] | None = Field(
        None, description="Of this offering; each agreement's own if left out"
    )
    plan_code: Code | None = Field(None, description="Each agreement's own if left out")
    overrides: Overrides | None = Field(
        None, description="In place of each agreement's own; its own if left out"
    )
    period: PeriodText | None = Field(
        None, description="Or start and end; the last whole month if all are left out"
    )
    start: FullHour | None = None
    end: FullHour | None = None

    @model_validator(mode="after")
    def _one_span(self) -> Self:
        if (self.start is None) != (self.end is None):
            raise PydanticCustomError("start_and_end", "start and end are given together")
        if self.period is not None and self.start is not None:
            raise PydanticCustomError("period_or_span", "period and start exclude each other")
        return self

    def other_terms(self) -> OtherTerms:
        """For the use case."""
        return OtherTerms(
            self.version,
            self.plan_code,
            None if self.overrides is None else self.overrides.overrides(),
        )

    def span(self, now: datetime) -> tuple[datetime, datetime]:
        """[start, end)."""
        if self.start is not None and self.end is not None:
            return self.start, self.end
        if self.period is not None:
            period = BillingPeriod.parse(self.period)
        else:
            period = BillingPeriod.of(now).before
        return period.start, period.end


class ReplayLineView(BaseModel):
    """What one code and group came to, and would come to."""

    code: str
    group: list[str]
    before: RatedLineView | None = Field(description="null where the terms have no such charge")
    after: RatedLineView | None
    difference: str = Field(description="In net charge; positive costs more")

    @classmethod
    def of(cls, line: ComparedCharge) -> ReplayLineView:
        return cls(
            code=line.code,
            group=list(line.group),
            before=line.before and RatedLineView.of(line.before),
            after=line.after and RatedLineView.of(line.after),
            difference=plain(line.difference),
        )


class AgreementReplayView(BaseModel):
    """One agreement's charges of the span, before and after."""

    agreement_id: str
    customer_id: str
    channel: Channel
    currency: str
    rated_from: datetime = Field(
        description="Start of the cycle from which on the other terms are taken to hold"
    )
    before: str = Field(description="Net charges of the span")
    after: str
    difference: str = Field(description="Positive costs more")
    lines: list[ReplayLineView]
    refused: str = Field(description="Code of why it cannot be rated so; empty where it can")
    detail: str

    @classmethod
    def of(cls, replay: AgreementReplay) -> AgreementReplayView:
        return cls(
            agreement_id=replay.agreement_id,
            customer_id=replay.customer_id,
            channel=replay.channel,
            currency=replay.currency,
            rated_from=replay.rated_from,
            before=plain(replay.before),
            after=plain(replay.after),
            difference=plain(replay.difference),
            lines=[ReplayLineView.of(line) for line in replay.lines],
            refused=replay.refused,
            detail=replay.detail,
        )


class ReplayTotalView(BaseModel):
    """The sum of a page's agreements in one currency."""

    currency: str
    agreements: int
    before: str
    after: str
    difference: str

    @classmethod
    def of(cls, currency: str, replays: list[AgreementReplay]) -> ReplayTotalView:
        before = exact_sum(each.before for each in replays)
        after = exact_sum(each.after for each in replays)
        return cls(
            currency=currency,
            agreements=len(replays),
            before=plain(before),
            after=plain(after),
            difference=plain(subtract(after, before)),
        )


class ReplayView(Listing):
    """A page of agreements. Nothing was written."""

    offering_id: str
    start: datetime
    end: datetime
    items: list[AgreementReplayView]
    totals: list[ReplayTotalView] = Field(
        description="Of this page's agreements that are not refused, by currency"
    )


def replay_totals(replays: Iterable[AgreementReplay]) -> list[ReplayTotalView]:
    """The sums of those that are not refused, by currency."""
    by_currency: dict[str, list[AgreementReplay]] = {}
    for each in replays:
        if not each.refused:
            by_currency.setdefault(each.currency, []).append(each)
    return [ReplayTotalView.of(name, by_currency[name]) for name in sorted(by_currency)]
