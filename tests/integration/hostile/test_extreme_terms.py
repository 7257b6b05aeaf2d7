"""Terms at the edge of what the API takes: refused with reasons, or rated exactly."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import extreme_terms
from api_setup import AGREEMENT, CUSTOMER, Api, make_api
from builders import at
from meterbridge.domain.meter_states import CountState, SumState
from meterbridge.domain.partitions import Partition
from meterbridge.domain.usage import FoldHead, FoldPosition, HourlyUsage
from offering_terms import TOKENS, create_catalog, offering

HOURS = ["2026-10-31T23", "2026-11-01T00", "2026-11-05T10", "2026-11-24T11"]
DEAL = {
    **AGREEMENT,
    "offering_id": "off_terms",
    "starts_at": "2026-10-31T22:17:00Z",
    "channel": "manual",
    "aws": None,
}
BOOKS = (
    "statement?period=2026-10",
    "statement?period=2026-11",
    "wallet",
    "grants",
    "thresholds?start=2026-10-31T22:00:00Z&end=2026-11-25T00:00:00Z",
)


def use(api: Api, hour: str, tokens: Decimal, calls: int) -> None:
    moment = at(hour)
    states: Any = {
        "mtr_tokens": {("small",): SumState(tokens), ("large",): SumState(tokens)},
        "mtr_calls": {("small",): CountState(calls)},
    }
    position = FoldPosition(1, 1)
    row = HourlyUsage("prd_llm", "acme", moment, states, position, moment, moment)
    head = FoldHead(Partition(moment, 0), position, "", moment, moment, 1, 0, 0)
    api.services.usage.advance(head, [row])


def test_extreme_terms_are_refused_with_reasons_or_rated_exactly() -> None:
    statuses: Counter[int] = Counter()

    @settings(
        max_examples=400,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        extreme_terms.terms,
        st.dictionaries(
            st.sampled_from(HOURS),
            st.tuples(extreme_terms.quantities, st.integers(0, 10**9)),
            max_size=4,
        ),
    )
    def rate(terms: dict[str, Any], usage: dict[str, tuple[Decimal, int]]) -> None:
        api = make_api()
        call = api.client()
        create_catalog(call)
        call("POST", "/v1/customers", CUSTOMER)
        published = call("POST", "/v1/offerings", offering(terms))
        statuses[published.status] += 1
        if published.status != 201:
            assert (published.status, bool(published.faults)) == (422, True)
            return
        assert call("POST", "/v1/agreements", DEAL).status == 201
        for hour, (tokens, calls) in usage.items():
            use(api, hour, tokens, calls)
        for path in BOOKS:
            answer = call("GET", f"/v1/agreements/agr_1/{path}")
            assert answer.status == 200, (path, answer)
            assert answer.body.get("balanced", True), (path, answer)

    rate()
    assert min(statuses[201], statuses[422]) >= 50, statuses


def test_percentages_whose_product_could_not_stay_exact_are_refused() -> None:
    call = make_api().client()
    create_catalog(call)

    def faults(*percents: str) -> list[tuple[str, str]]:
        off = [{"id": f"off{n}", "percent": percent} for n, percent in enumerate(percents)]
        answer = call("POST", "/v1/offerings", offering({"dimensions": [TOKENS], "discounts": off}))
        return [] if answer.status == 201 else answer.faults

    at_fourth = "/plans/0/terms/discounts/3/percent"
    assert faults(*["33.333333"] * 4) == [(at_fourth, "too_fine")]
    assert faults(*["10"] * 12) == []
