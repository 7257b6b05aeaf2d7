"""Customers, and the agreements under which their usage is billed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar

from meterbridge.domain.channels import REPORTED_CHANNELS as REPORTED_CHANNELS
from meterbridge.domain.channels import Channel
from meterbridge.domain.errors import InvalidInputError
from meterbridge.domain.pricing.agreement_terms import Grant
from meterbridge.domain.pricing.overrides import Overrides
from meterbridge.domain.windows import HOUR, require_utc


class AgreementState(StrEnum):
    """PENDING and SUSPENDED agreements are metered but not reported; ENDED ones are flushed."""

    PENDING = "pending"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    ENDED = "ended"


class SuspendedBy(StrEnum):
    """Who suspended an agreement. What its marketplace did is taken back once it bills again."""

    MARKETPLACE = "marketplace"
    SELLER = "seller"


class RecoveryPolicy(StrEnum):
    """What happens to usage whose hour the marketplace no longer accepts."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Customer:
    """Who uses the product. `id` is the seller's own id, the `subject` of usage events."""

    id: str
    name: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AwsBuyerReference:
    """Whom BatchMeterUsage charges (contracts.md §1.1.2, the 2026 style)."""

    channel: ClassVar = Channel.AWS

    customer_aws_account_id: str
    license_arn: str

    @property
    def charged(self) -> str:
        """What two agreements must never charge at once."""
        return self.license_arn


@dataclass(frozen=True, slots=True)
class AzureBuyerReference:
    """Whom batchUsageEvent charges (contracts.md §2.1.2).

    Attributes:
        plan_id: the plan that the buyer is on.
        resource_id: the SaaS subscription, or a managed application's resourceUsageId.
        resource_uri: ARM id of a managed application, in place of resource_id.

    Raises:
        InvalidInputError: not exactly one of the two resources.
    """

    channel: ClassVar = Channel.AZURE

    plan_id: str
    resource_id: str = ""
    resource_uri: str = ""

    def __post_init__(self) -> None:
        if bool(self.resource_id) == bool(self.resource_uri):
            detail = "exactly one of resource_id and resource_uri is needed"
            raise InvalidInputError("one_resource", detail, "/azure")

    @property
    def charged(self) -> str:
        """What two agreements must never charge at once. Azure compares without regard to case."""
        return (self.resource_id or self.resource_uri).lower()


@dataclass(frozen=True, slots=True)
class GcpBuyerReference:
    """Whom services.report charges (contracts.md §3.1): the entitlement's usageReportingId."""

    channel: ClassVar = Channel.GCP

    usage_reporting_id: str

    @property
    def charged(self) -> str:
        """What two agreements must never charge at once."""
        return self.usage_reporting_id


BuyerReference = AwsBuyerReference | AzureBuyerReference | GcpBuyerReference


@dataclass(frozen=True, slots=True)
class PlanChange:
    """A move to another version or plan of the agreement's offering, agreed on for a date.

    Several make a ramp deal.

    Attributes:
        starts_at: when it holds from: the start of one of the agreement's cycles.
        overrides: in place of those before.
    """

    starts_at: datetime
    offering_version: int
    plan_code: str
    overrides: Overrides = field(default_factory=Overrides)


@dataclass(frozen=True, slots=True)
class SeatsInForce:
    """How many seats a seat fee charges for from a moment on; they count from the start of its hour."""

    fee_code: str
    at: datetime
    seats: Decimal


@dataclass(frozen=True, slots=True)
class Agreement:
    """One buyer's accepted contract on one channel.

    Attributes:
        starts_at, ends_at: [start, end) of entitlement; None has no end.
        zero_records: report hours without usage as 0 (AWS recommends it, contracts.md §1.1.5).
        suspended_by: who did, while it is SUSPENDED; None says nothing else than the seller.
        overrides: what this buyer has differently from the plan, from the start.
        plan_changes: ascending; they keep currency and cycle.
        grants: credits granted to this buyer, beside those of the plan.
        seats: in order of their moments.
        version: counts changes of the agreement itself; unrelated to its ledger's version.
    """

    id: str
    customer_id: str
    product_id: str
    channel: Channel
    offering_id: str
    offering_version: int
    plan_code: str
    starts_at: datetime
    state: AgreementState = AgreementState.ACTIVE
    state_reason: str = ""
    ends_at: datetime | None = None
    aws: AwsBuyerReference | None = None
    azure: AzureBuyerReference | None = None
    gcp: GcpBuyerReference | None = None
    zero_records: bool = False
    recovery: RecoveryPolicy = RecoveryPolicy.AUTOMATIC
    version: int = 1
    created_at: datetime | None = None
    suspended_by: SuspendedBy | None = None
    overrides: Overrides = field(default_factory=Overrides)
    plan_changes: tuple[PlanChange, ...] = ()
    grants: tuple[Grant, ...] = ()
    seats: tuple[SeatsInForce, ...] = ()

    def __post_init__(self) -> None:
        for name, moment in (("starts_at", self.starts_at), ("ends_at", self.ends_at)):
            if moment is not None and require_utc(moment).microsecond:
                # A record of the first hour carries starts_at, and marketplaces take whole seconds.
                raise InvalidInputError("whole_seconds", f"{name} has a fraction", f"/{name}")
        if self.ends_at is not None and self.ends_at <= self.starts_at:
            raise InvalidInputError("empty_term", "ends_at must be after starts_at", "/ends_at")

    @property
    def stopped_by_marketplace(self) -> bool:
        """Whether the marketplace does not bill the buyer, and nobody else suspended it."""
        by_marketplace = self.suspended_by is SuspendedBy.MARKETPLACE
        return self.state is AgreementState.SUSPENDED and by_marketplace

    @property
    def is_reported(self) -> bool:
        """Whether its records are sent as they come due."""
        return self.state in (AgreementState.ACTIVE, AgreementState.ENDED)

    @property
    def why_not_reported(self) -> str:
        """Why its usage waits, for a person; "" when it is reported."""
        if self.is_reported:
            return ""
        told = f": {self.state_reason}" if self.state_reason else ""
        return f"agreement is {self.state}{told}"

    @property
    def is_billed(self) -> bool:
        """Whether records are written for it: as usual, or to find out whether it is billed again."""
        return self.is_reported or self.stopped_by_marketplace

    def stopped(self, reason: str) -> Agreement:
        """As its marketplace leaves it when it does not bill the buyer; only an ACTIVE one changes."""
        if self.state is not AgreementState.ACTIVE:
            return self
        return replace(
            self,
            state=AgreementState.SUSPENDED,
            state_reason=reason,
            suspended_by=SuspendedBy.MARKETPLACE,
            version=self.version + 1,
        )

    def resumed(self) -> Agreement:
        """As it is when its marketplace bills the buyer again; a person's suspension stays."""
        if not self.stopped_by_marketplace:
            return self
        return replace(
            self,
            state=AgreementState.ACTIVE,
            state_reason="",
            suspended_by=None,
            version=self.version + 1,
        )

    def buyers(self) -> list[BuyerReference]:
        """The buyer's references: one on a marketplace, none on another channel."""
        return [each for each in (self.aws, self.azure, self.gcp) if each is not None]

    def buyer_reference(self) -> dict[str, str]:
        """The buyer's ids as the reporting call needs them; frozen into each record."""
        return {
            name: value
            for buyer in self.buyers()
            if buyer.channel is self.channel
            for name, value in asdict(buyer).items()
            if value
        }

    def overlaps(self, other: Agreement) -> bool:
        """Whether both cover some moment."""
        return (other.ends_at is None or self.starts_at < other.ends_at) and (
            self.ends_at is None or other.starts_at < self.ends_at
        )


def owner_of_hour(hour: datetime, agreements: Iterable[Agreement]) -> Agreement | None:
    """The one agreement that bills an hour of a customer's usage of a product.

    Usage is kept by the hour, so an hour in which one agreement ends and the next starts belongs
    to one of them only: the one that started first.
    """
    covering = [
        agreement
        for agreement in agreements
        if agreement.starts_at < hour + HOUR
        and (agreement.ends_at is None or agreement.ends_at > hour)
    ]
    return min(covering, key=lambda agreement: (agreement.starts_at, agreement.id), default=None)
