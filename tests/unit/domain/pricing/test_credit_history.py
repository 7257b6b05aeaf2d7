"""What happened to credits adds up, for any terms and usage, over any range of hours."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from meterbridge.domain.money import exact_sum
from meterbridge.domain.pricing.advance import advance
from meterbridge.domain.pricing.agreement_terms import AgreementTerms, Grant
from meterbridge.domain.pricing.credit_history import (
    CreditFlow,
    credit_movements,
    wallet_grants,
)
from meterbridge.domain.pricing.models import PerUnit
from meterbridge.domain.pricing.plan_terms import Rollover, TopUp
from meterbridge.domain.pricing.rating_state import RatingState
from pricing_setup import START, D, plan, priced, rate, terms, used
from pricing_strategies import HOURS, agreements, usage

END = START + timedelta(hours=HOURS)


def moved(*rated: Any) -> list[tuple[str, str, str, str]]:
    return [
        (f"{each.hour:%m-%dT%H}", each.flow.value, each.grant_id, f"{each.amount:f}")
        for each in credit_movements(rated)
    ]


def test_what_moves_credits_is_told_hour_by_hour() -> None:
    grant = Grant("gift", D(10), START, START + timedelta(days=2), rollover=Rollover(D(3)))
    agreed = terms(plan(priced(PerUnit(D(1)))), grants=(grant,))
    rated = rate(agreed, used("2026-11-01T05", api=4), used("2026-11-03T07", api=5))
    assert moved(*rated) == [
        ("11-01T00", "granted", "gift", "10"),
        ("11-01T05", "spent", "gift", "4"),
        ("11-03T00", "rolled_over", "gift", "3"),
        ("11-03T00", "expired", "gift", "3"),
        ("11-03T00", "granted", "gift:rollover:2026-11-03T00", "3"),
        ("11-03T07", "spent", "gift:rollover:2026-11-03T00", "3"),
    ]


def test_credits_that_are_topped_up_are_spent_in_the_same_hour() -> None:
    agreed = terms(plan(priced(PerUnit(D(1))), top_up=TopUp(D(20), threshold=D(0))))
    rated = rate(agreed, used("2026-11-02T03", api=7), through="2026-11-02T03")
    granted = [each for each in moved(*rated) if each[1] == "granted"]
    spent = [each for each in moved(*rated) if each[1] == "spent"]
    assert granted == [("11-01T00", "granted", "top_up:2026-11-01T00", "20")]
    assert spent == [("11-02T03", "spent", "top_up:2026-11-01T00", "7")]


@given(st.data())
def test_every_grant_is_spent_expired_rolled_over_or_left(data: st.DataObject) -> None:
    agreed: AgreementTerms = data.draw(agreements())
    hours = data.draw(usage(agreed, END))
    cut = START + timedelta(hours=data.draw(st.integers(0, HOURS)))
    before = RatingState()
    if cut > agreed.span.first_hour:
        earlier = [each for each in hours if each.hour < cut]
        before, _ = advance(agreed, before, earlier, through=cut - timedelta(hours=1))
    later = [each for each in hours if each.hour >= cut or cut <= agreed.span.first_hour]
    after, rated = advance(agreed, before, later, through=END)
    movements = list(credit_movements(rated))
    found = list(wallet_grants(before.grants, {held.id: held for held in after.grants}, movements))
    for grant in found:
        gone = (grant.spent, grant.expired, grant.rolled_over)
        assert grant.granted == exact_sum((*gone, grant.balance)), grant
        assert grant.balance >= 0
        assert exact_sum(gone) <= grant.granted
    spent = exact_sum(e.amount for e in movements if e.flow is CreditFlow.SPENT)
    assert spent == exact_sum(
        amount for hour in rated for charge in hour.charges for amount in charge.credits.values()
    )
    assert exact_sum(grant.balance for grant in found) == exact_sum(
        held.balance for held in after.grants
    )
