"""Agreements: what is sent and what is answered."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StrictBool, StrictInt

from manage.answers import Listing
from manage.fields import Code, CustomerId, Identifier, Input, Moment, OptionalName, unchanged
from manage.schemas_agreed import Grant, Overrides, PlanChange, Seats
from meterbridge.application.registry_admin import Versioned
from meterbridge.domain.agreements import (
    Agreement,
    AgreementState,
    AwsBuyerReference,
    AzureBuyerReference,
    GcpBuyerReference,
    RecoveryPolicy,
    SuspendedBy,
)
from meterbridge.domain.offerings import Channel

BillableChannel = Literal[Channel.AWS, Channel.AZURE, Channel.GCP, Channel.STRIPE, Channel.MANUAL]
_GUID = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
LicenseArn = Annotated[
    str,
    Field(
        pattern=r"^arn:aws[a-z0-9-]{0,20}:license-manager:[a-z0-9-]{0,30}:[0-9]{12}:license:[A-Za-z0-9-]{1,80}$"
    ),
]


class AwsBuyer(Input):
    """Whom AWS charges: from ResolveCustomer, or the agreement's events."""

    customer_aws_account_id: str = Field(pattern="^[0-9]{12}$")
    license_arn: LicenseArn

    def reference(self) -> AwsBuyerReference:
        """For the domain."""
        return AwsBuyerReference(self.customer_aws_account_id, self.license_arn)


class AzureBuyer(Input):
    """Whom Azure charges: from Resolve, or a managed application. Exactly one of the resources."""

    plan_id: Code = Field(description="The marketplace's id of the plan that the buyer is on")
    resource_id: str = Field("", pattern=f"^({_GUID})?$", description="The SaaS subscription's id")
    resource_uri: str = Field(
        "",
        pattern=r"^(/subscriptions/[A-Za-z0-9._()/-]{1,480})?$",
        description="ARM id of a managed application",
    )

    def reference(self) -> AzureBuyerReference:
        """For the domain."""
        return AzureBuyerReference(self.plan_id, self.resource_id, self.resource_uri)


class GcpBuyer(Input):
    """Whom Google charges: from the entitlement."""

    usage_reporting_id: str = Field(
        pattern=r"^[A-Za-z0-9:._/-]{1,256}$", description="The entitlement's usageReportingId"
    )

    def reference(self) -> GcpBuyerReference:
        """For the domain."""
        return GcpBuyerReference(self.usage_reporting_id)


class NewAgreement(Input):
    """A buyer's accepted contract."""

    id: Identifier | None = Field(None, description="Chosen by you, or made up")
    customer_id: CustomerId
    product_id: Identifier
    channel: BillableChannel = Field(
        description="stripe and manual are metered, rated and invoiced, but not reported"
    )
    offering_id: Identifier
    offering_version: StrictInt | None = Field(
        None, ge=1, lt=10**8, description="The newest one if it is left out"
    )
    plan_code: Code
    starts_at: Moment = Field(description="First moment of entitlement, in whole seconds")
    ends_at: Moment | None = Field(None, description="First moment without entitlement")
    state: Literal[AgreementState.PENDING, AgreementState.ACTIVE] = AgreementState.ACTIVE
    aws: AwsBuyer | None = None
    azure: AzureBuyer | None = None
    gcp: GcpBuyer | None = None
    zero_records: StrictBool = Field(False, description="Report hours without usage as 0")
    recovery: RecoveryPolicy = Field(
        RecoveryPolicy.AUTOMATIC,
        description="What happens to usage that the marketplace did not take in time",
    )
    overrides: Overrides = Field(default_factory=Overrides)
    plan_changes: list[PlanChange] = Field(
        default_factory=list, description="Ascending; several make a ramp deal"
    )
    grants: list[Grant] = Field(default_factory=list)
    seats: list[Seats] = Field(default_factory=list, description="Ascending for each seat fee")


class AgreementPatch(Input):
    """JSON merge patch of an agreement. To end it now, send only the state `ended`.

    Once it has started, nothing of the lists can change that was agreed for hours before this one.
    """

    state: AgreementState = unchanged()
    state_reason: OptionalName = unchanged()
    starts_at: Moment = unchanged(description="Only while it is pending")
    ends_at: Moment | None = unchanged()
    aws: AwsBuyer = unchanged()
    azure: AzureBuyer = unchanged()
    gcp: GcpBuyer = unchanged()
    zero_records: StrictBool = unchanged()
    recovery: RecoveryPolicy = unchanged()
    overrides: Overrides = unchanged(
        description="Only before it starts; later they change with a plan change"
    )
    plan_changes: list[PlanChange] = unchanged()
    grants: list[Grant] = unchanged()
    seats: list[Seats] = unchanged()


class AgreementView(BaseModel):
    """An agreement."""

    id: str
    customer_id: str
    product_id: str
    channel: Channel
    offering_id: str
    offering_version: int
    plan_code: str
    starts_at: datetime
    ends_at: datetime | None
    state: AgreementState
    state_reason: str
    suspended_by: SuspendedBy | None = Field(
        description="A marketplace's suspension ends by itself when it bills the buyer again"
    )
    aws: AwsBuyer | None
    azure: AzureBuyer | None
    gcp: GcpBuyer | None
    zero_records: bool
    recovery: RecoveryPolicy
    overrides: Overrides
    plan_changes: list[PlanChange]
    grants: list[Grant]
    seats: list[Seats]
    created_at: datetime | None
    version: int

    @classmethod
    def of(cls, agreement: Agreement) -> AgreementView:
        aws, azure, gcp = agreement.aws, agreement.azure, agreement.gcp
        return cls(
            id=agreement.id,
            customer_id=agreement.customer_id,
            product_id=agreement.product_id,
            channel=agreement.channel,
            offering_id=agreement.offering_id,
            offering_version=agreement.offering_version,
            plan_code=agreement.plan_code,
            starts_at=agreement.starts_at,
            ends_at=agreement.ends_at,
            state=agreement.state,
            state_reason=agreement.state_reason,
            suspended_by=agreement.suspended_by,
            aws=aws and AwsBuyer(**asdict(aws)),
            azure=azure and AzureBuyer(**asdict(azure)),
            gcp=gcp and GcpBuyer(**asdict(gcp)),
            zero_records=agreement.zero_records,
            recovery=agreement.recovery,
            overrides=Overrides.of(agreement.overrides),
            plan_changes=[PlanChange.of(each) for each in agreement.plan_changes],
            grants=[Grant.of(each) for each in agreement.grants],
            seats=[Seats.of(each) for each in agreement.seats],
            created_at=agreement.created_at,
            version=agreement.version,
        )

    @classmethod
    def of_entry(cls, entry: Versioned[Agreement]) -> AgreementView:
        return cls.of(entry.value)


class AgreementList(Listing):
    """A page of agreements."""

    items: list[AgreementView]
