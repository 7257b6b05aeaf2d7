from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from integration.sandbox.seller import Seller, usage
from sandbox.marketplaces.throttle import TokenBucket

T0 = datetime(2026, 11, 20, tzinfo=UTC)


def calls_until_throttled(seller: Seller, region: str = "us-east-1") -> int:
    before = len(seller.control.calls())
    with pytest.raises(ClientError) as caught:
        _send_for_ever(seller, region)
    assert caught.value.response["Error"]["Code"] == "ThrottlingException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return len(seller.control.calls()) - before - 1


def _send_for_ever(seller: Seller, region: str) -> None:
    while True:
        seller.send(region=region)


def test_ten_calls_pass_and_the_eleventh_is_throttled_while_the_clock_stands_still(
    seller: Seller,
) -> None:
    seller.control.aws.configure(calls_per_second=10)
    assert calls_until_throttled(seller) == 10
    assert seller.refused(usage()) == "ThrottlingException"


def test_the_quota_refills_with_the_sandboxs_clock(seller: Seller) -> None:
    seller.control.aws.configure(calls_per_second=10)
    assert calls_until_throttled(seller) == 10
    seller.control.advance_clock(timedelta(milliseconds=300))
    assert calls_until_throttled(seller) == 3
    seller.control.advance_clock(timedelta(hours=1))
    assert calls_until_throttled(seller) == 10


def test_each_region_has_its_own_quota(seller: Seller) -> None:
    seller.control.aws.configure(calls_per_second=2)
    assert calls_until_throttled(seller) == 2
    assert calls_until_throttled(seller, region="eu-west-1") == 2


def test_the_quota_can_follow_real_time_under_a_frozen_clock(seller: Seller) -> None:
    seller.control.aws.configure(calls_per_second=1000, throttle_clock="wall")
    for _ in range(20):
        seller.send()
    assert len(seller.control.calls()) == 20


def test_the_quota_can_be_turned_off(seller: Seller) -> None:
    for _ in range(15):
        seller.send()
    assert seller.control.billed().calls["outcomes"] == {"Success": 15}


def test_a_bucket_lets_exactly_its_rate_through_over_any_second() -> None:
    bucket = TokenBucket(10, T0)
    passed = [bucket.take(T0 + timedelta(milliseconds=step)) for step in range(1001)]
    assert sum(passed) == 20
    assert passed[:11] == [True] * 10 + [False]


def test_a_clock_that_goes_back_adds_nothing_to_a_bucket() -> None:
    bucket = TokenBucket(1, T0)
    assert bucket.take(T0)
    assert not bucket.take(T0 - timedelta(hours=1))
    assert not bucket.take(T0 - timedelta(hours=1) + timedelta(milliseconds=999))
    assert bucket.take(T0 - timedelta(minutes=59))
