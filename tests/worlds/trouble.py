"""What goes wrong at a marketplace, call by call."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from fakes.clock import FakeClock

NO_TROUBLE = "none"
LOST = "lost"
TIMEOUT = "timeout"
FAULT = "fault"
FAULT_BOOKED = "fault_booked"
SILENT = "silent"
PARTIAL = "partial"
THROTTLED = "throttled"
REFUSED = "refused"
FORBIDDEN = "forbidden"

KINDS = (
    LOST,
    TIMEOUT,
    FAULT,
    FAULT_BOOKED,
    SILENT,
    PARTIAL,
    THROTTLED,
    REFUSED,
    FORBIDDEN,
)
"""The call is booked and the answer lost; it never arrived, and nobody knows; a 500 before or after
the booking; a 200 that says nothing of a call that was not booked; every other record is left undone;
too soon; no connection; we are not let in."""

BOOKED = frozenset({LOST, FAULT_BOOKED})
OUTAGES = (TIMEOUT, FAULT, THROTTLED, REFUSED, FORBIDDEN)
"""As what a marketplace can be down for hours."""


@dataclass
class Trouble:
    """Faults of the next calls, one each, and an outage.

    Attributes:
        happened: the kinds that calls have met since this was emptied.
    """

    clock: FakeClock
    script: list[str] = field(default_factory=list)
    down_until: datetime | None = None
    down_as: str = ""
    happened: set[str] = field(default_factory=set)

    def of_next_call(self, *, books: bool = True) -> str:
        """The fault that the next call meets; a call that books nothing leaves some to the next."""
        if self.down_until is not None and self.clock.now() < self.down_until:
            kind = self.down_as
        elif not books and self.script and self.script[0] in {*BOOKED, PARTIAL}:
            kind = NO_TROUBLE
        else:
            kind = self.script.pop(0) if self.script else NO_TROUBLE
        if kind != NO_TROUBLE:
            self.happened.add(kind)
        return kind

    def end(self) -> None:
        """All is well from now on."""
        self.script.clear()
        self.down_until = None
