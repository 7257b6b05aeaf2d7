"""What a plan is on each channel: how promises are kept, fees, net prices, reported dimensions."""

from __future__ import annotations

from decimal import Decimal

from pydantic import BaseModel, Field

from manage.answers import Listing
from manage.fields import Amount, Input
from manage.schemas_terms import ReportedDimension, as_texts
from meterbridge.domain.channels import Channel
from meterbridge.domain.listing_fees import Deal, DealKind, FeeRule, ListingFee
from meterbridge.domain.money import plain
from meterbridge.domain.pricing.channel_reporting import ChannelReporting
from meterbridge.domain.pricing.faults import Fault
from meterbridge.domain.pricing.kept_promises import Parity
from meterbridge.domain.pricing.list_prices import ListPrice, PricedBy, list_prices
from meterbridge.domain.pricing.parity import ChannelParity, ParityLine
from meterbridge.domain.pricing.plan_terms import PlanTerms
from meterbridge.domain.pricing.promises import PromiseKind


def text_or_none(value: Decimal | None) -> str | None:
    """A decimal as the API writes it."""
    return None if value is None else plain(value)


class SupposedDeal(Input):
    """What of a deal the channels' fees depend on."""

    kind: DealKind
    total_contract_value: Amount = Field(
        "0", validate_default=True, description="US dollars agreed on in advance"
    )
    channel_partner: bool = Field(False, description="A reseller's private offer")
    buyer_country: str = Field("", pattern="^([A-Z]{2})?$", description="ISO 3166-1 alpha-2")

    def deal(self) -> Deal:
        """For the domain."""
        return Deal(self.kind, self.total_contract_value, self.channel_partner, self.buyer_country)


class DealView(BaseModel):
    """The deal by which fees are told."""

    kind: DealKind
    total_contract_value: str
    channel_partner: bool
    buyer_country: str

    @classmethod
    def of(cls, deal: Deal) -> DealView:
        return cls(
            kind=deal.kind,
            total_contract_value=plain(deal.total_contract_value),
            channel_partner=deal.channel_partner,
            buyer_country=deal.buyer_country,
        )


class FaultView(BaseModel):
    """What of the terms a channel cannot do."""

    pointer: str = Field(description="JSON pointer into the plan's terms")
    code: str
    detail: str

    @classmethod
    def of(cls, fault: Fault) -> FaultView:
        return cls(pointer=fault.pointer, code=fault.code, detail=fault.detail)


class FeeRuleView(BaseModel):
    """One row of a fee schedule."""

    id: str
    percent: str
    added: bool = Field(description="Percentage points on top of another rule")
    source: str
    condition: str
    verified: bool = Field(description="False: the vendor's own page could not be read")

    @classmethod
    def of(cls, rule: FeeRule) -> FeeRuleView:
        return cls(
            id=rule.id,
            percent=plain(rule.percent),
            added=rule.added,
            source=rule.source,
            condition=rule.condition,
            verified=rule.verified,
        )


class ListingFeeView(BaseModel):
    """What a channel keeps of what it bills."""

    percent: str | None = Field(description="null where no number is published")
    unknown: str = Field(description="Why there is no number")
    rules: list[FeeRuleView]

    @classmethod
    def of(cls, fee: ListingFee) -> ListingFeeView:
        return cls(
            percent=text_or_none(fee.percent),
            unknown=fee.unknown,
            rules=[FeeRuleView.of(rule) for rule in fee.rules],
        )


class ReportedThroughView(BaseModel):
    """How a plan is reported through a channel."""

    declared: bool = Field(description="The plan says so; otherwise so it would be")
    dimensions: list[ReportedDimension]
    billed_apart: list[str]

    @classmethod
    def of(cls, reporting: ChannelReporting, *, declared: bool) -> ReportedThroughView:
        return cls(
            declared=declared,
            dimensions=[
                ReportedDimension.model_validate(as_texts(each)) for each in reporting.dimensions
            ],
            billed_apart=sorted(reporting.billed_apart),
        )


class ParityLineView(BaseModel):
    """How one promise of the plan is kept."""

    promise: PromiseKind
    pointer: str = Field(description="JSON pointer into the plan's terms")
    code: str = Field(
        description="Of the dimension, fee or other charge; empty for all of the plan"
    )
    parity: Parity
    how: str = Field(description="It is kept, or why it cannot be")
    source: str = Field(description="Of the rule that decides it")
    faults: list[FaultView]

    @classmethod
    def of(cls, line: ParityLine) -> ParityLineView:
        return cls(
            promise=line.promise.kind,
            pointer=line.promise.pointer,
            code=line.promise.code,
            parity=line.parity,
            how=line.how,
            source=line.source,
            faults=[FaultView.of(fault) for fault in line.faults],
        )


class NetPriceView(BaseModel):
    """A list price, and what is left of it after the channel's fee."""

    code: str
    priced_by: PricedBy = Field(description="What the price is for")
    per: str = Field(description="How many of those")
    group: list[str]
    step: str
    tier: int = Field(description="From 1; 0 without tiers")
    name: str
    above: str
    up_to: str | None
    list_price: str
    fee: str | None
    net_price: str | None = Field(
        description="null where the fee is unknown, or where it is billed apart"
    )
    billed_apart: bool

    @classmethod
    def of(cls, price: ListPrice, fee: ListingFee, *, apart: bool) -> NetPriceView:
        return cls(
            code=price.code,
            priced_by=price.by,
            per=plain(price.per),
            group=list(price.group),
            step=price.step,
            tier=price.tier,
            name=price.name,
            above=plain(price.above),
            up_to=text_or_none(price.up_to),
            list_price=plain(price.price),
            fee=None if apart else text_or_none(fee.of(price.price)),
            net_price=None if apart else text_or_none(fee.net(price.price)),
            billed_apart=apart,
        )


class ChannelParityView(BaseModel):
    """A plan on one channel."""

    plan_code: str
    channel: Channel
    possible: bool = Field(description="Every promise can be kept")
    reporting: ReportedThroughView
    lines: list[ParityLineView]
    listing_fee: ListingFeeView
    currency: str
    net_prices: list[NetPriceView]

    @classmethod
    def of(
        cls, plan_code: str, plan: PlanTerms, parity: ChannelParity, fee: ListingFee
    ) -> ChannelParityView:
        return cls(
            plan_code=plan_code,
            channel=parity.channel,
            possible=parity.possible,
            reporting=ReportedThroughView.of(parity.reporting, declared=parity.declared),
            lines=[ParityLineView.of(line) for line in parity.lines],
            listing_fee=ListingFeeView.of(fee),
            currency=plan.currency,
            net_prices=[
                NetPriceView.of(price, fee, apart=price.code in parity.billed_apart)
                for price in list_prices(plan)
            ],
        )


class ParityView(Listing):
    """A page of an offering's plans on its channels."""

    offering_id: str
    version: int
    deal: DealView
    items: list[ChannelParityView]
