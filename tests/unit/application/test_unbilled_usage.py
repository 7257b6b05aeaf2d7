"""What nothing bills is listed customer by customer, in pages that read little."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from builders import agreement, at, dimension, offering, product
from fakes.clock import FakeClock
from fakes.registry import FakeRegistry
from fakes.usage_log import FakeUsageLog
from fakes.usage_store import FakeUsageStore
from meterbridge.application import unbilled_usage
from meterbridge.application.fold_partitions import fold_partition
from meterbridge.application.unbilled_usage import UnbilledPage, list_unbilled
from meterbridge.application.unmatched_events import list_unmatched
from meterbridge.domain.agreements import Agreement, Customer
from meterbridge.domain.errors import InvalidInputError, NotFoundError
from meterbridge.domain.events import UsageEvent
from meterbridge.domain.meters import Aggregation, Meter
from meterbridge.domain.offerings import Channel
from meterbridge.domain.unbilled import UnbilledReason
from meterbridge.domain.usage_log import pack_events
from usage_events import meter, usage_event

NOW = at("2026-11-24T13:00")
START, END = at("2026-11-24T00"), at("2026-11-25T00")
FOUR = ("acme", "birch", "cedar", "dune")


class World:
    """A product, some customers, and events that were ingested and folded."""

    def __init__(self, *meters: Meter, customers: Sequence[str] = FOUR) -> None:
        self.registry = FakeRegistry()
        self.registry.add_product(product())
        self.registry.add_product(product(id="prd_other", name="Other"))
        for each in meters or (meter(),):
            self.registry.add_meter(each)
        for name in customers:
            self.registry.add_customer(Customer(name))
        self.log, self.usage = FakeUsageLog(), CountingStore()

    def agree(self, *dimensions: Any, **changes: Any) -> Agreement:
        name = f"off_{changes.get('id', 'agr_1')}"
        versions = {
            each.meter_id: self.registry.meter_entry(each.meter_id).version for each in dimensions
        }
        self.registry.add_offering(offering(*dimensions, id=name), versions)
        one = agreement(channel=Channel.MANUAL, aws=None, offering_id=name, **changes)
        self.registry.add_agreement(one)
        return one

    def ingest(self, *events: UsageEvent) -> None:
        self.log.append(pack_events(events, self.registry.shard_plan()), NOW)
        self.fold()

    def fold(self) -> None:
        clock = FakeClock(NOW)
        for partition in self.log.partitions():
            fold_partition(
                partition, log=self.log, usage=self.usage, registry=self.registry, clock=clock
            )

    def page(self, **changes: Any) -> UnbilledPage:
        arguments: dict[str, Any] = {
            "product_id": "prd_llm",
            "start": START,
            "end": END,
            "limit": 100,
            "cursor": "",
        }
        return list_unbilled(**{**arguments, **changes}, usage=self.usage, registry=self.registry)

    def walk(self, limit: int, **changes: Any) -> list[tuple[str, str]]:
        """(customer, meter) of all pages."""
        found: list[tuple[str, str]] = []
        cursor = ""
        for _ in range(1_000):
            page = self.page(limit=limit, cursor=cursor, **changes)
            assert len(page.items) <= limit
            found += [(each.customer_id, each.meter_id) for each in page.items]
            cursor = page.next_cursor
            if not cursor:
                return found
        raise AssertionError("no end")


class CountingStore(FakeUsageStore):
    """Counts the customers whose usage was read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[str] = []

    def hourly(self, product_id: str, subject: str, *hours: Any) -> Any:
        self.reads.append(subject)
        return super().hourly(product_id, subject, *hours)


def used(subject: str, hour: int = 10, value: Any = 1, **changes: Any) -> UsageEvent:
    moment = at(f"2026-11-24T{hour:02}:30")
    known = {"id": f"{subject}{hour}", "subject": subject, "occurred_at": moment, "v": value}
    return usage_event(**{**known, **changes})


def test_usage_that_no_agreement_or_dimension_bills_is_listed_until_it_is_billed() -> None:
    world = World(meter(), meter(Aggregation.COUNT, id="mtr_count"))
    world.agree(dimension(meter_id="mtr"), ends_at=at("2026-11-24T10"))
    world.ingest(used("acme", 9, Decimal("0.1")), used("acme", 11, Decimal("0.2")))
    found = world.page().items
    assert [(e.meter_id, e.agreement_id, e.reason, e.quantity, e.first_hour) for e in found] == [
        ("mtr", None, UnbilledReason.NO_AGREEMENT, Decimal("0.2"), at("2026-11-24T11")),
        ("mtr_count", "agr_1", UnbilledReason.NO_DIMENSION, Decimal(1), at("2026-11-24T09")),
        ("mtr_count", None, UnbilledReason.NO_AGREEMENT, Decimal(1), at("2026-11-24T11")),
    ]
    count = dimension(code="count", meter_id="mtr_count")
    world.agree(dimension(meter_id="mtr"), count, id="next", starts_at=at("2026-11-24T10"))
    assert world.walk(10) == [("acme", "mtr_count")]


def test_customers_that_are_not_registered_stay_among_unmatched_events() -> None:
    world = World(customers=["acme"])
    world.ingest(used("acme"), used("stranger"))
    assert world.walk(10) == [("acme", "mtr")]
    unmatched = list_unmatched(
        start=START, end=END, limit=10, cursor="", log=world.log, registry=world.registry
    )
    assert [each.event.subject for each in unmatched.items] == ["stranger"]
    with pytest.raises(NotFoundError, match=r"no customer stranger.*unmatched"):
        world.page(customer_id="stranger")


def test_usage_of_an_archived_meter_stays_and_that_of_a_removed_one_becomes_unmatched() -> None:
    world = World(meter(archived_at=at("2026-11-24T11")), meter(id="mtr_gone"))
    world.ingest(used("acme", 10), used("acme", 12))
    assert world.walk(10) == [("acme", "mtr"), ("acme", "mtr_gone")]
    assert [each.quantity for each in world.page().items] == [Decimal(1), Decimal(2)]
    world.registry.remove_meter("mtr_gone")
    world.fold()
    assert world.walk(10) == [("acme", "mtr")]
    unmatched = list_unmatched(
        start=START, end=END, limit=10, cursor="", log=world.log, registry=world.registry
    )
    assert [each.event.id for each in unmatched.items] == ["acme12"]


def test_what_belongs_to_other_products_is_not_listed() -> None:
    world = World(meter(), meter(id="mtr_other", product_id="prd_other"))
    world.ingest(used("acme"), used("birch", product_id="prd_other"))
    assert world.walk(10) == [("acme", "mtr")]
    assert world.walk(10, product_id="prd_other") == [("birch", "mtr_other")]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 8, 9])
def test_pages_add_up_whatever_their_size(limit: int) -> None:
    world = World(meter(), meter(Aggregation.COUNT, id="mtr_count"), meter(id="mtr_more"))
    world.ingest(*(used(subject) for subject in ("acme", "cedar", "dune")))
    names = ("mtr", "mtr_count", "mtr_more")
    everything = [(subject, name) for subject in ("acme", "cedar", "dune") for name in names]
    assert world.walk(limit) == everything
    assert world.walk(limit, customer_id="cedar") == everything[3:6]


def test_a_page_reads_a_bounded_number_of_customers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unbilled_usage, "MAX_CUSTOMERS_READ", 2)
    world = World()
    world.ingest(used("dune"))
    page = world.page()
    assert (page.items, world.usage.reads) == ((), ["acme", "birch"])
    page = world.page(cursor=page.next_cursor)
    assert [each.customer_id for each in page.items] == ["dune"]
    assert (page.next_cursor, world.usage.reads) == ("", list(FOUR))


def test_a_page_that_read_many_states_ends_with_the_customer_it_is_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unbilled_usage, "MAX_STATES_READ", 4)
    world = World()
    world.ingest(used("acme", 9), used("acme", 10), *(used(each) for each in FOUR[1:]))
    # A row counts as one, and so does each of its states: acme has four.
    assert [each.customer_id for each in world.page().items] == ["acme"]
    assert world.usage.reads == ["acme"]
    assert world.walk(10) == [(subject, "mtr") for subject in FOUR]


def test_a_full_page_reads_no_further_customer() -> None:
    world = World()
    world.ingest(*(used(each) for each in FOUR))
    page = world.page(limit=2)
    assert page.next_cursor
    assert world.usage.reads == ["acme", "birch"]


def test_all_customers_are_listed_when_there_are_more_than_are_read_at_once() -> None:
    names = [f"c{number:03}" for number in range(230)]
    world = World(customers=names)
    world.ingest(*(used(each) for each in names))
    assert world.walk(100) == [(name, "mtr") for name in names]


def test_a_customer_that_is_removed_between_two_pages_is_passed_over() -> None:
    world = World(meter(), meter(id="mtr_more"))
    world.ingest(used("acme"), used("birch"))
    cursor = world.page(limit=1).next_cursor
    world.registry.remove_customer("acme")
    assert [each.customer_id for each in world.page(cursor=cursor).items] == ["birch", "birch"]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-11-24T10:30", "2026-11-24T12"),
        ("2026-11-24T10", "2026-11-24T12:00:01"),
        ("2026-11-24T10", "2026-11-24T10"),
        ("2026-11-24T11", "2026-11-24T10"),
        ("2026-10-01T00", "2026-11-01T01"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(start: str, end: str) -> None:
    with pytest.raises(InvalidInputError, match="invalid_range"):
        World().page(start=at(start), end=at(end))
    assert World().page(start=END - timedelta(days=31)).items == ()


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "WzFd",
        "W10",
        "WyIiLDFd",  # ["", 1]
        "WyJhY21lIiwtMV0",  # ["acme", -1]
        "WyJcdWQ4MDAiLG51bGxd",  # a lone surrogate
        "WyJhY21lIixudWxsLDFd",  # ["acme", null, 1]
    ],
)
def test_a_text_that_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidInputError, match="invalid_cursor"):
        World().page(cursor=cursor)


def test_a_cursor_of_another_customer_is_refused() -> None:
    world = World(meter(), meter(id="mtr_more"))
    world.ingest(used("acme"), used("birch"))
    cursor = world.page(limit=1, customer_id="acme").next_cursor
    assert world.page(cursor=cursor, customer_id="acme").items
    with pytest.raises(InvalidInputError, match="invalid_cursor"):
        world.page(cursor=cursor, customer_id="birch")
    between = world.page(limit=2).next_cursor
    with pytest.raises(InvalidInputError, match="invalid_cursor"):
        world.page(cursor=between, customer_id="acme")
