"""A record of the old month's last hours may settle usage of the new month: both statements balance."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from builders import at
from meterbridge.domain.events import UsageEvent
from meterbridge.domain.statement import Bucket
from meterbridge.domain.windows import BillingPeriod
from world import World

NOVEMBER, DECEMBER = BillingPeriod(2026, 11), BillingPeriod(2026, 12)


def used(number: int, moment: str, tokens: str) -> UsageEvent:
    values = {"tokens": Decimal(tokens)}
    return UsageEvent(
        "prd_llm", "app", f"event-{number}", "llm.request", "acme", at(moment), values
    )


def test_usage_of_the_new_month_in_a_record_of_the_old_one_is_found_by_its_statement() -> None:
    world = World(at("2026-12-01T02:20:00"))
    world.send([used(1, "2026-11-30T22:30:00", "999.9")])
    world.send([used(2, "2026-12-01T01:30:00", "2500.25")])
    world.settle_down(hours=1)
    # Late, for the old month. What is left of it fills a unit with a little that December carries.
    world.send([used(3, "2026-11-30T21:30:00", "4999.000001")])
    world.settle_down(hours=1)
    allocations = {
        record.key.hour: record.allocations
        for record in world.real_ledger.records("agr_acme", end=DECEMBER.start)
        if record.key.dimension == "tokens_k"
    }
    assert allocations == {
        at("2026-11-30T21"): {NOVEMBER: Decimal(4000)},
        at("2026-11-30T22"): {NOVEMBER: Decimal("999.000001"), DECEMBER: Decimal("0.999999")},
    }
    lines = {each.period: each.lines[1] for each in world.statements("acme")}
    assert all(line.balanced for line in lines.values())
    assert lines[DECEMBER].buckets[Bucket.ACCEPTED] == Decimal("2001.099999")
    world.clock.advance(timedelta(days=1))
    world.settle_down(hours=1)
    world.check_books()
