"""Kill the code under test before or after any single call to the outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Killed(BaseException):
    """The process is gone. Not an Exception: nothing may catch it and carry on."""


def kill() -> None:
    """An interruption that ends the process."""
    raise Killed


class Fuse:
    """Counts calls to the outside and interrupts at one of them.

    Half-step 2n is before call n, half-step 2n + 1 after it. What happens there is a kill, or
    another step run in full: two functions at once, in one of all their interleavings.
    """

    def __init__(self) -> None:
        self._calls = 0
        self._at: int | None = None
        self._interrupt: Callable[[], None] = kill

    def arm(self, at: int | None, interrupt: Callable[[], None] = kill) -> None:
        """Interrupt once, at half-step `at` from now; None never does."""
        self._calls = 0
        self._at = at
        self._interrupt = interrupt

    def around(self, call: Callable[[], Any]) -> Any:
        """Make a call to the outside."""
        number = self._calls
        self._calls += 1
        self._pass(2 * number)
        answer = call()
        self._pass(2 * number + 1)
        return answer

    def _pass(self, half_step: int) -> None:
        if self._at == half_step:
            self._at = None
            self._interrupt()


class Fused:
    """An object whose named methods go through a fuse."""

    def __init__(self, target: Any, fuse: Fuse, *methods: str) -> None:
        self._target = target
        self._fuse = fuse
        self._methods = frozenset(methods)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if name not in self._methods:
            return found

        def fused(*args: Any, **named: Any) -> Any:
            return self._fuse.around(lambda: found(*args, **named))

        return fused
