"""Faults of rating and of settling what was rated: the campaign has to find each of them, too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from typing import Any
from unittest.mock import patch

from campaign.doubles import Double, Planted
from campaign.world import Doubles
from meterbridge.application import rated_usage, settle_agreements
from meterbridge.domain import rating
from meterbridge.domain.ledger_head import LedgerHead
from meterbridge.domain.pricing import advance as rating_fold
from meterbridge.domain.pricing import increments, usage_lines, wallet
from meterbridge.domain.pricing.agreement_terms import AgreementTerms, TermsVersion
from meterbridge.domain.pricing.cycles import Cycle
from meterbridge.domain.pricing.rated import MeteredHour, RatedHour
from meterbridge.domain.pricing.rating_state import RatingState
from meterbridge.domain.rating import RatedUsage


class SealedStateLeftBehind(Double):
    """The live months begin later, and rating still goes on from where it was sealed before."""

    def commit(self, head: LedgerHead, **named: Any) -> None:
        before = self.real.head(head.agreement_id)
        if before is not None and before.live_from != head.live_from:
            head = replace(head, rating=before.rating)
        self.real.commit(head, **named)


def _resuming(change: Callable[[RatingState], RatingState]) -> Doubles:
    """What a run that goes on from a state makes of it first."""

    def advance(
        terms: AgreementTerms, state: RatingState, hours: Iterable[MeteredHour], **named: Any
    ) -> tuple[RatingState, list[RatedHour]]:
        resumed = state if state.rated_through is None else change(state)
        return rating_fold.advance(terms, resumed, hours, **named)

    return Doubles(patches=lambda: patch.object(rated_usage, "advance", advance))


def _wallet_refilled(state: RatingState) -> RatingState:
    return replace(state, grants=tuple(replace(each, offered=0) for each in state.grants))


def _without_negative_hours(*given: Any) -> dict[str, RatedUsage]:
    """A marketplace takes no negative quantity, so there is none."""

    def kept(by_hour: Mapping[datetime, Any]) -> dict[datetime, Any]:
        return {hour: each for hour, each in by_hour.items() if each > 0}

    return {
        code: replace(rated, metered=kept(rated.metered), billable=kept(rated.billable))
        for code, rated in rating.rated_usage(*given).items()
    }


def _newest(terms: AgreementTerms, _cycle: Cycle) -> TermsVersion:
    return terms.versions[-1]


def _patched(target: Any, name: str, double: Any) -> Doubles:
    def patches() -> AbstractContextManager[Any]:
        return patch.object(target, name, double)

    return Doubles(patches=patches)


PLANTED_IN_RATING = {
    "sealed-state-left-behind": Planted(
        "the state of rating not moved with live_from", Doubles(ledger=SealedStateLeftBehind)
    ),
    "credits-spent-twice": Planted(
        "credits whole again when rating goes on", _resuming(_wallet_refilled)
    ),
    "trial-begins-anew": Planted(
        "a trial whole again when rating goes on",
        _resuming(lambda state: replace(state, trial_offered={})),
    ),
    "fee-charged-again": Planted(
        "what was charged of fees forgotten when rating goes on",
        _resuming(lambda state: replace(state, fees={})),
    ),
    "rounded-each-hour": Planted(
        "an increment rounded each hour, whatever its interval",
        _patched(increments, "_interval_start", lambda hour, *_: hour),
    ),
    "negative-hour-dropped": Planted(
        "an hour that takes something back left out",
        _patched(rated_usage, "rated_usage", _without_negative_hours),
    ),
    "newest-plan-for-all": Planted(
        "late usage rated by the plan of its arrival",
        _patched(AgreementTerms, "version_of", _newest),
    ),
    "expired-credits-spent": Planted(
        "credits that never expire", _patched(wallet, "_expire", lambda *_: None)
    ),
    "trial-counts-for-tiers": Planted(
        "free quantity priced, and taken off nothing",
        _patched(usage_lines, "_free", lambda *_: usage_lines.ZERO),
    ),
    "fees-wait-for-usage": Planted(
        "a fee not settled until something is used",
        _patched(settle_agreements, "next_due", lambda *_: None),
    ),
}
"""By name, as `make faults PLANT=…` takes it."""
