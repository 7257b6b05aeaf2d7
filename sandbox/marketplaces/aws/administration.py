"""The control side of the AWS sandbox: products, agreements, and what becomes of an agreement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from operator import attrgetter

from ..administration import Administration, Kind, instant_of
from ..exchange import BadControlRequestError, Controlled, Json
from .catalog import Agreement, Product
from .metering import AwsMetering
from .settings import AwsSettings


class AwsAdministration(Administration[AwsSettings]):
    """Serves `/_sandbox/aws/…` over the metering rules' own state."""

    def __init__(self, metering: AwsMetering) -> None:
        self._metering = metering
        super().__init__(
            "aws",
            metering,
            [
                Kind("product", Product.from_json, attrgetter("code"), metering.products),
                Kind(
                    "agreement",
                    Agreement.from_json,
                    attrgetter("reference"),
                    metering.agreements,
                    check=self._check,
                ),
            ],
        )

    def _serve_own(
        self, method: str, path: Sequence[str], body: Json, now: datetime
    ) -> Controlled | None:
        match method, *path:
            case "POST", "agreements", "end":
                return self._change(body, end=instant_of(body, "at", now))
            case "POST", "agreements", "suspend":
                return self._change(body, suspended=True)
            case "POST", "agreements", "resume":
                return self._change(body, suspended=False)
        return None

    def _check(self, agreement: Agreement) -> None:
        if agreement.product_code not in self._metering.products:
            raise BadControlRequestError(f"register {agreement.product_code!r} first")

    def _change(self, body: Json, **changes: datetime | bool) -> Controlled:
        legacy = f"{body.get('product_code')}/{body.get('account_id')}"
        reference = str(body.get("license_arn") or legacy)
        agreement = self._metering.agreements.get(reference)
        if agreement is None:
            raise BadControlRequestError(f"there is no agreement {reference!r}")
        changed = replace(agreement, **changes)  # type: ignore[arg-type]
        return self._register("agreement", changed)
