"""A schedule: what happens to a seller's pipeline, step by step, as data that can be played again."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from campaign.deals import Deal
from meterbridge.domain.agreements import RecoveryPolicy
from meterbridge.domain.offerings import Channel

SUBJECTS = {
    "acme": Channel.AWS,
    "arrow": Channel.AWS,
    "globex": Channel.AZURE,
    "gizmo": Channel.AZURE,
    "initech": Channel.GCP,
    "inkwell": Channel.GCP,
}
"""Two customers on each cloud."""

CLOUDS = tuple(dict.fromkeys(SUBJECTS.values()))


class Sent(msgspec.Struct, frozen=True, omit_defaults=True, array_like=True):
    """A usage event in a request.

    Attributes:
        number: its identity. The content of a known one is sent again as it was, unless `conflicts`.
        minutes_ago: when it was used, seen from its first request.
        conflicts: same identity and time, other content: these tokens.
    """

    subject: str
    number: int
    minutes_ago: int
    tokens: str
    conflicts: bool = False


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that happens; see `Play` for the meaning of the names.

    Attributes:
        on: a subject or a cloud.
        amount: seconds, hours or a quantity.
        text: a step of the pipeline, a kind of trouble, or a dimension.
        events: what is sent.
        at: half-step at which the step is interrupted.
        by: how: `kill`, `fail` or `meanwhile`.
        meanwhile: steps that happen in the middle of this one.
    """

    do: str
    on: str = ""
    amount: int = 0
    text: str = ""
    hours: int = 0
    events: tuple[Sent, ...] = ()
    at: int = -1
    by: str = ""
    meanwhile: tuple[Step, ...] = ()


class Terms(msgspec.Struct, frozen=True, omit_defaults=True):
    """What differs between agreements.

    Attributes:
        deal: in place of the plan of plain unit prices that all others have.
    """

    recovery: RecoveryPolicy = RecoveryPolicy.AUTOMATIC
    zero_records: bool = False
    deal: Deal | None = None


class Schedule(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything that decides what happens.

    Attributes:
        identical_resend: what AWS answers to a record that it has already; its texts disagree.
        returns: whether entitlements that were suspended return before the end.
    """

    start: datetime
    steps: tuple[Step, ...]
    terms: dict[str, Terms] = {}
    identical_resend: str = "Success"
    returns: bool = True

    def encoded(self) -> str:
        """As JSON, to be played again."""
        return msgspec.json.encode(self).decode()

    def lines(self) -> str:
        """For a person: one step a line."""
        head = msgspec.structs.replace(self, steps=())
        steps = [msgspec.json.encode(step).decode() for step in self.steps]
        return "\n".join([msgspec.json.encode(head).decode(), *(f"  {step}" for step in steps)])


def decoded(text: str | bytes) -> Schedule:
    """Raises msgspec.DecodeError."""
    schedule = msgspec.json.decode(text, type=Schedule)
    return msgspec.structs.replace(schedule, start=schedule.start.astimezone(UTC))
