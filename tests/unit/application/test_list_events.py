"""Raw events of a customer: all of them once, in a stable order, with what became of repeats."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOON, at
from fakes.usage_log import FakeUsageLog
from meterbridge.application import list_events as module
from meterbridge.application.list_events import EventPage, ListedEvent, list_events
from meterbridge.domain.errors import InvalidInputError
from meterbridge.domain.events import Standing, UsageEvent
from meterbridge.domain.partitions import ShardPlan
from meterbridge.domain.usage_log import pack_events

PLAN = ShardPlan()
TEN = at("2026-11-24T10")


def usage(name: str = "1", minute: int = 0, **changes: Any) -> UsageEvent:
    fields: dict[str, Any] = {
        "product_id": "prd_a",
        "source": "//gateway",
        "id": name,
        "type": "call",
        "subject": "acme",
        "occurred_at": TEN + timedelta(minutes=minute),
        "values": {"tokens": 17},
    }
    return UsageEvent(**{**fields, **changes})


def log_of(*batches: list[UsageEvent]) -> FakeUsageLog:
    log = FakeUsageLog()
    for number, batch in enumerate(batches):
        log.append(pack_events(batch, PLAN), NOON + timedelta(seconds=number))
    return log


def page(log: FakeUsageLog, **changes: Any) -> EventPage:
    values: dict[str, Any] = {
        "product_id": "prd_a",
        "customer_id": "acme",
        "start": TEN,
        "end": TEN + timedelta(hours=3),
        "limit": 100,
        "cursor": "",
    }
    return list_events(**{**values, **changes}, log=log, plan=PLAN)


def pages(log: FakeUsageLog, **changes: Any) -> list[ListedEvent]:
    found: list[ListedEvent] = []
    cursor = ""
    for _ in range(1_000):
        part = page(log, cursor=cursor, **changes)
        found += part.events
        cursor = part.next_cursor
        if not cursor:
            return found
    raise AssertionError("the list has no end")


def test_an_event_is_listed_with_when_it_was_received() -> None:
    event = usage(values={"tokens": Decimal("1.10"), "model": "small"})
    assert page(log_of([event])) == EventPage((ListedEvent(event, NOON, Standing.FIRST),))


def test_only_the_customers_own_events_of_the_range_are_listed() -> None:
    wanted = usage("wanted", 5)
    others = [
        usage("other customer", subject="globex"),
        usage("other product", product_id="prd_b"),
        usage("too early", 4),
        usage("too late", 6),
    ]
    log = log_of([*others, wanted])
    found = page(log, start=wanted.occurred_at, end=TEN + timedelta(minutes=6))
    assert [each.event.id for each in found.events] == ["wanted"]


def test_a_repeat_is_a_duplicate_and_other_content_a_conflict() -> None:
    log = log_of(
        [usage("1", values={"tokens": 17}), usage("2")],
        [usage("1", values={"tokens": Decimal("17.0")})],
        [usage("1", values={"tokens": 18}), usage("1", type="other"), usage("1", 1)],
        [usage("1", source="//elsewhere"), usage("2")],
    )
    assert [(each.event.id, each.standing.value) for each in page(log).events] == [
        ("1", "first"),
        ("2", "first"),
        ("1", "duplicate"),
        ("1", "conflict"),
        ("1", "conflict"),
        ("1", "conflict"),
        ("1", "first"),
        ("2", "duplicate"),
    ]


def test_a_repeat_is_known_on_a_later_page_and_outside_the_range() -> None:
    log = log_of([usage("1", 5)], [usage("2", 5)], [usage("1", 5)], [usage("1", 30)])
    standings = [each.standing for each in pages(log, limit=1)]
    assert standings == [Standing.FIRST, Standing.FIRST, Standing.DUPLICATE, Standing.CONFLICT]
    late = page(log, start=TEN + timedelta(minutes=30))
    assert [each.standing for each in late.events] == [Standing.CONFLICT]


def test_hours_are_listed_in_order() -> None:
    log = log_of([usage("c", 125), usage("a", 3), usage("b", 65)], [usage("d", 4)])
    assert [each.event.id for each in pages(log)] == ["a", "d", "b", "c"]


batches = st.lists(
    st.lists(st.builds(usage, st.sampled_from("abcdef"), st.integers(0, 170)), max_size=6),
    max_size=8,
)


@given(batches, st.integers(1, 5), st.integers(1, 6))
def test_pages_of_any_size_and_effort_list_the_same(
    sent: list[list[UsageEvent]], limit: int, looks: int
) -> None:
    log = log_of(*sent)
    everything = page(log).events
    assert len(everything) == sum(map(len, sent))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MAX_LOOKS", looks)
        assert tuple(pages(log, limit=limit)) == everything


def test_the_end_of_a_list_that_fills_its_last_page_has_no_cursor() -> None:
    log = log_of([usage("1"), usage("2")])
    assert page(log, limit=2).next_cursor == ""


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"limit": 0}, "invalid_limit"),
        ({"limit": 1_001}, "invalid_limit"),
        ({"end": TEN}, "invalid_range"),
        ({"end": TEN + timedelta(days=40)}, "invalid_range"),
        ({"cursor": "?"}, "invalid_cursor"),
        ({"cursor": "ü"}, "invalid_cursor"),
        ({"cursor": "e30"}, "invalid_cursor"),
        ({"cursor": "WzFd"}, "invalid_cursor"),
    ],
)
def test_what_cannot_be_listed_is_refused_by_name(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        page(log_of([usage()]), **changes)
    assert refusal.value.code == code


def test_a_cursor_of_another_range_is_refused() -> None:
    cursor = page(log_of([usage("1"), usage("2")]), limit=1).next_cursor
    later: datetime = TEN + timedelta(hours=1)
    with pytest.raises(InvalidInputError):
        page(log_of([usage()]), start=later, cursor=cursor)


@given(st.text(min_size=1, max_size=40))
def test_no_cursor_however_odd_is_an_error_of_ours(cursor: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        page(log_of([usage()]), cursor=cursor)
    assert refusal.value.code == "invalid_cursor"
