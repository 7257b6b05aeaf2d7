"""Real usage under other terms, worked out by hand: line by line, and never anything written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from builders import agreement, at
from meterbridge.application import replay_usage as module
from meterbridge.application.rated_usage import RatedSpan, read_rated_usage
from meterbridge.application.refusals import InvalidRequestError
from meterbridge.application.replay_usage import (
    AgreementReplay,
    OtherTerms,
    check_replay,
    replay_agreement,
    replay_agreements,
)
from meterbridge.domain.agreements import Agreement, Customer, PlanChange
from meterbridge.domain.channels import Channel
from meterbridge.domain.pricing.agreement_terms import Grant
from meterbridge.domain.pricing.cycles import CycleKind
from meterbridge.domain.pricing.models import PerUnit
from meterbridge.domain.pricing.overrides import DimensionOverride, Overrides
from meterbridge.domain.pricing.plan_terms import Discount, SubscriptionFee
from meterbridge.domain.pricing.tiers import Graduated, Tier
from pricing_setup import plan, priced
from rated_world import RatedWorld, in_cents

D = Decimal
NOVEMBER = (at("2026-11-01T00"), at("2026-12-01T00"))
FLAT = plan(priced(PerUnit(D("0.02"))), reporting=in_cents("api"))
TIERED = plan(
    priced(Graduated((Tier(D(100), D("0.02")), Tier(None, D("0.01"))))),
    fees=(SubscriptionFee("base", D(5), prorate=False),),
    reporting=in_cents("api", "base"),
)


class ReadOnly:
    """A port of which only reading methods can be called."""

    READING = frozenset(
        {
            "agreement_page",
            "agreements_of",
            "children_of",
            "head",
            "hourly",
            "links_of",
            "meter",
            "offering",
            "rating_state",
        }
    )

    def __init__(self, port: Any) -> None:
        self._port = port

    def __getattr__(self, name: str) -> Any:
        assert name in self.READING, f"{name} may write"
        return getattr(self._port, name)


def reader(world: RatedWorld) -> Any:
    def read(found: Agreement, start: datetime, end: datetime) -> RatedSpan:
        return read_rated_usage(
            found,
            start,
            end,
            registry=ReadOnly(world.registry),  # type: ignore[arg-type]
            usage=ReadOnly(world.usage),  # type: ignore[arg-type]
            ledger=ReadOnly(world.ledger),  # type: ignore[arg-type]
            now=world.clock.now(),
        )

    return read


def replay(
    world: RatedWorld,
    start: datetime = NOVEMBER[0],
    end: datetime = NOVEMBER[1],
    *,
    of: str = "agr_1",
    **other: Any,
) -> AgreementReplay:
    registry: Any = ReadOnly(world.registry)
    found = replay_agreement(
        world.registry.agreement(of),
        OtherTerms(**other),
        start,
        end,
        registry=registry,
        read=reader(world),
    )
    assert found is not None
    return found


def lines(found: AgreementReplay) -> Mapping[str, tuple[Any, Any, Decimal]]:
    """Net before, net after and the difference by code."""
    return {
        line.code: (
            line.before and line.before.net,
            line.after and line.after.net,
            line.difference,
        )
        for line in found.lines
    }


def used_in_november(*plans: Any, **terms: Any) -> RatedWorld:
    world = RatedWorld(*(plans or (FLAT, TIERED)), now="2026-12-02T12:20", **terms)
    for hour, quantity in (("03T10", 60), ("10T11", 70), ("24T09", "20.5")):
        world.use(f"2026-11-{hour}", api=quantity)
    return world


def test_another_plan_is_shown_line_by_line() -> None:
    """150.5 at 0.02 are 3.01; 100 at 0.02 and 50.5 at 0.01 are 2.505, and the fee."""
    found = replay(used_in_november(), plan_code="p1")
    assert lines(found) == {
        "api": (D("3.01"), D("2.505"), D("-0.505")),
        "base": (None, D(5), D(5)),
    }
    assert (found.before, found.after, found.difference) == (D("3.01"), D("7.505"), D("4.495"))
    (api, _) = found.lines
    assert api.before is not None
    assert api.after is not None
    assert (api.before.metered, api.after.metered) == (D("150.5"), D("150.5"))
    assert [(part.tier, part.quantity, part.amount) for part in api.after.parts] == [
        (1, D(100), D(2)),
        (2, D("50.5"), D("0.505")),
    ]
    assert found.rated_from == NOVEMBER[0]


def test_what_the_other_terms_do_not_charge_for_is_left_out_after() -> None:
    world = used_in_november(TIERED, FLAT)
    assert lines(replay(world, plan_code="p1"))["base"] == (D(5), None, D(-5))


def test_overrides_sent_along_are_in_place_of_the_agreements_own() -> None:
    world = used_in_november()
    world.change(overrides=Overrides(discounts=(Discount("deal", percent=D(10)),)))
    own = replay(world, plan_code="p1")
    # 3.01 less a tenth; then 2.505 and 5 less a tenth.
    assert (own.before, own.after) == (D("2.709"), D("6.7545"))
    cheaper = Overrides((DimensionOverride("api", PerUnit(D("0.01"))),))
    other = replay(world, overrides=cheaper)
    assert lines(other) == {"api": (D("2.709"), D("1.505"), D("-1.204"))}
    assert replay(world, overrides=Overrides()).after == D("3.01")


def test_tiers_count_from_the_start_of_the_cycle_in_which_the_span_begins() -> None:
    """From the 20th on, 130 were used before: all of the 20.5 is in the second tier."""
    found = replay(used_in_november(), at("2026-11-20T00"), plan_code="p1")
    assert lines(found) == {"api": (D("0.41"), D("0.205"), D("-0.205"))}
    assert found.rated_from == NOVEMBER[0]


def test_an_anniversary_cycle_is_rated_from_its_start() -> None:
    plans = [replace(each, cycle=CycleKind.ANNIVERSARY) for each in (FLAT, TIERED)]
    world = used_in_november(*plans, starts_at=at("2026-10-09T00"))
    world.use("2026-10-20T10", api=500)
    found = replay(world, plan_code="p1")
    # November begins in the cycle of 9 October: its 500 and 60 are beyond 100, and the second
    # cycle from 9 November has 90.5 in the first tier, and its fee.
    assert found.rated_from == at("2026-10-09T00")
    assert lines(found) == {
        "api": (D("3.01"), D("0.6") + D("1.81"), D("-0.6")),
        "base": (None, D(5), D(5)),
    }


def test_credits_that_were_left_are_spent_under_the_other_terms() -> None:
    grant = Grant("g", D(4), at("2026-10-01T00"))
    world = used_in_november(starts_at=at("2026-10-01T00"), grants=(grant,))
    world.use("2026-10-20T10", api=100)
    found = replay(world, plan_code="p1")
    # October took 2 of 4. In November 2 of 3.01 are paid, or 2 of the fee in its first hour.
    assert lines(found) == {
        "api": (D("1.01"), D("2.505"), D("1.495")),
        "base": (None, D(3), D(3)),
    }


def test_what_was_sealed_and_what_was_not_give_the_same() -> None:
    world = used_in_november(starts_at=at("2026-09-01T00"))
    world.use("2026-09-20T10", api=100)
    fresh = replay(world, plan_code="p1")
    for month in ("10", "11", "12"):
        world.settle(max(at(f"2026-{month}-02T12:20"), world.clock.now()))
    assert replay(world, plan_code="p1") == fresh


def test_a_change_that_was_agreed_on_for_later_is_left_aside() -> None:
    world = used_in_november(starts_at=at("2026-10-01T00"))
    world.change(plan_changes=(PlanChange(at("2026-11-01T00"), 1, "p1"),))
    october = replay(world, at("2026-10-01T00"), plan_code="p0")
    assert lines(october) == {
        "api": (D("2.505"), D("3.01"), D("0.505")),
        "base": (D(5), None, D(-5)),
    }
    # An agreement's own plan is the one in force where the span begins.
    assert replay(world, overrides=Overrides()).difference == 0


def test_an_agreement_outside_the_span_is_no_part_of_it() -> None:
    world = used_in_november(ends_at=at("2026-11-15T00"))
    for start, end in (("2026-12-01T00", "2026-12-02T00"), ("2026-10-01T00", "2026-10-31T00")):
        registry: Any = world.registry
        found = replay_agreement(
            world.agreement,
            OtherTerms(plan_code="p1"),
            at(start),
            at(end),
            registry=registry,
            read=reader(world),
        )
        assert found is None


@pytest.mark.parametrize(
    ("changes", "other", "refused"),
    [
        ({}, {"plan_code": "p9"}, "unknown_plan"),
        ({}, {"plan_code": "p2"}, "other_cycle_or_currency"),
        ({}, {"plan_code": "p3"}, "other_cycle_or_currency"),
        ({}, {"overrides": Overrides((DimensionOverride("gpu"),))}, "unknown_code"),
        (
            {"overrides": Overrides((DimensionOverride("api", PerUnit(D(1))),))},
            {"plan_code": "p1"},
            "other_structure",
        ),
        ({}, {"overrides": Overrides((), (Discount("d", percent=D(101)),))}, "not_a_percentage"),
    ],
)
def test_why_an_agreement_cannot_be_rated_so(
    changes: dict[str, Any], other: dict[str, Any], refused: str
) -> None:
    annual, euro = replace(FLAT, cycle=CycleKind.ANNUAL), replace(FLAT, currency="EUR")
    world = used_in_november(FLAT, TIERED, annual, replace(euro, reporting=()))
    world.change(**changes)
    found = replay(world, **other)
    assert (found.refused, found.lines, found.difference) == (refused, (), D(0))
    assert found.detail


def test_a_span_of_too_many_hours_and_dimensions_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_QUANTITIES", 719)
    found = replay(used_in_november(), plan_code="p1")
    assert (found.refused, found.detail) == (
        "too_much_usage",
        "720 hours of 1 dimensions: take a shorter span",
    )


def test_all_agreements_of_an_offering_come_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    world = used_in_november()
    for number in range(2, 6):
        customer = f"c{number}"
        world.registry.add_customer(Customer(customer))
        offering_id = "off_std" if number != 4 else "off_2"
        if number == 4:
            other = replace(world.registry.offering("off_std", 1), id="off_2")
            world.registry.add_offering(other, {"mtr_api": 1})
        world.registry.add_agreement(
            replace(
                agreement(plan_code="p0"),
                id=f"agr_{number}",
                customer_id=customer,
                offering_id=offering_id,
                channel=Channel.MANUAL,
                aws=None,
            )
        )
    offering = world.registry.offering("off_std", 1)
    registry: Any = ReadOnly(world.registry)

    def page(after: str, limit: int) -> tuple[list[str], str]:
        found = replay_agreements(
            offering,
            OtherTerms(plan_code="p1"),
            *NOVEMBER,
            after=after,
            limit=limit,
            registry=registry,
            read=reader(world),
        )
        return [each.agreement_id for each in found.items], found.next_after

    assert page("", 9) == (["agr_1", "agr_2", "agr_3", "agr_5"], "")
    assert page("", 2) == (["agr_1", "agr_2"], "agr_2")
    assert page("agr_2", 2) == (["agr_3", "agr_5"], "")
    monkeypatch.setattr(module, "MAX_SCANNED", 1)
    assert page("agr_3", 9) == ([], "agr_4")
    assert page("agr_4", 9) == (["agr_5"], "")
    monkeypatch.setattr(module, "MAX_SCANNED", 200)
    monkeypatch.setattr(module, "ENOUGH_QUANTITIES", 3)
    assert page("", 9) == (["agr_1"], "agr_1")


def test_what_no_agreement_could_be_replayed_for_is_told_at_once() -> None:
    world = used_in_november()
    offering = world.registry.offering("off_std", 1)
    registry: Any = world.registry

    def faults(start: str, end: str, **other: Any) -> list[tuple[str, str]]:
        with pytest.raises(InvalidRequestError) as raised:
            check_replay(offering, OtherTerms(**other), at(start), at(end), registry=registry)
        return [(fault.pointer, fault.code) for fault in raised.value.faults]

    assert faults("2026-01-01T00", "2026-04-04T00", offering_version=2) == [
        ("/end", "invalid_range"),
        ("/version", "unknown_version"),
    ]
    assert faults("2026-01-01T00", "2026-01-01T00", offering_version=1, plan_code="x") == [
        ("/end", "invalid_range"),
        ("/plan_code", "unknown_plan"),
    ]
    wrong = Overrides((DimensionOverride("gpu"),), (Discount("d", percent=D(101)),))
    assert faults(
        "2026-01-01T00", "2026-01-01T00", offering_version=1, plan_code="p0", overrides=wrong
    ) == [("/end", "invalid_range"), ("/overrides/dimensions/0/code", "unknown_code")]
    check_replay(
        offering,
        OtherTerms(1, "p1", Overrides()),
        at("2026-01-01T00"),
        at("2026-04-03T00"),
        registry=registry,
    )
