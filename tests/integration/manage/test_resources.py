"""What a seller sets up: created, read, listed, changed and deleted over HTTP."""

from __future__ import annotations

import pytest

from api_setup import AGREEMENT, CUSTOMER, DIMENSION, KEY, METER, OFFERING, PRODUCT, Api, create_all

AT_NOON = "2026-11-24T12:00:00Z"


def test_a_product_is_created_read_listed_changed_and_deleted(stored: Api) -> None:
    call = stored.client()
    created = call("POST", "/v1/products", PRODUCT)
    expected = {**PRODUCT, "created_at": AT_NOON, "version": 1}
    assert (created.status, created.body) == (201, expected)
    assert created.headers["ETag"] == '"1"'
    assert call("GET", "/v1/products/prd_llm").body == expected
    assert call("GET", "/v1/products").body == {"items": [expected], "next_cursor": None}
    changed = call("PATCH", "/v1/products/prd_llm", {"name": "Two"}, If_Match='"1"')
    assert (changed.status, changed.body) == (200, {**expected, "name": "Two", "version": 2})
    assert call("DELETE", "/v1/products/prd_llm").status == 204
    assert call("GET", "/v1/products/prd_llm").status == 404


def test_an_id_is_made_up_where_none_is_sent(stored: Api) -> None:
    call = stored.client()
    product = call("POST", "/v1/products", {"name": "LLM"}).body
    assert product["id"].startswith("prd_")
    meter = {**METER, "product_id": product["id"]}
    meter.pop("id")
    made = call("POST", "/v1/meters", meter).body
    assert made["id"].startswith("mtr_")
    offering = {**OFFERING, "product_id": product["id"]}
    offering.pop("id")
    offering["plans"] = [{"code": "std", "dimensions": [{**DIMENSION, "meter_id": made["id"]}]}]
    assert call("POST", "/v1/offerings", offering).body["id"].startswith("off_")


def test_a_meter_keeps_every_field_and_bumps_the_catalog(stored: Api) -> None:
    call = stored.client()
    call("POST", "/v1/products", PRODUCT)
    filters = [
        {"path": "$.status", "op": "in", "value": ["ok", 7, True, None, {"decimal": "0.5"}]},
        {"path": "$.cost", "op": "gte", "value": {"decimal": "0.25"}},
        {"path": "$.text", "op": "ne", "value": "0.5"},
    ]
    body = {**METER, "filters": filters, "reset": "month"}
    created = call("POST", "/v1/meters", body)
    expected = {**body, "created_at": AT_NOON, "archived_at": None, "version": 1}
    assert (created.status, created.body) == (201, expected)
    assert call("GET", "/v1/meters/mtr_tokens").body == expected
    assert call("GET", "/v1/meters?product_id=prd_llm").body["items"] == [expected]
    assert call("GET", "/v1/meters?product_id=prd_x").body["items"] == []
    archived = call("PATCH", "/v1/meters/mtr_tokens", {"archived_at": AT_NOON, "filters": []})
    assert archived.body == {**expected, "filters": [], "archived_at": AT_NOON, "version": 2}
    restored = call("PATCH", "/v1/meters/mtr_tokens", {"archived_at": None})
    assert restored.body["archived_at"] is None
    assert stored.registry.catalog().version == 3
    assert call("DELETE", "/v1/meters/mtr_tokens").status == 204
    assert stored.registry.catalog().version == 4


def test_offering_versions_are_published_and_never_change(stored: Api) -> None:
    call = stored.client()
    call("POST", "/v1/products", PRODUCT)
    call("POST", "/v1/meters", METER)
    first = call("POST", "/v1/offerings", OFFERING)
    dimension = {
        **DIMENSION,
        "name": "",
        "quantity_kind": "integer",
        "units_per_quantity": "1",
        "group": {},
    }
    expected = {
        **OFFERING,
        "version": 1,
        "currency": "USD",
        "visibility": "public",
        "plans": [
            {
                "code": "std",
                "name": "",
                "dimensions": [dimension],
                "terms": None,
                "not_reported": [],
            }
        ],
        "created_at": AT_NOON,
    }
    assert (first.status, first.body) == (201, expected)
    thousands = {
        **DIMENSION,
        "unit_price": "0.0000000000000001",
        "units_per_quantity": 1000,
        "quantity_kind": "decimal",
        "group": {"model": "small"},
    }
    body = {"name": "Two", "plans": [{"code": "std", "dimensions": [thousands]}]}
    second = call("POST", "/v1/offerings/off_std/versions", body)
    assert (second.status, second.body["version"]) == (201, 2)
    shown = second.body["plans"][0]["dimensions"][0]
    assert (shown["unit_price"], shown["units_per_quantity"]) == ("0.0000000000000001", "1000")
    assert call("GET", "/v1/offerings/off_std").body == second.body
    assert call("GET", "/v1/offerings/off_std/versions/1").body == expected
    assert call("GET", "/v1/offerings/off_std/versions/3").status == 404
    page = call("GET", "/v1/offerings/off_std/versions?limit=1").body
    assert page["items"] == [expected]
    rest = call("GET", f"/v1/offerings/off_std/versions?cursor={page['next_cursor']}").body
    assert rest == {"items": [second.body], "next_cursor": None}
    assert call("GET", "/v1/offerings?product_id=prd_llm").body["items"] == [second.body]
    assert call("DELETE", "/v1/offerings/off_std").status == 204


def test_a_customer_has_the_sellers_own_id_whatever_it_holds(stored: Api) -> None:
    call = stored.client()
    assert call("POST", "/v1/customers", CUSTOMER).status == 201
    strange = {"id": "team/7 ü%20?#", "name": "Strange"}
    created = call("POST", "/v1/customers", strange)
    assert created.body == {**strange, "created_at": AT_NOON, "version": 1}
    path = "/v1/customers/team%2F7%20%C3%BC%2520%3F%23"
    assert call("GET", path).body == created.body
    assert call("GET", "/v1/customers/team/7 ü%2520%3F%23").body == created.body
    assert call("PATCH", path, {"name": ""}).body["name"] == ""
    assert [each["id"] for each in call("GET", "/v1/customers").body["items"]] == [
        "acme",
        strange["id"],
    ]
    assert call("DELETE", path).status == 204
    assert call("GET", path).status == 404


def test_an_agreement_is_on_the_newest_version_and_settled_soon(stored: Api) -> None:
    call = stored.client()
    create_all(call)
    assert stored.queue.agreement_ids == ["agr_1"]
    expected = {
        **AGREEMENT,
        "azure": None,
        "gcp": None,
        "offering_version": 1,
        "ends_at": None,
        "state": "active",
        "state_reason": "",
        "suspended_by": None,
        "zero_records": False,
        "recovery": "automatic",
        "overrides": {"dimensions": [], "discounts": [], "spend_cap": None},
        "plan_changes": [],
        "grants": [],
        "seats": [],
        "created_at": AT_NOON,
        "version": 1,
    }
    assert call("GET", "/v1/agreements/agr_1").body == expected
    assert call("GET", "/v1/agreements").body["items"] == [expected]
    assert call("GET", "/v1/agreements?product_id=prd_llm").body["items"] == [expected]
    both = "/v1/agreements?product_id=prd_llm&customer_id=acme"
    assert call("GET", both).body["items"] == [expected]
    assert call("GET", both + "0").body["items"] == []
    change = {"zero_records": True, "ends_at": "2026-12-31T23:00:00-01:00"}
    changed = call("PATCH", "/v1/agreements/agr_1", change).body
    assert (changed["ends_at"], changed["version"]) == ("2027-01-01T00:00:00Z", 2)
    assert stored.queue.agreement_ids == ["agr_1"] * 2
    assert call("POST", "/v1/agreements/agr_1/settle").status == 202
    assert stored.queue.agreement_ids == ["agr_1"] * 3


@pytest.mark.parametrize(
    ("channel", "buyer", "moved"),
    [
        (
            "azure",
            {
                "plan_id": "gold",
                "resource_id": "6f1c2f4e-0000-4000-8000-000000000001",
                "resource_uri": "",
            },
            {"plan_id": "gold", "resource_id": "", "resource_uri": "/subscriptions/x"},
        ),
        (
            "gcp",
            {"usage_reporting_id": "project_number:123456789012"},
            {"usage_reporting_id": "project:y"},
        ),
    ],
)
def test_an_agreement_on_another_marketplace_names_its_buyer_there(
    stored: Api, channel: str, buyer: dict[str, str], moved: dict[str, str]
) -> None:
    call = stored.client()
    create_all(call)
    call("POST", "/v1/customers", {"id": "b"})
    body = {**AGREEMENT, "id": "agr_2", "customer_id": "b", "channel": channel, "aws": None}
    created = call("POST", "/v1/agreements", {**body, channel: buyer})
    assert (created.status, created.body[channel], created.body["aws"]) == (201, buyer, None)
    patched = call("PATCH", "/v1/agreements/agr_2", {channel: moved})
    assert patched.body[channel] == moved


def test_a_pending_agreement_can_be_deleted(stored: Api) -> None:
    call = stored.client()
    create_all(call)
    later = {**AGREEMENT, "id": "agr_2", "customer_id": "b", "state": "pending", "aws": None}
    later["channel"] = "manual"
    call("POST", "/v1/customers", {"id": "b"})
    assert call("POST", "/v1/agreements", later).status == 201
    assert call("DELETE", "/v1/agreements/agr_2").status == 204
    assert call("DELETE", "/v1/customers/b").status == 204


def test_a_key_is_shown_once_and_revoked_for_ever(stored: Api) -> None:
    call = stored.client()
    call("POST", "/v1/products", PRODUCT)
    created = call("POST", "/v1/api-keys", {**KEY, "expires_at": "2027-01-01T00:00:00Z"})
    secret = created.body.pop("key")
    assert secret.startswith("mb_")
    assert len(secret) == 46
    shown = {
        "id": created.body["id"],
        **KEY,
        "last4": secret[-4:],
        "created_at": AT_NOON,
        "expires_at": "2027-01-01T00:00:00Z",
        "revoked_at": None,
        "version": 1,
    }
    assert (created.status, created.body) == (201, shown)
    path = f"/v1/api-keys/{shown['id']}"
    assert call("GET", path).body == shown
    assert call("GET", "/v1/api-keys").body["items"] == [shown]
    assert call("PATCH", path, {"name": "other"}).body["name"] == "other"
    revoked = call("DELETE", path).body
    assert (revoked["revoked_at"], revoked["version"]) == (AT_NOON, 3)
    assert call("DELETE", path).body == revoked


def test_the_usage_log_gets_another_number_of_shards_from_an_hour_on(stored: Api) -> None:
    call = stored.client()
    path = "/v1/settings/usage-log"
    first = {"effective_from": "1970-01-01T00:00:00Z", "shards": 4}
    assert call("GET", path).body == {"steps": [first], "version": 0}
    changed = call("PUT", path, {"shards": 16, "effective_from": "2026-11-24T14:00:00Z"})
    second = {"effective_from": "2026-11-24T14:00:00Z", "shards": 16}
    assert (changed.status, changed.body) == (200, {"steps": [first, second], "version": 1})
    early = call("PUT", path, {"shards": 8, "effective_from": "2026-11-24T13:00:00Z"})
    assert (early.status, early.code) == (422, "effective_from_too_early")


def test_a_list_is_read_page_by_page(stored: Api) -> None:
    call = stored.client()
    for number in range(5):
        call("POST", "/v1/customers", {"id": f"c{number}"})
    seen, cursor = [], ""
    for _ in range(3):
        page = call("GET", f"/v1/customers?limit=2{cursor}").body
        seen.append([each["id"] for each in page["items"]])
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == [["c0", "c1"], ["c2", "c3"], ["c4"]]
    assert page["next_cursor"] is None
