"""Agreements on channels without listed prices: rated and settled, and open to every private deal."""

from __future__ import annotations

from typing import Any

import pytest

from agreed_setup import GRANT, OFF, PATH, create_deal, create_offering, use
from api_setup import AGREEMENT, Api, create_all
from http_api import Client
from meterbridge.application.settle_agreements import settle_agreement


def settle(api: Api, agreement_id: str) -> None:
    services = api.services
    settle_agreement(
        agreement_id,
        registry=services.registry,
        usage=services.usage,
        ledger=services.ledger,
        clock=api.clock,
        grace=services.grace,
    )


def charge(call: Client, path: str = PATH) -> dict[str, Any]:
    """The one charge line of November, in a balanced statement."""
    statement = call("GET", f"{path}/statement?period=2026-11").body
    (line,) = statement["charge_lines"]
    assert (statement["balanced"], line["balanced"]) == (True, True)
    told = ("list_charge", "discounts", "credits", "net")
    return {name: line[name]["amount"] for name in told}


@pytest.mark.parametrize("channel", ["stripe", "manual"])
def test_an_agreement_that_is_not_reported_is_rated_and_settled(
    api: Api, call: Client, channel: str
) -> None:
    create_offering(call)
    create_deal(call, channel=channel, aws=None, overrides={"discounts": [OFF]})
    use(api, "2026-11-20T09", 1500)
    settle(api, "agr_1")
    assert list(api.services.ledger.records("agr_1")) == []
    assert charge(call) == {"list_charge": "25", "discounts": "5", "credits": "0", "net": "20"}


@pytest.mark.parametrize("channel", ["stripe", "manual"])
def test_a_plan_of_unit_prices_takes_discounts_and_credits_there(
    api: Api, call: Client, channel: str
) -> None:
    create_all(call)
    call("PATCH", PATH, {"ends_at": "2026-11-10T00:00:00Z"})
    price = {"model": "per_unit", "unit_price": "0.01"}
    overrides = {
        "dimensions": [{"code": "tokens", "price": price, "included": "500"}],
        "discounts": [OFF],
    }
    grant = {**GRANT, "amount": "3", "effective_at": "2026-11-10T00:00:00Z"}
    body = {**AGREEMENT, "id": "agr_2", "starts_at": "2026-11-10T00:00:00Z", "channel": channel}
    deal = {**body, "aws": None, "overrides": overrides, "grants": [grant]}
    made = call("POST", "/v1/agreements", deal)
    assert made.status == 201
    assert made.body["overrides"]["dimensions"][0]["included"] == "500"
    use(api, "2026-11-20T09", 1500)
    settle(api, "agr_2")
    assert list(api.services.ledger.records("agr_2")) == []
    assert charge(call, "/v1/agreements/agr_2") == {
        "list_charge": "10",
        "discounts": "2",
        "credits": "3",
        "net": "5",
    }
