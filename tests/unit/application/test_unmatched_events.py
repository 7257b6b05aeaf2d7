"""What nothing bills is listed with its reason, until it is billed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from builders import at, product
from fakes.clock import FakeClock
from fakes.registry import FakeRegistry
from fakes.usage_log import FakeUsageLog
from fakes.usage_store import FakeUsageStore
from meterbridge.application import unmatched_events
from meterbridge.application.fold_partitions import fold_partition
from meterbridge.application.unmatched_events import (
    UnmatchedPage,
    count_conflicts,
    list_unmatched,
)
from meterbridge.domain.agreements import Customer
from meterbridge.domain.errors import InvalidInputError
from meterbridge.domain.event_filters import Filter, FilterOperator
from meterbridge.domain.events import UsageEvent
from meterbridge.domain.meters import Aggregation, Meter
from meterbridge.domain.usage_log import pack_events
from usage_events import HOUR, meter, usage_event


class World:
    """A registry with one product and customer, and a usage log."""

    def __init__(self, *meters: Meter) -> None:
        self.registry = FakeRegistry()
        self.registry.add_product(product())
        for each in meters:
            self.registry.add_meter(each)
        self.registry.add_customer(Customer("acme"))
        self.log = FakeUsageLog()

    def ingest(self, *events: UsageEvent, after: int = 0) -> None:
        drafts = pack_events(events, self.registry.shard_plan())
        self.log.append(drafts, HOUR + timedelta(seconds=after))

    def page(self, **changes: Any) -> UnmatchedPage:
        arguments: dict[str, Any] = {
            "start": HOUR,
            "end": HOUR + timedelta(hours=1),
            "limit": 100,
            "cursor": "",
        }
        return list_unmatched(**{**arguments, **changes}, log=self.log, registry=self.registry)

    def walk(self, limit: int, **changes: Any) -> list[str]:
        """Ids of all pages."""
        ids: list[str] = []
        cursor = ""
        for _ in range(10_000):
            page = self.page(limit=limit, cursor=cursor, **changes)
            assert len(page.items) <= limit
            ids += [item.event.id for item in page.items]
            cursor = page.next_cursor
            if not cursor:
                return ids
        raise AssertionError("no end")


def reasons(page: UnmatchedPage) -> dict[str, str]:
    return {item.event.id: str(item.reason) for item in page.items}


def test_each_event_that_nothing_bills_is_listed_with_its_reason() -> None:
    only_eu = meter(id="mtr_eu", filters=(Filter("r", FilterOperator.EQ, "eu"),))
    sets = meter(Aggregation.UNIQUE_COUNT, id="mtr_sets", event_type="llm.user", value_path="u")
    world = World(only_eu, sets)
    world.ingest(
        usage_event(id="good", r="eu", v=1),
        usage_event(id="type", type="llm.other", v=1),
        usage_event(id="filter", r="us", v=1),
        usage_event(id="none", r="eu"),
        usage_event(id="text", r="eu", v="many"),
        usage_event(id="large", r="eu", v=10**30),
        usage_event(id="list", type="llm.user", u=[]),
        usage_event(id="who", r="eu", v=1, subject="umbrella"),
        usage_event(id="both", type="llm.other", subject="umbrella"),
    )
    page = world.page()
    assert reasons(page) == {
        "type": "no_meter",
        "filter": "filtered",
        "none": "missing_value",
        "text": "not_a_number",
        "large": "out_of_range",
        "list": "not_a_scalar",
        "who": "unknown_customer",
        "both": "no_meter",
    }
    assert page.next_cursor == ""
    details = {item.event.id: item.detail for item in page.items}
    assert details["type"] == "no meter of prd_llm takes events of type llm.other"
    assert details["text"] == "meter mtr_eu finds a value that is not a number"
    assert details["who"] == "there is no customer umbrella"


def test_an_event_leaves_the_list_when_its_meter_and_customer_appear() -> None:
    world = World()
    world.ingest(usage_event(subject="umbrella", v=1))
    assert reasons(world.page()) == {"1": "no_meter"}
    world.registry.add_meter(meter())
    assert reasons(world.page()) == {"1": "unknown_customer"}
    world.registry.add_customer(Customer("umbrella"))
    assert reasons(world.page()) == {}


def test_of_repeats_only_the_first_is_listed_with_the_time_it_was_first_received() -> None:
    world = World()
    world.ingest(usage_event(id="1"), usage_event(id="1"))
    world.ingest(usage_event(id="1"), usage_event(id="2"), after=5)
    world.ingest(usage_event(id="1", v="other"), after=9)
    items = world.page().items
    assert [(item.event.id, item.received_at) for item in items] == [
        ("1", HOUR),
        ("2", HOUR + timedelta(seconds=5)),
    ]


def test_a_conflict_with_a_billed_event_is_not_listed() -> None:
    world = World(meter())
    world.ingest(usage_event(v=1))
    world.ingest(usage_event(v="x"), after=1)
    assert world.page().items == ()


def test_the_list_is_cut_to_the_range_and_to_products() -> None:
    world = World()
    world.ingest(
        usage_event(id="before", minute=29),
        usage_event(id="first", minute=30),
        usage_event(id="last", minute=89),
        usage_event(id="after", minute=90),
        usage_event(id="other", minute=45, product_id="prd_other"),
    )
    half = {"start": at("2026-11-24T10:30"), "end": at("2026-11-24T11:30")}
    assert set(reasons(world.page(**half))) == {"first", "last", "other"}
    assert set(reasons(world.page(**half, product_ids={"prd_llm"}))) == {"first", "last"}
    assert reasons(world.page(**half, product_ids=())) == {}


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_pages_give_every_event_once(limit: int) -> None:
    world = World(meter())
    expected = set()
    for batch in range(4):
        events: list[UsageEvent] = []
        for number in range(6):
            name = f"{batch}-{number}"
            events.append(usage_event(id=name, subject=f"s{number}", minute=number * 30, v="x"))
            events.append(usage_event(id=f"good{name}", v=1))
            events.append(usage_event(id=f"type{name}", type="other", w=number % 2))
            expected |= {name, f"type{name}"}
        world.ingest(*events, after=batch)
        world.ingest(*events[:5], after=batch)
    ids = world.walk(limit, end=HOUR + timedelta(hours=5))
    assert sorted(ids) == sorted(expected)


def test_a_call_does_bounded_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unmatched_events, "MAX_PARTITIONS_READ", 3)
    world = World()
    world.ingest(usage_event(id="late", occurred_at=HOUR + timedelta(hours=30)))
    long = {"end": HOUR + timedelta(hours=48)}
    first = world.page(**long)
    assert first.items == ()
    assert first.next_cursor != ""
    assert world.walk(10, **long) == ["late"]


def test_a_call_stops_after_a_partition_with_many_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unmatched_events, "MAX_SEGMENTS_READ", 2)
    world = World()
    for number in range(5):
        world.ingest(usage_event(id=str(number)), after=number)
    world.ingest(usage_event(id="next", occurred_at=HOUR + timedelta(hours=1)))
    page = world.page(end=HOUR + timedelta(hours=2))
    assert [item.event.id for item in page.items] == ["0", "1", "2", "3", "4"]
    assert world.walk(2, end=HOUR + timedelta(hours=2)) == ["0", "1", "2", "3", "4", "next"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"limit": 0}, "invalid_limit"),
        ({"limit": 1001}, "invalid_limit"),
        ({"end": HOUR}, "invalid_range"),
        ({"end": HOUR + timedelta(hours=865)}, "invalid_range"),
        ({"cursor": "nonsense"}, "invalid_cursor"),
        ({"cursor": "ä"}, "invalid_cursor"),
        ({"cursor": "W10"}, "invalid_cursor"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        World().page(**changes)
    assert caught.value.code == code


def test_a_cursor_of_another_range_is_refused() -> None:
    world = World()
    world.ingest(usage_event(id="1"), usage_event(id="2"))
    cursor = world.page(limit=1).next_cursor
    with pytest.raises(InvalidInputError, match="invalid_cursor"):
        world.page(cursor=cursor, start=HOUR + timedelta(hours=1), end=HOUR + timedelta(hours=2))


def folded(world: World, batches: Sequence[Sequence[UsageEvent]]) -> FakeUsageStore:
    usage = FakeUsageStore()
    for batch in batches:
        world.ingest(*batch)
    for partition in world.log.partitions():
        fold_partition(
            partition,
            log=world.log,
            usage=usage,
            registry=world.registry,
            clock=FakeClock(HOUR),
        )
    return usage


def test_conflicts_are_counted_by_hour() -> None:
    later = HOUR + timedelta(hours=2)
    usage = folded(
        World(meter()),
        [
            [usage_event(v=1), usage_event(v=2), usage_event(v=3)],
            [usage_event(v=1, subject="b"), usage_event(v=2, subject="b")],
            [usage_event(id="x", v=1, occurred_at=HOUR + timedelta(hours=1))],
            [usage_event(v=1, occurred_at=later), usage_event(v=2, occurred_at=later)],
        ],
    )
    counts = count_conflicts(start=HOUR, end=HOUR + timedelta(hours=3), usage=usage)
    assert (counts.total, counts.by_hour) == (4, {HOUR: 3, later: 1})
    assert count_conflicts(start=HOUR, end=later, usage=usage).total == 3
