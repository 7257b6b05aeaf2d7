"""A plan's terms: what is charged for, how it is priced, and what is taken off it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from meterbridge.domain.money import ZERO
from meterbridge.domain.pricing.channel_reporting import ChannelReporting
from meterbridge.domain.pricing.cycles import CycleKind
from meterbridge.domain.pricing.increments import Increment
from meterbridge.domain.pricing.models import PriceModel

THRESHOLDS = (Decimal(80), Decimal(100))
"""Percent at which Paigo's ENTITLEMENT webhook tells of an entitlement; ours of caps and credits."""


@dataclass(frozen=True, slots=True)
class Entitlement:
    """The quantity of each cycle that is included.

    Attributes:
        quantity: None is all of it (Paigo's "inf").
        overage_allowed: False bills nothing beyond it; such usage is over the limit.
        thresholds: percent of it, ascending, at which an event tells.
    """

    quantity: Decimal | None
    overage_allowed: bool = True
    thresholds: tuple[Decimal, ...] = THRESHOLDS


@dataclass(frozen=True, slots=True)
class PricedDimension:
    """A meter's quantity with its price.

    Attributes:
        code: unique among everything that the plan charges for.
        meter_id: whose quantity it bills.
        event_meter_id: counts the events of a percentage's fixed part; "" without one.
        group: group-by value(s) of the meter that it bills; empty bills all groups.
    """

    code: str
    meter_id: str
    price: PriceModel
    increment: Increment | None = None
    entitlement: Entitlement | None = None
    event_meter_id: str = ""
    group: Mapping[str, str] = field(default_factory=dict)
    name: str = ""


class PaymentSchedule(StrEnum):
    """When a cycle's fee is charged (Paigo's paymentSchedule): in its first hour or in its last."""

    UPFRONT = "upfront"
    ARREAR = "arrear"


class SubscriptionFee(Struct, frozen=True, tag_field="kind", tag="subscription"):
    """A price for each cycle.

    Attributes:
        prorate: a cycle that the agreement covers in part costs its share of hours.
    """

    code: str
    price: Decimal
    schedule: PaymentSchedule = PaymentSchedule.UPFRONT
    prorate: bool = True


class SeatFee(Struct, frozen=True, tag_field="kind", tag="seats"):
    """A price for each seat and cycle.

    Attributes:
        prorate: seats cost by the hours that they are in force, and fewer give back the rest;
            otherwise each cycle costs the most seats that it had so far.
    """

    code: str
    price: Decimal
    schedule: PaymentSchedule = PaymentSchedule.UPFRONT
    prorate: bool = True


class OneOffFee(Struct, frozen=True, tag_field="kind", tag="one_off"):
    """A price charged once: at an instant, or with the agreement's first hour."""

    code: str
    price: Decimal
    at: datetime | None = None


Fee = SubscriptionFee | SeatFee | OneOffFee


class TrialKind(StrEnum):
    """What a free trial covers: days, a quantity of dimensions, or an amount of list charges."""

    DAYS = "days"
    QUANTITY = "quantity"
    AMOUNT = "amount"


@dataclass(frozen=True, slots=True)
class FreeTrial:
    """What an agreement has free at its start.

    Attributes:
        days: from the start; ends the other kinds too, None does not.
        quantities: by dimension code, beyond what is included.
        amount: of usage charges.
        native: the marketplace itself gives it, so that usage within is reported to it.
        covers_fees: subscription and seats are free for the days too.
    """

    kind: TrialKind
    days: int | None = None
    quantities: Mapping[str, Decimal] = field(default_factory=dict)
    amount: Decimal = ZERO
    native: bool = False
    covers_fees: bool = False


@dataclass(frozen=True, slots=True)
class Discount:
    """What is taken off charges. Several apply one after another, each to what is left.

    Attributes:
        percent: 20 is 20 %; None for an amount.
        amount: off each cycle; None for a percentage.
        codes: dimensions and fees it applies to; empty applies to all usage and fees of the plan.
        starts_at, ends_at: [start, end) of the hours whose charges it lowers.
    """

    id: str
    percent: Decimal | None = None
    amount: Decimal | None = None
    codes: frozenset[str] = frozenset()
    starts_at: datetime | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MinimumCharge:
    """The least that a cycle costs, made up for in its last hour.

    Usage and fees count, after discounts and before credits.
    """

    amount: Decimal
    prorate: bool = False
    code: str = "minimum_charge"


@dataclass(frozen=True, slots=True)
class Commitment:
    """The least that some cycles cost together, made up for in their last hour (true-up).

    Attributes:
        cycles: how many, counted from the agreement's first; None is until its end.
    """

    amount: Decimal
    cycles: int | None = 12
    code: str = "commitment"


class Recurrence(StrEnum):
    """When a plan grants credits: with the agreement's first hour, or with every cycle."""

    ONCE = "once"
    CYCLE = "cycle"


@dataclass(frozen=True, slots=True)
class Rollover:
    """Credits left at their expiry live on for some cycles more, up to a cap (None is all)."""

    cap: Decimal | None = None
    cycles: int = 1


@dataclass(frozen=True, slots=True)
class CreditRule:
    """Prepaid credits that come with a plan.

    Attributes:
        priority: lower ones are spent first.
        lasts_cycles: they expire at the end of this many cycles; None never.
        codes: what they pay for; empty pays for everything.
    """

    id: str
    amount: Decimal
    recurrence: Recurrence = Recurrence.ONCE
    lasts_cycles: int | None = None
    priority: int = 0
    codes: frozenset[str] = frozenset()
    rollover: Rollover | None = None


@dataclass(frozen=True, slots=True)
class TopUp:
    """Buys credits when the wallet falls to a share of the amount (Paigo's topUpThreshold, 0.2)."""

    amount: Decimal
    threshold: Decimal = Decimal("0.2")
    lasts_days: int | None = None
    code: str = "top_up"


@dataclass(frozen=True, slots=True)
class SpendCap:
    """The most that a cycle costs after credits; what is beyond is never billed."""

    amount: Decimal
    thresholds: tuple[Decimal, ...] = THRESHOLDS


@dataclass(frozen=True, slots=True)
class PlanTerms:
    """All terms of a plan, in one currency. A published version never changes."""

    currency: str
    cycle: CycleKind = CycleKind.CALENDAR_MONTH
    dimensions: tuple[PricedDimension, ...] = ()
    fees: tuple[Fee, ...] = ()
    trial: FreeTrial | None = None
    discounts: tuple[Discount, ...] = ()
    minimum: MinimumCharge | None = None
    commitment: Commitment | None = None
    credits: tuple[CreditRule, ...] = ()
    credit_thresholds: tuple[Decimal, ...] = THRESHOLDS
    top_up: TopUp | None = None
    spend_cap: SpendCap | None = None
    reporting: tuple[ChannelReporting, ...] = ()

    def codes(self) -> list[str]:
        """Everything that it charges for, in the order of a bill."""
        extra = (self.minimum, self.commitment, self.top_up)
        return [
            *(dimension.code for dimension in self.dimensions),
            *(fee.code for fee in self.fees),
            *(each.code for each in extra if each is not None),
        ]
