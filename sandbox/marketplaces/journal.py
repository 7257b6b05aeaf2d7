"""What the sandbox was told and what it billed, kept over a restart as one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Fact = dict[str, Any]


class Journal:
    """An append-only file of facts; without a path it keeps nothing.

    A last line that was cut off by a kill is dropped: its answer was never sent.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path

    def read(self) -> list[Fact]:
        """All facts in the order they were written, after cutting off a torn last line."""
        if self._path is None or not self._path.exists():
            return []
        written = self._path.read_bytes()
        whole = written[: written.rfind(b"\n") + 1]
        if whole != written:
            self._path.write_bytes(whole)
        return [json.loads(line) for line in whole.splitlines()]

    def append(self, facts: Iterable[Fact]) -> None:
        """Writes facts, before the answer that rests on them leaves the sandbox."""
        lines = "".join(json.dumps(fact) + "\n" for fact in facts)
        if self._path is None or not lines:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(lines)

    def replace(self, facts: Iterable[Fact]) -> None:
        """Starts over with these facts only."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        self.append(facts)
