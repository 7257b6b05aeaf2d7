"""The control side of the AWS sandbox: registering products and agreements, ending them, policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from ..clock import parse_instant
from ..exchange import BadControlRequestError, Controlled, Json
from ..journal import Fact
from .catalog import Agreement, Product
from .metering import AwsMetering


class Administration:
    """Serves `/_sandbox/aws/…` over the metering rules' own state."""

    def __init__(self, metering: AwsMetering) -> None:
        self._metering = metering

    def serve(self, method: str, path: Sequence[str], body: Json, now: datetime) -> Controlled:
        """Serves one request.

        Raises:
            BadControlRequestError: There is no such thing to do, or it cannot be done.
        """
        match method, *path:
            case "POST", "products":
                return self._register(_fact("product", Product.from_json(body).to_json()))
            case "GET", "products":
                rows = [product.to_json() for product in self._metering.products.values()]
                return Controlled({"products": rows})
            case "POST", "agreements":
                return self._register(self._agreement_fact(body))
            case "GET", "agreements":
                agreements = self._metering.agreements.values()
                return Controlled({"agreements": [agreement.to_json() for agreement in agreements]})
            case "POST", "agreements", "end":
                end = _instant(body["at"]) if body.get("at") else now
                return self._change(body, end=end)
            case "POST", "agreements", "suspend":
                return self._change(body, suspended=True)
            case "POST", "agreements", "resume":
                return self._change(body, suspended=False)
            case "GET", "settings":
                return Controlled(self._metering.settings.to_json())
            case "PATCH", "settings":
                changed = self._metering.settings.changed(body)
                return self._register(_fact("settings", changed.to_json()))
        raise BadControlRequestError(f"there is no {method} /_sandbox/aws/{'/'.join(path)}")

    def _agreement_fact(self, body: Json) -> Fact:
        agreement = Agreement.from_json(body)
        if agreement.product_code not in self._metering.products:
            raise BadControlRequestError(f"register {agreement.product_code!r} first")
        return _fact("agreement", agreement.to_json())

    def _change(self, body: Json, **changes: datetime | bool) -> Controlled:
        legacy = f"{body.get('product_code')}/{body.get('account_id')}"
        reference = str(body.get("license_arn") or legacy)
        agreement = self._metering.agreements.get(reference)
        if agreement is None:
            raise BadControlRequestError(f"there is no agreement {reference!r}")
        changed = replace(agreement, **changes)  # type: ignore[arg-type]
        return self._register(_fact("agreement", changed.to_json()))

    def _register(self, fact: Fact) -> Controlled:
        self.replay(fact)
        return Controlled(fact["value"], (fact,))

    def replay(self, fact: Fact) -> None:
        """Carries out a registration, now or when it is read back."""
        match fact["kind"]:
            case "product":
                product = Product.from_json(fact["value"])
                self._metering.products[product.code] = product
            case "agreement":
                agreement = Agreement.from_json(fact["value"])
                self._metering.agreements[agreement.reference] = agreement
            case "settings":
                self._metering.settings = self._metering.settings.changed(fact["value"])

    def facts(self) -> list[Fact]:
        """Everything that is registered."""
        metering = self._metering
        return [
            _fact("settings", metering.settings.to_json()),
            *(_fact("product", product.to_json()) for product in metering.products.values()),
            *(_fact("agreement", agreed.to_json()) for agreed in metering.agreements.values()),
        ]


def _instant(text: object) -> datetime:
    try:
        return parse_instant(str(text))
    except ValueError as exc:
        raise BadControlRequestError(f"not an instant: {text!r}") from exc


def _fact(kind: str, value: Json) -> Fact:
    return {"kind": kind, "value": value}
