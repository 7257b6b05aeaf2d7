"""Decisions about metering records: what is sent and what is answered."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from manage.answers import Listing
from manage.fields import Amount, FullHour, Input, Printable
from meterbridge.application.decide_records import DecisionOrder
from meterbridge.domain.decisions import Decision, DecisionAction
from meterbridge.domain.metering_record import RecordState
from meterbridge.domain.money import plain

Reason = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000), Printable
]


class NewDecision(Input):
    """What to do with a record that nothing goes on with by itself."""

    action: DecisionAction = Field(
        description="retry: the marketplace did not book it, bill it again. confirm: it booked "
        "accepted_quantity. write_off: never bill it. re_date: bill it in another hour."
    )
    reason: Reason = Field(description="Kept for ever, with the API key that was used")
    accepted_quantity: Amount | None = Field(
        None, description="With confirm, and only then: what was booked, in the marketplace's units"
    )
    hour: FullHour | None = Field(
        None, description="With re_date, and only then: start of an hour the marketplace takes"
    )

    def order(self) -> DecisionOrder:
        """For the use case."""
        return DecisionOrder(self.action, self.reason, self.accepted_quantity, self.hour)


class DecisionView(BaseModel):
    """What somebody decided. It never changes."""

    id: str
    agreement_id: str
    dimension: str
    hour: datetime
    action: DecisionAction
    reason: str
    decided_by: str = Field(description="Id of the API key")
    decided_by_name: str = Field(description="The key's name at that moment")
    decided_at: datetime
    state_before: RecordState
    accepted_quantity: str | None
    new_hour: datetime | None

    @classmethod
    def of(cls, decision: Decision) -> DecisionView:
        accepted = decision.accepted_quantity
        return cls(
            id=decision.id,
            agreement_id=decision.agreement_id,
            dimension=decision.dimension,
            hour=decision.hour,
            action=decision.action,
            reason=decision.reason,
            decided_by=decision.decided_by,
            decided_by_name=decision.decided_by_name,
            decided_at=decision.decided_at,
            state_before=RecordState(decision.state_before),
            accepted_quantity=None if accepted is None else plain(accepted),
            new_hour=decision.new_hour,
        )


class DecisionList(Listing):
    """A page of decisions, oldest first."""

    items: list[DecisionView]
