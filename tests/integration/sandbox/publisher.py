"""A publisher with one offer and three subscriptions, who talks plain HTTP to the Azure sandbox."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

from sandbox.marketplaces.http_server import RunningSandbox

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
HOUR = "2026-11-20T11:00:00Z"
TENANT = "aaaaaaaa-0000-4000-8000-000000000001"
APP = "bbbbbbbb-0000-4000-8000-000000000001"
OTHER_APP = "bbbbbbbb-0000-4000-8000-000000000002"
SUBSCRIPTION = "6f1c2f4e-0000-4000-8000-00000000000a"
SECOND = "6f1c2f4e-0000-4000-8000-00000000000b"
MANAGED = "/subscriptions/x/resourceGroups/y/providers/Microsoft.Solutions/applications/z"
METERING = "20e940b3-4c77-4b0b-9a53-9e16a1b010a7"
BATCH, ONE = "/api/batchUsageEvent", "/api/usageEvent"
VERSION = {"api-version": "2018-08-31"}


@dataclass(frozen=True)
class HttpAnswer:
    """Status, headers in lower case, and the JSON body."""

    status: int
    headers: Mapping[str, str]
    body: Any


class Publisher:
    """Sends usage events and says what came of them."""

    def __init__(self, running: RunningSandbox) -> None:
        self.url = running.url
        self.control = running.control
        self.token = ""

    def set_up(self) -> None:
        """The clock stands still; one offer with two plans, two subscriptions, one application."""
        self.control.reset()
        self.control.set_clock(NOW)
        azure = self.control.azure
        for app in (APP, OTHER_APP):
            azure.register_app(TENANT, app, client_secret=f"secret of {app}")
        azure.register_offer(
            "assistant",
            {
                "gold": [{"id": "api_calls", "unit_price": "0.0025"}, "tokens"],
                "silver": ["api_calls"],
            },
            app_id=APP,
        )
        for resource, plan in ((SUBSCRIPTION, "gold"), (SECOND, "silver"), (MANAGED, "gold")):
            azure.register_subscription(
                resource, offer_id="assistant", plan_id=plan, buyer="contoso"
            )
        self.token = self.sign_in().body["access_token"]

    def sign_in(self, *, path: str = f"/{TENANT}/oauth2/v2.0/token", **form: str) -> HttpAnswer:
        usual = {
            "grant_type": "client_credentials",
            "client_id": APP,
            "client_secret": f"secret of {form.get('client_id', APP)}",
            "scope": f"{METERING}/.default",
        }
        body = urlencode({**usual, **form}).encode()
        return self.call("POST", path, body, Content_Type="application/x-www-form-urlencoded")

    def send(self, *events: Mapping[str, Any], **headers: str) -> HttpAnswer:
        return self.post(BATCH, {"request": list(events)}, **headers)

    def statuses(self, *events: Mapping[str, Any]) -> list[str]:
        """In the order sent; results come back in another."""
        answer = self.send(*events)
        assert answer.status == 200, answer
        assert answer.body["count"] == len(events)
        return [result["status"] for result in reversed(answer.body["result"])]

    def post(
        self, path: str, body: Any, query: Mapping[str, str] | None = None, **headers: str
    ) -> HttpAnswer:
        where = f"{path}?{urlencode(VERSION if query is None else query)}"
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        usual = {"Content_Type": "application/json", "Authorization": f"Bearer {self.token}"}
        return self.call("POST", where, raw, **{**usual, **headers})

    def call(self, method: str, path: str, body: bytes = b"", **headers: str) -> HttpAnswer:
        with self._connection() as connection:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            response = connection.getresponse()
            read = json.loads(response.read() or b"null")
            received = {name.lower(): value for name, value in response.getheaders()}
            return HttpAnswer(response.status, received, read)

    @contextmanager
    def _connection(self) -> Iterator[HTTPConnection]:
        address = urlsplit(self.url)
        connection = HTTPConnection(address.hostname or "", address.port, timeout=10)
        try:
            yield connection
        finally:
            connection.close()

    def billed(self) -> list[tuple[str, str, str]]:
        """Resource, dimension and quantity of everything on the bill."""
        return [
            (record.agreement, record.dimension, format(record.quantity, "f"))
            for record in self.control.billed().records
        ]


def usage_event(quantity: Any = 17, **members: Any) -> dict[str, Any]:
    """A good usage event; a member given as None is left out."""
    event = {
        "resourceId": SUBSCRIPTION,
        "quantity": quantity,
        "dimension": "api_calls",
        "effectiveStartTime": HOUR,
        "planId": "gold",
        **members,
    }
    return {name: value for name, value in event.items() if value is not None}
