"""A queue that only remembers."""

from __future__ import annotations

from collections.abc import Iterable


class FakeSettleQueue:
    """Agreement ids in the order they were enqueued."""

    def __init__(self) -> None:
        self.agreement_ids: list[str] = []

    def enqueue(self, agreement_ids: Iterable[str]) -> None:
        self.agreement_ids.extend(agreement_ids)

    def drain(self) -> list[str]:
        drained, self.agreement_ids = self.agreement_ids, []
        return drained
