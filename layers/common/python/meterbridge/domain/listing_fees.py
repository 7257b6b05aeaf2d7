"""What each marketplace keeps of what it bills: listing fees by kind of deal, as versioned data.

Sources are contracts.md §5. Fees are percentages of the amount before tax. What was really kept is
known only from the marketplace's own revenue lines; these are for telling it beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum

from meterbridge.domain.channels import Channel
from meterbridge.domain.money import ZERO, exact_sum, multiply, subtract

_PERCENT = Decimal("0.01")


class DealKind(StrEnum):
    """How a buyer came to an agreement. Google counts channel shifts and migrations as RENEWAL."""

    PUBLIC = "public"
    PRIVATE = "private"
    RENEWAL = "renewal"


@dataclass(frozen=True, slots=True)
class Deal:
    """What of a deal its fee depends on.

    Attributes:
        total_contract_value: US dollars agreed on in advance; usage alone makes none.
        channel_partner: it is a reseller's private offer.
        buyer_country: ISO 3166-1 alpha-2; "" is any without a rule of its own.
    """

    kind: DealKind = DealKind.PUBLIC
    total_contract_value: Decimal = ZERO
    channel_partner: bool = False
    buyer_country: str = ""


@dataclass(frozen=True, slots=True)
class FeeRule:
    """One row of a marketplace's fee schedule.

    Attributes:
        id: stable name, part of the API.
        percent: of what is billed; percentage points on top where it is `added`.
        valid_from, valid_until: [from, until) of the moments at which a deal is made.
        kinds: of deals that it holds for.
        value_from, value_below: [from, below) of the total contract value.
        channel_partner: only for a reseller's offer.
        buyer_country: only for buyers there.
        condition: what the seller has to have done, for a person.
        verified: False where the vendor's own page could not be read (NOT VERIFIED).
    """

    id: str
    channel: Channel
    percent: Decimal
    source: str
    valid_from: datetime
    valid_until: datetime | None = None
    kinds: frozenset[DealKind] = frozenset(DealKind)
    value_from: Decimal = ZERO
    value_below: Decimal | None = None
    added: bool = False
    channel_partner: bool = False
    buyer_country: str = ""
    condition: str = ""
    verified: bool = True

    def holds(self, channel: Channel, deal: Deal, moment: datetime) -> bool:
        """Whether a deal made at a moment falls under it."""
        value = deal.total_contract_value
        return (
            self.channel is channel
            and self.valid_from <= moment
            and (self.valid_until is None or moment < self.valid_until)
            and deal.kind in self.kinds
            and self.value_from <= value
            and (self.value_below is None or value < self.value_below)
            and (deal.channel_partner or not self.channel_partner)
            and self.buyer_country in ("", deal.buyer_country)
        )


@dataclass(frozen=True, slots=True)
class ListingFee:
    """The fee of one deal.

    Attributes:
        percent: of what the channel bills; None where no number is published.
        rules: that make it up.
        unknown: why there is no number; "" where there is one.
    """

    percent: Decimal | None
    rules: tuple[FeeRule, ...] = ()
    unknown: str = ""

    def of(self, amount: Decimal) -> Decimal | None:
        """The fee of an amount that the channel bills; exact."""
        if self.percent is None:
            return None
        return multiply(multiply(amount, self.percent), _PERCENT)

    def net(self, amount: Decimal) -> Decimal | None:
        """What is left for the seller of an amount that the channel bills; exact."""
        fee = self.of(amount)
        return None if fee is None else subtract(amount, fee)


def listing_fee(channel: Channel, deal: Deal, moment: datetime) -> ListingFee:
    """The fee of a deal that is made at a moment."""
    if channel in UNPUBLISHED:
        return ListingFee(None, unknown=UNPUBLISHED[channel])
    rules = tuple(rule for rule in FEE_RULES if rule.holds(channel, deal, moment))
    if all(rule.added for rule in rules):
        return ListingFee(None, unknown=f"no fee of {channel} is known for that time")
    return ListingFee(exact_sum(rule.percent for rule in rules), rules)


_MILLION = Decimal(1_000_000)
_PUBLIC = frozenset({DealKind.PUBLIC})
_PRIVATE = frozenset({DealKind.PRIVATE})
_RENEWAL = frozenset({DealKind.RENEWAL})
_AWS_2024 = datetime(2024, 1, 5, tzinfo=UTC)
_AZURE_2022 = datetime(2022, 1, 1, tzinfo=UTC)
_AZURE_RENEWALS = datetime(2024, 10, 1, tzinfo=UTC)
_GOOGLE_2025 = datetime(2025, 4, 21, tzinfo=UTC)
_AWS = "AWS Marketplace seller guide, listing fees"  # contracts.md §5.1
_AZURE = "commercial marketplace transaction capabilities"  # contracts.md §5.2
_AZURE_RENEWAL = "agency fee discount for renewals"  # contracts.md §5.2
_GOOGLE = "Vendor Net Revenue Schedule"  # contracts.md §5.3

UNPUBLISHED = {
    Channel.STRIPE: "Stripe publishes no one number; each balance transaction has its own fee",
}
"""Channels whose fee cannot be told beforehand, and why."""

FEE_RULES = (
    # [DISAGREE] A common "3 / 1.5 / 0.5 %" is not the tier table: 0.5 % is professional services
    # and a partner's uplift, and 2 % is missing. The seller guide's table is taken.
    FeeRule("aws_public", Channel.AWS, Decimal(3), _AWS, _AWS_2024, kinds=_PUBLIC),
    FeeRule(
        "aws_private_below_1m",
        Channel.AWS,
        Decimal(3),
        _AWS,
        _AWS_2024,
        kinds=_PRIVATE,
        value_below=_MILLION,
    ),
    FeeRule(
        "aws_private_1m_to_10m",
        Channel.AWS,
        Decimal(2),
        _AWS,
        _AWS_2024,
        kinds=_PRIVATE,
        value_from=_MILLION,
        value_below=10 * _MILLION,
    ),
    FeeRule(
        "aws_private_from_10m",
        Channel.AWS,
        Decimal("1.5"),
        _AWS,
        _AWS_2024,
        kinds=_PRIVATE,
        value_from=10 * _MILLION,
    ),
    FeeRule("aws_renewal", Channel.AWS, Decimal("1.5"), _AWS, _AWS_2024, kinds=_RENEWAL),
    FeeRule(
        "aws_channel_partner",
        Channel.AWS,
        Decimal("0.5"),
        _AWS,
        _AWS_2024,
        kinds=_PRIVATE | _RENEWAL,
        added=True,
        channel_partner=True,
    ),
    FeeRule(
        "aws_south_korea",
        Channel.AWS,
        Decimal(1),
        _AWS,
        datetime(2025, 4, 1, tzinfo=UTC),
        added=True,
        buyer_country="KR",
    ),
    # [NOT VERIFIED] Further reductions of 2025/26 could not be read: the full fee is taken, so that
    # a seller is never promised too much.
    FeeRule("azure_standard", Channel.AZURE, Decimal(3), _AZURE, _AZURE_2022, kinds=_PUBLIC),
    FeeRule("azure_private", Channel.AZURE, Decimal(3), _AZURE, _AZURE_2022, kinds=_PRIVATE),
    FeeRule(
        "azure_renewal_before_2024_10",
        Channel.AZURE,
        Decimal(3),
        _AZURE,
        _AZURE_2022,
        _AZURE_RENEWALS,
        kinds=_RENEWAL,
    ),
    FeeRule(
        "azure_renewal",
        Channel.AZURE,
        Decimal("1.5"),
        _AZURE_RENEWAL,
        _AZURE_RENEWALS,
        kinds=_RENEWAL,
        condition="a private offer, attested as a renewal when it was created; else 3 %",
    ),
    # [NOT VERIFIED] The schedule and its rows were read on Google's page, the figures in copies
    # that agree. `revenue_share` of a private offer tells the real percentage.
    FeeRule(
        "google_standard",
        Channel.GCP,
        Decimal(3),
        _GOOGLE,
        _GOOGLE_2025,
        kinds=_PUBLIC,
        verified=False,
    ),
    FeeRule(
        "google_private_below_1m",
        Channel.GCP,
        Decimal(3),
        _GOOGLE,
        _GOOGLE_2025,
        kinds=_PRIVATE,
        value_below=_MILLION,
        verified=False,
    ),
    FeeRule(
        "google_private_1m_to_10m",
        Channel.GCP,
        Decimal(2),
        _GOOGLE,
        _GOOGLE_2025,
        kinds=_PRIVATE,
        value_from=_MILLION,
        value_below=10 * _MILLION,
        verified=False,
    ),
    FeeRule(
        "google_private_from_10m",
        Channel.GCP,
        Decimal("1.5"),
        _GOOGLE,
        _GOOGLE_2025,
        kinds=_PRIVATE,
        value_from=10 * _MILLION,
        verified=False,
    ),
    FeeRule(
        "google_renewal",
        Channel.GCP,
        Decimal("1.5"),
        _GOOGLE,
        _GOOGLE_2025,
        kinds=_RENEWAL,
        verified=False,
    ),
    FeeRule(
        "no_marketplace",
        Channel.MANUAL,
        ZERO,
        "no marketplace is between seller and buyer",
        datetime(2000, 1, 1, tzinfo=UTC),
    ),
)
