"""Terms are settled: what is due goes into records, natively or as money, and nothing gets lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from builders import at
from meterbridge.domain.agreements import (
    AgreementState,
    AzureBuyerReference,
    PlanChange,
    SeatsInForce,
)
from meterbridge.domain.money import Money
from meterbridge.domain.offerings import Channel
from meterbridge.domain.pricing.agreement_terms import Grant
from meterbridge.domain.pricing.cycles import CycleKind
from meterbridge.domain.pricing.models import PerUnit
from meterbridge.domain.pricing.overrides import DimensionOverride, Overrides
from meterbridge.domain.pricing.plan_terms import (
    Discount,
    Entitlement,
    FreeTrial,
    MinimumCharge,
    PaymentSchedule,
    PlanTerms,
    SeatFee,
    SubscriptionFee,
    TrialKind,
)
from meterbridge.domain.pricing.tiers import Graduated, Tier, Volume
from meterbridge.domain.windows import BillingPeriod
from pricing_setup import plan, priced
from rated_world import RatedWorld, in_cents, natively

D = Decimal
TIERS = Graduated((Tier(D(1000), D("0.002")), Tier(None, D("0.001"))))
AZURE = {
    "channel": Channel.AZURE,
    "aws": None,
    "azure": AzureBuyerReference("std", resource_id="12345678-1234-1234-1234-123456789012"),
}


def test_tiers_are_reported_in_cents_and_parts_of_a_cent_are_carried() -> None:
    world = RatedWorld(plan(priced(TIERS), reporting=in_cents("api")))
    world.use("2026-11-24T09", api=999)
    world.use("2026-11-24T10", api=7)
    world.settle()
    # 999 × 0.002 = 1.998; then 1 × 0.002 + 6 × 0.001 = 0.008: 2.006 in all.
    assert world.records() == {"11-24T09 charges": "199", "11-24T10 charges": "1"}
    assert world.buckets() == {"charges": {"accepted": "2", "carried": "0.006"}}
    (line,) = world.statement().charge_lines
    assert (line.code, line.metered, line.net) == ("api", D(1006), Money(D("2.006"), "USD"))


def test_azure_is_told_only_what_is_beyond_the_included_quantity() -> None:
    terms = plan(
        priced(PerUnit(D("0.04")), entitlement=Entitlement(D(100))),
        reporting=natively("api", channel=Channel.AZURE),
    )
    world = RatedWorld(terms, **AZURE)
    for hour, quantity in (("09", 80), ("10", 50), ("11", 5)):
        world.use(f"2026-11-24T{hour}", api=quantity)
    world.settle()
    assert world.records() == {"11-24T10 api": "30", "11-24T11 api": "5"}
    (line,) = world.statement().lines
    assert (line.metered, line.included, line.rated) == (D(135), D(100), D(35))


def test_a_fee_is_reported_without_any_usage_and_says_when_the_next_is_due() -> None:
    fee = SubscriptionFee("base", D(20), prorate=False)
    world = RatedWorld(
        plan(priced(PerUnit(D(1))), fees=(fee,), reporting=in_cents("api", "base")),
        now="2026-11-24T12:20",
        starts_at=at("2026-11-24T11"),
    )
    world.settle()
    assert world.records() == {"11-24T11 charges": "2000"}
    head = world.ledger.head("agr_1")
    assert head is not None
    assert head.due_at == at("2026-11-30T23")  # the cycle's last hour, where true-ups are made
    assert list(world.ledger.due(at("2026-11-30T23"))) == []
    assert list(world.ledger.due(at("2026-12-01T00"))) == ["agr_1"]
    world.settle("2026-12-01T01:20")
    assert list(world.records().values()) == ["2000", "2000"]
    assert world.buckets("2026-12") == {"charges": {"accepted": "20"}}


def test_a_trial_credits_and_a_discount_lower_what_is_reported() -> None:
    terms = plan(
        priced(PerUnit(D("0.5"))),
        trial=FreeTrial(TrialKind.QUANTITY, quantities={"api": D(10)}),
        discounts=(Discount("deal", percent=D(20)),),
        reporting=in_cents("api"),
    )
    grant = Grant("welcome", D(3), at("2026-11-01T00"))
    world = RatedWorld(terms, grants=(grant,))
    world.use("2026-11-24T09", api=12)
    world.use("2026-11-24T10", api=10)
    world.settle()
    # 10 are free. 12 × 0.5 = 6.00, less 20 % = 4.80, less 3.00 of credits = 1.80.
    assert world.records() == {"11-24T10 charges": "180"}
    (line,) = world.statement().charge_lines
    assert [
        line.free_trial,
        line.list_charge.amount,
        line.discounts.amount,
        line.credits.amount,
        line.net.amount,
    ] == [D(10), D(6), D("1.2"), D(3), D("1.8")]
    (reported,) = world.statement().lines
    assert (reported.metered, reported.taken_off, reported.rated) == (D(6), D("4.2"), D("1.8"))


def test_late_usage_reprices_its_cycle_and_what_became_too_much_is_carried() -> None:
    price = Volume((Tier(D(100), D("1.00")), Tier(None, D("0.50"))))
    world = RatedWorld(plan(priced(price), reporting=in_cents("api")))
    world.use("2026-11-24T09", api=90)
    world.settle("2026-11-24T12:20")
    assert world.records() == {"11-24T09 charges": "9000"}
    world.use("2026-11-24T08", api=20)  # all 110 cost 0.50 now: 55.00, and 90.00 are reported
    world.settle()
    assert world.buckets() == {"charges": {"accepted": "90", "carried": "-35"}}
    world.use("2026-11-24T12", api=80)  # 190 × 0.50 = 95.00: 5.00 are due again
    world.settle("2026-11-24T13:20")
    assert world.records()["11-24T12 charges"] == "500"
    assert world.buckets() == {"charges": {"accepted": "95"}}


def test_a_minimum_is_made_up_for_in_the_last_hour_of_the_cycle() -> None:
    terms = plan(
        priced(PerUnit(D(1))),
        minimum=MinimumCharge(D(10)),
        reporting=in_cents("api", "minimum_charge"),
    )
    world = RatedWorld(terms, now="2026-12-01T00:20")
    world.use("2026-11-30T22", api=4)
    world.settle()
    assert world.records() == {"11-30T22 charges": "400", "11-30T23 charges": "600"}


def test_a_plan_change_holds_from_its_cycle_on_with_its_own_overrides() -> None:
    first = plan(priced(PerUnit(D(1))), reporting=in_cents("api"))
    second = plan(priced(PerUnit(D("0.8"))), reporting=in_cents("api"))
    change = PlanChange(
        at("2026-12-01T00"),
        offering_version=1,
        plan_code="p1",
        overrides=Overrides((DimensionOverride("api", PerUnit(D("0.75"))),)),
    )
    world = RatedWorld(first, second, now="2026-12-01T03:20", plan_changes=(change,))
    world.use("2026-11-30T23", api=4)
    world.use("2026-12-01T00", api=4)
    world.settle()
    assert world.records() == {"11-30T23 charges": "400", "12-01T00 charges": "300"}


def test_seats_are_charged_from_the_hour_of_their_change() -> None:
    fee = SeatFee("seats", D(72), PaymentSchedule.UPFRONT)
    world = RatedWorld(
        PlanTerms("USD", fees=(fee,), reporting=in_cents("seats")),
        now="2026-11-16T01:20",
        seats=(SeatsInForce("seats", at("2026-11-01T00"), D(2)),),
    )
    world.settle()
    assert sum(map(int, world.records().values())) == 14400
    world.change(
        seats=(*world.agreement.seats, SeatsInForce("seats", at("2026-11-16T02"), D(3))),
    )
    world.settle("2026-11-16T03:20")
    # One more seat for 358 of 720 hours.
    assert world.records()["11-16T02 charges"] == "3580"


def test_what_was_rated_before_the_live_months_is_sealed_and_old_statements_stay_exact() -> None:
    # An annual cycle: the tiers go on over months that are no longer read.
    terms = plan(priced(TIERS), cycle=CycleKind.ANNUAL, reporting=in_cents("api"))
    world = RatedWorld(terms, now="2026-11-01T00:20", starts_at=at("2026-11-01T00"))
    moment, hours = at("2026-11-01T00"), 0
    while moment < at("2027-03-20T00"):
        world.use(f"{moment:%Y-%m-%dT%H}", api=50)
        hours += 1
        world.settle(moment + timedelta(hours=1, minutes=20))
        moment += timedelta(days=5, hours=7)
    head = world.ledger.head("agr_1")
    assert head is not None
    assert head.live_from == BillingPeriod(2027, 2)
    assert head.rating is not None
    assert head.rating == world.ledger.rating_state("agr_1", BillingPeriod(2027, 2))
    # 50 each: the first 20 hours make the first tier full, the rest are at half the price.
    due = D("0.1") * 20 + D("0.05") * (hours - 20)
    reported = sum((record.quantity for record in world.ledger.records("agr_1")), D(0)) / 100
    assert (hours, reported) == (27, due)
    months = [f"2026-{month}" for month in (11, 12)] + [f"2027-0{month}" for month in (1, 2, 3)]
    found = {month: world.statement(month) for month in months}
    assert sum((each.lines[0].rated for each in found.values()), D(0)) == due
    assert world.buckets("2026-12") == {"charges": {"accepted": "0.6"}}
    assert all(not each.lines[0].buckets[key] for each in found.values() for key in ("unsettled",))


def test_an_hour_that_two_agreements_share_is_charged_by_the_first() -> None:
    fee = SubscriptionFee("base", D(72), PaymentSchedule.UPFRONT)
    terms = PlanTerms("USD", fees=(fee,), reporting=in_cents("base"))
    end = at("2026-11-16T00:30")
    world = RatedWorld(terms, now="2026-11-16T01:20", ends_at=end)
    second = replace(world.agreement, id="agr_2", starts_at=end, ends_at=None)
    world.registry.add_agreement(second)
    world.settle("2026-11-16T01:20")
    world.settle("2026-11-16T02:20", agreement_id="agr_2")
    paid = {
        name: sum(record.quantity for record in world.ledger.records(name))
        for name in ("agr_1", "agr_2")
    }
    # 361 of the month's 720 hours, and the 359 after them.
    assert paid == {"agr_1": 3610, "agr_2": 3590}


def test_a_pending_agreement_whose_start_moves_owes_nothing_from_before_it() -> None:
    fee = SubscriptionFee("base", D(20), prorate=False)
    terms = plan(priced(PerUnit(D(1))), fees=(fee,), reporting=in_cents("api", "base"))
    world = RatedWorld(terms, now="2026-11-02T12:20", state=AgreementState.PENDING)
    world.use("2026-11-02T10", api=5)
    world.settle()
    world.settle("2027-02-10T12:20")
    world.change(starts_at=at("2027-02-10T00"), state=AgreementState.ACTIVE)
    world.use("2027-02-10T12", api=3)
    world.settle("2027-02-10T13:20")
    billed = sum((record.quantity for record in world.ledger.records("agr_1")), D(0))
    assert billed == 2300
