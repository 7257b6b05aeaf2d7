"""From a cent to the events: every line's hours, records and events make exactly what it says."""

from __future__ import annotations

from decimal import Decimal

import pytest

from builders import at
from invoiced_world import InvoicedWorld
from invoicing_setup import TIERS
from meterbridge.application.credit_invoices import credit_invoice
from meterbridge.application.explain_line import LineExplanation, explain_line
from meterbridge.domain.errors import InvalidInputError, NotFoundError
from meterbridge.domain.invoicing.crediting import LineCredit
from meterbridge.domain.invoicing.invoice_lines import LineKind
from meterbridge.domain.pricing.models import PerUnit
from meterbridge.domain.pricing.plan_terms import Discount, Entitlement, SubscriptionFee
from pricing_setup import plan, priced
from rated_world import in_cents

D = Decimal
TERMS = plan(
    priced(TIERS, name="Calls", entitlement=Entitlement(D(10))),
    priced(PerUnit(D(2)), "gpu"),
    fees=(SubscriptionFee("base", D(99)),),
    discounts=(Discount("launch", percent=D(10), codes=frozenset({"api"})),),
    reporting=in_cents("api", "gpu", "base"),
)


@pytest.fixture
def world() -> InvoicedWorld:
    """1,510 calls and 3 GPU hours in three hours of November, in events."""
    world = InvoicedWorld(TERMS)
    world.send("2026-11-24T09:10", 1, api=410, gpu=1)
    world.send("2026-11-24T09:50", 2, api=600)
    world.send("2026-11-24T09:50", 2, api=600)
    world.send("2026-11-24T10:05", 3, api=400)
    world.send("2026-11-24T11:05", 4, api=100, gpu=2)
    world.settle("2026-11-24T12:20")
    world.issue("2026-12-04T00")
    return world


def explain(
    world: InvoicedWorld, line: int, number: str = "MB-000001", limit: int = 100, cursor: str = ""
) -> LineExplanation:
    return explain_line(
        world.document(number),
        line,
        sources=world.sources,
        log=world.log,
        now=world.clock.now(),
        limit=limit,
        cursor=cursor,
    )


def test_a_tier_is_traced_to_its_hours_records_and_events(world: InvoicedWorld) -> None:
    """The first 10 are included; hour 9 has 1,010: tier 1 is full with it."""
    lines = world.document("MB-000001").lines
    assert [line.description for line in lines] == [
        "Calls: included in the plan",
        "Calls: tier 1 (up to 1,000)",
        "Calls: tier 2 (over 1,000 up to 10,000)",
        "Gpu",
        "Base: subscription fee",
        "Discount: launch (10 %)",
    ]
    found = explain(world, 3)

    assert [(share.hour, share.quantity, share.amount) for share in found.shares] == [
        (at("2026-11-24T10"), D(400), D(2)),
        (at("2026-11-24T11"), D(100), D("0.5")),
    ]
    assert found.dimension is not None
    assert found.dimension.price == TIERS
    assert [meter.id for meter in found.meters] == ["mtr_api"]
    assert [(event.id, event.quantity) for event in found.events] == [
        ("api-3", D(400)),
        ("api-4", D(100)),
    ]
    assert [record.key.hour for record in found.records] == [
        at("2026-11-24T10"),
        at("2026-11-24T11"),
    ]
    assert (found.changed, found.events_complete, found.next_cursor) == (D(0), True, "")


def test_every_line_with_hours_is_the_sum_of_them(world: InvoicedWorld) -> None:
    for line in world.document("MB-000001").lines:
        found = explain(world, line.number)
        assert found.amount_now == line.amount, line
        assert found.changed == 0


def test_the_events_of_the_lines_of_a_meter_are_its_quantity_each_once(
    world: InvoicedWorld,
) -> None:
    found = explain(world, 2)
    counted = {event.id: event.quantity for event in found.events}

    assert counted == {"api-1": D(410), "api-2": D(600)}
    assert sum(counted.values()) == 1010
    assert [event.id for event in explain(world, 4).events] == ["gpu-1", "gpu-4"]


def test_a_discount_names_what_it_was_taken_off_by_hour(world: InvoicedWorld) -> None:
    found = explain(world, 6)

    assert [(share.hour.hour, share.code, share.amount) for share in found.shares] == [
        (9, "api", D(-1)),
        (10, "api", D("-0.2")),
        (11, "api", D("-0.05")),
    ]
    assert (found.dimension, found.events) == (None, ())
    assert len(found.records) == 3


def test_a_fee_has_an_hour_and_no_events(world: InvoicedWorld) -> None:
    found = explain(world, 5)

    assert [(share.hour, share.amount) for share in found.shares] == [(at("2026-11-01T00"), D(99))]
    assert (found.meters, found.events, found.events_complete) == ((), (), True)


def test_events_come_in_pages_that_lose_none(world: InvoicedWorld) -> None:
    cursor, found = "", []
    while True:
        page = explain(world, 2, limit=1, cursor=cursor)
        found += [event.id for event in page.events]
        cursor = page.next_cursor
        if not cursor:
            break
    assert found == ["api-1", "api-2"]
    with pytest.raises(InvalidInputError, match="invalid_cursor"):
        explain(world, 2, cursor="x")


def test_a_correction_is_traced_to_the_events_that_came_late(world: InvoicedWorld) -> None:
    world.send("2026-11-30T20:00", 5, received="2026-12-04T07:00", api=7)
    world.send("2026-12-05T20:00", 6, received="2026-12-05T20:00", api=20)
    world.issue("2027-01-04T00")

    invoice = world.document("MB-000002")
    (adjustment,) = (line for line in invoice.lines if line.kind is LineKind.ADJUSTMENT)
    assert (adjustment.quantity, adjustment.amount) == (D(7), D("0.0315"))
    found = explain(world, adjustment.number, "MB-000002")
    assert [event.id for event in found.events] == ["api-5"]
    late = explain(world, 3)
    assert late.changed == D("0.035")
    assert [event.id for event in late.events] == ["api-3", "api-4", "api-5"]


def test_of_events_that_are_not_kept_any_more_it_says_so(world: InvoicedWorld) -> None:
    world.go_to("2027-01-08T10:30")
    found = explain(world, 2)
    assert (found.events_complete, found.events_from) == (False, at("2026-11-24T11"))
    assert found.events == ()
    assert found.amount_now == world.document("MB-000001").lines[1].amount
    assert [event.id for event in explain(world, 3).events] == ["api-4"]


def test_what_a_person_credited_is_traced_to_the_line_of_the_invoice(world: InvoicedWorld) -> None:
    credit_invoice(
        world.document("MB-000001"),
        [LineCredit(3, D("0.5"))],
        "slow answers",
        issued_by="me",
        token="abc",
        invoices=world.invoices,
        rules=world.rules,
        now=world.clock.now(),
        answering=lambda _: None,
    )
    found = explain(world, 1, "MB-CN-000001")

    assert (found.line.amount, found.traced.number) == (D("-0.5"), 3)
    assert [event.id for event in found.events] == ["api-3", "api-4"]


def test_a_line_that_is_not_there_is_not_found(world: InvoicedWorld) -> None:
    with pytest.raises(NotFoundError):
        explain(world, 99)
