"""Parents and children over HTTP: who is linked with whom, what may change, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from api_setup import AGREEMENT, Api, create_all, make_api
from builders import at
from http_api import Client
from meterbridge.domain.customer_links import MAX_CHILDREN, CustomerLink, ParentBilling
from meterbridge.domain.partitions import Partition
from meterbridge.domain.usage import FoldHead, FoldPosition, HourlyUsage

PATH = "/v1/customers/eu/parent"
TOGETHER = {"parent_id": "acme", "billing": "aggregated"}
PRESENT = "2026-11-24T12:00:00Z"


@pytest.fixture
def api() -> Api:
    """It is noon; acme has an agreement, eu and us have none."""
    api = make_api()
    call = api.client()
    create_all(call)
    for name in ("eu", "us", "team/7"):
        assert call("POST", "/v1/customers", {"id": name}).status == 201
    api.queue.agreement_ids.clear()
    return api


@pytest.fixture
def call(api: Api) -> Client:
    return api.client()


def link(**changes: Any) -> dict[str, Any]:
    return {
        "child_id": "eu",
        "parent_id": "acme",
        "billing": "aggregated",
        "since": PRESENT,
        "until": None,
        "in_force": True,
        **changes,
    }


def test_a_customer_becomes_a_child_from_the_present_hour_on(api: Api, call: Client) -> None:
    assert call("GET", PATH).body == {
        "customer_id": "eu",
        "parent_id": None,
        "billing": None,
        "links": [],
        "version": 0,
    }
    answer = call("PUT", PATH, TOGETHER)
    assert (answer.status, answer.headers["ETag"]) == (200, '"1"')
    expected = {
        "customer_id": "eu",
        "parent_id": "acme",
        "billing": "aggregated",
        "links": [link()],
        "version": 1,
    }
    assert answer.body == call("GET", PATH).body == expected
    assert call("GET", "/v1/customers/acme/children").body == {
        "customer_id": "acme",
        "items": [link()],
    }
    assert api.queue.agreement_ids == ["agr_1"], "its bill may change"
    again = call("PUT", PATH, TOGETHER)
    assert again.body == expected, "the same again changes nothing"


def test_apart_is_what_is_meant_without_a_word(call: Client) -> None:
    assert call("PUT", PATH, {"parent_id": "acme"}).body["billing"] == "separate"


def test_a_change_of_the_parent_ends_the_link_before(call: Client, api: Api) -> None:
    call("PUT", PATH, TOGETHER)
    api.clock.set(at("2026-11-24T15:30"))
    moved = call("PUT", PATH, {"parent_id": "us", "since": "2026-11-25T00:00:00Z"}).body
    assert (moved["parent_id"], moved["version"]) == ("acme", 2)
    assert moved["links"] == [
        link(until="2026-11-25T00:00:00Z"),
        link(parent_id="us", billing="separate", since="2026-11-25T00:00:00Z", in_force=False),
    ]


def test_a_link_ends_now_or_later(call: Client, api: Api) -> None:
    call("PUT", PATH, TOGETHER)
    api.clock.set(at("2026-11-24T15:30"))
    assert call("DELETE", f"{PATH}?until=2026-11-24T18:00:00Z").status == 204
    assert call("GET", PATH).body["links"] == [link(until="2026-11-24T18:00:00Z")]
    assert call("DELETE", PATH).status == 204
    found = call("GET", PATH).body
    assert found["links"] == [link(until="2026-11-24T15:00:00Z", in_force=False)]
    assert found["parent_id"] is None
    assert call("DELETE", PATH).status == 204, "it is no child any more: nothing to do"
    assert call("GET", "/v1/customers/acme/children").body["items"] == found["links"]
    assert call("DELETE", "/v1/customers/eu").code == "in_use"


def test_past_hours_do_not_change(call: Client) -> None:
    call("PUT", PATH, TOGETHER | {"since": "2026-11-24T13:00:00Z"})
    early = TOGETHER | {"billing": "separate", "since": "2026-11-24T11:00:00Z"}
    assert call("PUT", PATH, early).faults == [("/since", "past_hour")]
    past = call("DELETE", f"{PATH}?until=2026-11-24T11:00:00Z")
    assert past.faults == [("/until", "past_hour")]


def test_a_customer_without_usage_and_agreement_may_be_linked_for_the_past(
    call: Client, api: Api
) -> None:
    early = {"parent_id": "acme", "billing": "aggregated", "since": "2026-11-20T00:00:00Z"}
    row = HourlyUsage(
        product_id="prd_llm",
        subject="us",
        hour=at("2026-11-22T10"),
        meters={},
        position=FoldPosition(1, 1),
        fresh_through=at("2026-11-22T11"),
        folded_at=at("2026-11-22T11"),
    )
    moment = at("2026-11-22T11")
    head = FoldHead(Partition(row.hour, 0), row.position, "", moment, moment, 1, 0, 0)
    api.services.usage.advance(head, [row])
    assert call("PUT", PATH, early).body["links"] == [link(since="2026-11-20T00:00:00Z")]
    assert call("PUT", "/v1/customers/us/parent", early).faults == [("/since", "past_hour")]
    later = early | {"since": "2026-11-22T11:00:00Z"}
    assert call("PUT", "/v1/customers/us/parent", later).status == 200, "nothing used since then"
    agreed = AGREEMENT | {"id": "agr_7", "customer_id": "team/7", "channel": "manual", "aws": None}
    call("POST", "/v1/agreements", agreed)
    assert call("PUT", "/v1/customers/team/7/parent", early).faults == [("/since", "past_hour")]


def test_one_level_deep_and_no_circles(call: Client) -> None:
    call("PUT", PATH, TOGETHER)
    cases = {
        "/v1/customers/us/parent": ("eu", "parent_is_child"),
        "/v1/customers/acme/parent": ("us", "child_is_parent"),
        PATH: ("eu", "same_customer"),
        "/v1/customers/team%2F7/parent": ("nobody", "unknown_customer"),
    }
    for path, (parent, code) in cases.items():
        answer = call("PUT", path, {"parent_id": parent})
        assert (answer.status, answer.faults) == (422, [("/parent_id", code)]), path
    assert call("GET", "/v1/customers/acme/children").body["items"] == [link()]


def test_a_parent_has_at_most_so_many_children(call: Client, api: Api) -> None:
    registry = api.registry
    for number in range(MAX_CHILDREN):
        name = f"c{number:03d}"
        call("POST", "/v1/customers", {"id": name})
        child = CustomerLink(name, "acme", ParentBilling.SEPARATE, at("2026-11-24T00"))
        registry.save_links(name, (child,), expected_version=0, guarded={})
    answer = call("PUT", PATH, TOGETHER)
    assert answer.faults == [("/parent_id", "too_many_children")]


def test_a_change_of_another_version_is_refused(call: Client) -> None:
    call("PUT", PATH, TOGETHER)
    assert call("PUT", PATH, {"parent_id": "us"}, If_Match='"7"').status == 412
    assert call("DELETE", PATH, If_Match='"7"').status == 412
    assert call("PUT", PATH, {"parent_id": "us"}, If_Match='"1"').status == 200


def test_faulty_requests_are_refused_with_every_fault(call: Client) -> None:
    wrong: Any = {"parent_id": "", "billing": "both", "since": "2026-11-24T12:30:00Z", "x": 1}
    faults = call("PUT", PATH, wrong).faults
    assert sorted(pointer for pointer, _ in faults) == ["/billing", "/parent_id", "/since", "/x"]
    assert call("PUT", PATH, {}).faults == [("/parent_id", "missing")]
    assert call("DELETE", f"{PATH}?until=2026-11-24T12:30:00Z").status == 422
    for method, body in (("PUT", TOGETHER), ("DELETE", None), ("GET", None)):
        assert call(method, "/v1/customers/nobody/parent", body).status == 404
    assert call("GET", "/v1/customers/nobody/children").status == 404
    assert call("POST", PATH, TOGETHER).status == 405


def test_ids_with_slashes_are_customers_as_any_other(call: Client) -> None:
    answer = call("PUT", "/v1/customers/team%2F7/parent", TOGETHER)
    assert answer.body["customer_id"] == "team/7"
    assert call("GET", "/v1/customers/team/7/parent").body == answer.body
    assert call("GET", "/v1/customers/team/7").body["id"] == "team/7"


def test_links_are_of_all_products_and_not_for_keys_of_some(api: Api) -> None:
    bound = api.client(products="prd_llm")
    assert bound("GET", PATH).status == 200
    assert bound("PUT", PATH, TOGETHER).status == 403
    assert bound("DELETE", PATH).status == 403
    assert api.client(scopes="read")("PUT", PATH, TOGETHER).status == 403
