"""An agreement's bill, cycle by cycle and hour by hour."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from fractions import Fraction

from campaign.by_hand import fees, quantities
from campaign.by_hand.agreed import Agreed, Bill, Entry, Used
from campaign.by_hand.prices import ZERO, F, price
from campaign.by_hand.quantities import Quantities
from campaign.by_hand.spans import HOUR, ceiling, cycles, hour_of, hours, prorated, shared
from campaign.by_hand.wallet import Wallet
from meterbridge.domain.pricing.models import Dimensional
from meterbridge.domain.pricing.plan_terms import OneOffFee, PlanTerms, TrialKind


def bill_of(agreed: Agreed, used: Used, through: datetime) -> Bill:
    """Everything that is due through an hour."""
    carried = Carried(agreed)
    bill = Bill()
    for index, (start, end) in enumerate(cycles(agreed.plans[0][1].cycle, agreed.span, through)):
        cycle = Cycle(carried, agreed.plan_of(start), start, end, index, used)
        for hour in cycle.moments(through, used):
            bill.hours[hour], bill.plans[hour] = cycle.rate(hour), cycle.plan
    bill.wallet = carried.wallet.balances()
    return bill


class Carried:
    """What goes on from cycle to cycle: credits, a trial's pools, and what counts for a commitment."""

    def __init__(self, agreed: Agreed) -> None:
        self.agreed = agreed
        self.wallet = Wallet(agreed)
        self.offered: dict[str, Fraction] = defaultdict(Fraction)
        self.committed = ZERO


class Cycle:
    """One cycle. The agreement's part of it is [first, stop), and `last` its last hour."""

    def __init__(
        self,
        carried: Carried,
        plan: PlanTerms,
        start: datetime,
        end: datetime,
        index: int,
        used: Used,
    ) -> None:
        self.carried, self.agreed, self.plan = carried, carried.agreed, plan
        self.start, self.end, self.index = start, end, index
        span = self.agreed.span
        self.first = max(start, span.first)
        self.stop = min(end, span.stop or end)
        self.last = self.stop - HOUR
        mine = {hour: used[hour] for hour in sorted(used) if self.first <= hour < self.stop}
        self.used = quantities.of_cycle(plan.dimensions, mine)
        self.spend = self.charge = ZERO
        self.off: dict[str, Fraction] = defaultdict(Fraction)
        self.free: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
        self.known: dict[str, tuple[Fraction, Fraction]] = {}

    @property
    def trial_end(self) -> datetime | None:
        trial = self.plan.trial
        if trial is None or trial.days is None:
            return None
        return self.agreed.span.start + timedelta(days=trial.days)

    @property
    def free_until(self) -> datetime:
        """The end of the trial's days, within the cycle."""
        if self.trial_end is None:
            return self.first
        return max(self.first, min(ceiling(self.trial_end), self.stop))

    def in_trial(self, hour: datetime, kind: TrialKind) -> bool:
        trial = self.plan.trial
        open_still = self.trial_end is None or hour < self.trial_end
        return trial is not None and trial.kind is kind and open_still

    def is_free(self, hour: datetime) -> bool:
        """Whether all usage of an hour is."""
        return self.in_trial(hour, TrialKind.DAYS)

    def moments(self, through: datetime, used: Used) -> Iterator[datetime]:
        """Hours in which anything may happen. Every hour would do, and take longer."""
        agreed = self.agreed
        wanted = {self.first, self.last, self.free_until, *used}
        wanted |= {hour_of(grant.effective_at) for grant in agreed.grants}
        wanted |= {hour_of(at) for at, _ in agreed.seats}
        wanted |= {
            hour_of(fee.at) for fee in self.plan.fees if isinstance(fee, OneOffFee) and fee.at
        }
        hour, stop = self.first, min(self.last, through)
        while hour <= stop:
            yield hour
            later = [each for each in (*wanted, *self.carried.wallet.expiries()) if each > hour]
            hour = min(later, default=stop + HOUR)

    def rate(self, hour: datetime) -> list[Entry]:
        """quantity, increment, included, trial, price; discounts; minimum; credits; cap."""
        wallet = self.carried.wallet
        wallet.open_hour(self, hour)
        usage = [self._entry(each, hour) for by_group in self.used.values() for each in by_group]
        self._cover(usage, hour)
        entries = [*usage, *self._fees(hour)]
        self._discount(entries, hour)
        entries += [each for each in self._made_up(entries, hour) if each.list_charge]
        wallet.pay(entries)
        bought = wallet.top_up(self, hour, entries)
        if bought is not None:
            entries.insert(0, bought)
        self._cap(entries)
        return entries

    def _entry(self, used: Quantities, hour: datetime) -> Entry:
        dimension, before = used.dimension, hour - HOUR
        then, now = used.total(before), used.total(hour)
        entry = Entry(dimension.code, used.group, metered=used.metered(hour))
        entry.incremented = now - then
        entry.included = used.included(now) - used.included(then)
        entry.over_limit = used.over_limit(now) - used.over_limit(then)
        billable = entry.incremented - entry.included - entry.over_limit
        free_before = self.free[dimension.code, used.group]
        entry.free_trial = self._free(dimension.code, billable, hour)
        free_now = free_before + entry.free_trial
        self.free[dimension.code, used.group] = free_now
        entry.rated = billable - entry.free_trial
        entry.reached = now - used.included(now) - used.over_limit(now) - free_now
        model = dimension.price
        if isinstance(model, Dimensional):
            model = {each.group[0]: each.model for each in model.prices}.get(
                used.group, model.default
            )
        charge = price(model, entry.reached, used.events(hour, self.is_free))
        if hour > self.first:
            charge -= price(model, entry.reached - entry.rated, used.events(before, self.is_free))
        entry.list_charge = charge
        if self.is_free(hour):
            entry.trial_amount = charge
        return entry

    def _free(self, code: str, billable: Fraction, hour: datetime) -> Fraction:
        if self.is_free(hour):
            return billable
        if not self.in_trial(hour, TrialKind.QUANTITY) or self.plan.trial is None:
            return ZERO
        limit = self.plan.trial.quantities.get(code)
        return ZERO if limit is None else pooled(self.carried.offered, code, billable, F(limit))

    def _cover(self, usage: list[Entry], hour: datetime) -> None:
        if self.plan.trial is not None and self.in_trial(hour, TrialKind.AMOUNT):
            limit = F(self.plan.trial.amount)
            taken = pooled(self.carried.offered, "", _left(usage), limit)
            for entry, share in shared(usage, taken):
                entry.trial_amount += share

    def _fees(self, hour: datetime) -> Iterator[Entry]:
        for fee in self.plan.fees:
            charged, covered = self.known.get(fee.code, (ZERO, ZERO))
            now = self.known[fee.code] = fees.due(self, fee, hour)
            yield Entry(fee.code, list_charge=now[0] - charged, trial_amount=now[1] - covered)

    def _discount(self, entries: list[Entry], hour: datetime) -> None:
        for discount in self.plan.discounts:
            begun = discount.starts_at is None or discount.starts_at <= hour
            if not begun or (discount.ends_at is not None and discount.ends_at <= hour):
                continue
            chosen = [each for each in entries if not discount.codes or each.code in discount.codes]
            if discount.percent is not None:
                shares = [(each, each.net * F(discount.percent) / 100) for each in chosen]
            else:
                limit = F(discount.amount or 0)
                shares = shared(chosen, pooled(self.off, discount.id, _left(chosen), limit))
            for entry, share in shares:
                entry.discounts += share

    def _made_up(self, entries: list[Entry], hour: datetime) -> Iterator[Entry]:
        carried, commitment, minimum = self.carried, self.plan.commitment, self.plan.minimum
        term = commitment.cycles if commitment is not None else None
        if hour == self.first and (commitment is None or (term and self.index % term == 0)):
            carried.committed = ZERO
        self.charge += _left(entries)
        carried.committed += _left(entries)
        if minimum is not None and hour == self.last:
            trial, mine = self.plan.trial, hours(self.first, self.stop)
            is_free = trial is not None and (trial.covers_fees or trial.kind is TrialKind.DAYS)
            free = hours(self.first, self.free_until) if is_free else 0
            whole = hours(self.start, self.end) if minimum.prorate else mine
            short = max(prorated(F(minimum.amount), mine - free, whole) - self.charge, ZERO)
            self.charge += short
            carried.committed += short
            yield Entry(minimum.code, list_charge=short)
        over = hour == self.last and (
            self.stop == self.agreed.span.stop or (term and (self.index + 1) % term == 0)
        )
        if commitment is not None and over:
            yield Entry(
                commitment.code, list_charge=max(F(commitment.amount) - carried.committed, ZERO)
            )
            carried.committed = ZERO

    def _cap(self, entries: list[Entry]) -> None:
        before, self.spend = self.spend, self.spend + _left(entries)
        if self.plan.spend_cap is not None:
            cap = F(self.plan.spend_cap.amount)
            billed = min(self.spend, cap) - min(before, cap)
            for entry, share in shared(entries[::-1], self.spend - before - billed):
                entry.over_cap += share


def pooled(offered: dict[str, Fraction], name: str, change: Fraction, limit: Fraction) -> Fraction:
    """What a pool takes of all that it was ever offered, less what it had taken before."""
    before = offered[name]
    now = offered[name] = before + change
    return min(max(now, ZERO), limit) - min(max(before, ZERO), limit)


def _left(entries: list[Entry]) -> Fraction:
    return sum((each.net for each in entries), ZERO)
