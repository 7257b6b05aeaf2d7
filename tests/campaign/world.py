"""Six customers on three clouds in one pipeline, reported to by the real adapters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from builders import agreement, offering, product
from campaign.deals import LISTED, MODEL_METER, Deal
from campaign.schedule import SUBJECTS, Schedule, Terms
from killing import Fused
from meterbridge.adapters.marketplaces.aws import AwsMarketplace
from meterbridge.adapters.marketplaces.azure import AzureMarketplace
from meterbridge.adapters.marketplaces.gcp import GcpMarketplace
from meterbridge.adapters.marketplaces.gcp_client import ServiceControl
from meterbridge.adapters.marketplaces.gcp_listings import RegistryListings
from meterbridge.application.manage_agreements import change_agreement
from meterbridge.application.ports import Marketplace
from meterbridge.domain.agreements import (
    Agreement,
    AgreementState,
    AwsBuyerReference,
    AzureBuyerReference,
    Customer,
    GcpBuyerReference,
    PlanChange,
    SeatsInForce,
)
from meterbridge.domain.api_keys import Caller, Scope
from meterbridge.domain.metering_record import RecordKey
from meterbridge.domain.offerings import Channel, Plan
from meterbridge.domain.pricing.agreement_terms import Grant
from world import DIMENSIONS, METERS
from worlds.aws_side import CLOSED, PRODUCT_CODE, AwsSide
from worlds.azure_side import ABORTED, AzureSide, Token
from worlds.gcp_side import SERVICE, GcpSide
from worlds.pipeline import HISTORY, Pipeline, unpaced

Side = AwsSide | AzureSide | GcpSide

_BUYERS: Mapping[Channel, Callable[..., Any]] = {
    Channel.AWS: AwsBuyerReference,
    Channel.AZURE: AzureBuyerReference,
    Channel.GCP: GcpBuyerReference,
}
_OPERATOR = Caller("key_operator", frozenset({Scope.ADMIN}), None)


@dataclass(frozen=True)
class Doubles:
    """What a planted fault puts in the place of real parts; by itself, nothing.

    Attributes:
        marketplace: makes a double around each adapter.
        ledger, log: make a double around a store.
        patches: puts other faults in place while a schedule is played.
    """

    marketplace: Callable[[Marketplace, Any], Any] = lambda real, _clock: real
    ledger: Callable[[Any], Any] = lambda real: real
    log: Callable[[Any], Any] = lambda real: real
    patches: Callable[[], AbstractContextManager[Any]] = nullcontext


class ThreeClouds(Pipeline):
    """The deployment of a seller who sells on three clouds.

    Attributes:
        sides: the marketplace of each channel.
        deals: what customers have agreed beside unit prices.
        suspended: whom their marketplace does not bill, whether we know or not.
        others: places on the bills that somebody else of the seller's reported for: subject,
            dimension, hour.
    """

    def __init__(self, schedule: Schedule, doubles: Doubles) -> None:
        super().__init__(schedule.start)
        self.doubles = doubles
        self.ledger = doubles.ledger(self.ledger)
        self.log = doubles.log(self.log)
        self.sides: dict[Channel, Any] = {
            Channel.AWS: AwsSide(self.clock, schedule.identical_resend),
            Channel.AZURE: AzureSide(self.clock),
            Channel.GCP: GcpSide(self.clock),
        }
        self.others: set[tuple[str, str, Any]] = set()
        self.suspended: set[str] = set()
        own = ((subject, schedule.terms.get(subject, Terms()).deal) for subject in SUBJECTS)
        self.deals: dict[str, Deal] = {subject: deal for subject, deal in own if deal is not None}
        self._set_up(schedule)
        self.forget()

    def _set_up(self, schedule: Schedule) -> None:
        registry, start = self.real_registry, self.started_at - HISTORY
        registry.add_product(
            product(
                listings={Channel.AWS: PRODUCT_CODE, Channel.AZURE: "llm", Channel.GCP: SERVICE}
            )
        )
        meters = (*METERS, MODEL_METER)
        for meter in meters:
            registry.add_meter(meter)
        versions = {meter.id: registry.meter_entry(meter.id).version for meter in meters}
        plans = (Plan("std", DIMENSIONS), *_plans_of(self.deals))
        registry.add_offering(offering(plans=plans), versions)
        for side in self.sides.values():
            side.list_product(LISTED)
        for subject, channel in SUBJECTS.items():
            terms = schedule.terms.get(subject, Terms())
            deal = self.deals.get(subject)
            starts_at = start if deal is None else deal.starts_at
            buyer = _BUYERS[channel](**self.sides[channel].sell(subject, starts_at))
            registry.add_customer(Customer(subject))
            registry.add_agreement(
                agreement(
                    id=f"agr_{subject}",
                    customer_id=subject,
                    plan_code="std" if deal is None else subject,
                    starts_at=starts_at,
                    channel=channel,
                    recovery=terms.recovery,
                    zero_records=terms.zero_records,
                    **{"aws": None, channel.value: buyer},
                )
            )

    def forget(self) -> None:
        """New processes: adapters keep what they have learnt in memory."""
        super().forget()
        fuse, sides = self.fuse, self.sides
        aws = Fused(sides[Channel.AWS], fuse, "batch_meter_usage", failure=CLOSED)
        azure: Any = Fused(sides[Channel.AZURE], fuse, "request", failure=ABORTED)
        gcp: Any = Fused(sides[Channel.GCP], fuse, "request", failure=ABORTED)
        listings = RegistryListings(self.registry, self.clock)
        adapters: Sequence[Any] = (
            AwsMarketplace(aws, unpaced()),
            AzureMarketplace(azure, Token(), unpaced()),
            GcpMarketplace(ServiceControl(gcp, Token(), unpaced()), listings, self.clock),
        )
        self.marketplaces = [self.doubles.marketplace(each, self.clock) for each in adapters]

    def agreement(self, subject: str) -> Agreement:
        return self.real_registry.agreement(f"agr_{subject}")

    def side(self, subject: str) -> Any:
        return self.sides[SUBJECTS[subject]]

    def suspend(self, subject: str) -> None:
        """The marketplace suspends a buyer; nobody tells us."""
        self.side(subject).suspend(subject, suspended=True)
        self.suspended.add(subject)

    def suspend_here(self, subject: str) -> None:
        """An operator suspends an agreement."""
        if self.agreement(subject).state is AgreementState.ACTIVE:
            self._change(subject, state=AgreementState.SUSPENDED, state_reason="by hand")

    def come_back(self, subject: str) -> None:
        """The buyer is let in again, there and then here."""
        self.side(subject).suspend(subject, suspended=False)
        self.suspended.discard(subject)
        if self.agreement(subject).state is AgreementState.SUSPENDED:
            self._change(subject, state=AgreementState.ACTIVE, state_reason="")

    def cancel(self, subject: str) -> None:
        """The buyer leaves: the marketplace ends the agreement, and we hear of it at once."""
        self._change(subject, state=AgreementState.ENDED)
        self.side(subject).cancel(subject, self.agreement(subject).ends_at)

    def first_of(self, subject: str) -> datetime:
        """When a customer's agreement began."""
        return self.agreement(subject).starts_at

    def grant(self, subject: str, grant: Grant) -> None:
        """The seller gives credits to one customer."""
        self._change(subject, grants=(*self.agreement(subject).grants, grant))

    def set_seats(self, subject: str, seats: SeatsInForce) -> None:
        """The buyer has another number of seats from now on."""
        self._change(subject, seats=(*self.agreement(subject).seats, seats))

    def change_plan(self, subject: str, at: datetime) -> None:
        """The buyer moves to the deal's later plan, with a cycle."""
        change = PlanChange(at, 1, f"{subject}-later")
        self._change(subject, plan_changes=(change,))

    def _change(self, subject: str, **changes: Any) -> None:
        change_agreement(
            f"agr_{subject}",
            lambda before: replace(before, **changes),
            None,
            caller=_OPERATOR,
            registry=self.real_registry,
            queue=self.queue,
            clock=self.clock,
        )

    def report_elsewhere(self, subject: str, code: str, hours_ago: int, quantity: int) -> None:
        """Somebody else of the seller's reports for an hour, if it comes first."""
        hour = self.clock.now().replace(minute=0, second=0, microsecond=0)
        side, before = self.side(subject), self.places(subject)
        side.report_elsewhere(subject, code, hour - timedelta(hours=hours_ago), quantity)
        self.others |= {(subject, *place) for place in self.places(subject) - before}

    def places(self, subject: str) -> set[tuple[str, Any]]:
        return {(row.dimension, row.hour) for row in self.side(subject).rows(subject)}

    def is_other(self, key: RecordKey) -> bool:
        """Whether somebody else has reported for a record's place."""
        return (key.agreement_id.removeprefix("agr_"), key.dimension, key.hour) in self.others


def _plans_of(deals: Mapping[str, Deal]) -> Iterator[Plan]:
    for subject, deal in deals.items():
        yield Plan(subject, terms=deal.plan)
        if deal.later is not None:
            yield Plan(f"{subject}-later", terms=deal.later)
