"""Random agreements whose usage becomes known up to 35 days late, in any order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from hypothesis import strategies as st

from meterbridge.domain.pricing.agreement_terms import AgreementTerms
from meterbridge.domain.pricing.rated import MeteredHour
from pricing_strategies import HOURS, agreements, usage


@dataclass(frozen=True)
class Arrival:
    """Usage of an hour, and when it became known."""

    metered: MeteredHour
    known_at: datetime


@st.composite
def arrivals(draw: st.DrawFn, given_terms: AgreementTerms) -> list[Arrival]:
    start = given_terms.span.first_hour
    through = start + timedelta(hours=HOURS)
    return [
        Arrival(metered, metered.hour + timedelta(hours=draw(st.integers(1, 35 * 24 - 1))))
        for metered in draw(usage(given_terms, through, signed=True))
    ]


@st.composite
def deals(draw: st.DrawFn) -> tuple[AgreementTerms, list[Arrival]]:
    found = draw(agreements())
    return found, draw(arrivals(found))


def known(given_arrivals: list[Arrival], moment: datetime) -> list[MeteredHour]:
    return [each.metered for each in given_arrivals if each.known_at < moment]
