"""What every marketplace's endpoint does alike: the control side, replay, and reset."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Generic, TypeVar

from .administration import Administration
from .exchange import Controlled, Json
from .journal import Fact
from .settings import Settings
from .throttle import Quota

Policy = TypeVar("Policy", bound=Settings)


class Endpoint(ABC, Generic[Policy]):
    """A marketplace's state behind its wire format, which is the marketplace's own.

    Args:
        settings: Policy to begin with, and to return to on a reset.
        wall: Real time, for the quota when it is set to follow that.
    """

    def __init__(self, settings: Policy, wall: Callable[[], datetime]) -> None:
        self._initial = settings
        self._wall = wall
        self._quota = Quota(wall)
        self._administration = self._begin()

    @abstractmethod
    def _begin(self) -> Administration[Policy]:
        """Empty rules under the initial policy, and what administers them."""

    @abstractmethod
    def _empty_bill(self) -> None:
        """Forgets what was billed."""

    @abstractmethod
    def _put_back(self, fact: Fact) -> None:
        """Takes back what was billed."""

    def control(self, method: str, path: Sequence[str], body: Json, now: datetime) -> Controlled:
        """Registrations, cancellations and settings."""
        return self._administration.serve(method, path, body, now)

    def replay(self, fact: Fact) -> None:
        """Takes back a row of the bill, a registration or a setting."""
        if self._administration.knows(fact):
            self._administration.replay(fact)
        else:
            self._put_back(fact)

    def reset(self, *, keep_setup: bool) -> list[Fact]:
        """Empties the bill, and unless the set-up is kept, registrations and settings."""
        self._empty_bill()
        self._quota.reset()
        if keep_setup:
            return self._administration.facts()
        self._administration = self._begin()
        return []
