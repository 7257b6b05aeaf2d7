"""What a customer of the campaign has agreed beside unit prices, as data of a schedule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import msgspec
from msgspec.structs import replace as with_changes

from meterbridge.domain.channels import Channel, QuantityKind
from meterbridge.domain.meters import Aggregation, GroupBy, Meter
from meterbridge.domain.money import Money
from meterbridge.domain.offerings import Dimension
from meterbridge.domain.pricing.agreement_terms import (
    AgreementTerms,
    Grant,
    SeatChange,
    TermsVersion,
)
from meterbridge.domain.pricing.cycles import BilledSpan
from meterbridge.domain.pricing.models import PerUnit
from meterbridge.domain.pricing.plan_terms import PlanTerms
from world import DIMENSIONS

MODELS = ("a", "b", "c")
"""Values of the meter's group: an event's number says which one it has."""

MODEL_METER = Meter(
    "mtr_models",
    "prd_llm",
    "tokens by model",
    "llm.request",
    Aggregation.SUM,
    value_path="tokens",
    group_by=(GroupBy("model", "$.model"),),
)

CHARGES = Dimension(
    "charges", "", Money(Decimal("0.01"), "USD"), units_per_quantity=Decimal("0.01")
)
MONEY = Dimension("money", "", Money(Decimal(1), "USD"), quantity_kind=QuantityKind.DECIMAL)
LISTED = (*DIMENSIONS, CHARGES, MONEY)
"""All that the listings on the three clouds can be told: metered units, cents, and whole dollars."""


def model_of(number: int) -> str:
    return MODELS[number % len(MODELS)]


class Deal(msgspec.Struct, frozen=True, omit_defaults=True):
    """A customer's terms.

    Attributes:
        later: what the step "change" moves the customer to, from the next cycle on.
    """

    starts_at: datetime
    plan: PlanTerms
    later: PlanTerms | None = None

    def terms(
        self,
        *,
        ends_at: datetime | None = None,
        changes_at: datetime | None = None,
        grants: tuple[Grant, ...] = (),
        seats: tuple[SeatChange, ...] = (),
    ) -> AgreementTerms:
        """As the product's rules for what may be agreed see them."""
        versions = [TermsVersion(self.starts_at, self.plan)]
        if changes_at is not None and self.later is not None:
            versions.append(TermsVersion(changes_at, self.later))
        span = BilledSpan.since(self.starts_at, ends_at)
        return AgreementTerms(span, tuple(versions), grants, {"seats": seats} if seats else {})

    def simpler(self) -> Iterator[Deal]:
        """With one thing less, or a price instead of a price model."""
        if self.later is not None:
            yield with_changes(self, later=None)
        for plan in _simpler(self.plan):
            yield with_changes(self, plan=plan)
        for plan in _simpler(self.later) if self.later is not None else ():
            yield with_changes(self, later=plan)


def _simpler(plan: PlanTerms) -> Iterator[PlanTerms]:
    for name in ("trial", "minimum", "commitment", "top_up", "spend_cap"):
        if getattr(plan, name) is not None:
            yield _without(replace(plan, **{name: None}))
    for name in ("fees", "discounts", "credits", "dimensions"):
        values = getattr(plan, name)
        for position in range(len(values)):
            yield _without(replace(plan, **{name: values[:position] + values[position + 1 :]}))
    for position, dimension in enumerate(plan.dimensions):
        for simple in (
            replace(dimension, increment=None),
            replace(dimension, entitlement=None),
            replace(dimension, price=PerUnit(Decimal(1)), event_meter_id=""),
        ):
            if simple != dimension:
                others = list(plan.dimensions)
                others[position] = simple
                yield replace(plan, dimensions=tuple(others))


def _without(plan: PlanTerms) -> PlanTerms:
    """Reported is what there is to report."""
    codes = set(plan.codes())
    reporting = []
    for channel in plan.reporting:
        dimensions = [
            replace(each, sources=tuple(s for s in each.sources if s.code in codes))
            for each in channel.dimensions
        ]
        kept = tuple(each for each in dimensions if each.sources)
        apart = channel.billed_apart & codes
        reporting.append(replace(channel, dimensions=kept, billed_apart=apart))
    return replace(plan, reporting=tuple(reporting))


def channel_of(plan: PlanTerms) -> Channel:
    """The one that a deal is made for."""
    return plan.reporting[0].channel
