"""Shares of an agreement's entitlements, credits and spend cap that its usage has reached."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from meterbridge.application.ports import Registry, UsageStore
from meterbridge.application.rated_usage import RatingStates
from meterbridge.application.wallet import read_range
from meterbridge.domain.agreements import Agreement
from meterbridge.domain.pricing.rated import ThresholdPassed


@dataclass(frozen=True, slots=True)
class HourThreshold:
    """A share of an entitlement, of the credits or of the cap that was reached in an hour."""

    hour: datetime
    passed: ThresholdPassed


def thresholds_passed(
    agreement: Agreement,
    start: datetime,
    end: datetime,
    *,
    registry: Registry,
    usage: UsageStore,
    ledger: RatingStates,
    now: datetime,
) -> list[HourThreshold]:
    """What was reached in the hours of [start, end), oldest first.

    Raises:
        InvalidInputError: the range is empty or too long.
    """
    read, _, _ = read_range(
        agreement, start, end, registry=registry, usage=usage, ledger=ledger, now=now
    )
    return [HourThreshold(hour.hour, each) for hour in read.hours for each in hour.thresholds]
