"""Usage that nothing bills: which hours and groups it is, why, and how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

import pytest

from builders import agreement, at, dimension
from meterbridge.domain.agreements import Agreement
from meterbridge.domain.meter_states import AverageState, MaxState, MeterState, SumState
from meterbridge.domain.meters import Aggregation, GroupBy, Meter, ResetPeriod
from meterbridge.domain.offerings import Dimension, Plan
from meterbridge.domain.plan_pricing import plan_terms
from meterbridge.domain.pricing.agreement_terms import AgreementTerms, TermsVersion
from meterbridge.domain.pricing.cycles import BilledSpan
from meterbridge.domain.unbilled import UnbilledReason, UnbilledUsage, unbilled_usage
from meterbridge.domain.usage import FoldPosition, GroupKey, HourlyUsage
from usage_events import meter

DAY = "2026-11-24T"
EIGHT, NINE, TEN, ELEVEN = (at(f"{DAY}{hour}") for hour in ("08", "09", "10", "11"))
START, END = at("2026-11-24T00"), at("2026-11-25T00")
TOKENS = meter(group_by=(GroupBy("region", "r"), GroupBy("model", "m")))
ALL = dimension(meter_id="mtr")
NO_AGREEMENT, NO_DIMENSION = UnbilledReason.NO_AGREEMENT, UnbilledReason.NO_DIMENSION


def row(hour: datetime, groups: Mapping[GroupKey, MeterState]) -> HourlyUsage:
    return HourlyUsage("prd_llm", "acme", hour, {"mtr": groups}, FoldPosition(1, 1), hour, hour)


def used(*hours: datetime, quantity: int | str = 1) -> list[HourlyUsage]:
    return [row(hour, {(): SumState(Decimal(quantity))}) for hour in hours]


def unbilled(
    rows: Sequence[HourlyUsage],
    agreements: Mapping[Agreement, Sequence[Dimension]],
    of: Meter | None = None,
    start: datetime = START,
    end: datetime = END,
) -> list[UnbilledUsage]:
    return unbilled_usage(
        "acme",
        start,
        end,
        meters=[of or meter()],
        rows=rows,
        agreements=list(agreements),
        terms={
            each.id: AgreementTerms(
                BilledSpan.since(each.starts_at),
                (TermsVersion(each.starts_at, plan_terms(Plan("std", tuple(plan)), "USD")),),
            )
            for each, plan in agreements.items()
        },
    )


def spans(found: Sequence[UnbilledUsage]) -> list[tuple[str | None, Decimal, datetime, datetime]]:
    return [(each.agreement_id, each.quantity, each.first_hour, each.last_hour) for each in found]


def test_usage_of_a_customer_without_an_agreement_is_unbilled_to_the_last_digit() -> None:
    rows = [*used(EIGHT, quantity="0.1"), *used(TEN, quantity="12345678901234567890.2")]
    assert unbilled(rows, {}) == [
        UnbilledUsage(
            customer_id="acme",
            meter_id="mtr",
            group={},
            agreement_id=None,
            reason=NO_AGREEMENT,
            quantity=Decimal("12345678901234567890.3"),
            first_hour=EIGHT,
            last_hour=TEN,
        )
    ]


def test_hours_before_between_and_after_agreements_are_told_apart() -> None:
    first = agreement(id="first", starts_at=at(DAY + "09:30"), ends_at=at(DAY + "10:30"))
    second = agreement(id="second", starts_at=at(DAY + "14"), ends_at=at(DAY + "15"))
    hours = [at(f"{DAY}{hour:02}") for hour in range(7, 18)]
    # Usage is kept by the hour: 9 and 10 are the first one's, though it covers half of each.
    assert spans(unbilled(used(*hours), {first: [ALL], second: [ALL]})) == [
        (None, Decimal(2), at(DAY + "07"), EIGHT),
        (None, Decimal(3), ELEVEN, at(DAY + "13")),
        (None, Decimal(3), at(DAY + "15"), at(DAY + "17")),
    ]


def test_nothing_is_unbilled_where_a_dimension_takes_every_group() -> None:
    groups = {("eu", "s"): SumState(Decimal(1)), ("us", "l"): SumState(Decimal(2))}
    assert unbilled([row(TEN, groups)], {agreement(): [ALL]}, TOKENS) == []


def test_a_group_that_no_dimension_takes_is_unbilled_and_names_the_agreement() -> None:
    groups: dict[GroupKey, MeterState] = {
        ("eu", "s"): SumState(Decimal(1)),
        ("us", "s"): SumState(Decimal(2)),
        ("us", "l"): SumState(Decimal(4)),
        ("", "l"): SumState(Decimal(8)),
    }
    plan = [
        dimension(code="eu", meter_id="mtr", group={"region": "eu"}),
        dimension(code="us_l", meter_id="mtr", group={"region": "us", "model": "l"}),
        dimension(code="other", meter_id="mtr_other"),
    ]
    found = unbilled([row(TEN, groups), row(ELEVEN, groups)], {agreement(): plan}, TOKENS)
    assert [(each.group, each.quantity) for each in found] == [
        ({"region": "", "model": "l"}, Decimal(16)),
        ({"region": "us", "model": "s"}, Decimal(4)),
    ]
    assert {(each.agreement_id, each.reason) for each in found} == {("agr_1", NO_DIMENSION)}


def test_a_meter_that_no_dimension_bills_is_unbilled() -> None:
    plan = [dimension(meter_id="mtr_other")]
    assert spans(unbilled(used(TEN), {agreement(): plan})) == [("agr_1", Decimal(1), TEN, TEN)]


def test_each_agreement_answers_for_its_own_plan() -> None:
    first = agreement(id="first", ends_at=TEN)
    second = agreement(id="second", starts_at=TEN)
    found = unbilled(used(NINE, TEN, ELEVEN), {first: [ALL], second: []})
    assert spans(found) == [("second", Decimal(2), TEN, ELEVEN)]
    found = unbilled(used(NINE, TEN, ELEVEN), {first: [], second: [ALL]})
    assert spans(found) == [("first", Decimal(1), NINE, NINE)]


def test_only_hours_of_the_range_count() -> None:
    found = unbilled(used(EIGHT, NINE, TEN, ELEVEN), {}, start=NINE, end=ELEVEN)
    assert spans(found) == [(None, Decimal(2), NINE, TEN)]


def test_hours_without_a_quantity_are_left_out_but_hours_that_cancel_out_are_shown() -> None:
    assert unbilled(used(TEN, quantity=0), {}) == []
    rows = [*used(NINE, quantity=5), *used(ELEVEN, quantity=-5)]
    assert spans(unbilled(rows, {})) == [(None, Decimal(0), NINE, ELEVEN)]


def test_usage_of_an_archived_meter_is_still_unbilled() -> None:
    archived = meter(archived_at=ELEVEN)
    assert spans(unbilled(used(TEN), {}, archived)) == [(None, Decimal(1), TEN, TEN)]


@pytest.mark.parametrize("plan", [[ALL], []])
def test_usage_counted_under_another_group_by_is_shown_without_a_group(
    plan: list[Dimension],
) -> None:
    found = unbilled(used(TEN), {agreement(): plan}, TOKENS)
    assert [(each.group, each.quantity, each.reason) for each in found] == [
        ({}, Decimal(1), NO_DIMENSION)
    ]


def test_a_maximum_without_an_agreement_begins_anew_where_the_agreement_ended() -> None:
    peak = meter(Aggregation.MAX, reset=ResetPeriod.DAY)
    rows = [
        row(hour, {(): MaxState(Decimal(value))})
        for hour, value in ((EIGHT, 9), (TEN, 4), (ELEVEN, 6))
    ]
    # The agreement of that time would have billed 4, then 2 more.
    found = unbilled(rows, {agreement(ends_at=NINE): [ALL]}, peak)
    assert spans(found) == [(None, Decimal(6), TEN, ELEVEN)]
    # The range begins later: 2 is the rise that is in it.
    found = unbilled(rows, {agreement(ends_at=NINE): [ALL]}, peak, start=ELEVEN)
    assert spans(found) == [(None, Decimal(2), ELEVEN, ELEVEN)]


def test_an_average_without_an_agreement_is_unbilled_in_the_last_hour_of_its_period_or_span() -> (
    None
):
    average = meter(Aggregation.AVG, reset=ResetPeriod.DAY)
    rows = [
        row(EIGHT, {(): AverageState(Decimal(6), 2)}),
        row(NINE, {(): AverageState(Decimal(2), 2)}),
    ]
    last = at(DAY + "23")
    assert spans(unbilled(rows, {}, average)) == [(None, Decimal(2), last, last)]
    assert unbilled(rows, {}, average, end=ELEVEN) == []
    # It is known that the agreement starts with the hour after the range.
    starts = {agreement(starts_at=ELEVEN): [ALL]}
    assert spans(unbilled(rows, starts, average, end=ELEVEN)) == [(None, Decimal(2), TEN, TEN)]
