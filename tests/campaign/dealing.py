"""Draw deals: any terms that the product's own rules allow, with dates near the schedule."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from campaign.deals import CHARGES, LISTED, MONEY, Deal
from campaign.pricing_drawn import drawn_model
from meterbridge.domain.channels import Channel
from meterbridge.domain.money import Rounding
from meterbridge.domain.pricing.channel_reporting import (
    ChannelReporting,
    ReportedDimension,
    ReportingMode,
    Source,
)
from meterbridge.domain.pricing.cycles import CycleKind, cycle_of
from meterbridge.domain.pricing.increments import Increment, Interval
from meterbridge.domain.pricing.models import Dimensional, Percentage, PerUnit, Waterfall
from meterbridge.domain.pricing.plan_terms import (
    Commitment,
    CreditRule,
    Discount,
    Entitlement,
    Fee,
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
from meterbridge.domain.pricing.validation import validate, validate_agreement

D = Decimal
METERS = {"calls": "mtr_requests", "volume": "mtr_tokens", "models": "mtr_models"}
SIZES = {"calls": 1, "volume": 500, "models": 500}
NATIVE = {"calls": ("requests",), "volume": ("tokens_k", "tokens")}
"""What may be reported natively of each code."""


class Dealing:
    """Deals of a schedule that begins at a moment."""

    def __init__(self, random: Random, start: datetime, history: timedelta) -> None:
        self.random, self.start, self.history = random, start, history
        self.started = start

    def deal(self, channel: Channel) -> Deal:
        """A deal that no rule of the product refuses."""
        kind = self.random.choice([CycleKind.CALENDAR_MONTH, *CycleKind])
        self.started = self._started(kind)
        plan = self._valid(kind, channel)
        later = self._valid(kind, channel) if self.random.random() < 0.5 else None
        deal = Deal(self.started, plan, later)
        next_cycle = cycle_of(kind, self.started, self.start).end
        faults = validate_agreement(deal.terms(changes_at=next_cycle), channel)
        if not faults:
            return deal
        alone = Deal(self.started, plan)
        if not validate_agreement(alone.terms(changes_at=next_cycle), channel):
            return alone
        undated = tuple(replace(each, starts_at=None, ends_at=None) for each in plan.discounts)
        return Deal(self.started, replace(plan, discounts=undated))

    def _started(self, kind: CycleKind) -> datetime:
        """Some days ago; or a month, so that an anniversary comes soon; or long ago."""
        fate = self.random.random()
        if kind is CycleKind.ANNIVERSARY and fate < 0.7:
            soon = self.start + timedelta(hours=self.random.randint(-30, 60))
            month = soon.replace(day=1) - timedelta(days=1)
            return soon.replace(year=month.year, month=month.month, day=min(soon.day, month.day))
        if kind is not CycleKind.ANNUAL and fate < 0.9:
            return self.start - timedelta(days=self.random.randint(20, 45), minutes=7)
        return self.start - self.history

    def _valid(self, kind: CycleKind, channel: Channel) -> PlanTerms:
        while True:
            plan = self._plan(kind)
            for native in (True, False):
                reported = replace(plan, reporting=(self._reporting(plan, channel, native=native),))
                if not validate(reported):
                    return reported

    def _plan(self, kind: CycleKind) -> PlanTerms:
        draw, often = self.random, self._often
        codes = draw.sample(list(METERS), draw.randint(1, 3))
        dimensions = tuple(self._dimension(code) for code in sorted(codes))
        return PlanTerms(
            currency="USD",
            cycle=kind,
            dimensions=dimensions,
            fees=tuple(fee for fee in self._fees() if often(0.3)),
            trial=self._trial(dimensions) if often(0.3) else None,
            discounts=tuple(self._discount(n, codes) for n in range(2) if often(0.25)),
            minimum=MinimumCharge(self._money(60), often(0.5)) if often(0.25) else None,
            commitment=Commitment(self._money(200), draw.choice([None, 1, 2, 3]))
            if often(0.2)
            else None,
            credits=tuple(self._credits(n, codes) for n in range(2) if often(0.2)),
            top_up=TopUp(self._money(40), lasts_days=draw.choice([None, 2]))
            if often(0.12)
            else None,
            spend_cap=SpendCap(self._money(80)) if often(0.15) else None,
        )

    def _often(self, share: float) -> bool:
        return self.random.random() < share

    def _money(self, most: int) -> Decimal:
        return D(self.random.randint(1, most * 100)) / 100

    def _soon(self) -> datetime:
        return self.start + timedelta(minutes=self.random.randint(-72 * 60, 60 * 60))

    def _dimension(self, code: str) -> PricedDimension:
        draw = self.random
        model = drawn_model(draw, code, SIZES[code])
        fixed = isinstance(model, Percentage) and model.fixed_amount > 0
        increment = entitlement = None
        if self._often(0.3):
            size = draw.choice([D(1), D("0.5"), D(5), D(20)]) * SIZES[code]
            increment = Increment(size, draw.choice(list(Rounding)), draw.choice(list(Interval)))
        if self._often(0.3) and not (fixed or isinstance(model, Dimensional)):
            quantity = draw.choice([None, D(3), D(10), D("12.5")])
            quantity = quantity and quantity * SIZES[code]
            entitlement = Entitlement(quantity, overage_allowed=self._often(0.6))
        return PricedDimension(
            code, METERS[code], model, increment, entitlement, "mtr_requests" if fixed else ""
        )

    def _fees(self) -> list[Fee]:
        draw = self.random
        schedules = list(PaymentSchedule)
        at = draw.choice([None, self._soon()])
        return [
            SubscriptionFee("base", self._money(50), draw.choice(schedules), self._often(0.5)),
            SeatFee("seats", self._money(9), draw.choice(schedules), self._often(0.5)),
            OneOffFee("setup", self._money(30), at),
        ]

    def _trial(self, dimensions: tuple[PricedDimension, ...]) -> FreeTrial:
        draw = self.random
        days = (self.start - self.started).days + draw.randint(0, 3)
        kind = draw.choice(list(TrialKind))
        if kind is TrialKind.DAYS:
            return FreeTrial(kind, max(days, 1), covers_fees=self._often(0.5))
        until = max(days, 1) if self._often(0.4) else None
        if kind is TrialKind.AMOUNT:
            return FreeTrial(kind, until, amount=self._money(40))
        quantities = {
            each.code: D(draw.randint(1, 15)) * SIZES[each.code]
            for each in dimensions
            if each.code != "models" and not each.event_meter_id
        }
        if not quantities:
            return FreeTrial(TrialKind.DAYS, max(days, 1))
        return FreeTrial(kind, until, quantities)

    def _discount(self, number: int, codes: list[str]) -> Discount:
        draw = self.random
        percent = draw.choice([None, D(20), D("33.3"), D(100)])
        amount = self._money(20) if percent is None else None
        window = sorted([self._soon(), self._soon()])
        starts_at, ends_at = (each if self._often(0.4) else None for each in window)
        return Discount(f"off{number}", percent, amount, self._some(codes), starts_at, ends_at)

    def _some(self, codes: list[str]) -> frozenset[str]:
        return frozenset(self.random.choice([[], [], codes[:1], codes[1:]]))

    def _credits(self, number: int, codes: list[str]) -> CreditRule:
        draw = self.random
        lasts = draw.choice([None, 1, 2])
        rollover = (
            Rollover(draw.choice([None, self._money(9)])) if lasts and self._often(0.5) else None
        )
        return CreditRule(
            f"plan{number}",
            self._money(40),
            draw.choice(list(Recurrence)),
            lasts,
            draw.randint(0, 1),
            self._some(codes),
            rollover,
        )

    def _reporting(self, plan: PlanTerms, channel: Channel, *, native: bool) -> ChannelReporting:
        """Natively what can be, if so wished; the rest as money in one of two dimensions."""
        reported: dict[str, list[Source]] = {}
        apart = set()
        for code in plan.codes():
            price = {each.code: each.price for each in plan.dimensions}.get(code)
            places = self.random.choice([[CHARGES.code]] * 3 + [[MONEY.code]])
            steps = [""]
            if native and isinstance(price, PerUnit) and code in NATIVE:
                places = [self.random.choice(NATIVE[code])]
            elif native and isinstance(price, Waterfall) and code == "volume":
                places, steps = list(NATIVE[code]), [step.name for step in price.steps]
            elif price is None and self._often(0.15):
                apart.add(code)
                continue
            for place, step in zip(places, steps, strict=True):
                reported.setdefault(place, []).append(Source(code, step))
        dimensions = [
            ReportedDimension(
                each.code,
                ReportingMode.CURRENCY if each in (CHARGES, MONEY) else ReportingMode.NATIVE,
                tuple(reported[each.code]),
                each.units_per_quantity,
                each.quantity_kind,
            )
            for each in LISTED
            if each.code in reported
        ]
        return ChannelReporting(channel, tuple(dimensions), frozenset(apart))
