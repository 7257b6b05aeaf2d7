"""What is refused, and how the refusal is told."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest
from aws_lambda_powertools import Logger

from api_setup import (
    AGREEMENT,
    CUSTOMER,
    DIMENSION,
    METER,
    OFFERING,
    PRODUCT,
    Api,
    create_all,
    make_api,
)
from dynamodb import mocked_table
from http_api import Client, http_event
from manage import answers
from meterbridge.adapters.dynamodb.registry_store import RegistryStore
from meterbridge.domain.errors import StoreUnavailableError


def test_every_fault_of_a_body_is_named_at_once(call: Client) -> None:
    answer = call(
        "POST",
        "/v1/meters",
        {
            "id": "No Id",
            "product_id": "prd_llm",
            "event_type": "",
            "aggregation": "mean",
            "filters": [{"path": "a", "op": "eq", "value": 1.5}],
            "a/b~": 1,
        },
    )
    assert (answer.status, answer.code) == (422, "invalid_request")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.faults == [
        ("/id", "string_pattern_mismatch"),
        ("/name", "missing"),
        ("/event_type", "string_too_short"),
        ("/aggregation", "enum"),
        ("/filters/0/value", "filter_value"),
        ("/a~1b~0", "extra_forbidden"),
    ]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("{", "malformed_json"),
        ('{"name": NaN}', "malformed_json"),
        ('{"name": "a", "name": "b"}', "malformed_json"),
        ("[" * 100_000, "malformed_json"),
        ('{"name": ' + "9" * 5000 + "}", "malformed_json"),
        ("[]", "not_an_object"),
        ('[{"name": "x"}]', "not_an_object"),
        ("null", "not_an_object"),
        ('"x"', "not_an_object"),
    ],
)
def test_a_body_that_is_no_json_object_is_a_bad_request(call: Client, body: str, code: str) -> None:
    answer = call("POST", "/v1/products", body)
    assert (answer.status, answer.code) == (400, code)


def test_a_body_of_another_media_type_is_unsupported(call: Client) -> None:
    answer = call(
        "POST", "/v1/products", "name=x", content_type="application/x-www-form-urlencoded"
    )
    assert (answer.status, answer.code) == (415, "unsupported_media_type")
    accepted = call("POST", "/v1/products", '{"name":"x"}', content_type="application/json;a=b")
    assert accepted.status == 201


def test_a_body_that_is_not_utf8_is_a_bad_request(api: Api) -> None:
    caller = {"key_id": "k", "scopes": "admin", "products": "*"}
    for body in (base64.b64encode(b"\xff\xfe").decode(), "no base64!"):
        event = http_event("POST", "/v1/products", body, caller=caller)
        answer = api.app.resolve({**event, "isBase64Encoded": True}, None)
        assert answer["statusCode"] == 400


def test_a_missing_body_is_one_fault(call: Client) -> None:
    answer = call("POST", "/v1/products")
    assert (answer.status, answer.faults) == (422, [("", "missing")])


@pytest.mark.parametrize(
    "price", [0.1, -1, "-1", "1e5", "NaN", "1_0", "٣", "", True, None, "1" * 19]
)
def test_a_price_is_a_plain_decimal_text(call: Client, price: Any) -> None:
    call("POST", "/v1/products", PRODUCT)
    plans = [{"code": "std", "dimensions": [{**DIMENSION, "unit_price": price}]}]
    answer = call("POST", "/v1/offerings", {**OFFERING, "plans": plans})
    assert answer.faults == [("/plans/0/dimensions/0/unit_price", "decimal_text")]


@pytest.mark.parametrize(
    "moment",
    [
        "2026-11-24",
        "2026-11-24T10:00:00",
        "2026-02-30T10:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2026-11-24T10:00:00+99:99",
        1795521600,
        None,
    ],
)
def test_a_time_is_rfc_3339_with_an_offset(call: Client, moment: Any) -> None:
    create_all(call)
    answer = call("POST", "/v1/agreements", {**AGREEMENT, "id": "x", "starts_at": moment})
    assert answer.faults == [("/starts_at", "date_time")]


def test_what_an_agreement_refers_to_must_exist_and_fit(call: Client) -> None:
    answer = call("POST", "/v1/agreements", {**AGREEMENT, "aws": None})
    assert answer.faults == [
        ("/product_id", "unknown_product"),
        ("/customer_id", "unknown_customer"),
        ("/offering_id", "unknown_offering"),
        ("/aws", "missing_buyer"),
    ]
    create_all(call)
    other = {**AGREEMENT, "id": "agr_2", "plan_code": "gold", "channel": "manual"}
    assert call("POST", "/v1/agreements", other).faults == [
        ("/plan_code", "unknown_plan"),
        ("/aws", "unexpected_buyer"),
    ]
    call("POST", "/v1/products", {"id": "prd_b", "name": "B"})
    foreign = {**AGREEMENT, "id": "agr_2", "product_id": "prd_b"}
    assert call("POST", "/v1/agreements", foreign).faults == [("/offering_id", "unknown_offering")]


def test_the_buyer_is_the_one_of_the_agreements_channel(call: Client) -> None:
    create_all(call)
    azure = {"plan_id": "gold", "resource_id": "6f1c2f4e-0000-4000-8000-000000000001"}
    both = {**AGREEMENT, "id": "agr_2", "channel": "azure", "azure": azure}
    assert call("POST", "/v1/agreements", both).faults == [("/aws", "unexpected_buyer")]
    neither = {**both, "aws": None, "azure": None, "gcp": {"usage_reporting_id": "project:x"}}
    assert call("POST", "/v1/agreements", neither).faults == [
        ("/azure", "missing_buyer"),
        ("/gcp", "unexpected_buyer"),
    ]
    patched = call("PATCH", "/v1/agreements/agr_1", {"azure": azure})
    assert patched.faults == [("/azure", "unexpected_buyer")]


@pytest.mark.parametrize(
    "azure",
    [
        {"plan_id": "gold"},
        {
            "plan_id": "gold",
            "resource_id": "6f1c2f4e-0000-4000-8000-000000000001",
            "resource_uri": "/subscriptions/x",
        },
    ],
)
def test_an_azure_buyer_has_exactly_one_resource(call: Client, azure: dict[str, str]) -> None:
    create_all(call)
    body = {**AGREEMENT, "id": "agr_2", "channel": "azure", "aws": None, "azure": azure}
    assert call("POST", "/v1/agreements", body).faults == [("/azure", "one_resource")]


def test_what_an_offering_refers_to_must_exist_and_fit(call: Client) -> None:
    call("POST", "/v1/products", PRODUCT)
    call("POST", "/v1/meters", {**METER, "archived_at": None} | {"id": "mtr_tokens"})
    created = call("POST", "/v1/meters", METER)
    assert created.status == 201
    dimensions = [
        DIMENSION,
        {**DIMENSION, "group": {"region": "eu"}},
        {**DIMENSION, "code": "other", "meter_id": "mtr_x"},
    ]
    plans = [{"code": "std", "dimensions": dimensions}, {"code": "std", "dimensions": [DIMENSION]}]
    answer = call("POST", "/v1/offerings", {**OFFERING, "plans": plans})
    assert answer.faults == [
        ("/plans/0/dimensions/1/code", "repeated_code"),
        ("/plans/0/dimensions/1/group", "unknown_group"),
        ("/plans/0/dimensions/2/meter_id", "unknown_meter"),
        ("/plans/1/code", "repeated_code"),
    ]
    call("PATCH", "/v1/meters/mtr_tokens", {"archived_at": "2026-11-24T12:00:00Z"})
    archived = call("POST", "/v1/offerings", OFFERING)
    assert archived.faults == [("/plans/0/dimensions/0/meter_id", "archived_meter")]


def test_a_meter_that_contradicts_itself_is_refused(call: Client) -> None:
    call("POST", "/v1/products", PRODUCT)
    answer = call("POST", "/v1/meters", {**METER, "value_path": "a..b"})
    assert (answer.status, answer.faults) == (422, [("/value_path", "invalid_path")])
    call("POST", "/v1/meters", METER)
    changed = call("PATCH", "/v1/meters/mtr_tokens", {"aggregation": "count"})
    assert (changed.status, changed.code) == (422, "unexpected_value_path")
    null = call("PATCH", "/v1/meters/mtr_tokens", {"name": None})
    assert null.faults == [("/name", "string_type")]


def test_what_is_in_use_stays(call: Client) -> None:
    create_all(call)
    for path in ("products/prd_llm", "meters/mtr_tokens", "offerings/off_std", "customers/acme"):
        answer = call("DELETE", f"/v1/{path}")
        assert (answer.status, answer.code) == (409, "in_use"), path
    assert call("DELETE", "/v1/agreements/agr_1").code == "in_use"
    regrouped = call("PATCH", "/v1/meters/mtr_tokens", {"group_by": []})
    assert (regrouped.status, regrouped.code) == (409, "in_use")
    remade = call("PATCH", "/v1/meters/mtr_tokens", {"aggregation": "max"})
    assert (remade.status, remade.code) == (409, "in_use")


def test_overlapping_agreements_are_a_conflict(call: Client) -> None:
    create_all(call)
    answer = call("POST", "/v1/agreements", {**AGREEMENT, "id": "agr_2"})
    assert (answer.status, answer.code) == (409, "agreement_overlap")
    for path, body in (("products", PRODUCT), ("meters", METER), ("customers", CUSTOMER)):
        taken = call("POST", f"/v1/{path}", body)
        assert (taken.status, taken.code) == (409, "already_exists")


def test_a_state_changes_only_where_it_may(call: Client) -> None:
    create_all(call)
    path = "/v1/agreements/agr_1"
    assert call("PATCH", path, {"state": "pending"}).code == "invalid_state"
    assert call("PATCH", path, {"starts_at": "2026-10-01T00:00:00Z"}).code == "invalid_state"
    assert call("PATCH", path, {"state": "suspended"}).body["state"] == "suspended"
    assert call("PATCH", path, {"state": "active"}).body["state"] == "active"
    empty = call("PATCH", path, {"ends_at": "2026-11-01T00:00:00Z"})
    assert empty.faults == [("/ends_at", "empty_term")]
    ended = call("PATCH", path, {"state": "ended", "state_reason": "cancelled"}).body
    assert (ended["ends_at"], ended["state_reason"]) == ("2026-11-24T12:00:00Z", "cancelled")
    assert call("PATCH", path, {"ends_at": None}).code == "invalid_state"
    assert call("PATCH", path, {"state": "ended"}).body == ended


def test_who_suspends_what_its_marketplace_suspended_keeps_it_so(api: Api, call: Client) -> None:
    create_all(call)
    path = "/v1/agreements/agr_1"
    api.registry.suspend("agr_1", "CustomerNotSubscribed")
    shown = call("GET", path).body
    assert (shown["state"], shown["suspended_by"]) == ("suspended", "marketplace")
    assert call("PATCH", path, {"zero_records": True}).body["suspended_by"] == "marketplace"
    assert call("PATCH", path, {"state": "suspended"}).body["suspended_by"] == "seller"
    api.registry.resume("agr_1")
    assert call("GET", path).body["state"] == "suspended"
    active = call("PATCH", path, {"state": "active"}).body
    assert (active["state"], active["suspended_by"]) == ("active", None)


def test_an_agreement_ended_before_it_began_lasts_a_second(call: Client) -> None:
    create_all(call)
    call("POST", "/v1/customers", {"id": "b"})
    later = {**AGREEMENT, "id": "agr_2", "customer_id": "b", "channel": "manual", "aws": None}
    later |= {"starts_at": "2026-12-01T00:00:00Z", "state": "pending"}
    assert call("POST", "/v1/agreements", later).status == 201
    ended = call("PATCH", "/v1/agreements/agr_2", {"state": "ended"}).body
    assert ended["ends_at"] == "2026-12-01T00:00:01Z"


def test_a_change_of_another_version_fails_its_precondition(call: Client) -> None:
    create_all(call)
    for path in ("products/prd_llm", "meters/mtr_tokens", "customers/acme"):
        answer = call("PATCH", f"/v1/{path}", {"name": "Two"}, If_Match='"7"')
        assert (answer.status, answer.code) == (412, "precondition_failed"), path
    agreement = call("PATCH", "/v1/agreements/agr_1", {"zero_records": True}, If_Match='"7"')
    assert agreement.status == 412
    weak = call("PATCH", "/v1/customers/acme", {"name": "Two"}, If_Match='W/"1"')
    assert weak.faults == [("if-match", "string_pattern_mismatch")]


def test_what_does_not_exist_is_not_found(call: Client) -> None:
    for path in ("products", "meters", "offerings", "customers", "agreements", "api-keys"):
        for method, body in (("GET", None), ("DELETE", None)):
            answer = call(method, f"/v1/{path}/nothing", body)
            assert (answer.status, answer.code) == (404, "not_found"), (method, path)
    assert call("GET", "/v1/nothing").code == "not_found"
    assert call("GET", "/v1/products/").status == 404


def test_a_method_without_a_route_is_told_which_have_one(call: Client) -> None:
    answer = call("PUT", "/v1/products/prd_llm", {})
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "DELETE, GET, PATCH"


@pytest.mark.parametrize("cursor", ["!", "AA=", "YQ==", "_w", "a" * 1999])
def test_a_cursor_that_no_list_gave_is_refused(call: Client, cursor: str) -> None:
    for path in ("products", "customers"):
        answer = call("GET", f"/v1/{path}?cursor={cursor}")
        assert answer.status in (200, 422), cursor
        if answer.status == 422:
            assert answer.faults == [("cursor", "invalid_cursor")]


def test_parameters_out_of_bounds_are_refused(call: Client) -> None:
    create_all(call)
    assert call("GET", "/v1/products?limit=101").faults == [("limit", "less_than_equal")]
    assert call("GET", "/v1/agreements?customer_id=a").faults == [("product_id", "missing")]
    versions = call("GET", "/v1/offerings/off_std/versions?cursor=YQ")
    assert versions.faults == [("cursor", "invalid_cursor")]


def test_every_answer_carries_security_headers(call: Client) -> None:
    for answer in (call("GET", "/v1/products"), call("GET", "/v1/x"), call("POST", "/v1/meters")):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Strict-Transport-Security" in answer.headers


def test_an_unexpected_error_is_logged_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret inside")

    log = io.StringIO()
    api = make_api(logger=Logger(service="unexpected", stream=log))
    monkeypatch.setattr(api.registry, "products", broken)
    answer = api.client()("GET", "/v1/products")
    assert (answer.status, answer.code) == (500, "internal_error")
    assert "secret" not in str(answer.body)
    logged = json.loads(log.getvalue())
    assert logged["exception_name"] == "ZeroDivisionError"
    assert "secret inside" in logged["exception"]


def test_a_store_that_is_away_is_a_503_to_be_tried_again(
    api: Api, call: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise StoreUnavailableError("table Registry-1234 throttled")

    monkeypatch.setattr(api.registry, "products", away)
    answer = call("GET", "/v1/products")
    assert (answer.status, answer.code) == (503, "store_unavailable")
    assert answer.headers["Retry-After"] == "2"
    assert "Registry-1234" not in str(answer.body)


def test_what_is_too_large_to_store_is_refused() -> None:
    many = [{**DIMENSION, "code": f"d{number}", "name": "n" * 200} for number in range(100)]
    plans = [{"code": f"p{number}", "dimensions": many} for number in range(50)]
    filters = [{"path": "$.a", "op": "in", "value": ["v" * 10_000] * 100}]
    with mocked_table("Registry", "ref", "by_reference") as name:
        call = make_api(RegistryStore(name)).client()
        call("POST", "/v1/products", PRODUCT)
        call("POST", "/v1/meters", METER)
        large = call("POST", "/v1/offerings", {**OFFERING, "plans": plans}, Idempotency_Key="k")
        filtered = call("POST", "/v1/meters", {**METER, "id": "mtr_x", "filters": filters})
    assert (large.status, large.code) == (422, "too_large")
    assert (filtered.status, filtered.code) == (422, "too_large")


def test_a_list_of_large_objects_is_cut_to_fit_in_an_answer(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = api.client()
    for number in range(5):
        call("POST", "/v1/customers", {"id": f"c{number}", "name": "n" * 100})
    monkeypatch.setattr(answers, "MAX_ANSWER_BYTES", 400)
    seen, query = [], ""
    while query is not None:
        page = call("GET", f"/v1/customers{query}").body
        seen.append([each["id"] for each in page["items"]])
        query = page["next_cursor"] and f"?cursor={page['next_cursor']}"
    assert seen == [["c0", "c1"], ["c2", "c3"], ["c4"]]
