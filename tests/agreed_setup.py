"""A buyer's agreement on an offering with terms, and what is agreed with them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from api_setup import AGREEMENT, CUSTOMER, Api
from builders import at
from http_api import Client
from meterbridge.domain.meter_states import SumState
from meterbridge.domain.partitions import Partition
from meterbridge.domain.usage import FoldHead, FoldPosition, HourlyUsage
from offering_terms import NATIVE_TERMS, TERMS, create_catalog, offering

SEATED_TERMS = {**TERMS, "fees": [{"kind": "seats", "code": "seats", "price": "9"}]}
PLANS = [
    {"code": "std", "terms": SEATED_TERMS},
    {"code": "native", "terms": NATIVE_TERMS},
]
DEAL = {**AGREEMENT, "offering_id": "off_terms"}
PATH = "/v1/agreements/agr_1"
GRANT = {"id": "grt_1", "amount": "100", "effective_at": "2026-11-24T12:00:00Z"}
SEATS = {"fee_code": "seats", "at": "2026-11-24T12:00:00Z", "seats": "5"}
MOVE = {"starts_at": "2026-12-01T00:00:00Z", "offering_version": 1, "plan_code": "std"}
OFF = {"id": "private", "percent": "20"}
AS_GRANTED = {
    **GRANT,
    "expires_at": None,
    "priority": 0,
    "codes": [],
    "rollover": None,
}
AS_MOVED = {**MOVE, "overrides": {"dimensions": [], "discounts": [], "spend_cap": None}}


def create_offering(call: Client, *versions: list[dict[str, Any]]) -> None:
    """The offering with these plans by version, and a customer."""
    create_catalog(call)
    first, *later = versions or (PLANS,)
    answers = [call("POST", "/v1/offerings", offering(plans=first))]
    for plans in later:
        body = {"name": "Next", "plans": plans}
        answers.append(call("POST", "/v1/offerings/off_terms/versions", body))
    answers.append(call("POST", "/v1/customers", CUSTOMER))
    for answer in answers:
        if answer.status != 201:
            raise AssertionError(str(answer))


def create_deal(call: Client, **changes: Any) -> dict[str, Any]:
    """An agreement of 1 November on the offering's first version."""
    answer = call("POST", "/v1/agreements", {**DEAL, "offering_version": 1, **changes})
    if answer.status != 201:
        raise AssertionError(str(answer))
    body: dict[str, Any] = answer.body
    return body


def use(api: Api, hour: str, tokens: int) -> None:
    """Tokens of one model in an hour."""
    moment, position = at(hour), FoldPosition(1, 1)
    states: Any = {"mtr_tokens": {("small",): SumState(Decimal(tokens))}}
    row = HourlyUsage("prd_llm", "acme", moment, states, position, moment, moment)
    head = FoldHead(Partition(moment, 0), position, "", moment, moment, 1, 0, 0)
    api.services.usage.advance(head, [row])
