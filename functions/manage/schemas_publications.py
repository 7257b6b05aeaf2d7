"""Publications: what is sent."""

from __future__ import annotations

import re
from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from manage.fields import Code, Input, Name, PositiveAmount, Printable
from manage.schemas_decisions import Reason
from meterbridge.application.draft_publication import PublicationOrder
from meterbridge.application.refusals import Faults
from meterbridge.domain.channels import Channel
from meterbridge.domain.errors import InvariantError
from meterbridge.domain.publishing.listings import (
    AwsInformation,
    AwsListing,
    AwsPrivateOffer,
    AzureListing,
    AzureTarget,
    GcpListing,
    Listing,
    Payment,
)

_DAY = re.compile(r"20\d\d-\d\d-\d\d", re.ASCII)


def _day(value: object) -> date:
    fault = PydanticCustomError("date", "must be a date of this century, such as 2026-11-24")
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise fault
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise fault from None


def _unique(values: list[str]) -> list[str]:
    if len(set(values)) != len(values):
        raise PydanticCustomError("repeated", "must not name anything twice")
    return values


Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
Unique = AfterValidator(_unique)
Account = Annotated[str, Field(pattern=r"^[0-9]{12}$")]
Accounts = Annotated[list[Account], Field(max_length=200), Unique]
HttpsUrl = Annotated[str, Field(pattern=r"^https://[^\s]+$", max_length=2000)]
Text = Annotated[str, Field(min_length=1, max_length=350), Printable]
LongText = Annotated[str, Field(min_length=1, max_length=5000)]
ExternalId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,49}$")]
Guid = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]


class PublicationChannel(StrEnum):
    """Marketplaces that list what they sell."""

    AWS = "aws"
    AZURE = "azure"
    GCP = "gcp"


class AwsUnit(StrEnum):
    """AWS's words for what is counted."""

    USERS = "Users"
    HOSTS = "Hosts"
    GB = "GB"
    MB = "MB"
    TB = "TB"
    GBPS = "Gbps"
    MBPS = "Mbps"
    REQUESTS = "Requests"
    UNITS = "Units"
    USER_HOURS = "UserHrs"
    UNIT_HOURS = "UnitHrs"
    HOST_HOURS = "HostHrs"
    TIER_HOURS = "TierHrs"
    TASK_HOURS = "TaskHrs"


class NewAwsInformation(Input):
    """What buyers read about the product."""

    title: Annotated[str, Field(min_length=1, max_length=72), Printable]
    short_description: Annotated[str, Field(min_length=1, max_length=1000)]
    long_description: LongText
    highlights: Annotated[list[Text], Field(min_length=1, max_length=3)]
    logo_url: HttpsUrl
    categories: Annotated[list[Text], Field(min_length=1, max_length=3), Unique]
    search_keywords: Annotated[list[Text], Field(min_length=1, max_length=15), Unique]
    support_description: Annotated[str, Field(max_length=2000)] = ""

    def information(self) -> AwsInformation:
        """For the domain."""
        return AwsInformation(
            title=self.title,
            short_description=self.short_description,
            long_description=self.long_description,
            highlights=tuple(self.highlights),
            logo_url=self.logo_url,
            categories=tuple(self.categories),
            search_keywords=tuple(self.search_keywords),
            support_description=self.support_description,
        )


class NewPayment(Input):
    """One instalment."""

    due_on: Day
    amount: PositiveAmount


class NewAwsPrivateOffer(Input):
    """An offer for some buyers only; each publication makes a new one."""

    buyer_accounts: Annotated[list[Account], Field(min_length=1, max_length=25), Unique]
    available_until: Day
    agreement_duration: Annotated[str, Field(pattern=r"^P[1-9][0-9]{0,3}[DMY]$")] = "P12M"
    payments: Annotated[list[NewPayment], Field(max_length=60)] = Field(default_factory=list)

    def private_offer(self) -> AwsPrivateOffer:
        """For the domain."""
        return AwsPrivateOffer(
            tuple(self.buyer_accounts),
            self.available_until,
            self.agreement_duration,
            tuple(Payment(each.due_on, each.amount) for each in self.payments),
        )


class NewAwsListing(Input):
    """A SaaS product on AWS Marketplace and an offer of it. What has no id is created."""

    product_id: Annotated[str, Field(pattern=r"^prod-[a-z0-9]{1,60}$")] | None = None
    offer_id: Annotated[str, Field(pattern=r"^offer-[a-z0-9]{1,60}$")] | None = None
    trial_offer_id: Annotated[str, Field(pattern=r"^offer-[a-z0-9]{1,60}$")] | None = None
    information: NewAwsInformation | None = Field(None, description="Left as it is without it")
    fulfillment_url: HttpsUrl | None = Field(None, description="Where a buyer lands")
    limited_to: Accounts = Field(
        default_factory=list, description="Accounts that see it before it is public"
    )
    known_dimensions: Annotated[list[Code], Field(max_length=400), Unique] = Field(
        default_factory=list, description="Dimensions that the product has already"
    )
    units: Annotated[dict[Code, AwsUnit], Field(max_length=400)] = Field(
        default_factory=dict, description="AWS's word for a dimension's unit; Units without one"
    )
    eula_url: HttpsUrl | None = Field(None, description="AWS's standard contract without it")
    refund_policy: Annotated[str, Field(max_length=500)] = ""
    private_offer: NewAwsPrivateOffer | None = None
    make_public: bool = Field(False, description="Ask AWS to show the product to everybody")

    def listing(self) -> AwsListing:
        """For the domain."""
        return AwsListing(
            product_id=self.product_id or "",
            offer_id=self.offer_id or "",
            trial_offer_id=self.trial_offer_id or "",
            information=self.information.information() if self.information else None,
            fulfillment_url=self.fulfillment_url or "",
            limited_to=tuple(self.limited_to),
            known_dimensions=tuple(self.known_dimensions),
            units={code: unit.value for code, unit in self.units.items()},
            eula_url=self.eula_url or "",
            refund_policy=self.refund_policy,
            private=self.private_offer.private_offer() if self.private_offer else None,
            make_public=self.make_public,
        )


class NewUserLimits(Input):
    """How many users a plan that is sold by the user may have."""

    least: Annotated[int, Field(ge=1, le=10**9)]
    most: Annotated[int, Field(ge=1, le=10**9)]


class NewAzureListing(Input):
    """A SaaS offer in Partner Center and a plan of it, by the ids that people know."""

    offer_id: ExternalId
    plan_id: ExternalId
    offer_alias: Name
    plan_alias: Name
    markets: Annotated[
        list[Annotated[str, Field(pattern=r"^[A-Z]{2}$")]], Field(max_length=250), Unique
    ] = Field(default_factory=list)
    private_tenants: Annotated[list[Guid], Field(max_length=200), Unique] = Field(
        default_factory=list, description="Directories that alone see the plan"
    )
    sell_through_microsoft: bool = True
    target: AzureTarget = AzureTarget.DRAFT
    preview_submission_id: (
        Annotated[str, Field(pattern=r"^submission/[A-Za-z0-9/_-]{1,200}$")] | None
    ) = Field(None, description="With target live; that of the publication before if left out")
    users: NewUserLimits | None = Field(None, description="Of a plan that is sold by the user")

    def listing(self) -> AzureListing:
        """For the domain."""
        return AzureListing(
            offer_id=self.offer_id,
            plan_id=self.plan_id,
            offer_alias=self.offer_alias,
            plan_alias=self.plan_alias,
            markets=tuple(self.markets),
            private_tenants=tuple(self.private_tenants),
            sell_through_microsoft=self.sell_through_microsoft,
            target=self.target,
            preview_submission_id=self.preview_submission_id or "",
            users=(self.users.least, self.users.most) if self.users else None,
        )


class NewGcpListing(Input):
    """A product in Producer Portal and a plan of it."""

    service_name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{2,252}$")]
    plan_id: Code

    def listing(self) -> GcpListing:
        """For the domain."""
        return GcpListing(self.service_name, self.plan_id)


class NewPublication(Input):
    """What is published where; exactly the channel's own listing belongs to it."""

    channel: PublicationChannel
    version: Annotated[int, Field(ge=1, lt=10**8)] | None = Field(
        None, description="Of the offering; the newest without one"
    )
    plan: Code | None = Field(None, description="May be left out where there is one plan only")
    aws: NewAwsListing | None = None
    azure: NewAzureListing | None = None
    gcp: NewGcpListing | None = None

    def order(self, offering_id: str) -> PublicationOrder:
        """For the use case.

        Raises:
            InvalidRequestError: the listing is missing, or is another channel's.
        """
        faults = Faults()
        found: Listing | None = None
        for channel, given in (
            (Channel.AWS, self.aws),
            (Channel.AZURE, self.azure),
            (Channel.GCP, self.gcp),
        ):
            wanted = self.channel.value == channel.value
            if wanted and given is None:
                faults.add("missing", f"{channel} needs it", f"/{channel}")
            if not wanted and given is not None:
                faults.add("unexpected", f"only {channel} takes it", f"/{channel}")
            if wanted and given is not None:
                found = given.listing()
        users = self.azure.users if self.azure is not None else None
        if users is not None and users.most < users.least:
            faults.add("empty_span", "it must not be less than least", "/azure/users/most")
        faults.refuse_any()
        if found is None:
            raise InvariantError("a publication without a listing")
        return PublicationOrder(offering_id, found, self.version, self.plan or "")


class NewConfirmation(Input):
    """That somebody entered it."""

    note: Reason = Field(description="Who entered it, when and where: kept with it")
