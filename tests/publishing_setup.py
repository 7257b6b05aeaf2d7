"""Offerings to publish, written short, and what is known of their listings."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from builders import NOON, dimension, offering
from meterbridge.domain.money import Money
from meterbridge.domain.offerings import Channel, Offering, Plan, QuantityKind
from meterbridge.domain.pricing.channel_reporting import (
    ChannelReporting,
    ReportedDimension,
    ReportingMode,
    Source,
)
from meterbridge.domain.pricing.cycles import CycleKind
from meterbridge.domain.pricing.models import PerUnit
from meterbridge.domain.pricing.plan_terms import (
    Entitlement,
    FreeTrial,
    PlanTerms,
    SubscriptionFee,
    TrialKind,
)
from meterbridge.domain.pricing.tiers import Graduated, Tier
from meterbridge.domain.publishing.aws_change_sets import compile_for_aws
from meterbridge.domain.publishing.azure_resources import compile_for_azure
from meterbridge.domain.publishing.compiled import Compiled, LastApplied
from meterbridge.domain.publishing.gcp_documents import compile_for_gcp
from meterbridge.domain.publishing.listings import (
    AwsInformation,
    AwsListing,
    AwsPrivateOffer,
    AzureListing,
    GcpListing,
    Payment,
)
from meterbridge.domain.publishing.sale import Sale
from pricing_setup import plan, priced

D = Decimal
CENT = D("0.01")
CLOUDS = (Channel.AWS, Channel.AZURE, Channel.GCP)
BUYER = "111122223333"
TENANT = "0c5e4ba4-0000-4000-8000-00000000aaaa"
SERVICE = "acme-llm.gcpmarketplace.acme.example"

INFORMATION = AwsInformation(
    title="Acme LLM",
    short_description="Answers.",
    long_description="Answers to questions, by the thousand.",
    highlights=("Fast",),
    logo_url="https://acme.example/logo.png",
    categories=("Data Catalogs",),
    search_keywords=("llm",),
    support_description="support@acme.example",
)
NEW_ON_AWS = AwsListing(
    information=INFORMATION,
    fulfillment_url="https://acme.example/aws",
    limited_to=(BUYER,),
    refund_policy="No refunds.",
)
KNOWN_ON_AWS = AwsListing(product_id="prod-abc123", refund_policy="No refunds.")
PRIVATE = AwsPrivateOffer((BUYER,), date(2026, 12, 31), "P12M")
ON_AZURE = AzureListing("acme-llm", "std", "Acme LLM", "Standard", ("US", "DE"))
ON_GCP = GcpListing(SERVICE, "std")


def reported(*dimensions: ReportedDimension, apart: tuple[str, ...] = ()) -> dict[str, Any]:
    """The same reporting on all three clouds."""
    return {
        "reporting": tuple(ChannelReporting(each, dimensions, frozenset(apart)) for each in CLOUDS)
    }


def native(code: str, **changes: Any) -> ReportedDimension:
    return ReportedDimension(code, ReportingMode.NATIVE, (Source(code),), **changes)


def in_cents(code: str, *codes: str) -> ReportedDimension:
    return ReportedDimension(code, ReportingMode.CURRENCY, tuple(map(Source, codes)), CENT)


def sold(*plans: PlanTerms, **changes: Any) -> Offering:
    """An offering whose plans have terms; the first is std."""
    codes = ("std", "pro", "max")
    listed = tuple(
        Plan(code, name=code.capitalize(), terms=each)
        for code, each in zip(codes, plans, strict=False)
    )
    return replace(offering(), plans=listed, **changes)


TIERS = Graduated((Tier(D(1000), D("0.02")), Tier(None, D("0.015"))))
TIERED = sold(plan(priced(TIERS, name="API calls"), **reported(in_cents("usage", "api"))))
UNITS = offering(
    dimension(code="tokens_k", unit_price=Money(D("0.002"), "USD"), units_per_quantity=D(1000)),
    dimension(
        code="gib_hours",
        name="Storage",
        unit_price=Money(D("0.00013"), "USD"),
        quantity_kind=QuantityKind.DECIMAL,
    ),
)
TRIAL = sold(
    plan(
        priced(PerUnit(D("0.01"))),
        trial=FreeTrial(TrialKind.DAYS, 14, native=True),
        reporting=(ChannelReporting(Channel.AWS, (native("api"),)),),
    )
)
SUBSCRIPTION = sold(
    plan(
        priced(PerUnit(D("0.05")), entitlement=Entitlement(D(12000))),
        cycle=CycleKind.ANNUAL,
        fees=(SubscriptionFee("platform", D("1200")),),
        **reported(native("api"), apart=("platform",)),
    )
)
INSTALMENTS = replace(
    PRIVATE, payments=(Payment(date(2027, 1, 1), D(600)), Payment(date(2027, 7, 1), D("600.5")))
)


def on_aws(
    given: Offering,
    listing: AwsListing = KNOWN_ON_AWS,
    before: LastApplied | None = None,
    plan_code: str = "std",
    now: Any = NOON,
) -> Compiled:
    return compile_for_aws(Sale.of(given, plan_code, Channel.AWS), listing, before, now)


def on_azure(
    given: Offering,
    listing: AzureListing = ON_AZURE,
    before: LastApplied | None = None,
) -> Compiled:
    return compile_for_azure(Sale.of(given, "std", Channel.AZURE), listing, before)


def on_gcp(
    given: Offering, listing: GcpListing = ON_GCP, before: LastApplied | None = None
) -> Compiled:
    return compile_for_gcp(Sale.of(given, "std", Channel.GCP), listing, before)


def body(compiled: Compiled, number: int = 0) -> Any:
    """A document with exact numbers."""
    return json.loads(compiled.documents[number].body, parse_float=D)


def changes_of(compiled: Compiled) -> list[str]:
    """A change set as "ChangeType entity"."""
    return [
        f"{each['ChangeType']} {each['Entity'].get('Identifier', each['Entity']['Type'])}"
        for each in body(compiled)["ChangeSet"]
    ]


def details(compiled: Compiled, kind: str, entity: str = "") -> Any:
    """The details of the one change of a kind, of an entity where several have it."""
    (found,) = [
        each["DetailsDocument"]
        for each in body(compiled)["ChangeSet"]
        if each["ChangeType"] == kind and entity in each["Entity"].get("Identifier", "")
    ]
    return found


def gaps(compiled: Compiled) -> set[tuple[str, str]]:
    """Gaps as (pointer, code)."""
    return {(gap.pointer, gap.code) for gap in compiled.gaps}


def blocking(compiled: Compiled) -> set[tuple[str, str]]:
    return {(gap.pointer, gap.code) for gap in compiled.gaps if gap.blocks}
