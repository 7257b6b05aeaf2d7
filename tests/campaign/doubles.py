"""What a planted fault is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from campaign.world import Doubles


class Double:
    """The real thing, but for what a subclass does."""

    def __init__(self, real: Any, clock: Any = None) -> None:
        self.real = real
        self.clock = clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


@dataclass(frozen=True)
class Planted:
    """A fault.

    Attributes:
        within: so many schedules of a campaign find it.
    """

    what: str
    doubles: Doubles
    within: int = 60
