"""The queue of agreements to settle, in SQS."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from meterbridge.domain.errors import StoreUnavailableError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

BATCH = 10
"""SQS takes ten messages in a call."""

_ATTEMPTS = 4
_FIRST_PAUSE_SECONDS = 0.1


class SqsSettleQueue:
    """The SettleQueue port. A message's body is one agreement id."""

    def __init__(
        self,
        queue_url: str,
        *,
        client: SQSClient | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Send to a queue.

        Args:
            queue_url: the queue.
            client: boto3's SQS client, which repeats failed calls by itself; by default a new one.
            sleep: waits that many seconds before messages that SQS refused are sent again.
        """
        self._client = client or boto3.client("sqs")
        self._queue_url = queue_url
        self._sleep = sleep

    def enqueue(self, agreement_ids: Iterable[str]) -> None:
        """At least once each.

        Raises:
            StoreUnavailableError: not all of them are known to be queued. Repeating the call is
                safe: an agreement that is settled twice is settled once.
        """
        distinct = iter(dict.fromkeys(agreement_ids))
        while batch := list(islice(distinct, BATCH)):
            self._enqueue_batch(batch)

    def _enqueue_batch(self, batch: list[str]) -> None:
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._sleep(_FIRST_PAUSE_SECONDS * 2**attempt)
            batch = list(self._refused(batch))
            if not batch:
                return
        raise StoreUnavailableError(f"{len(batch)} agreements could not be queued")

    def _refused(self, batch: list[str]) -> Iterator[str]:
        """One call; the agreements whose message it did not take."""
        try:
            answer = self._client.send_message_batch(
                QueueUrl=self._queue_url,
                Entries=[
                    {"Id": str(number), "MessageBody": agreement_id}
                    for number, agreement_id in enumerate(batch)
                ],
            )
        except (ClientError, BotoCoreError) as exc:
            raise StoreUnavailableError(f"the settle queue: {exc}") from exc
        taken = {int(entry["Id"]) for entry in answer.get("Successful", [])}
        return (each for number, each in enumerate(batch) if number not in taken)
