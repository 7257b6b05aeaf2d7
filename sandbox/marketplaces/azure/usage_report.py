"""`GET /usageEvents`: what was reported, by day, the way reconciliation reads it (§2.1.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any

from ..billed import BilledRecord
from .errors import bad_argument
from .metering import AzureMetering


def usage_rows(metering: AzureMetering, query: Mapping[str, str]) -> list[dict[str, Any]]:
    """Days, resources, plans and dimensions with their sums.

    Raises:
        AzureError: BadArgument: usageStartDate is missing, or a date cannot be read.
    """
    if "usageStartDate" not in query:
        raise bad_argument("The usageStartDate is required.", "usageStartDate")
    start = _date(query["usageStartDate"])
    end = (
        _date(query["UsageEndDate"])
        if "UsageEndDate" in query
        else datetime.max.replace(tzinfo=UTC)
    )
    days: dict[tuple[datetime, str, str], list[BilledRecord]] = {}
    for record in metering.bill.values():
        day = datetime.combine(record.hour.date(), time(), UTC)
        if start <= day <= end:
            days.setdefault((day, record.agreement, record.dimension), []).append(record)
    rows = [_row(metering, *key, records) for key, records in sorted(days.items())]
    wanted = {name: query[name] for name in ("offerId", "planId", "dimension") if name in query}
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def _row(
    metering: AzureMetering,
    day: datetime,
    resource: str,
    dimension: str,
    records: Iterable[BilledRecord],
) -> dict[str, Any]:
    quantities = [record.quantity for record in records]
    total = float(sum(quantities, Decimal(0)))
    subscription = metering.subscriptions[resource.lower()]
    return {
        "usageDate": day.isoformat().replace("+00:00", "Z"),
        "usageResourceId": resource,
        "dimension": dimension,
        "planId": subscription.plan_id,
        "offerId": subscription.offer_id,
        "offerType": "SaaS",
        "reconStatus": "Accepted",
        "submittedQuantity": total,
        "processedQuantity": total,
        "submittedCount": len(quantities),
    }


def _date(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise bad_argument(f"{text!r} is not a date.", "usageStartDate") from exc
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
