"""What a publication needs to know beyond the plan, per marketplace: ids, texts, who may buy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar

from meterbridge.domain.channels import Channel

_AWS_PRODUCT_ID = re.compile(r"prod-[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class AwsInformation:
    """What buyers read about a product (contracts.md §1.3.2, step 2)."""

    title: str
    short_description: str
    long_description: str
    highlights: tuple[str, ...]
    logo_url: str
    categories: tuple[str, ...]
    search_keywords: tuple[str, ...]
    support_description: str = ""


@dataclass(frozen=True, slots=True)
class Payment:
    """One instalment of a private offer."""

    due_on: date
    amount: Decimal


@dataclass(frozen=True, slots=True)
class AwsPrivateOffer:
    """An offer for some buyers.

    Attributes:
        buyer_accounts: their AWS accounts.
        available_until: the last day on which it can be accepted.
        agreement_duration: how long the agreement then runs, ISO 8601: P30D, P12M.
        payments: instalments in place of one payment upfront.
    """

    buyer_accounts: tuple[str, ...]
    available_until: date
    agreement_duration: str
    payments: tuple[Payment, ...] = ()


@dataclass(frozen=True, slots=True)
class AwsListing:
    """A SaaS product on AWS Marketplace and one offer of it.

    Attributes:
        product_id, offer_id, trial_offer_id: what exists already; "" is created.
        information: None leaves it as it is.
        limited_to: accounts that see the product before it is public.
        known_dimensions: keys that the product has already.
        units: of a dimension, in AWS's words; Units where none is given.
        eula_url: "" takes AWS's standard contract.
        make_public: ask AWS to show the product to everybody.
    """

    channel: ClassVar[Channel] = Channel.AWS

    product_id: str = ""
    offer_id: str = ""
    trial_offer_id: str = ""
    information: AwsInformation | None = None
    fulfillment_url: str = ""
    limited_to: tuple[str, ...] = ()
    known_dimensions: tuple[str, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    eula_url: str = ""
    refund_policy: str = ""
    private: AwsPrivateOffer | None = None
    make_public: bool = False

    @property
    def audience(self) -> str:
        """Whom the offer is for; publications for others do not follow one another."""
        return ",".join(sorted(self.private.buyer_accounts)) if self.private else ""

    def of_product(self, listings: Mapping[Channel, str]) -> AwsListing:
        """With the id that our product has there, where none is given."""
        known = listings.get(self.channel, "")
        if self.product_id or not _AWS_PRODUCT_ID.fullmatch(known):
            return self
        return replace(self, product_id=known)


class AzureTarget(StrEnum):
    """How far a configuration goes (contracts.md §2.3)."""

    DRAFT = "draft"
    PREVIEW = "preview"
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class AzureListing:
    """A SaaS offer in Partner Center and one plan of it.

    Attributes:
        offer_id, plan_id: the ids that people know (external ids).
        offer_alias, plan_alias: as Partner Center shows them.
        markets: two-letter country codes.
        private_tenants: directories that alone see the plan.
        preview_submission_id: of the submission in preview that goes live.
        users: least and most, of a plan that is sold by the seat.
    """

    channel: ClassVar[Channel] = Channel.AZURE

    offer_id: str
    plan_id: str
    offer_alias: str
    plan_alias: str
    markets: tuple[str, ...] = ()
    private_tenants: tuple[str, ...] = ()
    sell_through_microsoft: bool = True
    target: AzureTarget = AzureTarget.DRAFT
    preview_submission_id: str = ""
    users: tuple[int, int] | None = None

    @property
    def audience(self) -> str:
        """Whom the plan is for."""
        return ",".join(sorted(self.private_tenants))

    def of_product(self, _: Mapping[Channel, str]) -> AzureListing:
        """The same: the id of the offer is always given."""
        return self


@dataclass(frozen=True, slots=True)
class GcpListing:
    """A product in Google's Producer Portal and one plan of it.

    Attributes:
        service_name: of Service Control, as `acme-svc.gcpmarketplace.acme.example`.
        plan_id: the service level.
    """

    channel: ClassVar[Channel] = Channel.GCP

    service_name: str
    plan_id: str

    @property
    def audience(self) -> str:
        """Plans are public; private offers are made apart."""
        return ""

    def of_product(self, _: Mapping[Channel, str]) -> GcpListing:
        """The same: the name of the service is always given."""
        return self


Listing = AwsListing | AzureListing | GcpListing
