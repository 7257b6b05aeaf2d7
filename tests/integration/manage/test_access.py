"""Who may do what: scopes by route, products by key, and no route that is open by accident."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from api_setup import AGREEMENT, KEY, METER, OFFERING, PRODUCT, Api, create_all
from http_api import http_event
from manage.__main__ import description
from meterbridge.application.authorize_call import needed_scope
from meterbridge.domain.api_keys import Scope
from meterbridge.lambda_runtime.callers import caller_of

DESCRIPTION = Path(__file__).parents[3] / "docs" / "openapi.json"
INGEST = ("POST", "/v1/events")
COMPUTED = {
    ("POST", "/v1/offerings/{offering_id}/preview"),
    ("POST", "/v1/offerings/{offering_id}/replay"),
}
"""What is posted and yet changes nothing."""


def described() -> dict[tuple[str, str], dict[str, object]]:
    """Operations of the description, by method and path."""
    document = json.loads(DESCRIPTION.read_text())
    return {
        (method.upper(), path): operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }


def test_the_description_is_current_and_valid(api: Api) -> None:
    written = DESCRIPTION.read_text()
    assert written == description(), "run: python -m manage > docs/openapi.json"
    document = json.loads(written)
    assert document["openapi"] == "3.1.0"
    validate(document)
    assert api.client(scopes="read")("GET", "/v1/openapi.json").body == document


def test_every_route_is_described_and_every_description_has_its_route(api: Api) -> None:
    assert set(described()) == {*api.app.operations(), INGEST}


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [operation["operationId"] for operation in described().values()]
    assert len(names) == len(set(names))


def test_only_reading_is_open_to_readers_and_only_sending_to_senders() -> None:
    for (method, path), operation in described().items():
        reads = method == "GET" or (method, path) in COMPUTED
        expected = "read" if reads else "admin"
        if (method, path) == INGEST:
            expected = "ingest"
        assert operation["x-meterbridge-scope"] == expected, (method, path)
        assert operation["security"] == [{"apiKey": []}], (method, path)


def test_no_route_answers_without_a_caller(api: Api) -> None:
    for method, path in api.app.operations():
        answer = api.app.resolve(http_event(method, path.replace("{", "").replace("}", "")), None)
        assert answer["statusCode"] == 401, (method, path)
        assert answer["headers"]["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("scopes", ["", "ingest", "read", "ingest read", "admin"])
def test_no_route_answers_a_key_without_its_scope(api: Api, scopes: str) -> None:
    held = set(scopes.split()) | ({"read"} if "admin" in scopes else set())
    for method, path in api.app.operations():
        answer = api.client(scopes=scopes)(method, path.replace("{", "").replace("}", ""))
        allowed = needed_scope(method, path).value in held
        assert (answer.status == 403) is not allowed, (method, path)


def test_sending_usage_takes_the_ingest_scope_and_nothing_else() -> None:
    assert needed_scope("POST", "/v1/events") is Scope.INGEST
    for method, path in (
        ("POST", "/v1/events/"),
        ("POST", "/v1/Events"),
        ("PUT", "/v1/events"),
        ("post", "/v1/events"),
        ("OPTIONS", "/v1/events"),
        ("get", "/v1/products"),
        ("PUT", "/v1/offerings/off_1/preview"),
        ("POST", "/v1/offerings/off_1/preview/x"),
        ("POST", "/v1/offerings/off_1/x/preview"),
        ("POST", "/v1/agreements/agr_1/preview"),
        ("", ""),
    ):
        assert needed_scope(method, path) is Scope.ADMIN, (method, path)


def test_a_context_without_products_sees_none() -> None:
    event = http_event("GET", "/", caller={"key_id": "k", "scopes": "read"})
    caller = caller_of(event)
    assert caller is not None
    assert caller.products == frozenset()
    assert not caller.sees("prd_llm")


def test_a_key_bound_to_a_product_sees_nothing_of_another(stored: Api) -> None:
    admin = stored.client()
    create_all(admin)
    key_id = admin("POST", "/v1/api-keys", KEY).body["id"]
    bound = stored.client(products="prd_b")
    for path in (
        "products/prd_llm",
        "meters/mtr_tokens",
        "offerings/off_std",
        "agreements/agr_1",
        f"api-keys/{key_id}",
    ):
        for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
            answer = bound(method, f"/v1/{path}", {} if "agr" in path and body else body)
            if method != "PATCH" or "offerings" not in path:
                assert (answer.status, answer.code) == (404, "not_found"), (method, path)
    for path in (
        "offerings/off_std/versions",
        "offerings/off_std/versions/1",
        "agreements/agr_1/statement?period=2026-11",
        "agreements/agr_1/records?start=2026-11-01T00:00:00Z&end=2026-12-01T00:00:00Z",
        "events?product_id=prd_llm&customer_id=acme"
        "&start=2026-11-01T00:00:00Z&end=2026-11-02T00:00:00Z",
    ):
        assert bound("GET", f"/v1/{path}").status == 404, path
    assert bound("POST", "/v1/agreements/agr_1/settle").status == 404
    for path in ("products", "meters", "offerings", "agreements", "api-keys"):
        assert bound("GET", f"/v1/{path}").body["items"] == [], path
        if path in ("meters", "offerings", "agreements"):
            assert bound("GET", f"/v1/{path}?product_id=prd_llm").body["items"] == [], path
    both = "/v1/agreements?product_id=prd_llm&customer_id=acme"
    assert bound("GET", both).body["items"] == []


def test_a_key_bound_to_a_product_makes_nothing_for_another(stored: Api) -> None:
    admin = stored.client()
    create_all(admin)
    bound = stored.client(products="prd_b")
    assert bound("POST", "/v1/products", {"id": "prd_c", "name": "C"}).status == 403
    assert bound("POST", "/v1/products", {"name": "C"}).status == 403
    assert bound("POST", "/v1/products", {**PRODUCT, "id": "prd_b"}).status == 201
    for path, body in (("meters", METER), ("offerings", OFFERING), ("agreements", AGREEMENT)):
        answer = bound("POST", f"/v1/{path}", {**body, "id": "new"})
        assert (answer.status, "/product_id") == (422, answer.faults[0][0]), path
    foreign = {**OFFERING, "id": "off_b", "product_id": "prd_b"}
    assert bound("POST", "/v1/offerings", foreign).faults == [
        ("/plans/0/dimensions/0/meter_id", "unknown_meter")
    ]
    for products in (None, ["prd_llm"], ["prd_b", "prd_llm"]):
        answer = bound("POST", "/v1/api-keys", {**KEY, "products": products})
        assert (answer.status, answer.code) == (403, "forbidden")
    assert bound("POST", "/v1/api-keys", {**KEY, "products": ["prd_b"]}).status == 201
    shards = {"shards": 8, "effective_from": "2026-11-25T00:00:00Z"}
    assert bound("PUT", "/v1/settings/usage-log", shards).status == 403


def test_a_key_is_bound_to_products_that_exist(api: Api) -> None:
    answer = api.client()("POST", "/v1/api-keys", KEY)
    assert answer.faults == [("/products", "unknown_product")]
