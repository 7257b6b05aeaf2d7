"""Random terms and usage of an agreement over its first months."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from hypothesis import strategies as st

from meterbridge.domain.money import Rounding
from meterbridge.domain.pricing.agreement_terms import (
    AgreementTerms,
    Grant,
    SeatChange,
    TermsVersion,
)
from meterbridge.domain.pricing.cycles import BilledSpan, CycleKind
from meterbridge.domain.pricing.increments import Increment, Interval
from meterbridge.domain.pricing.models import (
    Dimensional,
    Flat,
    GroupPrice,
    Package,
    Percentage,
    PerUnit,
    SimpleModel,
    Waterfall,
    WaterfallStep,
)
from meterbridge.domain.pricing.plan_terms import (
    Commitment,
    CreditRule,
    Discount,
    Entitlement,
    FreeTrial,
    MinimumCharge,
    OneOffFee,
    PaymentSchedule,
    PlanTerms,
    PricedDimension,
    Recurrence,
    Rollover,
    SeatFee,
    SpendCap,
    SubscriptionFee,
    TopUp,
    TrialKind,
)
from meterbridge.domain.pricing.rated import MeteredHour
from meterbridge.domain.pricing.tiers import (
    Graduated,
    GraduatedPercentage,
    PercentTier,
    Tier,
    Volume,
)
from pricing_setup import START

HOURS = 24 * 75
"""The span that random usage lies in: two cycles and a half."""

CODES = ("api", "gpu", "pay")
GROUPS = ((), ("a100",), ("t4",))


def amounts(most: int = 500) -> st.SearchStrategy[Decimal]:
    return st.decimals(0, most, places=2, allow_nan=False, allow_infinity=False)


def positive(most: int = 500) -> st.SearchStrategy[Decimal]:
    return st.decimals("0.01", most, places=2, allow_nan=False, allow_infinity=False)


prices = st.decimals(0, 3, places=4, allow_nan=False, allow_infinity=False)
percents = st.decimals(0, 100, places=1, allow_nan=False, allow_infinity=False)
moments = st.integers(0, HOURS * 60).map(lambda minutes: START + timedelta(minutes=minutes))


@st.composite
def bounds(draw: st.DrawFn) -> list[Decimal | None]:
    found = draw(st.lists(st.integers(1, 200), min_size=0, max_size=3, unique=True))
    return [*(Decimal(bound) for bound in sorted(found)), None]


@st.composite
def tiers(draw: st.DrawFn) -> tuple[Tier, ...]:
    return tuple(Tier(bound, draw(prices), draw(amounts(5))) for bound in draw(bounds()))


@st.composite
def percent_tiers(draw: st.DrawFn) -> tuple[PercentTier, ...]:
    return tuple(PercentTier(bound, draw(percents), draw(amounts(5))) for bound in draw(bounds()))


simple_models: st.SearchStrategy[SimpleModel] = st.one_of(
    st.builds(PerUnit, prices),
    st.builds(Graduated, tiers()),
    st.builds(Volume, tiers()),
    st.builds(Package, positive(50), prices),
    st.builds(Percentage, percents, prices, st.integers(0, 9).map(Decimal), amounts(50)),
    st.builds(
        Percentage,
        percents,
        prices,
        minimum=st.none() | amounts(40),
        maximum=st.none() | st.decimals(40, 90, places=2),
    ),
    st.builds(GraduatedPercentage, percent_tiers()),
    st.builds(Flat, amounts(20), st.booleans()),
)


@st.composite
def waterfalls(draw: st.DrawFn) -> Waterfall:
    takes = [*draw(st.lists(st.integers(1, 80).map(Decimal), max_size=2)), None]
    return Waterfall(
        tuple(
            WaterfallStep(f"step{number}", take, draw(st.builds(PerUnit, prices)))
            for number, take in enumerate(takes)
        )
    )


@st.composite
def dimensions(
    draw: st.DrawFn, code: str, increments: st.SearchStrategy[Increment | None]
) -> PricedDimension:
    dimensional = st.builds(
        Dimensional,
        simple_models.map(lambda model: (GroupPrice(("a100",), model),)),
        simple_models,
    )
    price = draw(st.one_of(simple_models, simple_models, waterfalls(), dimensional))
    entitlement = None
    if not isinstance(price, Dimensional):
        entitlement = draw(
            st.none() | st.builds(Entitlement, st.none() | amounts(100), st.booleans())
        )
    return PricedDimension(code, f"mtr_{code}", price, draw(increments), entitlement)


all_increments = st.none() | st.builds(
    Increment, positive(20), st.sampled_from(Rounding), st.sampled_from(Interval)
)
cycle_increments = st.none() | st.builds(Increment, positive(20), st.sampled_from(Rounding))

fees = st.one_of(
    st.builds(
        SubscriptionFee,
        st.just("sub"),
        amounts(90),
        st.sampled_from(PaymentSchedule),
        st.booleans(),
    ),
    st.builds(
        SeatFee, st.just("seats"), amounts(9), st.sampled_from(PaymentSchedule), st.booleans()
    ),
    st.builds(OneOffFee, st.just("setup"), amounts(90), st.none() | moments),
)

quantity_trials = st.builds(
    FreeTrial, st.just(TrialKind.QUANTITY), quantities=st.fixed_dictionaries({"api": amounts(200)})
)
amount_trials = st.builds(FreeTrial, st.just(TrialKind.AMOUNT), amount=amounts(200))
day_trials = st.builds(
    FreeTrial, st.just(TrialKind.DAYS), st.integers(1, 40), covers_fees=st.booleans()
)

SCOPES = st.sampled_from([frozenset[str](), frozenset({"api"}), frozenset({"gpu", "sub"})])


@st.composite
def discounts(draw: st.DrawFn, when: st.SearchStrategy[datetime | None]) -> tuple[Discount, ...]:
    found = []
    for number in range(draw(st.integers(0, 2))):
        percent = draw(st.none() | percents)
        amount = draw(amounts(80)) if percent is None else None
        found.append(
            Discount(f"off{number}", percent, amount, draw(SCOPES), draw(when), draw(when))
        )
    return tuple(found)


rollovers = st.none() | st.builds(Rollover, st.none() | amounts(60), st.integers(1, 2))
credit_rules = st.builds(
    CreditRule,
    st.just("monthly"),
    amounts(200),
    st.sampled_from(Recurrence),
    st.none() | st.integers(1, 2),
    st.integers(0, 1),
    SCOPES,
    rollovers,
).map(lambda rule: (rule,))


@st.composite
def grants(draw: st.DrawFn) -> tuple[Grant, ...]:
    found = []
    for number in range(draw(st.integers(0, 3))):
        effective = draw(moments)
        expires = draw(st.none() | st.integers(1, HOURS).map(lambda h: timedelta(hours=h)))
        found.append(
            Grant(
                f"grant{number}",
                draw(amounts(200)),
                effective,
                None if expires is None else effective + expires,
                draw(st.integers(0, 2)),
                draw(SCOPES),
                draw(rollovers),
            )
        )
    return tuple(found)


@st.composite
def plans(draw: st.DrawFn, kind: CycleKind) -> PlanTerms:
    return PlanTerms(
        currency="USD",
        cycle=kind,
        dimensions=tuple(draw(dimensions(code, all_increments)) for code in CODES),
        fees=tuple({fee.code: fee for fee in draw(st.lists(fees, max_size=3))}.values()),
        trial=draw(st.none() | quantity_trials | amount_trials | day_trials),
        discounts=draw(discounts(st.none() | moments)),
        minimum=draw(st.none() | st.builds(MinimumCharge, amounts(300), st.booleans())),
        commitment=draw(
            st.none() | st.builds(Commitment, amounts(900), st.none() | st.integers(1, 3))
        ),
        credits=draw(st.just(()) | credit_rules),
        top_up=draw(
            st.none() | st.builds(TopUp, positive(100), lasts_days=st.sampled_from([None, 9]))
        ),
        spend_cap=draw(st.none() | st.builds(SpendCap, amounts(400))),
    )


@st.composite
def agreements(draw: st.DrawFn) -> AgreementTerms:
    """Any terms: a ramp of up to two plans, an end within the span or none."""
    kind = draw(st.sampled_from([CycleKind.CALENDAR_MONTH, CycleKind.ANNIVERSARY]))
    start = START + timedelta(minutes=draw(st.integers(0, 24 * 60 * 20)))
    first = TermsVersion(start, draw(plans(kind)))
    later = draw(st.lists(st.builds(TermsVersion, moments, plans(kind)), max_size=1))
    span = BilledSpan.since(start)
    hours = draw(st.none() | st.integers(1, HOURS))
    if hours is not None:
        span = BilledSpan.since(start, span.first_hour + timedelta(hours=hours))
    changes = draw(
        st.lists(st.builds(SeatChange, moments, st.integers(0, 9).map(Decimal)), max_size=3)
    )
    return AgreementTerms(
        span,
        (first, *later),
        draw(grants()),
        {"seats": tuple(sorted(changes, key=lambda change: change.at))},
    )


@st.composite
def usage(
    draw: st.DrawFn, terms: AgreementTerms, through: datetime, signed: bool = False
) -> list[MeteredHour]:
    """Hours with usage of the agreement, ascending."""
    first = terms.span.first_hour
    last = (
        through
        if terms.span.end_hour is None
        else min(through, terms.span.end_hour - timedelta(hours=1))
    )
    size = int((last - first) / timedelta(hours=1))
    quantities = st.decimals(-20 if signed else 0, 150, places=3, allow_nan=False)
    found = []
    for offset in sorted(draw(st.sets(st.integers(0, max(size, 0)), max_size=12))):
        by_code = {
            code: {draw(st.sampled_from(GROUPS)): draw(quantities)}
            for code in draw(st.sets(st.sampled_from(CODES), min_size=1))
        }
        events = {code: {(): Decimal(draw(st.integers(0, 5)))} for code in by_code}
        found.append(MeteredHour(first + timedelta(hours=offset), by_code, events))
    return found


@st.composite
def undated_agreements(draw: st.DrawFn) -> AgreementTerms:
    """Terms under which it cannot matter in which hour of a cycle something was used."""
    kind = draw(st.sampled_from([CycleKind.CALENDAR_MONTH, CycleKind.ANNIVERSARY]))
    everything = st.just(frozenset[str]())
    off = draw(st.lists(percents | amounts(80).map(lambda amount: (amount,)), max_size=2))
    priced = tuple(draw(dimensions(code, cycle_increments)) for code in CODES)
    # A free quantity of groups with prices of their own is no valid term, for just this reason.
    by_group = isinstance(priced[0].price, Dimensional)
    plan = PlanTerms(
        currency="USD",
        cycle=kind,
        dimensions=priced,
        fees=tuple({fee.code: fee for fee in draw(st.lists(fees, max_size=3))}.values()),
        trial=draw(st.none() | amount_trials | (st.none() if by_group else quantity_trials)),
        discounts=tuple(
            Discount(f"off{number}", amount=given[0])
            if isinstance(given, tuple)
            else Discount(f"off{number}", percent=given)
            for number, given in enumerate(off)
        ),
        minimum=draw(st.none() | st.builds(MinimumCharge, amounts(300))),
        commitment=draw(st.none() | st.builds(Commitment, amounts(900), st.integers(1, 2))),
        credits=draw(
            st.lists(
                st.builds(
                    CreditRule,
                    st.sampled_from(["a", "b"]),
                    amounts(200),
                    st.sampled_from(Recurrence),
                    st.integers(1, 2),
                    st.integers(0, 1),
                    everything,
                    rollovers,
                ),
                max_size=2,
                unique_by=lambda rule: rule.id,
            ).map(tuple)
        ),
        spend_cap=draw(st.none() | st.builds(SpendCap, amounts(400))),
    )
    return AgreementTerms(BilledSpan.since(START), (TermsVersion(START, plan),))
