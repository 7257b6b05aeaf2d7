"""What passes between the server, the faults and a marketplace, and what a marketplace must do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from .billed import BilledRecord
from .journal import Fact

Json = dict[str, Any]


class BadControlRequestError(Exception):
    """A request to the control API that cannot be carried out; the message says why."""


@dataclass(frozen=True)
class Request:
    """One HTTP request. Header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    query: str = ""


SIGN_IN = "token"
"""The operation of a call that asks for a token."""


@dataclass(frozen=True)
class Call:
    """What a request is about, as far as faults and the call log care.

    `records` holds one mapping of labels per usage record, for example `license_arn`,
    `account_id` and `dimension`; it is empty when the body cannot be read.
    """

    marketplace: str
    operation: str
    records: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True)
class Answer:
    """An HTTP answer and its meaning.

    Attributes:
        outcome: `Success`, or the marketplace's error code.
        records: For the call log, one mapping per usage record, with its status.
        facts: What must be kept over a restart.
    """

    status: int
    body: bytes
    headers: Mapping[str, str]
    outcome: str
    records: tuple[Mapping[str, str], ...] = ()
    facts: tuple[Fact, ...] = ()


class RefusalKind(StrEnum):
    """Why an injected fault refuses a call; each marketplace has its own words for it."""

    INTERNAL_ERROR = "internal_error"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    NAMED = "named"


@dataclass(frozen=True)
class Refusal:
    """A refusal to be put into a marketplace's words; given values override the usual ones."""

    kind: RefusalKind
    status: int | None = None
    code: str = ""
    message: str = ""


@dataclass(frozen=True)
class Controlled:
    """The result of a control request: a JSON body and the facts to keep."""

    body: Json
    facts: tuple[Fact, ...] = field(default=())


class Marketplace(Protocol):
    """One marketplace's metering API: rules, state and wire format.

    The sandbox calls it under one lock and hands it the time; it reads no clock of its own.
    """

    name: str

    def claims(self, request: Request) -> bool:
        """Whether the request is meant for this marketplace."""

    def describe(self, request: Request) -> Call:
        """What the request is about; never fails, whatever the body holds."""

    def answer(self, request: Request, *, now: datetime, unprocessed: frozenset[int]) -> Answer:
        """Serves a request. Records at the indexes in `unprocessed` are left undone and said so."""

    def refuse(self, refusal: Refusal) -> Answer:
        """An injected refusal in this marketplace's words; nothing is recorded."""

    def control(self, method: str, path: Sequence[str], body: Json, now: datetime) -> Controlled:
        """Serves `/_sandbox/<name>/<path>`.

        Raises:
            BadControlRequestError: The request cannot be carried out.
        """

    def billed(self) -> Sequence[BilledRecord]:
        """Every usage record that will be invoiced, in the order of acceptance."""

    def warnings(self) -> Sequence[str]:
        """Sentences about billing that is legal and surely unwanted, such as billing twice."""

    def replay(self, fact: Fact) -> None:
        """Takes back a fact that was kept over a restart."""

    def reset(self, *, keep_setup: bool) -> Sequence[Fact]:
        """Forgets what was billed, and unless the set-up is kept, registrations and settings too.

        Returns:
            The facts that are left.
        """
