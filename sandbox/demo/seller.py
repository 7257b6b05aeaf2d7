"""The seller's side: sets up products and customers over the API, and sends usage."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

PRODUCT = "inference"
OFFERING = "inference-payg"
PLAN = "standard"
LONG_CONTEXT_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class Dimension:
    """A billable unit, the same on every marketplace.

    Attributes:
        code: its name there.
        meter: what it bills.
        price: of a unit, in USD.
        per_unit: metered quantity in a unit.
        kind: `decimal`, or `integer` where only whole units are sold.
    """

    code: str
    meter: str
    price: str
    per_unit: int
    kind: str


DIMENSIONS = (
    Dimension("requests", "requests", "0.002", 1, "integer"),
    Dimension("context_tokens_k", "context_tokens", "0.0011", 1000, "decimal"),
    Dimension("generated_tokens_k", "generated_tokens", "0.0044", 1000, "decimal"),
    Dimension("long_requests_x10", "long_requests", "0.05", 10, "integer"),
)
_METERS: tuple[dict[str, Any], ...] = (
    {"id": "requests", "aggregation": "count"},
    {"id": "context_tokens", "aggregation": "sum", "value_path": "$.context_tokens"},
    {"id": "generated_tokens", "aggregation": "sum", "value_path": "$.generated_tokens"},
    {
        "id": "long_requests",
        "aggregation": "count",
        "filters": [{"path": "$.context_tokens", "op": "gt", "value": LONG_CONTEXT_TOKENS}],
    },
)
_ATTEMPTS = 8
_AGAIN = frozenset({429, 500, 502, 503, 504})


class RefusedError(Exception):
    """The API said no."""


class Seller:
    """A client of one deployment's API."""

    def __init__(self, api_url: str, key: str) -> None:
        self._url = api_url
        self._key = key

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
    ) -> Any:
        """One call, sent again when the answer asks for it; what the JSON of its answer says.

        Raises:
            RefusedError: with what the API answered.
        """
        data = None if body is None else json.dumps(body).encode()
        return json.loads(self._answer(method, path, data, content_type) or b"null")

    def download(self, path: str) -> bytes:
        """A file.

        Raises:
            RefusedError: with what the API answered.
        """
        return self._answer("GET", path, None, "application/json")

    def _answer(self, method: str, path: str, data: bytes | None, content_type: str) -> bytes:
        for attempt in range(_ATTEMPTS):
            request = urllib.request.Request(f"{self._url}{path}", data=data, method=method)
            request.add_header("Authorization", f"Bearer {self._key}")
            request.add_header("Content-Type", content_type)
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return bytes(answer.read())
            except urllib.error.HTTPError as error:
                said = error.read().decode(errors="replace")
                if error.code not in _AGAIN or attempt == _ATTEMPTS - 1:
                    raise RefusedError(f"{method} {path}: {error.code} {said}") from error
            except urllib.error.URLError as error:
                if attempt == _ATTEMPTS - 1:
                    raise RefusedError(f"{method} {path}: {error.reason}") from error
            time.sleep(0.5 * 2**attempt)
        raise RefusedError(f"{method} {path}: no answer")

    def set_up_catalog(self, listings: Mapping[str, str]) -> None:
        """The product, its meters, and an offering with one price per unit.

        Args:
            listings: the product's identity by channel.
        """
        self.call(
            "POST",
            "/v1/products",
            {"id": PRODUCT, "name": "LLM inference", "listings": dict(listings)},
        )
        for meter in _METERS:
            named = {"name": meter["id"].replace("_", " "), "product_id": PRODUCT}
            self.call("POST", "/v1/meters", {**meter, **named, "event_type": "llm.request"})
        dimensions = [
            {
                "code": each.code,
                "meter_id": each.meter,
                "unit_price": each.price,
                "units_per_quantity": str(each.per_unit),
                "quantity_kind": each.kind,
            }
            for each in DIMENSIONS
        ]
        self.call(
            "POST",
            "/v1/offerings",
            {
                "id": OFFERING,
                "product_id": PRODUCT,
                "name": "Pay as you go",
                "currency": "USD",
                "plans": [{"code": PLAN, "dimensions": dimensions}],
            },
        )

    def add_customer(
        self,
        customer_id: str,
        *,
        channel: str,
        buyer: Mapping[str, str],
        starts_at: datetime,
        zero_records: bool = False,
        offering: str = OFFERING,
        plan: str = PLAN,
        overrides: Mapping[str, Any] | None = None,
    ) -> str:
        """A customer with an agreement on a marketplace; returns the agreement's id."""
        self.call("POST", "/v1/customers", {"id": customer_id, "name": customer_id.title()})
        agreement = self.call(
            "POST",
            "/v1/agreements",
            {
                "id": f"agr-{customer_id}",
                "customer_id": customer_id,
                "product_id": PRODUCT,
                "channel": channel,
                "offering_id": offering,
                "plan_code": plan,
                "starts_at": _text(starts_at),
                "zero_records": zero_records,
                channel: dict(buyer),
                **({"overrides": overrides} if overrides else {}),
            },
        )
        return str(agreement["id"])

    def ingest_key(self) -> str:
        """A key that may send usage of the product and do nothing else."""
        made = self.call(
            "POST",
            "/v1/api-keys",
            {"name": "demo producer", "scopes": ["ingest"], "products": [PRODUCT]},
        )
        return str(made["key"])

    def send(self, events: Sequence[Mapping[str, object]]) -> int:
        """Send a batch; returns how many were accepted."""
        answer = self.call(
            "POST",
            "/v1/events",
            list(events),
            content_type="application/cloudevents-batch+json",
        )
        return int(answer["accepted"])

    def statement(self, agreement_id: str, period: str, *, verify: bool = False) -> dict[str, Any]:
        """An agreement's books."""
        query = urlencode({"period": period, "verify": str(verify).lower()})
        found: dict[str, Any] = self.call("GET", f"/v1/agreements/{agreement_id}/statement?{query}")
        return found

    def repeats(self, start: datetime, end: datetime) -> dict[str, Any]:
        """Repeated and contradicting events that occurred in [start, end)."""
        query = urlencode({"start": _text(start), "end": _text(end)})
        found: dict[str, Any] = self.call("GET", f"/v1/events/conflicts?{query}")
        return found

    def unmatched(self, start: datetime, end: datetime) -> Iterator[dict[str, Any]]:
        """Events that nothing bills."""
        cursor = ""
        while True:
            query = urlencode({"start": _text(start), "end": _text(end), "cursor": cursor})
            page = self.call("GET", f"/v1/events/unmatched?{query}")
            yield from page["items"]
            cursor = page.get("next_cursor") or ""
            if not cursor:
                return


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
