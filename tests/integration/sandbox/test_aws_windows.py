from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from integration.sandbox.seller import BUYER, HOUR, LICENSE, NOW, PRODUCT, Seller, usage

OUT_OF_BOUNDS = "TimestampOutOfBoundsException"
SECOND = timedelta(seconds=1)


def test_usage_is_taken_until_just_before_it_is_24_hours_old(seller: Seller) -> None:
    used_at = NOW - timedelta(hours=24)
    assert seller.refused(usage(Timestamp=used_at)) == OUT_OF_BOUNDS
    assert seller.statuses(usage(Timestamp=used_at + SECOND)) == ["Success"]


def test_one_late_record_fails_the_whole_batch(seller: Seller) -> None:
    late = usage(Timestamp=NOW - timedelta(hours=25), Dimension="tokens")
    assert seller.refused(usage(), late) == OUT_OF_BOUNDS
    assert seller.billed() == []


def test_last_month_is_open_until_six_in_the_morning_of_the_first(seller: Seller) -> None:
    evening = datetime(2026, 11, 30, 23, 0, tzinfo=UTC)
    closing = datetime(2026, 12, 1, 6, 0, tzinfo=UTC)
    seller.control.set_clock(closing - SECOND)
    assert seller.statuses(usage(Timestamp=evening)) == ["Success"]
    seller.control.set_clock(closing)
    late = usage(Timestamp=evening, Dimension="tokens")
    assert seller.refused(late) == OUT_OF_BOUNDS
    assert seller.statuses(usage(Timestamp=datetime(2026, 12, 1, tzinfo=UTC))) == ["Success"]


def test_the_24_hours_still_hold_at_the_turn_of_the_month(seller: Seller) -> None:
    seller.control.set_clock(datetime(2026, 12, 1, 2, 0, tzinfo=UTC))
    assert seller.refused(usage(Timestamp=datetime(2026, 11, 30, 2, 0, tzinfo=UTC))) == (
        OUT_OF_BOUNDS
    )


def test_the_month_end_rule_holds_at_the_turn_of_the_year(seller: Seller) -> None:
    seller.control.set_clock(datetime(2027, 1, 1, 6, 0, tzinfo=UTC))
    assert seller.refused(usage(Timestamp=datetime(2026, 12, 31, 23, tzinfo=UTC))) == OUT_OF_BOUNDS


def test_the_future_is_refused_beyond_a_small_skew(seller: Seller) -> None:
    assert seller.refused(usage(Timestamp=NOW + timedelta(seconds=61))) == OUT_OF_BOUNDS
    assert seller.statuses(usage(Timestamp=NOW + timedelta(seconds=60))) == ["Success"]
    seller.control.aws.configure(future_skew_seconds=0)
    assert seller.refused(usage(Timestamp=NOW + SECOND)) == OUT_OF_BOUNDS


def test_a_window_can_be_set_to_an_older_rule(seller: Seller) -> None:
    seller.control.aws.configure(late_limit_seconds=6 * 3600)
    assert seller.refused(usage(Timestamp=NOW - timedelta(hours=6))) == OUT_OF_BOUNDS


def test_a_fraction_of_a_second_is_refused(seller: Seller) -> None:
    assert seller.refused(usage(Timestamp=HOUR + timedelta(milliseconds=500))) == OUT_OF_BOUNDS


@pytest.mark.parametrize(
    ("timestamp", "code"),
    [
        (b'"2026-11-20T11:00:00Z"', b"SerializationException"),
        (b"true", b"SerializationException"),
        (b"null", b"ValidationException"),
        (b"-1", b"TimestampOutOfBoundsException"),
        (b"1e999999999", b"TimestampOutOfBoundsException"),
        (b"253402300799", b"TimestampOutOfBoundsException"),
    ],
)
def test_a_timestamp_must_be_a_number_of_seconds(
    seller: Seller, timestamp: bytes, code: bytes
) -> None:
    body = b'{"UsageRecords": [{"Timestamp": ' + timestamp + b', "Dimension": "api_calls"}]}'
    status, _, answer = seller.post(body)
    assert status == 400
    assert code in answer


def test_usage_before_the_agreement_started_fails_whole(seller: Seller) -> None:
    start = HOUR.replace(minute=20)
    seller.control.aws.register_agreement(
        product_code=PRODUCT, account_id=BUYER, license_arn=LICENSE, start=start
    )
    assert seller.refused(usage(Timestamp=start - SECOND)) == "InvalidLicenseException"
    assert seller.statuses(usage(Timestamp=start)) == ["Success"]


def test_usage_after_the_agreement_ended_fails_whole(seller: Seller) -> None:
    end = NOW - timedelta(minutes=30)
    seller.control.aws.end_agreement(LICENSE, at=end)
    assert seller.refused(usage(Timestamp=end)) == "InvalidLicenseException"
    assert seller.statuses(usage(Timestamp=end - SECOND)) == ["Success"]


def test_the_running_hour_may_be_metered_when_an_agreement_ends(seller: Seller) -> None:
    seller.control.aws.end_agreement(LICENSE)
    assert seller.statuses(usage(Timestamp=NOW.replace(minute=0))) == ["Success"]


def test_last_usage_is_taken_for_one_hour_after_the_end(seller: Seller) -> None:
    seller.control.aws.end_agreement(LICENSE)
    seller.control.advance_clock(timedelta(minutes=59, seconds=59))
    assert seller.statuses(usage()) == ["Success"]
    seller.control.advance_clock(SECOND)
    assert seller.statuses(usage(Dimension="tokens")) == ["CustomerNotSubscribed"]
    assert len(seller.billed()) == 1


def test_subscribing_again_within_the_hour_keeps_the_agreement_open(seller: Seller) -> None:
    seller.control.aws.end_agreement(LICENSE)
    seller.control.aws.register_agreement(
        product_code=PRODUCT, account_id=BUYER, license_arn=LICENSE, start=HOUR.replace(day=1)
    )
    seller.control.advance_clock(timedelta(hours=2))
    assert seller.statuses(usage()) == ["Success"]
