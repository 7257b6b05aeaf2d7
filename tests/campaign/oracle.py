"""What should have been billed: plain sums over facts. It knows nothing of the pipeline."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from campaign.by_hand.agreed import Bill
from campaign.by_hand.spans import HOUR, hour_of
from campaign.deals import model_of
from campaign.dealt import Dealt

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
        dealt: what customers have agreed beside unit prices.
        overtaken: tokens of contents that were overtaken by one that had been stored earlier, by a
            clock that was behind. They may have been billed by then.
    """

    starts_at: datetime
    facts: dict[_Identity, Fact] = field(default_factory=dict)
    ends: dict[str, datetime] = field(default_factory=dict)
    overtaken: dict[str, Decimal] = field(default_factory=dict)
    dealt: dict[str, Dealt] = field(default_factory=dict)

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

    def bill(self, subject: str, through: datetime) -> Bill:
        """What a customer with a deal owes through an hour."""
        used: dict[datetime, dict[tuple[str, str], Fraction]] = {}
        for (whose, number), fact in self.facts.items():
            if whose == subject and self._covers(subject, fact.used_at):
                by_meter = used.setdefault(hour_of(fact.used_at), defaultdict(Fraction))
                by_meter["mtr_requests", ""] += 1
                by_meter["mtr_tokens", ""] += Fraction(fact.tokens)
                by_meter["mtr_models", model_of(number)] += Fraction(fact.tokens)
        return self.dealt[subject].bill(used, through, self.ends.get(subject))

    def _covers(self, subject: str, moment: datetime) -> bool:
        """Usage is counted by the hour: the hours of start and end count whole."""
        hour = hour_of(moment)
        ends_at = self.ends.get(subject)
        dealt = self.dealt.get(subject)
        starts_at = self.starts_at if dealt is None else dealt.deal.starts_at
        return hour + HOUR > starts_at and (ends_at is None or hour < ends_at)
