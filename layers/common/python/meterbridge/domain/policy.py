"""The marketplaces' reporting rules, as versioned data.

Each rule set is valid from a date; `policy_at` picks the one that was true at a moment. Sources are
contracts.md §1.1.6, §2.1, §3.1 and the table in §8.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from meterbridge.domain.offerings import Channel, QuantityKind
from meterbridge.domain.windows import BillingPeriod


@dataclass(frozen=True, slots=True)
class MarketplacePolicy:
    """What one marketplace takes, from a date on.

    Attributes:
        valid_from: first moment at which these rules hold.
        lateness: usage older than this is refused.
        month_end_grace: usage of a month is refused later than this after the month's end; None
            where the marketplace has no such rule.
        safety_margin: how long before the real deadline we stop counting on being accepted.
        flush_window: how long after an agreement's end its last usage is taken.
        max_batch: records in a call.
        max_calls_per_second: published limit, per account and region; where none is published, the
            pace we keep to.
        max_quantity: greatest quantity of one record, by kind.
        decimal_places: digits after the point on a decimal dimension.
        zero_allowed: whether a record of 0 may be sent.
        resend_window: how long a record may be sent again whose outcome is unknown; None where the
            marketplace books one record for an hour, however often it comes.
    """

    channel: Channel
    valid_from: datetime
    lateness: timedelta
    month_end_grace: timedelta | None
    safety_margin: timedelta
    flush_window: timedelta
    max_batch: int
    max_calls_per_second: int
    max_quantity: dict[QuantityKind, Decimal]
    decimal_places: int
    zero_allowed: bool
    resend_window: timedelta | None = None

    def deadline(self, reported_hour_start: datetime, ends_at: datetime | None = None) -> datetime:
        """Last moment (exclusive) at which a record of this time is still taken.

        Args:
            reported_hour_start: the record's time on the wire.
            ends_at: when the agreement ended or will end, if known.
        """
        deadline = reported_hour_start + self.lateness
        if self.month_end_grace is not None:
            month_cut = BillingPeriod.of(reported_hour_start).end + self.month_end_grace
            deadline = min(deadline, month_cut)
        if ends_at is not None:
            deadline = min(deadline, ends_at + self.flush_window)
        return deadline

    def step(self, kind: QuantityKind) -> Decimal:
        """Smallest sendable quantity."""
        return (
            Decimal(1) if kind is QuantityKind.INTEGER else Decimal(1).scaleb(-self.decimal_places)
        )


POLICIES = (
    # contracts.md §1.1.6: 24 h since 2 July 2026, month end 06:00 UTC since 7 July 2026. The
    # decimal pattern allows ten integer digits and six decimals (§1.1.2).
    MarketplacePolicy(
        channel=Channel.AWS,
        valid_from=datetime(2026, 7, 7, tzinfo=UTC),
        lateness=timedelta(hours=24),
        month_end_grace=timedelta(hours=6),
        safety_margin=timedelta(hours=1),
        flush_window=timedelta(hours=1),
        max_batch=25,
        max_calls_per_second=10,
        max_quantity={
            QuantityKind.INTEGER: Decimal(2147483647),
            QuantityKind.DECIMAL: Decimal("9999999999.999999"),
        },
        decimal_places=6,
        zero_allowed=True,
    ),
    # contracts.md §2.1.5: 24 h back, also after a cancellation, and no month end. The quantity is a
    # double of unpublished precision and maximum: at most six decimals, and 15 significant digits,
    # which every double keeps. No throttle is published: 5 calls a second are 450,000 records an hour.
    MarketplacePolicy(
        channel=Channel.AZURE,
        valid_from=datetime(2018, 8, 31, tzinfo=UTC),
        lateness=timedelta(hours=24),
        month_end_grace=None,
        safety_margin=timedelta(hours=1),
        flush_window=timedelta(hours=24),
        max_batch=25,
        max_calls_per_second=5,
        max_quantity={
            QuantityKind.INTEGER: Decimal(999_999_999_999_999),
            QuantityKind.DECIMAL: Decimal("999999999.999999"),
        },
        decimal_places=6,
        zero_allowed=False,
    ),
    # contracts.md §3.1.5: the contract asks for a report within one hour, which the schedule keeps;
    # later usage is taken, at worst on the next invoice, so neither that hour nor the Pacific month
    # end is a refusal. The 48 h are ours: they outlast an outage of a day, and usage that was surely
    # not booked by then is billed again in an open hour. A record whose outcome is unknown is sent
    # again for one hour only: every report is added up, no page promises that a known operationId
    # is not, and how long one is remembered is not published (§3.1.4, DISAGREE and NOT VERIFIED).
    # After that it is CONFLICTED until somebody has looked at Google's insights report.
    # No rate and no number of operations is published either (§3.1.1): the pace is ours, and 200
    # operations stay far below 1 MB and within what one run can finish. A double holds 15 decimal
    # digits exactly (§3.1.2).
    MarketplacePolicy(
        channel=Channel.GCP,
        valid_from=datetime(2026, 10, 15, tzinfo=UTC),
        lateness=timedelta(hours=48),
        month_end_grace=None,
        safety_margin=timedelta(hours=1),
        flush_window=timedelta(hours=1),
        max_batch=200,
        max_calls_per_second=50,
        max_quantity={
            QuantityKind.INTEGER: Decimal(9223372036854775807),
            QuantityKind.DECIMAL: Decimal("999999999.999999"),
        },
        decimal_places=6,
        zero_allowed=True,
        resend_window=timedelta(hours=1),
    ),
)

LONGEST_LATENESS = max(policy.lateness for policy in POLICIES)
"""A record may settle usage that is younger than its own hour, as long as that hour was still open:
so the records of a billing period begin this long before it."""


def reporting_policy(channel: Channel, moment: datetime) -> MarketplacePolicy | None:
    """The rules that hold for a channel at a moment; None where it takes no metering records."""
    if any(policy.channel is channel for policy in POLICIES):
        return policy_at(channel, moment)
    return None


def policy_at(channel: Channel, moment: datetime) -> MarketplacePolicy:
    """The newest rules of a channel that hold at a moment; before the first, the first.

    Raises:
        KeyError: a channel without reporting rules.
    """
    known = [policy for policy in POLICIES if policy.channel is channel]
    if not known:
        raise KeyError(channel)
    valid = [policy for policy in known if policy.valid_from <= moment]
    return max(valid or known[:1], key=lambda policy: policy.valid_from)
