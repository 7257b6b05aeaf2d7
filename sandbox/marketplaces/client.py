"""A typed client of the control API, for demonstrations and tests. It needs nothing installed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

from .azure.control import AzureControl
from .billed import BilledRecord, BilledTotal, exact
from .clock import format_instant, parse_instant
from .faults import Fault, FaultKind, Loss
from .gcp.control import GcpControl


class SandboxControlError(Exception):
    """The sandbox refused a control request; the message is its own."""


@dataclass(frozen=True)
class Bill:
    """What was billed.

    Attributes:
        records: Every accepted record, in the order of acceptance.
        totals: Their sums per agreement, buyer and dimension.
        warnings: Billing that is legal and surely unwanted.
        calls: Counts: `total`, `unacknowledged`, `outcomes` of calls, `statuses` of records.
    """

    records: tuple[BilledRecord, ...]
    totals: tuple[BilledTotal, ...]
    warnings: tuple[str, ...]
    calls: Mapping[str, Any]

    def quantity(self, agreement: str, dimension: str) -> Decimal:
        """What one agreement is billed for a dimension; zero when nothing."""
        return sum(
            (
                total.quantity
                for total in self.totals
                if (total.agreement, total.dimension) == (agreement, dimension)
            ),
            Decimal(0),
        )


class SandboxControl:
    """Turns the clock, orders faults and asks what was billed; `aws`, `azure` and `gcp` hold
    a marketplace's own controls."""

    def __init__(self, base_url: str, *, timeout_seconds: int = 30) -> None:
        address = urlsplit(base_url)
        self._host = address.hostname or "127.0.0.1"
        self._port = address.port or 80
        self._timeout_seconds = timeout_seconds
        self.aws = AwsControl(self)
        self.azure = AzureControl(self.request)
        self.gcp = GcpControl(self.request)

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Sends one control request and returns the JSON answered.

        Raises:
            SandboxControlError: The sandbox refused it.
            OSError: The sandbox cannot be reached.
        """
        connection = HTTPConnection(self._host, self._port, timeout=self._timeout_seconds)
        try:
            connection.request(method, f"/_sandbox/{path}", json.dumps(body or {}).encode())
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise SandboxControlError(f"{method} {path}: {answer['error']}")
        return answer

    def healthy(self) -> bool:
        """Whether the sandbox answers."""
        try:
            return bool(self.request("GET", "health")["status"] == "ok")
        except OSError:
            return False

    def now(self) -> datetime:
        """The sandbox's time."""
        return parse_instant(self.request("GET", "clock")["now"])

    def set_clock(self, now: datetime, *, frozen: bool = True) -> None:
        """Sets the time; with `frozen=False` it runs on from there."""
        self.request("PUT", "clock", {"now": format_instant(now), "frozen": frozen})

    def advance_clock(self, step: timedelta) -> datetime:
        """Moves the time by `step` and returns the new one."""
        microseconds = step // timedelta(microseconds=1)
        seconds = exact(Decimal(microseconds) / 1_000_000)
        return parse_instant(self.request("POST", "clock/advance", {"seconds": seconds})["now"])

    def reset_clock(self) -> None:
        """Returns to the real time."""
        self.request("DELETE", "clock")

    def inject(
        self,
        kind: FaultKind | str,
        *,
        count: int | None = 1,
        match: Mapping[str, str] | None = None,
        marketplace: str = "",
        operation: str = "",
        call: int | None = None,
        records: int | None = None,
        loss: Loss | str = Loss.DROP,
        delay_seconds: Decimal | int | str = 0,
        until: datetime | None = None,
        status: int | None = None,
        code: str = "",
        message: str = "",
    ) -> Fault:
        """Queues a fault; `Fault` explains the arguments. `count=None` strikes every time."""
        body = {
            "kind": FaultKind(kind).value,
            "count": count,
            "match": dict(match or {}),
            "marketplace": marketplace,
            "operation": operation,
            "call": call,
            "records": records,
            "loss": Loss(loss).value,
            "delay_seconds": str(delay_seconds),
            "until": format_instant(until) if until else None,
            "status": status,
            "code": code,
            "message": message,
        }
        return _fault(self.request("POST", "faults", body))

    def outage(self, until: datetime, *, loss: Loss | str = Loss.ERROR) -> Fault:
        """Takes every marketplace down until that time of the sandbox's clock."""
        return self.inject(FaultKind.OUTAGE, count=None, until=until, loss=loss)

    def faults(self) -> list[Fault]:
        """The faults still to come."""
        return [_fault(row) for row in self.request("GET", "faults")["faults"]]

    def clear_faults(self) -> None:
        """Drops every fault."""
        self.request("DELETE", "faults")

    def calls(self, marketplace: str = "") -> list[dict[str, Any]]:
        """Every call since the last reset, as `LoggedCall.to_json` writes it."""
        query = f"?{urlencode({'marketplace': marketplace})}" if marketplace else ""
        calls: list[dict[str, Any]] = self.request("GET", f"calls{query}")["calls"]
        return calls

    def billed(self, **filters: str) -> Bill:
        """What was billed; filter by marketplace, region, agreement, buyer, product, dimension."""
        body = self.request("GET", f"billed?{urlencode(filters)}")
        return Bill(
            records=tuple(BilledRecord.from_json(row) for row in body["records"]),
            totals=tuple(BilledTotal.from_json(row) for row in body["totals"]),
            warnings=tuple(body["warnings"]),
            calls=body["calls"],
        )

    def reset(self, *, keep_setup: bool = False) -> None:
        """Forgets bills, calls and faults, and unless the set-up is kept everything else too."""
        self.request("POST", "reset", {"keep_setup": keep_setup})


class AwsControl:
    """What AWS Marketplace must know: products, agreements, and the sandbox's policy."""

    def __init__(self, control: SandboxControl) -> None:
        self._control = control

    def register_product(
        self, product_code: str, dimensions: Iterable[str | Mapping[str, Any]]
    ) -> None:
        """Lists a product.

        Args:
            product_code: Its code.
            dimensions: Each a key, or `{"key", "allow_decimal", "unit_price"}` (price as string).
        """
        rows = [row if isinstance(row, str) else dict(row) for row in dimensions]
        self._post("products", {"product_code": product_code, "dimensions": rows})

    def register_agreement(
        self,
        *,
        product_code: str,
        account_id: str,
        start: datetime,
        license_arn: str = "",
        customer_identifier: str = "",
        end: datetime | None = None,
        unpriced_dimensions: Sequence[str] = (),
    ) -> None:
        """Notes a buyer's agreement; registering it again replaces it (a renewed subscription)."""
        self._post(
            "agreements",
            {
                "product_code": product_code,
                "account_id": account_id,
                "start": format_instant(start),
                "license_arn": license_arn,
                "customer_identifier": customer_identifier,
                "end": format_instant(end) if end else None,
                "unpriced_dimensions": list(unpriced_dimensions),
            },
        )

    def end_agreement(self, license_arn: str, at: datetime | None = None) -> None:
        """Ends an agreement, now or at a given time; its last usage is taken for another hour."""
        self._post(
            "agreements/end",
            {"license_arn": license_arn, "at": format_instant(at) if at else None},
        )

    def suspend_agreement(self, license_arn: str) -> None:
        """The buyer's account is suspended: CustomerNotSubscribed until it is resumed."""
        self._post("agreements/suspend", {"license_arn": license_arn})

    def resume_agreement(self, license_arn: str) -> None:
        """Takes a suspension back."""
        self._post("agreements/resume", {"license_arn": license_arn})

    def configure(self, **settings: int | str) -> None:
        """Changes the policy; `AwsSettings` explains the names."""
        self._control.request("PATCH", "aws/settings", settings)

    def _post(self, path: str, body: Mapping[str, Any]) -> None:
        self._control.request("POST", f"aws/{path}", body)


def _fault(body: Mapping[str, Any]) -> Fault:
    return Fault.from_json(body)
