"""A plan's terms: what is sent and what is answered."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from pydantic import Field

from manage.fields import Amount, Code, GroupValues, Input, OptionalName
from manage.schemas_terms_charges import (
    Fee,
    PricedDimension,
    Thresholds,
)
from manage.schemas_terms_reductions import (
    Commitment,
    CreditRule,
    Discount,
    FreeTrial,
    MinimumCharge,
    SpendCap,
    TopUp,
)
from meterbridge.domain.channels import Channel, QuantityKind
from meterbridge.domain.money import plain
from meterbridge.domain.pricing.channel_reporting import ReportingMode
from meterbridge.domain.pricing.cycles import CycleKind
from meterbridge.domain.pricing.plan_terms import THRESHOLDS, PlanTerms


class Source(Input):
    """What a reported dimension reports."""

    code: Code = Field(description="Of a dimension, a fee, the minimum, commitment or top-up")
    step: OptionalName = Field("", description="One step of its waterfall only")
    group: GroupValues | None = Field(
        None, description="One group of its price by group only; the groups without one if empty"
    )


class ReportedDimension(Input):
    """A marketplace's dimension and what is reported as its quantity."""

    code: Code = Field(description="API name on the marketplace")
    mode: ReportingMode = Field(
        description="native: metered units, the marketplace holds the price; currency: the charge"
    )
    sources: list[Source] = Field(min_length=1, max_length=400)
    units_per_quantity: Amount = Field(
        Decimal(1),
        description="Metered quantity, or money, in one of its units: 0.01 bills cents",
    )
    quantity_kind: QuantityKind = QuantityKind.INTEGER


class ChannelReporting(Input):
    """How the plan is reported through one channel."""

    channel: Channel
    dimensions: list[ReportedDimension] = Field(max_length=800)
    billed_apart: list[Code] = Field(
        default_factory=list,
        max_length=200,
        description="Codes not metered there: the listing's own flat fee, or an invoice's",
    )


class Terms(Input):
    """What a plan charges for, how that is priced, and what is taken off it."""

    cycle: CycleKind = CycleKind.CALENDAR_MONTH
    dimensions: list[PricedDimension] = Field(default_factory=list, max_length=100)
    fees: list[Fee] = Field(default_factory=list, max_length=50)
    trial: FreeTrial | None = None
    discounts: list[Discount] = Field(default_factory=list, max_length=50)
    minimum: MinimumCharge | None = None
    commitment: Commitment | None = None
    credits: list[CreditRule] = Field(default_factory=list, max_length=50)
    credit_thresholds: Thresholds = Field(list(THRESHOLDS))
    top_up: TopUp | None = None
    spend_cap: SpendCap | None = None
    reporting: list[ChannelReporting] = Field(
        default_factory=list,
        max_length=len(Channel),
        description="Derived when it is published for each channel that is left out",
    )

    def terms(self, currency: str) -> PlanTerms:
        """For the domain, whose members have the same names."""
        return msgspec.convert(
            {**self.model_dump(mode="json"), "currency": currency}, type=PlanTerms
        )

    @classmethod
    def of(cls, terms: PlanTerms) -> Terms:
        members = as_texts(terms)
        members.pop("currency")
        return cls.model_validate(members)


def as_texts(value: object) -> dict[str, Any]:
    """A value of the domain as the JSON that is sent and answered: decimals are plain texts."""
    members: dict[str, Any] = _plain(
        msgspec.to_builtins(value, builtin_types=(Decimal,), order="deterministic")
    )
    return members


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    return [_plain(member) for member in value] if isinstance(value, list | tuple) else value
