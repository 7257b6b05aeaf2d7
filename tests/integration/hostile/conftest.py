"""Both functions that are open to the internet, over fakes."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from agreed_setup import PLANS, create_deal
from api_setup import AGREEMENT, METER, OFFERING, Api, create_all, make_api
from builders import NOON, at, metering_record
from correction_setup import OCTOBER, correction
from decision_setup import conflicted, refused
from hostile_requests import AWS_LISTING, Sent
from meterbridge.application.ingest_usage import ShardPlans
from meterbridge.domain.corrections import CorrectionKey
from meterbridge.domain.ledger_head import LedgerHead, Position
from meterbridge.domain.metering_record import RecordState
from meterbridge.domain.over_reported import CorrectionWrite
from meterbridge.domain.windows import BillingPeriod
from meterbridge.lambda_runtime.problems import CONTENT_TYPE
from offering_terms import CALLS_METER, offering

GCP_PUBLICATION = {"channel": "gcp", "gcp": {"service_name": "a.example", "plan_id": "std"}}
CONTEXT = SimpleNamespace(
    function_name="ingest_usage",
    memory_limit_in_mb=1769,
    invoked_function_arn="arn:aws:lambda:us-east-1:111122223333:function:ingest_usage",
    aws_request_id="52fdfc07-2182-454f-963f-5f0f9a621d72",
)


@dataclass
class Front:
    """Everything behind the HTTP API, set up anew when asked."""

    ingest: ModuleType
    over: Callable[[Api], None]
    api: Api

    def renew(self, api: Api) -> None:
        """Start from a seller's usual set-up, and some things that nothing refers to."""
        call = api.client()
        create_all(call)
        call("POST", "/v1/products", {"id": "prd_free", "name": "Free"})
        call("POST", "/v1/meters", {**METER, "id": "mtr_free"})
        call("POST", "/v1/customers", {"id": "free"})
        call("POST", "/v1/offerings", {**OFFERING, "id": "off_free"})
        pending = {"id": "agr_free", "customer_id": "free", "state": "pending"}
        call("POST", "/v1/agreements", AGREEMENT | pending | {"channel": "manual", "aws": None})
        call("POST", "/v1/customers", {"id": "deal"})
        call("POST", "/v1/meters", CALLS_METER)
        call("POST", "/v1/offerings", offering(plans=PLANS))
        create_deal(call, id="agr_terms", customer_id="deal", channel="stripe", aws=None)
        _leave_to_a_person(api)
        _publish(api)
        self.over(api)
        self.api = api

    def answer(self, sent: Sent) -> dict[str, Any]:
        """What comes back, once it is known to be no 5xx and well formed."""
        if sent.to_ingest:
            answer = self.ingest.handler(sent.event, CONTEXT)
        else:
            answer = self.api.app.resolve(sent.event, CONTEXT)
        status = answer["statusCode"]
        assert 200 <= status < 500, (sent.event, answer)
        if answer.get("body"):
            json.loads(answer["body"])
        if status >= 400:
            assert answer["headers"]["Content-Type"] == CONTENT_TYPE
        json.dumps(answer, ensure_ascii=False).encode()
        return dict(answer)


def _publish(api: Api) -> None:
    """Two publications of the usual offering: one for a catalog, one for a person."""
    channels = (("pub_aws", {"channel": "aws", "aws": AWS_LISTING}), ("pub_gcp", GCP_PUBLICATION))
    for name, body in channels:
        made = api.client()("POST", "/v1/offerings/off_std/publications", body)
        store = api.services.publishing.store
        store.add(replace(store.publication(made.body["id"]), id=name))


def _leave_to_a_person(api: Api) -> None:
    """Two records and a correction of the usual agreement that only a person can go on with."""
    ledger = api.services.ledger
    doubt = metering_record(code="tokens", hour=at("2026-11-24T09"))
    held = metering_record(code="tokens", hour=at("2026-11-24T08"))
    over = {OCTOBER: Position(Decimal(0), Decimal(5), Decimal(-5))}
    head = LedgerHead("agr_1", 1, BillingPeriod(2026, 11), NOON, None, positions={"tokens": over})
    ledger.commit(head, expected_version=0, new_records=[held, doubt])
    key = CorrectionKey("agr_1", "tokens", OCTOBER, 1)
    ledger.write_correction(CorrectionWrite(None, correction(key=key)))
    for after in (conflicted(doubt), refused(held, RecordState.REJECTED)):
        ledger.save(after, expected_state=RecordState.PENDING, expected_attempts=0)


@pytest.fixture
def front(monkeypatch: pytest.MonkeyPatch) -> Front:
    monkeypatch.setenv("REGISTRY_TABLE", "Registry")
    monkeypatch.setenv("USAGE_LOG_TABLE", "UsageLog")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    ingest = importlib.import_module("ingest_usage.handler")

    def over(api: Api) -> None:
        monkeypatch.setattr(ingest, "CLOCK", api.clock)
        monkeypatch.setattr(ingest, "LOG", api.services.usage_log)
        monkeypatch.setattr(ingest, "PLANS", ShardPlans(api.registry, api.clock))

    front = Front(ingest, over, make_api())
    front.renew(front.api)
    return front
