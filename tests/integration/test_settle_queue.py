"""Agreements reach the queue at least once each, or the caller is told."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber
from moto import mock_aws

from meterbridge.adapters.settle_queue import SqsSettleQueue
from meterbridge.domain.errors import StoreUnavailableError

URL = "https://sqs.us-east-1.amazonaws.com/123456789012/settle"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    with mock_aws():
        yield boto3.client("sqs", region_name="us-east-1")


def entries(*ids: str) -> list[dict[str, str]]:
    return [{"Id": str(number), "MessageBody": each} for number, each in enumerate(ids)]


def answer(taken: int, refused: int = 0) -> dict[str, object]:
    return {
        "Successful": [
            {"Id": str(number), "MessageId": "m", "MD5OfMessageBody": "0"}
            for number in range(taken)
        ],
        "Failed": [
            {"Id": str(taken + number), "SenderFault": False, "Code": "InternalError"}
            for number in range(refused)
        ],
    }


def test_every_agreement_arrives_once_however_many(client) -> None:
    url = client.create_queue(QueueName="settle")["QueueUrl"]
    queue = SqsSettleQueue(url, client=client, sleep=lambda _: None)
    ids = [f"agr_{number:02d}" for number in range(23)]
    queue.enqueue([*ids, "agr_00"])
    queue.enqueue([])
    received: list[str] = []
    while messages := client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        received += [message["Body"] for message in messages]
    assert sorted(received) == ids


def test_what_sqs_refused_is_sent_again_and_nothing_else(client) -> None:
    pauses: list[float] = []
    with Stubber(client) as sqs:
        sqs.add_response(
            "send_message_batch", answer(1, 2), {"QueueUrl": URL, "Entries": entries("a", "b", "c")}
        )
        sqs.add_response(
            "send_message_batch", answer(2), {"QueueUrl": URL, "Entries": entries("b", "c")}
        )
        SqsSettleQueue(URL, client=client, sleep=pauses.append).enqueue(["a", "b", "c"])
        sqs.assert_no_pending_responses()
    assert pauses == [0.2]


def test_what_sqs_keeps_refusing_is_reported(client) -> None:
    with Stubber(client) as sqs:
        for _ in range(4):
            sqs.add_response("send_message_batch", answer(0, 1))
        with pytest.raises(StoreUnavailableError, match="1 agreements"):
            SqsSettleQueue(URL, client=client, sleep=lambda _: None).enqueue(["a"])
        sqs.assert_no_pending_responses()


def test_an_answer_that_names_no_message_is_no_success(client) -> None:
    with Stubber(client) as sqs:
        for _ in range(4):
            sqs.add_response("send_message_batch", answer(0))
        with pytest.raises(StoreUnavailableError):
            SqsSettleQueue(URL, client=client, sleep=lambda _: None).enqueue(["a"])


def test_a_queue_that_cannot_be_called_is_an_unavailable_store(client) -> None:
    with Stubber(client) as sqs:
        sqs.add_client_error("send_message_batch", "AccessDenied")
        with pytest.raises(StoreUnavailableError, match="AccessDenied"):
            SqsSettleQueue(URL, client=client, sleep=lambda _: None).enqueue(["a"])


def test_a_lost_network_is_an_unavailable_store() -> None:
    class Unreachable:
        def send_message_batch(self, **_: object) -> None:
            raise EndpointConnectionError(endpoint_url=URL)

    with pytest.raises(StoreUnavailableError):
        SqsSettleQueue(URL, client=Unreachable(), sleep=lambda _: None).enqueue(["a"])
