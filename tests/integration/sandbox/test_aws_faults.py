from __future__ import annotations

import time
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from integration.sandbox.seller import LICENSE, NOW, Seller, usage
from sandbox.marketplaces.client import SandboxControlError
from sandbox.marketplaces.faults import FaultKind

DIMENSIONS = ("api_calls", "tokens", "seats")


def outcomes(seller: Seller) -> list[tuple[str, bool, list[str]]]:
    return [
        (call["outcome"], call["acknowledged"], call["faults"]) for call in seller.control.calls()
    ]


def test_a_lost_acknowledgement_breaks_the_connection_after_recording(seller: Seller) -> None:
    seller.control.inject("lost_acknowledgement")
    with pytest.raises(ConnectionClosedError):
        seller.send(usage())
    assert len(seller.billed()) == 1
    assert seller.statuses(usage()) == ["Success"]
    assert len(seller.billed()) == 1
    assert outcomes(seller) == [
        ("Success", False, ["lost_acknowledgement"]),
        ("Success", True, []),
    ]


def test_a_lost_acknowledgement_can_look_like_a_server_error(seller: Seller) -> None:
    seller.control.inject("lost_acknowledgement", loss="error")
    with pytest.raises(ClientError) as caught:
        seller.send(usage())
    assert caught.value.response["Error"]["Code"] == "InternalServiceErrorException"
    assert len(seller.billed()) == 1


def test_a_lost_acknowledgement_waits_for_a_call_that_goes_through(seller: Seller) -> None:
    seller.control.inject("lost_acknowledgement")
    assert seller.refused(usage(Dimension="none")) == "InvalidUsageDimensionException"
    assert [fault.count for fault in seller.control.faults()] == [1]
    with pytest.raises(ConnectionClosedError):
        seller.send(usage())
    assert seller.control.faults() == []


def test_boto3s_own_retry_after_a_lost_acknowledgement_bills_once(seller: Seller) -> None:
    seller.control.inject("lost_acknowledgement")
    patient = Seller.connect(seller.url, retries={"total_max_attempts": 2})
    try:
        answer = patient.batch_meter_usage(UsageRecords=[usage()])
    finally:
        patient.close()
    assert answer["ResponseMetadata"]["RetryAttempts"] == 1
    assert answer["Results"][0]["Status"] == "Success"
    assert len(seller.billed()) == 1


def test_an_unprocessed_part_is_handed_back_as_sent_and_not_billed(seller: Seller) -> None:
    seller.control.inject("unprocessed", match={"dimension": "tokens"})
    records = [usage(Dimension=dimension) for dimension in DIMENSIONS]
    answer = seller.send(*records)
    assert answer["UnprocessedRecords"] == [records[1]]
    assert [result["UsageRecord"]["Dimension"] for result in answer["Results"]] == [
        "api_calls",
        "seats",
    ]
    assert [row[1] for row in seller.billed()] == ["api_calls", "seats"]
    assert seller.statuses(records[1]) == ["Success"]


def test_a_whole_batch_can_come_back_unprocessed(seller: Seller) -> None:
    seller.control.inject("unprocessed")
    answer = seller.send(*[usage(Dimension=dimension) for dimension in DIMENSIONS])
    assert answer["Results"] == []
    assert len(answer["UnprocessedRecords"]) == 3
    assert seller.billed() == []


def test_a_random_unprocessed_part_is_the_same_in_every_run(seller: Seller) -> None:
    drawn = []
    for _ in range(2):
        seller.control.reset(keep_setup=True)
        seller.control.inject("unprocessed", records=2, count=5)
        for _ in range(5):
            answer = seller.send(*[usage(Dimension=dimension) for dimension in DIMENSIONS])
            drawn.append([record["Dimension"] for record in answer["UnprocessedRecords"]])
    assert drawn[:5] == drawn[5:]
    assert {len(part) for part in drawn} == {2}
    assert len({tuple(part) for part in drawn}) > 1


def test_an_unprocessed_part_of_a_call_that_fails_is_not_used_up(seller: Seller) -> None:
    seller.control.inject("unprocessed")
    assert seller.refused(usage(Dimension="none")) == "InvalidUsageDimensionException"
    assert seller.send(usage())["UnprocessedRecords"] == [usage()]


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [
        ("internal_error", "InternalServiceErrorException", 500),
        ("throttled", "ThrottlingException", 400),
    ],
)
def test_a_refusing_fault_records_nothing_and_is_over_after_its_count(
    seller: Seller, kind: str, code: str, status: int
) -> None:
    seller.control.inject(kind, count=2)
    for _ in range(2):
        assert seller.refused(usage()) == code
    assert seller.statuses(usage()) == ["Success"]
    assert [call["status"] for call in seller.control.calls()] == [status, status, 200]


def test_throttling_can_be_answered_with_429(seller: Seller) -> None:
    seller.control.inject("throttled", status=429)
    assert seller.refused(usage()) == "ThrottlingException"
    assert seller.control.calls()[0]["status"] == 429


def test_any_error_can_be_ordered_by_name(seller: Seller) -> None:
    seller.control.inject("error", code="AccessDeniedException", status=403, message="no")
    with pytest.raises(ClientError, match="no") as caught:
        seller.send(usage())
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"


def test_a_reset_connection_records_nothing(seller: Seller) -> None:
    seller.control.inject("connection_reset")
    with pytest.raises(ConnectionClosedError):
        seller.send(usage())
    assert seller.billed() == []
    assert outcomes(seller) == [("ConnectionReset", False, ["connection_reset"])]


def test_a_slow_answer_is_late_but_the_work_is_done(seller: Seller) -> None:
    seller.control.inject("slow", delay_seconds="0.2")
    began = time.monotonic()
    assert seller.statuses(usage()) == ["Success"]
    assert time.monotonic() - began >= 0.2


def test_an_answer_slower_than_the_callers_patience_was_billed_all_the_same(
    seller: Seller,
) -> None:
    seller.control.inject("slow", delay_seconds=1)
    impatient = Seller.connect(seller.url, read_timeout=0.2)
    try:
        with pytest.raises(ReadTimeoutError):
            impatient.batch_meter_usage(UsageRecords=[usage()])
    finally:
        impatient.close()
    assert len(seller.billed()) == 1


def test_an_outage_lasts_until_its_time_on_the_sandboxs_clock(seller: Seller) -> None:
    seller.control.outage(NOW + timedelta(hours=2))
    for _ in range(2):
        assert seller.refused(usage()) == "ServiceUnavailableException"
        seller.control.advance_clock(timedelta(minutes=59))
    seller.control.advance_clock(timedelta(minutes=2))
    assert seller.statuses(usage()) == ["Success"]
    assert seller.control.faults() == []


def test_an_outage_can_break_every_connection(seller: Seller) -> None:
    seller.control.outage(NOW + timedelta(minutes=1), loss="drop")
    for _ in range(2):
        with pytest.raises(ConnectionClosedError):
            seller.send(usage())
    assert seller.billed() == []


def test_a_fault_can_wait_for_a_licence_a_dimension_or_a_call_number(seller: Seller) -> None:
    seller.control.inject("internal_error", match={"license_arn": "arn:other"})
    seller.control.inject("internal_error", match={"license_arn": LICENSE, "dimension": "seats"})
    seller.control.inject("throttled", call=3)
    assert seller.statuses(usage()) == ["Success"]
    assert seller.refused(usage(), usage(Dimension="seats")) == "InternalServiceErrorException"
    assert seller.refused(usage()) == "ThrottlingException"
    assert seller.statuses(usage()) == ["Success"]
    assert [fault.match for fault in seller.control.faults()] == [{"license_arn": "arn:other"}]


def test_a_fault_for_another_marketplace_leaves_this_one_alone(seller: Seller) -> None:
    seller.control.inject("internal_error", marketplace="azure")
    assert seller.statuses(usage()) == ["Success"]


def test_a_fault_without_a_count_strikes_until_it_is_cleared(seller: Seller) -> None:
    seller.control.inject(FaultKind.INTERNAL_ERROR, count=None)
    for _ in range(3):
        assert seller.refused(usage()) == "InternalServiceErrorException"
    seller.control.clear_faults()
    assert seller.statuses(usage()) == ["Success"]


@pytest.mark.parametrize(
    "fault",
    [
        {},
        {"kind": "flood"},
        {"kind": "slow", "delay_seconds": "soon"},
        {"kind": "slow", "delay_seconds": "NaN"},
        {"kind": "slow", "count": "3"},
        {"kind": "slow", "count": 0},
        {"kind": "slow", "speed": 3},
        {"kind": "outage"},
        {"kind": "outage", "until": "2026-11-20T12:00:00"},
        {"kind": "error"},
        {"kind": "slow", "match": 3},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(seller: Seller, fault: dict[str, object]) -> None:
    with pytest.raises(SandboxControlError):
        seller.control.request("POST", "faults", fault)
