"""Windows, terms of agreements, and the marketplaces' rules as data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from builders import GRACE, agreement, at, dimension
from meterbridge.domain.agreements import owner_of_hour
from meterbridge.domain.errors import InvalidInputError, InvariantError
from meterbridge.domain.money import Money
from meterbridge.domain.offerings import Channel, QuantityKind
from meterbridge.domain.policy import policy_at, reporting_policy
from meterbridge.domain.rating import charge_for, units_within
from meterbridge.domain.term import closed_hours, owned_hours, wire_moment
from meterbridge.domain.windows import BillingPeriod, hour_of, is_closed, last_closed_hour

CET = timezone(timedelta(hours=1))
AWS = policy_at(Channel.AWS, at("2026-11-24T12"))


def test_windows_are_half_open() -> None:
    assert hour_of(at("2026-11-24T10:59:59.999999")) == at("2026-11-24T10")
    assert hour_of(at("2026-11-24T11:00:00")) == at("2026-11-24T11")


@pytest.mark.parametrize(
    "moment", [at("2026-11-24T00").replace(tzinfo=None), at("2026-11-24T00").astimezone(CET)]
)
def test_only_aware_utc_is_a_time(moment: datetime) -> None:
    with pytest.raises(InvariantError):
        hour_of(moment)


def test_an_hour_is_closed_when_its_grace_is_over() -> None:
    hour = at("2026-11-24T10")
    assert not is_closed(hour, at("2026-11-24T11:14:59"), GRACE)
    assert is_closed(hour, at("2026-11-24T11:15:00"), GRACE)
    assert last_closed_hour(at("2026-11-24T11:15:00"), GRACE) == hour
    assert last_closed_hour(at("2026-11-24T11:14:59"), GRACE) == at("2026-11-24T09")


def test_a_period_ends_where_the_next_begins() -> None:
    december = BillingPeriod.parse("2026-12")
    assert (december.start, december.end) == (at("2026-12-01T00"), at("2027-01-01T00"))
    assert (str(december.next), BillingPeriod.of(december.end)) == ("2027-01", december.next)


@pytest.mark.parametrize(
    ("used", "deadline"),
    [
        ("2026-11-24T10:00", "2026-11-25T10:00"),
        ("2026-11-30T20:00", "2026-12-01T06:00"),
        ("2026-11-30T05:00", "2026-12-01T05:00"),
        ("2026-12-01T00:00", "2026-12-02T00:00"),
    ],
)
def test_aws_takes_usage_for_a_day_but_not_past_six_on_the_first(used: str, deadline: str) -> None:
    assert AWS.deadline(at(used)) == at(deadline)


def test_the_end_of_an_agreement_leaves_an_hour() -> None:
    assert AWS.deadline(at("2026-11-24T10:00"), at("2026-11-24T10:20")) == at("2026-11-24T11:20")


def test_only_channels_that_take_records_have_reporting_rules() -> None:
    assert reporting_policy(Channel.AWS, at("2026-11-24T12")) is AWS
    assert reporting_policy(Channel.MANUAL, at("2026-11-24T12")) is None
    assert policy_at(Channel.AWS, datetime(2020, 1, 1, tzinfo=UTC)) is AWS


def test_the_smallest_quantity_depends_on_the_kind() -> None:
    assert AWS.step(QuantityKind.INTEGER) == 1
    assert AWS.step(QuantityKind.DECIMAL) == Decimal("0.000001")


def test_an_agreement_owns_every_hour_that_it_overlaps() -> None:
    one = agreement(starts_at=at("2026-11-24T10:30:00"), ends_at=at("2026-11-24T12:00:00"))
    found = owned_hours(one, at("2026-11-24T00"), at("2026-11-25T00"))
    assert found == [at("2026-11-24T10"), at("2026-11-24T11")]


def test_an_hour_shared_by_two_agreements_is_billed_by_the_earlier() -> None:
    first = agreement(id="agr_a", ends_at=at("2026-11-24T10:20:00"))
    second = agreement(id="agr_b", starts_at=at("2026-11-24T10:40:00"))
    owners = [
        owner and owner.id
        for owner in (
            owner_of_hour(at(f"2026-11-24T{hour}"), [second, first]) for hour in ("09", "10", "11")
        )
    ]
    assert owners == ["agr_a", "agr_a", "agr_b"]
    assert owner_of_hour(at("2026-10-01T00"), [first, second]) is None


def test_the_hour_of_an_end_is_complete_a_grace_after_that_end() -> None:
    one = agreement(starts_at=at("2026-11-24T09"), ends_at=at("2026-11-24T10:20:00"))
    before = closed_hours(one, at("2026-11-24T00"), at("2026-11-24T10:34:59"), GRACE)
    after = closed_hours(one, at("2026-11-24T00"), at("2026-11-24T10:35:00"), GRACE)
    assert (before, after) == ([at("2026-11-24T09")], [at("2026-11-24T09"), at("2026-11-24T10")])


def test_a_record_is_never_dated_before_the_agreement_started() -> None:
    one = agreement(starts_at=at("2026-11-24T10:30:07"))
    assert wire_moment(one, at("2026-11-24T10")) == at("2026-11-24T10:30:07")
    assert wire_moment(one, at("2026-11-24T11")) == at("2026-11-24T11")


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"starts_at": at("2026-11-24T10:30:07.5")}, "whole_seconds"),
        ({"ends_at": at("2026-11-01T00")}, "empty_term"),
    ],
)
def test_terms_that_cannot_be_reported_are_refused(terms: dict[str, object], code: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        agreement(**terms)
    assert caught.value.code == code


def test_a_price_per_thousand_is_charged_for_fractions_too() -> None:
    one = dimension(unit_price=Money(Decimal("0.5"), "USD"), units_per_quantity=Decimal(1000))
    assert charge_for(one, Decimal(1500)) == Money(Decimal("0.75"), "USD")
    assert units_within(Decimal("2999.5"), Decimal(1), Decimal(1000)) == 2
    assert units_within(Decimal("2999.5"), Decimal("0.000001"), Decimal(1000)) == Decimal("2.9995")
    assert units_within(Decimal(-1), Decimal(1), Decimal(1000)) == -1
