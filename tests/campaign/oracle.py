"""What should have been billed: plain sums over facts. It knows nothing of the pipeline."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

HOUR = timedelta(hours=1)
_Identity = tuple[str, int]


@dataclass(frozen=True)
class Fact:
    """What was stored first under an identity."""

    stored_at: datetime
    used_at: datetime
    tokens: Decimal


@dataclass
class Oracle:
    """Each fact once, the one that was stored first; only hours that the agreement covers.

    Attributes:
        ends: when agreements ended, by subject.
        overtaken: tokens of contents that were overtaken by one that had been stored earlier, by a
            clock that was behind. They may have been billed by then.
    """

    starts_at: datetime
    facts: dict[_Identity, Fact] = field(default_factory=dict)
    ends: dict[str, datetime] = field(default_factory=dict)
    overtaken: dict[str, Decimal] = field(default_factory=dict)

    def note(self, subject: str, number: int, fact: Fact) -> None:
        """An event was stored."""
        known = self.facts.get((subject, number))
        if known is None or fact.stored_at < known.stored_at:
            self.facts[subject, number] = fact
        if known is not None and fact.stored_at < known.stored_at:
            excess = max(known.tokens - fact.tokens, Decimal(0))
            self.overtaken[subject] = self.overtaken.get(subject, Decimal(0)) + excess

    def used(self, subject: str) -> dict[str, Decimal]:
        """Metered quantity by dimension code."""
        own = [
            fact
            for (whose, _), fact in self.facts.items()
            if whose == subject and self._covers(subject, fact.used_at)
        ]
        tokens = sum((fact.tokens for fact in own), Decimal(0))
        return {"requests": Decimal(len(own)), "tokens_k": tokens, "tokens": tokens}

    def _covers(self, subject: str, moment: datetime) -> bool:
        """Usage is counted by the hour: the hours of start and end count whole."""
        hour = moment.replace(minute=0, second=0, microsecond=0)
        ends_at = self.ends.get(subject)
        return hour + HOUR > self.starts_at and (ends_at is None or hour < ends_at)
