"""One event at a time and in batches: what is taken, refused, and told of a duplicate."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from integration.sandbox.publisher import (
    MANAGED,
    NOW,
    ONE,
    OTHER_APP,
    SECOND,
    SUBSCRIPTION,
    Publisher,
    usage_event,
)


def test_an_accepted_event_is_billed_and_echoed(publisher: Publisher) -> None:
    answer = publisher.post(ONE, usage_event(12.5))
    (billed,) = publisher.control.billed().records
    assert (answer.status, answer.body) == (
        200,
        {
            "usageEventId": billed.record_id,
            "status": "Accepted",
            "messageTime": "2026-11-20T12:30:00Z",
            **usage_event(12.5),
        },
    )
    assert (billed.marketplace, billed.buyer, billed.product) == ("azure", "contoso", "assistant")
    assert (billed.received_at, str(billed.unit_price)) == (NOW, "0.0025")
    assert publisher.billed() == [(SUBSCRIPTION, "api_calls", "12.5")]


def test_a_second_event_in_the_hour_is_never_added_and_told_the_first(
    publisher: Publisher,
) -> None:
    first = publisher.post(ONE, usage_event(17)).body
    for quantity, minutes in ((17, "00"), (18, "59")):
        again = publisher.post(
            ONE, usage_event(quantity, effectiveStartTime=f"2026-11-20T11:{minutes}:00Z")
        )
        accepted = again.body["additionalInfo"]["acceptedMessage"]
        assert (again.status, again.body["code"]) == (409, "Conflict")
        assert (accepted["usageEventId"], accepted["quantity"]) == (first["usageEventId"], 17.0)
        assert accepted["status"] == "Duplicate"
    (billed,) = publisher.control.billed().records
    assert [str(each) for each in billed.refused_quantities] == ["18"]
    assert billed.answers == {"Accepted": 1, "Duplicate": 2}


def test_a_batch_judges_each_event_alone_and_answers_in_another_order(
    publisher: Publisher,
) -> None:
    answer = publisher.send(
        usage_event(1),
        usage_event(2),
        usage_event(3, dimension="tokens"),
        usage_event(0, dimension="tokens"),
        usage_event(4, resourceId=SECOND, planId="silver"),
    )
    assert [row["status"] for row in answer.body["result"]] == [
        "Accepted",
        "InvalidQuantity",
        "Accepted",
        "Duplicate",
        "Accepted",
    ]
    duplicate = answer.body["result"][3]
    assert duplicate["messageTime"] == "0001-01-01T00:00:00"
    assert duplicate["error"]["additionalInfo"]["acceptedMessage"]["quantity"] == 1.0
    assert publisher.billed() == [
        (SUBSCRIPTION, "api_calls", "1"),
        (SUBSCRIPTION, "tokens", "3"),
        (SECOND, "api_calls", "4"),
    ]


def test_results_can_come_in_the_order_sent(publisher: Publisher) -> None:
    publisher.control.azure.configure(result_order="sent")
    answer = publisher.send(usage_event(1), usage_event(2, dimension="tokens"))
    assert [row["quantity"] for row in answer.body["result"]] == [1, 2]


def test_twenty_five_events_pass_and_twenty_six_fail_whole(publisher: Publisher) -> None:
    events = [
        usage_event(1, dimension=dimension, effectiveStartTime=f"2026-11-20T{hour:02d}:00:00Z")
        for hour in range(12)
        for dimension in ("api_calls", "tokens")
    ]
    events.append(usage_event(1, resourceId=SECOND, planId="silver"))
    refused = publisher.send(*events, usage_event(1, resourceId=None, resourceUri=MANAGED))
    assert (refused.status, refused.body["code"]) == (400, "BadArgument")
    assert publisher.billed() == []
    assert publisher.statuses(*events) == ["Accepted"] * 25


@pytest.mark.parametrize(
    ("change", "status", "target"),
    [
        ({"quantity": 0}, "InvalidQuantity", "quantity"),
        ({"quantity": -1}, "InvalidQuantity", "quantity"),
        ({"quantity": "5"}, "BadArgument", "quantity"),
        ({"quantity": True}, "BadArgument", "quantity"),
        ({"quantity": None}, "BadArgument", "quantity"),
        ({"dimension": None}, "BadArgument", "dimension"),
        ({"dimension": "calls"}, "InvalidDimension", "dimension"),
        ({"dimension": "API_CALLS"}, "InvalidDimension", "dimension"),
        ({"planId": None}, "BadArgument", "planId"),
        ({"planId": "silver"}, "BadArgument", "planId"),
        ({"resourceId": None}, "BadArgument", "resourceId"),
        ({"resourceId": "not-a-guid"}, "BadArgument", "resourceId"),
        ({"resourceUri": MANAGED}, "BadArgument", "resourceId"),
        (
            {"resourceId": "6f1c2f4e-0000-4000-8000-0000000000ff"},
            "ResourceNotFound",
            "resourceId",
        ),
        ({"effectiveStartTime": "yesterday"}, "BadArgument", "effectiveStartTime"),
        ({"effectiveStartTime": "2026-11-20T13:00:00Z"}, "BadArgument", "effectiveStartTime"),
        ({"effectiveStartTime": "2026-11-19T12:30:00Z"}, "Expired", "effectiveStartTime"),
    ],
)
def test_a_faulty_event_is_refused_by_name_alone_and_in_a_batch(
    publisher: Publisher, change: dict[str, Any], status: str, target: str
) -> None:
    bad = usage_event(**{"quantity": 17, **change})
    alone = publisher.post(ONE, bad)
    assert (alone.status, alone.body["code"]) == (400, "BadArgument")
    (detail,) = alone.body["details"]
    assert (detail["code"], detail["target"]) == (status, target)
    good = usage_event(2, dimension="tokens")
    assert publisher.statuses(bad, good) == [status, "Accepted"]
    assert publisher.billed() == [(SUBSCRIPTION, "tokens", "2")]


@pytest.mark.parametrize("row", [None, 3, "event", []])
def test_what_is_no_event_is_a_bad_argument(publisher: Publisher, row: Any) -> None:
    assert publisher.statuses(row, usage_event()) == ["BadArgument", "Accepted"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"request": []}', b'{"request": 1}'])
def test_a_malformed_envelope_fails_whole(publisher: Publisher, body: bytes) -> None:
    answer = publisher.post("/api/batchUsageEvent", body)
    assert (answer.status, answer.body["code"]) == (400, "BadArgument")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e400"])
def test_what_is_no_double_is_refused(publisher: Publisher, number: str) -> None:
    raw = json.dumps({"request": [usage_event("?")]}).replace('"?"', number).encode()
    answer = publisher.post("/api/batchUsageEvent", raw)
    assert answer.status == 400 or answer.body["result"][0]["status"] == "BadArgument"
    assert publisher.billed() == []


def test_a_quantity_is_kept_as_a_double_and_no_better(publisher: Publisher) -> None:
    raw = json.dumps({"request": [usage_event("?")]}).replace('"?"', "0.12345678901234567890")
    publisher.post("/api/batchUsageEvent", raw.encode())
    assert publisher.billed() == [(SUBSCRIPTION, "api_calls", "0.12345678901234568")]


def test_a_resource_is_the_same_in_capitals_and_an_application_has_its_uri(
    publisher: Publisher,
) -> None:
    assert publisher.statuses(
        usage_event(1),
        usage_event(1, resourceId=SUBSCRIPTION.upper()),
        usage_event(3, resourceId=None, resourceUri=MANAGED),
    ) == ["Accepted", "Duplicate", "Accepted"]


def test_usage_is_taken_up_to_a_day_back_and_not_a_second_more(publisher: Publisher) -> None:
    assert publisher.statuses(
        usage_event(1, effectiveStartTime="2026-11-19T12:30:01Z"),
        usage_event(1, effectiveStartTime="2026-11-19T12:30:00Z"),
    ) == ["Accepted", "Expired"]


def test_only_a_subscribed_buyer_is_metered(publisher: Publisher) -> None:
    azure = publisher.control.azure
    azure.suspend(SUBSCRIPTION)
    assert publisher.statuses(usage_event()) == ["ResourceNotActive"]
    azure.reinstate(SUBSCRIPTION)
    assert publisher.statuses(usage_event()) == ["Accepted"]
    azure.register_subscription(
        SUBSCRIPTION, offer_id="assistant", plan_id="gold", state="PendingFulfillmentStart"
    )
    assert publisher.statuses(usage_event(dimension="tokens")) == ["ResourceNotActive"]


def test_usage_before_a_cancellation_is_taken_for_another_day(publisher: Publisher) -> None:
    publisher.control.azure.unsubscribe(SUBSCRIPTION)
    publisher.control.advance_clock(timedelta(hours=2))
    assert publisher.statuses(
        usage_event(1),
        usage_event(1, effectiveStartTime="2026-11-20T12:29:59Z"),
        usage_event(1, effectiveStartTime="2026-11-20T12:30:00Z", dimension="tokens"),
    ) == ["Accepted", "Accepted", "ResourceNotActive"]


def test_a_change_of_plan_changes_what_may_be_reported(publisher: Publisher) -> None:
    publisher.control.azure.register_subscription(
        SUBSCRIPTION, offer_id="assistant", plan_id="silver"
    )
    assert publisher.statuses(usage_event(), usage_event(planId="silver")) == [
        "BadArgument",
        "Accepted",
    ]


def test_another_app_of_the_directory_may_not_report(publisher: Publisher) -> None:
    publisher.token = publisher.sign_in(client_id=OTHER_APP).body["access_token"]
    assert publisher.statuses(usage_event()) == ["ResourceNotAuthorized"]
    assert publisher.post(ONE, usage_event()).status == 403
    assert publisher.billed() == []


def test_what_was_reported_can_be_read_by_day(publisher: Publisher) -> None:
    publisher.send(
        usage_event(1.5),
        usage_event(2, effectiveStartTime="2026-11-20T10:00:00Z"),
        usage_event(4, effectiveStartTime="2026-11-19T13:00:00Z"),
        usage_event(8, dimension="tokens"),
    )

    def rows(**query: str) -> list[tuple[str, str, float, int]]:
        where = "&".join(f"{name}={value}" for name, value in query.items())
        answer = publisher.call(
            "GET",
            f"/api/usageEvents?api-version=2018-08-31&{where}",
            Authorization=f"Bearer {publisher.token}",
        )
        assert answer.status == 200, answer
        return [
            (
                row["usageDate"][:10],
                row["dimension"],
                row["processedQuantity"],
                row["submittedCount"],
            )
            for row in answer.body
        ]

    assert rows(usageStartDate="2026-11-19") == [
        ("2026-11-19", "api_calls", 4.0, 1),
        ("2026-11-20", "api_calls", 3.5, 2),
        ("2026-11-20", "tokens", 8.0, 1),
    ]
    assert rows(usageStartDate="2026-11-20", dimension="tokens") == [
        ("2026-11-20", "tokens", 8.0, 1)
    ]
    assert rows(usageStartDate="2026-11-01", UsageEndDate="2026-11-19") == [
        ("2026-11-19", "api_calls", 4.0, 1)
    ]
