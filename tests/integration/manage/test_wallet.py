"""Credits and thresholds over HTTP: what rating makes of grants and usage."""

from __future__ import annotations

from datetime import timedelta

import pytest

from agreed_setup import PATH, create_deal, create_offering, use
from api_setup import Api, create_all
from http_api import Client
from offering_terms import TOKENS

ALL = "start=2026-11-01T00:00:00Z&end=2026-11-25T00:00:00Z"
FIRST = {
    "id": "first",
    "amount": "10",
    "effective_at": "2026-11-01T00:00:00Z",
    "expires_at": "2026-11-20T00:00:00Z",
}
SECOND = {"id": "second", "amount": "15", "effective_at": "2026-11-10T00:00:00Z", "priority": 1}
LATER = {"id": "later", "amount": "30", "effective_at": "2026-11-25T00:00:00Z"}


@pytest.fixture
def deal(api: Api, call: Client) -> Client:
    """20 $ for the first 1,000 tokens, 10 $ for each 1,000 after; three grants; usage on three days."""
    create_offering(call)
    create_deal(call, grants=[FIRST, SECOND, LATER])
    for hour, tokens in (("2026-11-05T10", 200), ("2026-11-21T09", 500), ("2026-11-24T11", 400)):
        use(api, hour, tokens)
    return call


def movement(hour: str, flow: str, grant: str, amount: str, code: str = "") -> dict[str, str]:
    return {
        "hour": f"2026-{hour}:00:00Z",
        "flow": flow,
        "grant_id": grant,
        "code": code,
        "amount": amount,
    }


MOVEMENTS = [
    movement("11-01T00", "granted", "first", "10"),
    movement("11-05T10", "spent", "first", "4", "tokens"),
    movement("11-10T00", "granted", "second", "15"),
    movement("11-20T00", "expired", "first", "6"),
    movement("11-21T09", "spent", "second", "10", "tokens"),
    movement("11-24T11", "spent", "second", "5", "tokens"),
]


def test_the_wallet_tells_each_grant_and_all_that_moved_it(deal: Client) -> None:
    wallet = deal("GET", f"{PATH}/wallet").body
    grants = wallet.pop("grants")
    assert wallet == {
        "agreement_id": "agr_1",
        "start": "2026-11-01T00:00:00Z",
        "end": "2026-11-24T13:00:00Z",
        "currency": "USD",
        "balance": "0",
        "movements": MOVEMENTS,
        "next_cursor": None,
    }
    told = ("id", "granted", "spent", "expired", "rolled_over", "balance", "expires_at", "priority")
    assert [tuple(grant[name] for name in told) for grant in grants] == [
        ("first", "10", "4", "6", "0", "0", None, None),
        ("second", "15", "15", "0", "0", "0", None, 1),
    ]


def test_a_wallet_of_some_hours_begins_with_what_was_held(deal: Client) -> None:
    path = f"{PATH}/wallet?start=2026-11-20T00:00:00Z&end=2026-11-24T00:00:00Z"
    wallet = deal("GET", path).body
    assert wallet["movements"] == MOVEMENTS[3:5]
    assert wallet["balance"] == "5"
    told = ("id", "granted", "spent", "expired", "balance")
    assert [tuple(grant[name] for name in told) for grant in wallet["grants"]] == [
        ("first", "10", "4", "6", "0"),
        ("second", "15", "10", "0", "5"),
    ]


def test_movements_are_read_page_by_page(deal: Client) -> None:
    seen, cursor = [], ""
    for _ in range(3):
        page = deal("GET", f"{PATH}/wallet?limit=2{cursor}").body
        seen += page["movements"]
        cursor = f"&cursor={page['next_cursor']}"
    assert (seen, page["next_cursor"]) == (MOVEMENTS, None)


def test_grants_are_listed_with_what_is_left_of_them(api: Api, deal: Client) -> None:
    first = deal("GET", f"{PATH}/grants").body
    assert first["next_cursor"] is None
    told = ("id", "amount", "standing", "balance")
    assert [tuple(grant[name] for name in told) for grant in first["items"]] == [
        ("first", "10", "over", "0"),
        ("second", "15", "held", "0"),
        ("later", "30", "scheduled", "30"),
    ]
    api.clock.advance(timedelta(hours=12))
    use(api, "2026-11-25T00", 100)
    again = deal("GET", f"{PATH}/grants").body["items"]
    assert [grant["balance"] for grant in again] == ["0", "0", "29"]


def test_late_usage_moves_the_wallet_as_if_it_had_come_in_time(api: Api, deal: Client) -> None:
    use(api, "2026-11-06T10", 400)
    movements = deal("GET", f"{PATH}/wallet").body["movements"]
    assert movement("11-06T10", "spent", "first", "6", "tokens") in movements
    assert [each for each in movements if each["flow"] == "expired"] == []


def test_thresholds_that_were_reached_are_listed_in_order(deal: Client) -> None:
    reached = {"watched": "credits", "code": "", "used": "15", "limit": "15"}
    hour = "2026-11-24T11:00:00Z"
    assert deal("GET", f"{PATH}/thresholds?{ALL}").body == {
        "items": [
            {"hour": hour, **reached, "percent": "80"},
            {"hour": hour, **reached, "percent": "100"},
        ],
        "next_cursor": None,
    }
    page = deal("GET", f"{PATH}/thresholds?{ALL}&limit=1").body
    assert [each["percent"] for each in page["items"]] == ["80"]
    rest = deal("GET", f"{PATH}/thresholds?{ALL}&limit=1&cursor={page['next_cursor']}").body
    assert ([each["percent"] for each in rest["items"]], rest["next_cursor"]) == (["100"], None)
    earlier = ALL.replace("2026-11-25T00", "2026-11-24T11")
    assert deal("GET", f"{PATH}/thresholds?{earlier}").body["items"] == []


def test_an_entitlement_and_a_cap_tell_their_thresholds(api: Api, call: Client) -> None:
    terms = {
        "dimensions": [
            {**TOKENS, "entitlement": {"quantity": "100", "thresholds": ["50"]}},
        ],
        "spend_cap": {"amount": "8", "thresholds": ["100"]},
    }
    create_offering(call, [{"code": "std", "terms": terms}])
    create_deal(call)
    use(api, "2026-11-05T10", 60)
    use(api, "2026-11-06T10", 500)
    found = call("GET", f"{PATH}/thresholds?{ALL}").body["items"]
    told = ("hour", "watched", "code", "percent", "used", "limit")
    assert [tuple(each[name] for name in told) for each in found] == [
        ("2026-11-05T10:00:00Z", "entitlement", "tokens", "50", "60", "100"),
        ("2026-11-06T10:00:00Z", "spend_cap", "", "100", "8", "8"),
    ]


def test_an_agreement_without_credits_has_an_empty_wallet(call: Client) -> None:
    create_all(call)
    wallet = call("GET", f"{PATH}/wallet").body
    assert (wallet["grants"], wallet["movements"], wallet["balance"]) == ([], [], "0")
    assert call("GET", f"{PATH}/grants").body == {"items": [], "next_cursor": None}


def test_an_agreement_that_has_not_started_has_its_grants_to_come(call: Client) -> None:
    create_offering(call)
    create_deal(call, starts_at="2027-01-01T00:00:00Z", grants=[FIRST | {"expires_at": None}])
    (grant,) = call("GET", f"{PATH}/grants").body["items"]
    assert (grant["standing"], grant["balance"]) == ("scheduled", "10")
    wallet = call("GET", f"{PATH}/wallet").body
    assert (wallet["grants"], wallet["movements"]) == ([], [])


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("wallet?start=2026-11-24T00:30:00Z", ("start", "full_hour")),
        ("wallet?start=2026-11-24T14:00:00Z", ("start", "invalid_range")),
        ("wallet?start=2020-01-01T00:00:00Z", ("start", "invalid_range")),
        ("wallet?cursor=YQ", ("cursor", "invalid_cursor")),
        ("thresholds?start=2026-11-24T00:00:00Z", ("end", "missing")),
        (f"thresholds?{ALL}&limit=1001", ("limit", "less_than_equal")),
    ],
)
def test_ranges_and_cursors_are_checked(deal: Client, query: str, fault: tuple[str, str]) -> None:
    answer = deal("GET", f"{PATH}/{query}")
    assert (answer.status, answer.faults) == (422, [fault])


def test_credits_belong_to_the_product_of_their_agreement(api: Api, deal: Client) -> None:
    other = api.client(products="prd_b")
    for path in ("grants", "wallet", f"thresholds?{ALL}"):
        assert other("GET", f"{PATH}/{path}").status == 404, path
