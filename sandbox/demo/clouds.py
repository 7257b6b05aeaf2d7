"""One product on three marketplaces: how it is listed there, and how a buyer of it is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sandbox.demo.deals import CENT, CHARGES
from sandbox.demo.deals import PLAN as PRO
from sandbox.demo.seller import DIMENSIONS, PLAN, Dimension
from sandbox.local_cloud.seller_accounts import AZURE_CLIENT_ID, GCP_SERVICE_ACCOUNT
from sandbox.marketplaces.client import SandboxControl

_DIMENSIONS = (*DIMENSIONS, Dimension(CHARGES, "", str(CENT), 1, "integer"))
"""What is listed: dimensions with prices of their own, and one that counts cents."""


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who accepted an agreement, in the marketplace's own words.

    Attributes:
        reference: what the marketplace's bill names the agreement by.
        fields: what the API takes as the agreement's buyer.
    """

    reference: str
    fields: Mapping[str, str]


class Cloud(Protocol):
    """A marketplace, from the seller's side.

    Attributes:
        channel: as the API names it.
        title: for a person.
        function: the reporter's name in the stack.
        listing: the product's identity there.
        quantities: what is particular about quantities there, for a person.
    """

    channel: str
    title: str
    function: str
    listing: str
    quantities: str

    def publish(self) -> None:
        """List the product with its dimensions and prices."""

    def admit(self, number: int, starts_at: datetime, plan: str = PLAN) -> Buyer:
        """Let a buyer accept a plan of it; `number` tells buyers apart."""


class Aws:
    """AWS Marketplace."""

    channel, title, function = "aws", "AWS Marketplace, BatchMeterUsage", "ReportUsageAws"
    quantities = "decimals to six places"

    def __init__(self, control: SandboxControl, name: str) -> None:
        self._control = control
        self.listing = name

    def publish(self) -> None:
        """List the product with its dimensions and prices."""
        self._control.aws.register_product(
            self.listing,
            [
                {
                    "key": each.code,
                    "unit_price": each.price,
                    "allow_decimal": each.kind == "decimal",
                }
                for each in _DIMENSIONS
            ],
        )

    def admit(self, number: int, starts_at: datetime, plan: str = PLAN) -> Buyer:
        """Let a buyer accept a plan of it; `number` tells buyers apart."""
        del plan  # AWS's agreements name a product's dimensions, whatever we call the plan.
        account = f"{100000000000 + number}"
        license_arn = f"arn:aws:license-manager::444455556666:license:l-{number:032x}"
        self._control.aws.register_agreement(
            product_code=self.listing, account_id=account, license_arn=license_arn, start=starts_at
        )
        fields = {"customer_aws_account_id": account, "license_arn": license_arn}
        return Buyer(license_arn, fields)


class Azure:
    """Azure Marketplace."""

    channel, title, function = "azure", "Azure Marketplace, batchUsageEvent", "ReportUsageAzure"
    quantities = "decimals as doubles; zero is refused, so an hour without a whole unit is not sent"

    def __init__(self, control: SandboxControl, name: str) -> None:
        self._control = control
        self.listing = name

    def publish(self) -> None:
        """List the product with its dimensions and prices, for our app to report."""
        self._control.azure.register_offer(
            self.listing,
            {
                PLAN: [{"id": each.code, "unit_price": each.price} for each in DIMENSIONS],
                PRO: [{"id": CHARGES, "unit_price": str(CENT)}],
            },
            app_id=AZURE_CLIENT_ID,
        )

    def admit(self, number: int, starts_at: datetime, plan: str = PLAN) -> Buyer:
        """Let a buyer accept a plan of it; `number` tells buyers apart."""
        del starts_at  # Azure's subscriptions take usage of any time in their window.
        resource = f"6f1c2f4e-0000-4000-8000-{number:012d}"
        self._control.azure.register_subscription(resource, offer_id=self.listing, plan_id=plan)
        return Buyer(resource, {"resource_id": resource, "plan_id": plan})


class Gcp:
    """Google Cloud Marketplace."""

    channel, title, function = "gcp", "Google Cloud Marketplace, services.report", "ReportUsageGcp"
    quantities = "int64 metrics for whole units, double ones for decimals"

    def __init__(self, control: SandboxControl, name: str) -> None:
        self._control = control
        self.listing = f"{name}.gcpmarketplace.acme.example"

    def publish(self) -> None:
        """List the product with its metrics and prices, for our service account to report."""
        self._control.gcp.register_service(
            self.listing,
            [
                {"id": each.code, "kind": _metric_kind(each), "unit_price": each.price}
                for each in _DIMENSIONS
            ],
            reporters=[GCP_SERVICE_ACCOUNT],
        )

    def admit(self, number: int, starts_at: datetime, plan: str = PLAN) -> Buyer:
        """Let a buyer accept a plan of it; `number` tells buyers apart."""
        del plan  # An entitlement reports to its service's metrics, whatever we call the plan.
        consumer = f"project_number:{100000000000 + number}"
        self._control.gcp.register_entitlement(
            service=self.listing, usage_reporting_id=consumer, start=starts_at
        )
        return Buyer(consumer, {"usage_reporting_id": consumer})


def clouds_of(control: SandboxControl, name: str) -> dict[str, Cloud]:
    """All three by channel, in the order in which they are shown; `name` tells products apart."""
    clouds: tuple[Cloud, ...] = (Aws(control, name), Azure(control, name), Gcp(control, name))
    return {cloud.channel: cloud for cloud in clouds}


def _metric_kind(dimension: Dimension) -> str:
    return "double" if dimension.kind == "decimal" else "int64"
