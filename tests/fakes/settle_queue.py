"""A queue that only remembers."""

from __future__ import annotations

from collections.abc import Iterable


class FakeSettleQueue:
    """Agreement ids in the order they were enqueued."""

    def __init__(self) -> None:
        self.agreement_ids: list[str] = []

    def enqueue(self, agreement_ids: Iterable[str]) -> None:
        self.agreement_ids.extend(agreement_ids)

    def remove(self, agreement_ids: Iterable[str]) -> None:
        """Delete messages that were worked off; each id takes one message with it."""
        for agreement_id in agreement_ids:
            if agreement_id in self.agreement_ids:
                self.agreement_ids.remove(agreement_id)
