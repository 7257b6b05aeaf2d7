"""Kill the code under test before or after any single call to the outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Killed(BaseException):
    """The process is gone. Not an Exception: nothing may catch it and carry on."""


class Fuse:
    """Counts calls to the outside and kills at one of them.

    A call is killed before it has an effect or after it, alternately by the parity of `at`.
    """

    def __init__(self) -> None:
        self.calls = 0
        self._kill_at: int | None = None

    def arm(self, at: int | None) -> None:
        """Kill at half-step `at` from now; None never kills."""
        self.calls = 0
        self._kill_at = at

    def around(self, call: Callable[[], Any]) -> Any:
        before, after = 2 * self.calls, 2 * self.calls + 1
        self.calls += 1
        if self._kill_at == before:
            raise Killed
        answer = call()
        if self._kill_at == after:
            raise Killed
        return answer


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
