"""Requests that nobody means well with: valid ones with something wrong in them, and plain noise."""

from __future__ import annotations

import base64
import copy
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

from agreed_setup import DEAL, GRANT, MOVE, OFF, SEATS
from api_setup import AGREEMENT, CUSTOMER, KEY, METER, OFFERING, PRODUCT
from http_api import http_event
from offering_terms import NATIVE_TERMS, TERMS

EVENT = {
    "specversion": "1.0",
    "id": "e1",
    "source": "/app",
    "type": "completion",
    "subject": "acme",
    "time": "2026-11-24T11:00:00Z",
    "productid": "prd_llm",
    "data": {"tokens": 17, "model": "small"},
}
AWS_LISTING = {
    "product_id": "prod-abc123",
    "information": {
        "title": "LLM",
        "short_description": "x",
        "long_description": "x",
        "highlights": ["x"],
        "logo_url": "https://acme.example/logo.png",
        "categories": ["x"],
        "search_keywords": ["x"],
    },
    "units": {"tokens": "Units"},
    "refund_policy": "None.",
    "private_offer": {
        "buyer_accounts": ["111122223333"],
        "available_until": "2026-12-31",
        "payments": [{"due_on": "2027-01-01", "amount": "10"}],
    },
}
AZURE_LISTING = {
    "offer_id": "acme-llm",
    "plan_id": "std",
    "offer_alias": "Acme",
    "plan_alias": "Standard",
    "markets": ["US"],
    "users": {"least": 1, "most": 9},
    "target": "live",
    "preview_submission_id": "submission/1/2",
}
_DECIDE = "/v1/agreements/agr_1/records/2026-11-24T%s:00:00Z/tokens/decisions"
_CORRECTION = "/v1/corrections/agr_1.2026-10.1.tokens"
_BY_MODEL = {
    "model": "dimensional",
    "prices": [{"group": ["small"], "model": {"model": "package", "size": "10", "price": "1"}}],
    "default": {"model": "volume", "tiers": [{"up_to": "5", "unit_price": "1"}, {"unit_price": 1}]},
}
_WITH_TERMS: dict[str, Any] = {
    "product_id": "prd_llm",
    "name": "Terms",
    "plans": [
        {"code": "native", "terms": NATIVE_TERMS},
        {
            "code": "all",
            "terms": {
                "cycle": "anniversary",
                "dimensions": [
                    {**TERMS["dimensions"][0], "increment": {"size": "10"}},
                    {"code": "small", "meter_id": "mtr_tokens", "price": _BY_MODEL},
                ],
                "fees": [
                    {"kind": "subscription", "code": "base", "price": "49"},
                    {"kind": "seats", "code": "seats", "price": "9"},
                    {"kind": "one_off", "code": "setup", "price": "5"},
                ],
                "trial": {"kind": "quantity", "quantities": {"tokens": "5"}, "days": 14},
                "discounts": [{**OFF, "codes": ["tokens"]}],
                "minimum": {"amount": "50"},
                "commitment": {"amount": "900", "cycles": None},
                "credits": [{"id": "gift", "amount": "5", "lasts_cycles": 1, "rollover": {}}],
                "top_up": {"amount": "20"},
                "spend_cap": {"amount": "400"},
                "reporting": [{"channel": "aws", "dimensions": [], "billed_apart": ["base"]}],
            },
        },
    ],
}
_AGREED = {
    "overrides": {"discounts": [OFF], "dimensions": [{"code": "tokens", "included": "5"}]},
    "plan_changes": [MOVE],
    "grants": [GRANT],
    "seats": [SEATS],
}
_CHEAPER = {
    "dimensions": [
        {
            "code": "tokens",
            "price": {
                "model": "graduated",
                "tiers": [{"up_to": "1000", "unit_price": "0.01"}, {"unit_price": "0"}],
            },
        }
    ],
    "discounts": [OFF],
}
_SUPPOSED = {
    "plan_code": "std",
    "version": 1,
    "starts_at": "2026-12-01T00:00:00Z",
    "usage": [
        {"dimension": "tokens", "quantity": "17.5", "day": "2026-12-03"},
        {"meter_id": "mtr_tokens", "quantity": 3, "group": {"model": "small"}, "events": 4},
        {"dimension": "tokens", "quantity": "1", "hour": "2026-12-03T10:00:00Z"},
        {"dimension": "tokens", "quantity": "123456789.123456789"},
    ],
    "spread": "hourly",
    "overrides": _CHEAPER,
    "grants": [{"amount": "5", "effective_at": "2026-12-01T00:00:00Z"}],
    "seats": [{"fee_code": "seats", "seats": "2"}],
    "deal": {"kind": "private", "total_contract_value": "9", "buyer_country": "KR"},
    "channels": ["aws", "manual"],
}
_BODIES: dict[str, list[Any]] = {
    "/v1/products": [PRODUCT, {"name": "x"}],
    "/v1/products/prd_llm": [{"name": "x", "listings": {"aws": "y"}}],
    "/v1/meters": [METER],
    "/v1/meters/mtr_tokens": [
        {
            "filters": [
                {"path": "$.a", "op": "in", "value": [{"decimal": "0.5"}, 1]},
                {"path": "$.b", "op": "gt", "value": 1},
            ],
            "archived_at": "2026-11-24T12:00:00Z",
        }
    ],
    "/v1/offerings": [OFFERING, _WITH_TERMS],
    "/v1/offerings/off_std/versions": [
        {"name": "2", "plans": OFFERING["plans"]},
        {"name": "2", "plans": _WITH_TERMS["plans"]},
    ],
    "/v1/offerings/off_terms/preview": [_SUPPOSED],
    "/v1/offerings/off_terms/replay": [
        {"agreement_id": "agr_terms", "period": "2026-11", "version": 1, "plan_code": "native"},
        {"start": "2026-11-01T00:00:00Z", "end": "2026-11-20T00:00:00Z", "overrides": _CHEAPER},
    ],
    "/v1/offerings/off_std/publications": [
        {"channel": "aws", "version": 1, "plan": "std", "aws": AWS_LISTING},
        {"channel": "azure", "azure": AZURE_LISTING},
        {"channel": "gcp", "gcp": {"service_name": "a.example", "plan_id": "std"}},
    ],
    "/v1/publications/pub_aws/apply": [{}],
    "/v1/publications/pub_gcp/confirm": [{"note": "x"}],
    "/v1/customers": [CUSTOMER, {"id": "b"}],
    "/v1/customers/acme": [{"name": "x"}],
    "/v1/customers/free/parent": [
        {"parent_id": "acme", "billing": "aggregated", "since": "2026-11-24T12:00:00Z"},
        {"parent_id": "acme"},
    ],
    "/v1/agreements": [
        AGREEMENT,
        {**AGREEMENT, "channel": "manual", "aws": None},
        {**DEAL, **_AGREED, "id": "agr_3", "customer_id": "free"},
    ],
    "/v1/agreements/agr_terms": [_AGREED, {"grants": []}],
    "/v1/agreements/agr_terms/grants": [GRANT, {**GRANT, "id": "g2", "codes": ["tokens"]}],
    "/v1/agreements/agr_terms/seats": [SEATS],
    "/v1/agreements/agr_terms/plan-changes": [MOVE, {**MOVE, "overrides": {"discounts": [OFF]}}],
    "/v1/agreements/agr_1": [
        {"state": "suspended", "state_reason": "x", "zero_records": True, "recovery": "never"},
        {"ends_at": "2027-01-01T00:00:00Z", "aws": AGREEMENT["aws"]},
        {"azure": {"plan_id": "gold", "resource_id": "6f1c2f4e-0000-4000-8000-000000000001"}},
        {"gcp": {"usage_reporting_id": "project_number:123456789012"}},
    ],
    "/v1/agreements/agr_1/settle": [{}],
    **{
        _DECIDE % hour: [
            {"action": "retry", "reason": "x"},
            {"action": "confirm", "reason": "x", "accepted_quantity": "3"},
            {"action": "write_off", "reason": "x"},
            {"action": "re_date", "reason": "x", "hour": "2026-11-24T10:00:00Z"},
        ]
        for hour in ("08", "09")
    },
    f"{_CORRECTION}/approve": [
        {"reason": "x", "quantity": "5"},
        {"reason": "x", "quantity": "5", "marketplace_agreement_id": "a", "invoice_id": "i"},
    ],
    f"{_CORRECTION}/withdraw": [{"reason": "x"}],
    f"{_CORRECTION}/complete": [{"reason": "x", "reference": "ba-1"}],
    "/v1/api-keys": [KEY, {"name": "x", "scopes": ["admin"], "products": None}],
    "/v1/api-keys/key_1": [{"name": "x"}],
    "/v1/settings/usage-log": [{"shards": 8, "effective_from": "2026-11-25T00:00:00Z"}],
    "/v1/events": [EVENT, [EVENT, {**EVENT, "id": "e2"}]],
}
_POSTED = (
    *("ions", "settle", "/grants", "/seats", "/plan-changes", "/preview", "/replay"),
    *("/apply", "/confirm", "/approve", "/withdraw", "/complete"),
)
_WITH_BODY = {
    "POST": [path for path in _BODIES if path.count("/") == 2 or path.endswith(_POSTED)],
    "PATCH": [path for path in _BODIES if path.count("/") == 3 and "settings" not in path],
    "PUT": ["/v1/settings/usage-log", "/v1/customers/free/parent"],
}
_DELETABLE = [
    "/v1/products/prd_free",
    "/v1/meters/mtr_free",
    "/v1/customers/free",
    "/v1/customers/free/parent",
    "/v1/customers/acme/children",
    "/v1/offerings/off_free",
    "/v1/agreements/agr_free",
    "/v1/agreements/agr_terms/plan-changes/2026-12-01T00:00:00Z",
    *_WITH_BODY["PATCH"],
]
_READABLE = [
    *_DELETABLE,
    *_BODIES,
    "/v1/offerings/off_std/versions/1",
    "/v1/offerings/off_terms/parity",
    "/v1/publications/pub_aws",
    "/v1/publications/pub_gcp",
    "/v1/agreements/agr_1/statement",
    "/v1/agreements/agr_1/records",
    "/v1/agreements/agr_1/decisions",
    "/v1/agreements/agr_1/corrections",
    "/v1/corrections",
    _CORRECTION,
    "/v1/agreements/agr_terms/wallet",
    "/v1/agreements/agr_terms/thresholds",
    "/v1/agreements/agr_terms/statement",
    "/v1/records",
    "/v1/events/unmatched",
    "/v1/events/conflicts",
    "/v1/usage",
    "/v1/usage/unbilled",
    "/v1/openapi.json",
    "/v1/nothing",
    "/",
]
_OPERATIONS = [
    *((method, path) for method, paths in _WITH_BODY.items() for path in paths * 2),
    *(("DELETE", path) for path in _DELETABLE),
    *(("GET", path) for path in _READABLE),
]
_METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "get", ""]
_PARAMETERS = {
    "cursor": [
        "MQ",
        "YWNtZQ",
        "MjAyNi0xMS0yNFQxMCN4",
        "cmVmdXNlZCNhZ3JfMSMyMDI2LTExLTI0VDA4I3Rva2Vucw",
        "WyJhY21lIiwxXQ",
        "WyJcdWQ4MDAiLG51bGxd",
        "YWdyXzEuMjAyNi0xMC4xLnRva2Vucw",
    ],
    "limit": ["1", "100"],
    "product_id": ["prd_llm"],
    "customer_id": ["acme"],
    "meter_id": ["mtr_tokens"],
    "start": ["2026-11-01T00:00:00Z", "2026-11-24T10:00:00Z"],
    "end": ["2026-11-25T00:00:00Z"],
    "awaiting": ["decision"],
    "version": ["1"],
    "plan_code": ["std"],
    "channel": ["aws", "manual"],
    "state": ["drafted", "approved"],
    "until": ["2026-11-24T13:00:00Z"],
    "period": ["2026-11", "2199-12"],
    "verify": ["true"],
    "window": ["hour", "day", "month"],
    "group": ["model:small"],
}
_HEADERS = {
    "content-type": [
        "application/json",
        "application/cloudevents+json",
        "application/cloudevents-batch+json",
        "text/plain",
    ],
    "content-encoding": ["gzip", "identity"],
    "idempotency-key": ["k1"],
    "if-match": ['"1"', '"2"', "*"],
    "ce-id": ["e3"],
    "ce-specversion": ["1.0"],
}

odd_texts = st.sampled_from(
    [
        "",
        " ",
        "\x00",
        "\ud800",
        "\u202e",
        "x" * 300,
        "ü" * 1024,
        "../../etc/passwd",
        "a/b",
        "%00",
        "%2F",
        "%ff",
        "'; DROP TABLE x; --",
        "$.a.b",
        "$..*",
        "NaN",
        "-Infinity",
        "1e400",
        "9" * 40,
        "0.0000000000000000000001",
        "2026-11-24T10:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "2026-13-01",
        "9999-12",
        "prd_llm",
        "mtr_tokens",
        "acme",
    ]
) | st.text(max_size=30)
odd_values = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from([0, -1, 2**31, 2**63, 10**30, -(10**400), 0.1, 1e308, -0.0])
    | odd_texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd_texts, inner, max_size=3),
    max_leaves=6,
)


@dataclass(frozen=True, slots=True)
class Sent:
    """A request, and the function that takes it."""

    event: dict[str, Any]
    to_ingest: bool


@st.composite
def bodies(draw: st.DrawFn, path: str) -> Any:
    """A valid body with up to three changes anywhere inside, or any value."""
    if path not in _BODIES or draw(st.integers(0, 9)) == 0:
        return draw(odd_values)
    holder = {"body": copy.deepcopy(draw(st.sampled_from(_BODIES[path])))}
    for _ in range(draw(st.integers(0, 3))):
        _change(draw, holder)
    return holder["body"]


def _change(draw: st.DrawFn, holder: dict[str, Any]) -> None:
    """Replace, remove or add one member, at a random depth."""
    parent: Any = holder
    name: Any = "body"
    while isinstance(parent[name], dict | list) and parent[name] and draw(st.booleans()):
        parent = parent[name]
        names = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
        name = draw(st.sampled_from(names))
    what = draw(st.integers(0, 5))
    if what == 0 and parent is not holder:
        del parent[name]
    elif what == 1 and isinstance(parent[name], dict):
        parent[name][draw(odd_texts)] = draw(odd_values)
    elif what == 2 and isinstance(parent, dict) and isinstance(parent[name], list):
        parent[name] = parent[name] * draw(st.integers(2, 30))
    else:
        parent[name] = draw(odd_values)


@st.composite
def requests(draw: st.DrawFn) -> Sent:
    """A request as API Gateway would pass it on."""
    method, path = draw(st.sampled_from(_OPERATIONS))
    if draw(st.integers(0, 9)) == 0:
        method = draw(st.sampled_from(_METHODS))
    has_body = method in _WITH_BODY or draw(st.integers(0, 9)) == 0
    body = draw(bodies(path)) if has_body and draw(st.integers(0, 9)) else None
    caller = {
        "key_id": draw(st.sampled_from(["key_test", "key_other"])),
        "scopes": "admin ingest" if draw(st.integers(0, 9)) else "read",
        "products": "*" if draw(st.integers(0, 4)) else "prd_llm",
    }
    if draw(st.integers(0, 9)) == 0:
        path = _with_odd_part(path, draw(odd_texts))
    query = "&".join(f"{name}={value}" for name, value in draw(_query()))
    headers = draw(_some(_HEADERS)) if draw(st.integers(0, 3)) == 0 else {}
    if method == "PATCH" and draw(st.booleans()):
        headers["if-match"] = draw(st.sampled_from(_HEADERS["if-match"]))
    event = http_event(method, f"{path}?{query}", body, headers=headers, caller=caller)
    event["rawPath"] = path
    if body is not None and draw(st.integers(0, 9)) == 0:
        noise = draw(st.binary(max_size=60) | st.just(json.dumps(body).encode()[:-1]))
        event["body"] = base64.b64encode(noise).decode()
        event["isBase64Encoded"] = True
    return Sent(event, to_ingest=(method, path) == ("POST", "/v1/events"))


def _with_odd_part(path: str, part: str) -> str:
    head, _, _ = path.rpartition("/")
    return f"{head}/{part}".encode(errors="replace").decode()


def _query() -> st.SearchStrategy[list[tuple[str, str]]]:
    names = st.sampled_from([*_PARAMETERS, "unknown"])

    def valued(name: str) -> st.SearchStrategy[tuple[str, str]]:
        values = st.sampled_from(_PARAMETERS.get(name, ["x"])) | odd_texts
        return st.tuples(st.just(name), values.map(lambda text: quote(text, errors="replace")))

    return st.lists(names.flatmap(valued), max_size=6)


def _some(known: dict[str, list[str]]) -> st.SearchStrategy[dict[str, str]]:
    """Some of these headers, mostly with values that are known."""

    def valued(names: list[str]) -> st.SearchStrategy[dict[str, str]]:
        odd = odd_texts.map(lambda text: text.encode("latin-1", "replace").decode("latin-1"))
        return st.fixed_dictionaries({name: st.sampled_from(known[name]) | odd for name in names})

    return st.lists(st.sampled_from(list(known)), max_size=2, unique=True).flatmap(valued)
