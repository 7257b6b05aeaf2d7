"""POST /v1/events as an HTTP API calls it."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from base64 import b64encode
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest

from builders import NOON
from dynamodb import make_table, mocked_table
from fakes.clock import FakeClock
from ingest_setup import ENVIRONMENT, Context, Ingest, cloud_event, load_handler, request
from meterbridge.adapters.dynamodb.registry_store import RegistryStore
from meterbridge.adapters.dynamodb.usage_log_store import UsageLogStore
from meterbridge.application.ingest_usage import ShardPlans
from meterbridge.domain.partitions import Partition, ShardPlan
from meterbridge.domain.usage_log import decode
from meterbridge.lambda_runtime.cloud_events_http import MAX_BODY_BYTES

BINARY = {
    "ce-specversion": "1.0",
    "ce-id": "evt-1",
    "ce-source": "//gateway",
    "ce-type": "call",
    "ce-subject": "acme",
    "ce-time": "2026-11-24T11:59:00Z",
}


@pytest.fixture
def ingest() -> Ingest:
    return Ingest()


def problem(answer: dict[str, Any]) -> tuple[int, str]:
    assert answer["headers"]["Content-Type"] == "application/problem+json"
    body = json.loads(answer["body"])
    assert body["status"] == answer["statusCode"]
    assert body["type"] == f"urn:meterbridge:problem:{body['code']}"
    return answer["statusCode"], body["code"]


def compressed(body: bytes) -> dict[str, Any]:
    return {
        "body": b64encode(body).decode(),
        "base64": True,
        "headers": {"Content-Encoding": "gzip"},
    }


def test_accepted_events_are_answered_with_their_number(ingest: Ingest) -> None:
    answer = ingest.post(request([cloud_event(id="1"), cloud_event(id="2")]))
    assert answer["statusCode"] == 202
    assert answer["headers"]["Content-Type"] == "application/json"
    assert json.loads(answer["body"]) == {"accepted": 2, "rejected": []}
    assert {event.id for event in ingest.stored()} == {"1", "2"}


def test_rejected_events_are_listed_beside_accepted_ones(ingest: Ingest) -> None:
    answer = ingest.post(request([cloud_event(), cloud_event(id="2", subject=...)]))
    assert answer["statusCode"] == 202
    assert json.loads(answer["body"]) == {
        "accepted": 1,
        "rejected": [
            {
                "index": 1,
                "id": "2",
                "code": "missing_attribute",
                "detail": "subject is required",
            }
        ],
    }


def test_a_batch_without_an_acceptable_event_is_a_problem_that_lists_them(ingest: Ingest) -> None:
    answer = ingest.post(request([cloud_event(time="2020-01-01T00:00:00Z")]))
    assert problem(answer) == (422, "no_event_accepted")
    body = json.loads(answer["body"])
    assert body["accepted"] == 0
    assert [each["code"] for each in body["rejected"]] == ["too_old"]


@pytest.mark.parametrize("body", ["[]", " [ ] "])
def test_an_empty_batch_is_a_problem(ingest: Ingest, body: str) -> None:
    assert problem(ingest.post(request(body))) == (422, "no_events")


@pytest.mark.parametrize("body", [None, "", " "])
def test_a_missing_body_is_malformed(ingest: Ingest, body: str | None) -> None:
    assert problem(ingest.post(request(body))) == (400, "malformed_json")


def test_malformed_json_is_answered_with_where(ingest: Ingest) -> None:
    answer = ingest.post(request('[{"id": nope}]'))
    assert problem(answer) == (400, "malformed_json")
    assert "byte 9" in json.loads(answer["body"])["detail"]


@pytest.mark.parametrize(
    "content_type",
    [
        "application/cloudevents+json",
        "application/cloudevents-batch+json",
        "application/json",
        "Application/JSON; charset=UTF-8",
        'application/cloudevents+json; charset="utf-8"',
    ],
)
@pytest.mark.parametrize("body", [cloud_event(), [cloud_event()]])
def test_json_types_take_one_event_or_an_array(
    ingest: Ingest, content_type: str, body: Any
) -> None:
    assert ingest.post(request(body, content_type=content_type))["statusCode"] == 202
    assert len(ingest.stored()) == 1


@pytest.mark.parametrize(
    "content_type",
    [None, "", "text/plain", "application/xml", "application/json; charset=latin-1", "json"],
)
def test_other_types_are_not_supported(ingest: Ingest, content_type: str | None) -> None:
    answer = ingest.post(request([cloud_event()], content_type=content_type))
    assert problem(answer) == (415, "unsupported_media_type")


def test_binary_mode_takes_attributes_from_headers(ingest: Ingest) -> None:
    headers = {**BINARY, "CE-Subject": "Z%C3%BCrich%20%22AG%22", "ce-productid": "prd_a"}
    del headers["ce-subject"]
    answer = ingest.post(
        request('{"tokens": 1.10}', content_type="application/json", headers=headers)
    )
    assert answer["statusCode"] == 202
    (event,) = ingest.stored()
    assert (event.id, event.subject, event.type) == ("evt-1", 'Zürich "AG"', "call")
    assert event.values == {"tokens": Decimal("1.10")}


def test_a_quoted_header_is_unquoted(ingest: Ingest) -> None:
    headers = {**BINARY, "ce-subject": '"a\\"b"'}
    ingest.post(request("{}", content_type="application/json", headers=headers))
    (event,) = ingest.stored()
    assert event.subject == 'a"b'


def test_structured_mode_wins_over_stray_headers(ingest: Ingest) -> None:
    answer = ingest.post(request([cloud_event(id="in the body")], headers=BINARY))
    assert answer["statusCode"] == 202
    assert [event.id for event in ingest.stored()] == ["in the body"]


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        ('{"a": 1}, "id": "other", "data": {}', {}, (400, "malformed_json")),
        ("", {}, (422, "no_event_accepted")),
        ("[]", {}, (422, "no_event_accepted")),
        ("{}", {"ce-subject": "%FF"}, (400, "malformed_header")),
        ("{}", {"ce-subject": "\ud800"}, (400, "malformed_header")),
        ("{}", {"ce-specversion": "0.3"}, (422, "no_event_accepted")),
        ("{}", {"ce-time": "now"}, (422, "no_event_accepted")),
    ],
)
def test_faults_of_binary_mode_are_named(
    ingest: Ingest, body: str, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    sent = request(body, content_type="application/json", headers={**BINARY, **headers})
    assert problem(ingest.post(sent)) == expected
    assert ingest.stored() == []


def test_binary_mode_needs_json_data(ingest: Ingest) -> None:
    sent = request("{}", content_type="text/plain", headers=BINARY)
    assert problem(ingest.post(sent)) == (415, "unsupported_media_type")


def test_bodies_may_be_base64(ingest: Ingest) -> None:
    body = b64encode(json.dumps([cloud_event()]).encode()).decode()
    assert ingest.post(request(body, base64=True))["statusCode"] == 202
    assert problem(ingest.post(request("?!", base64=True))) == (400, "malformed_body")


def test_bodies_may_be_gzip_of_one_or_several_members(ingest: Ingest) -> None:
    body = json.dumps([cloud_event()]).encode()
    assert ingest.post(request(**compressed(gzip.compress(body))))["statusCode"] == 202
    members = gzip.compress(body[:20]) + gzip.compress(body[20:])
    assert ingest.post(request(**compressed(members)))["statusCode"] == 202


@pytest.mark.parametrize(
    "body",
    [b"plain", gzip.compress(b"[]")[:-3], gzip.compress(b"[]") + b"more", zlib.compress(b"[]")],
    ids=["plain", "cut short", "more behind it", "zlib"],  # a gzip header holds the time
)
def test_what_is_not_gzip_is_malformed(ingest: Ingest, body: bytes) -> None:
    assert problem(ingest.post(request(**compressed(body)))) == (400, "malformed_body")


def test_other_encodings_are_not_supported(ingest: Ingest) -> None:
    sent = request([cloud_event()], headers={"content-encoding": "br"})
    assert problem(ingest.post(sent)) == (415, "unsupported_encoding")


def test_a_body_may_be_six_megabytes_and_no_more(ingest: Ingest) -> None:
    largest = " " * (MAX_BODY_BYTES - 2) + "[]"
    assert problem(ingest.post(request(largest))) == (422, "no_events")
    assert problem(ingest.post(request(largest + " "))) == (413, "body_too_large")


def test_a_gzip_bomb_is_refused_without_unpacking_it(ingest: Ingest) -> None:
    bomb = gzip.compress(bytes(256 << 20))
    sent = request(**compressed(bomb + gzip.compress(bytes(1 << 20))))
    tracemalloc.start()
    answer = ingest.post(sent)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert problem(answer) == (413, "body_too_large")
    assert peak < 4 * MAX_BODY_BYTES


def test_more_events_than_a_request_takes_are_refused_whole(ingest: Ingest) -> None:
    assert problem(ingest.post(request("[" + "1," * 10_000 + "1]"))) == (413, "too_many_events")


def test_the_answer_to_a_large_batch_of_faulty_events_fits_into_a_response(ingest: Ingest) -> None:
    faulty = [cloud_event(id="😀" * 128, type="")] * 8_500
    answer = ingest.post(request(json.dumps(faulty, ensure_ascii=False)))
    assert answer["statusCode"] == 422
    assert len(answer["body"].encode()) < 6_000_000
    rejected = json.loads(answer["body"])["rejected"]
    assert len(rejected) == 8_500
    assert rejected[-1]["index"] == 8_499


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [("read", 403), ("admin", 403), ("", 403), ("ingest", 202), ("admin ingest", 202)],
)
def test_only_a_key_for_ingest_may_send(ingest: Ingest, scopes: str, expected: int) -> None:
    assert ingest.post(request([cloud_event()], scopes=scopes))["statusCode"] == expected


def test_without_an_authorizer_nothing_is_taken(ingest: Ingest) -> None:
    sent = request([cloud_event()])
    del sent["requestContext"]["authorizer"]
    assert problem(ingest.post(sent)) == (401, "unauthorized")
    assert ingest.stored() == []


def test_the_key_decides_the_product(ingest: Ingest) -> None:
    ingest.post(request([cloud_event(id="1")], products="prd_a"))
    ingest.post(request([cloud_event(id="2", productid="prd_x")], products="*"))
    ingest.post(request([cloud_event(id="3", productid="prd_b")], products="prd_a prd_b"))
    assert {event.id: event.product_id for event in ingest.stored()} == {
        "1": "prd_a",
        "2": "prd_x",
        "3": "prd_b",
    }


def test_when_the_log_cannot_be_written_the_request_may_be_sent_again(ingest: Ingest) -> None:
    ingest.log.fail_after = 1
    answer = ingest.post(request([cloud_event()]))
    assert problem(answer) == (503, "store_unavailable")
    assert answer["headers"]["Retry-After"] == "2"
    ingest.log.fail_after = None
    assert ingest.post(request([cloud_event()]))["statusCode"] == 202
    assert len(ingest.stored()) == 1


def test_counts_go_out_as_metrics(ingest: Ingest, capsys: pytest.CaptureFixture[str]) -> None:
    ingest.post(request([cloud_event(), cloud_event(type="")]))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (metrics,) = [line for line in lines if "_aws" in line]
    assert (metrics["EventsAccepted"], metrics["EventsRejected"]) == ([1.0], [1.0])


def test_the_function_writes_to_dynamodb() -> None:
    with mocked_table("UsageLog") as name, patch.dict("os.environ", ENVIRONMENT):
        make_table("Registry")
        module = load_handler()
        clock = FakeClock(NOON)
        log = UsageLogStore(name)
        plans = ShardPlans(RegistryStore("Registry"), clock)
        with (
            patch.object(module, "CLOCK", clock),
            patch.object(module, "LOG", log),
            patch.object(module, "PLANS", plans),
        ):
            answer = module.handler(request([cloud_event()]), Context())
        assert answer["statusCode"] == 202
        partition = ShardPlan().partition_of("prd_a", "acme", NOON.replace(hour=11))
        (segment,) = log.read(partition)
        assert [group.ids for group in decode(segment.body).groups] == [["evt-1"]]
        assert isinstance(partition, Partition)
