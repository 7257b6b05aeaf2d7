"""Kill the code under test, or fail a call of its, before or after any single call to the outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Killed(BaseException):
    """The process is gone. Not an Exception: nothing may catch it and carry on."""


def kill() -> None:
    """An interruption that ends the process."""
    raise Killed


def fail() -> None:
    """An interruption that makes the call fail; the fuse knows how calls of its kind do."""


class Fuse:
    """Counts calls to the outside and interrupts at one of them.

    Half-step 2n is before call n, half-step 2n + 1 after it. What happens there is a kill, a failure
    of the call, or another step run in full: two functions at once, in one of all their interleavings.

    Attributes:
        fired: whether the interruption has happened.
    """

    def __init__(self) -> None:
        self._calls = 0
        self._at: int | None = None
        self._interrupt: Callable[[], None] = kill
        self._dead = False
        self.fired = False

    def arm(self, at: int | None, interrupt: Callable[[], None] = kill) -> None:
        """Interrupt once, at half-step `at` from now; None never does."""
        self._calls = 0
        self._at = at
        self._interrupt = interrupt
        self._dead = self.fired = False

    def around(self, call: Callable[[], Any], failure: Exception | None = None) -> Any:
        """Make a call to the outside; `failure` is how it fails."""
        if self._dead:
            # Other threads of a process that is gone are gone as well.
            raise Killed
        number = self._calls
        self._calls += 1
        self._pass(2 * number, failure)
        answer = call()
        self._pass(2 * number + 1, failure)
        return answer

    def _pass(self, half_step: int, failure: Exception | None) -> None:
        if self._at != half_step:
            return
        self._at = None
        self.fired = True
        if self._interrupt is fail:
            if failure is not None:
                raise failure
            return
        try:
            self._interrupt()
        except Killed:
            self._dead = True
            raise


class Fused:
    """An object whose named methods go through a fuse."""

    def __init__(
        self, target: Any, fuse: Fuse, *methods: str, failure: Exception | None = None
    ) -> None:
        """Wrap an object.

        Args:
            failure: what a failed call of it raises.
        """
        self._target = target
        self._fuse = fuse
        self._methods = frozenset(methods)
        self._failure = failure

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if name not in self._methods:
            return found

        def fused(*args: Any, **named: Any) -> Any:
            return self._fuse.around(lambda: found(*args, **named), self._failure)

        return fused
