"""Thousands of requests that are almost right, or not at all: none is answered 5xx."""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, Phase, given, settings

import hostile_requests
from api_setup import make_api
from dynamodb import make_table, mocked_table
from hostile_requests import Sent
from meterbridge.adapters.dynamodb.ledger_decisions import LedgerAdminStore
from meterbridge.adapters.dynamodb.registry_store import RegistryStore

from .conftest import Front

REQUESTS, REQUESTS_STORED = 6_000, 400
_RENEW_EVERY = 200
_noise = settings(
    database=None,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def test_six_thousand_hostile_requests_get_no_5xx(front: Front) -> None:
    statuses: Counter[int] = Counter()

    @settings(_noise, max_examples=REQUESTS)
    @given(sent=hostile_requests.requests())
    def send(sent: Sent) -> None:
        if statuses.total() % _RENEW_EVERY == 0:
            front.renew(make_api())
        statuses[front.answer(sent)["statusCode"]] += 1

    send()
    assert statuses.total() >= REQUESTS
    assert {200, 201, 202, 204, 400, 403, 404, 405, 409, 412, 415, 422} <= set(statuses)


def test_hostile_requests_that_reach_dynamodb_get_no_5xx(front: Front) -> None:
    statuses: Counter[int] = Counter()
    with mocked_table("Registry", "ref", "by_reference") as name:
        make_table("Ledger", "pending")
        ledger = LedgerAdminStore("Ledger", answers_table=name)
        front.renew(make_api(RegistryStore(name), ledger=ledger))

        @settings(_noise, max_examples=REQUESTS_STORED)
        @given(sent=hostile_requests.requests())
        def send(sent: Sent) -> None:
            statuses[front.answer(sent)["statusCode"]] += 1

        send()
    assert statuses.total() >= REQUESTS_STORED
