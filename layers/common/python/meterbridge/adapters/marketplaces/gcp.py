"""Google Cloud Marketplace: metering records through Service Control (contracts.md §3.1).

Google adds up what is reported. Only an operation with a known operationId is not added again, and
no page promises even that; so the id is derived from the record, and an unknown outcome is only ever
resent identical. Windows are the hours themselves: an agreement that reports zeros too has windows
that follow each other without a gap, as Google asks.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from threading import BoundedSemaphore
from typing import Any, Protocol

from meterbridge.adapters.marketplaces.calls import (
    Part,
    Verdict,
    answered_alike,
    submit_in_parts,
    whole_second,
)
from meterbridge.adapters.marketplaces.gcp_checks import Agreements, ConsumerChecks
from meterbridge.adapters.marketplaces.gcp_client import ServiceControl
from meterbridge.adapters.marketplaces.gcp_outcomes import (
    UNATTRIBUTED,
    UNREADABLE,
    verdict_of_operation,
)
from meterbridge.adapters.marketplaces.gcp_wire import calls_of, report_body
from meterbridge.application.ports import Clock, ReportResult, Submission
from meterbridge.domain.errors import InvariantError
from meterbridge.domain.metering_record import MeteringRecord, ReportOutcome
from meterbridge.domain.money import plain
from meterbridge.domain.offerings import Channel, QuantityKind

MAX_OPERATIONS = 200

_OPERATIONS = uuid.UUID("6f4f3a5e-3a9b-5d0c-9c43-0a2f1d7be6c1")
_INTEGER = re.compile(r"0|[1-9][0-9]{0,18}")
_MAX_INTEGER = 2**63 - 1
_DECIMAL = re.compile(r"(0|[1-9][0-9]*)(\.[0-9]{1,6})?")
_MAX_DIGITS = 15
"""What every double keeps."""

_LONGEST_LABEL = 63

_TURNS = 5
"""Batches that may ask at once. A batch makes a call for each buyer: were all asking, all would then
write their records at the same time, and nobody would use the pace meanwhile."""


class Listings(Agreements, Protocol):
    """What is known of products and buyers here."""

    def service_of(self, product_id: str) -> str:
        """A product's service name; raises InvariantError, StoreUnavailableError."""


class GcpMarketplace:
    """The Marketplace port for Google Cloud."""

    channel = Channel.GCP

    def __init__(
        self,
        service_control: ServiceControl,
        listings: Listings,
        clock: Clock,
        *,
        label_agreements: bool = False,
    ) -> None:
        """Report through Service Control.

        Args:
            service_control: the two calls.
            listings: products' services, and which agreements are over.
            clock: how old a check is.
            label_agreements: tell the buyer's billing export the agreement's id; Google must have
                approved the service for user labels.
        """
        self._service_control = service_control
        self._listings = listings
        self._checks = ConsumerChecks(service_control, listings, clock)
        self._label_agreements = label_agreements
        self._turns = BoundedSemaphore(_TURNS)

    def build(self, record: MeteringRecord) -> Submission:
        """An operation.

        Raises:
            InvariantError: a quantity, a buyer or a product that Google cannot take.
            StoreUnavailableError: the product cannot be read now.
        """
        consumer = record.buyer.get("usage_reporting_id", "")
        if not consumer:
            raise InvariantError(f"{record.key}: no usageReportingId of the buyer")
        if record.covered_until <= record.reported_hour_start:
            raise InvariantError(f"{record.key}: covers no time")
        service = self._listings.service_of(record.product_id)
        entry = {
            "serviceName": service,
            "operationId": _operation_id(record, consumer),
            "consumerId": consumer,
            "startTime": whole_second(record.reported_hour_start),
            "endTime": _second(record.covered_until),
            "metricName": f"{service}/{record.key.dimension}",
            **_value(record),
        }
        if self._label_agreements:
            entry["resourceName"] = record.key.agreement_id[:_LONGEST_LABEL]
        return Submission(key=record.key, product_id=record.product_id, entry=entry)

    def submit(self, submissions: Sequence[Submission]) -> list[ReportResult]:
        """Check the consumers, then report; each operation is judged alone.

        Raises:
            MarketplaceError: Google could not be asked and nothing was booked.
            InvariantError: a batch that Google would not take.
        """
        if not submissions:
            return []
        if len(submissions) > MAX_OPERATIONS:
            raise InvariantError(f"{len(submissions)} operations in one batch")
        if len({submission.product_id for submission in submissions}) > 1:
            raise InvariantError("a batch holds records of one product")
        with self._turns:
            passed, refused = self._checks.split(submissions)
            return refused + submit_in_parts(calls_of(passed), self._report)

    def _report(self, part: Part) -> Verdict | list[ReportResult]:
        """One call: the results, or what its failure means."""
        service = part[0].entry["serviceName"]
        answer = self._service_control.call(service, "report", report_body(part))
        if isinstance(answer, Verdict):
            return answer
        errors = answer.get("reportErrors", [])
        if not isinstance(errors, list) or not all(isinstance(each, dict) for each in errors):
            return UNREADABLE
        verdicts = {str(each.get("operationId")): _verdict(each) for each in errors}
        throttled = next((each for each in verdicts.values() if each.throttled), None)
        if throttled is not None:
            self._service_control.throttled(throttled)
        strangers = verdicts.keys() - {each.entry["operationId"] for each in part}
        return [_result(each, verdicts, in_doubt=bool(strangers)) for each in part]


def _operation_id(record: MeteringRecord, consumer: str) -> str:
    """The same for the same record, for ever; the consumer keeps two deployments' records apart."""
    return str(uuid.uuid5(_OPERATIONS, f"{record.key}/{consumer}"))


def _second(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _value(record: MeteringRecord) -> dict[str, str]:
    """The quantity in the type that the metric has (contracts.md §3.1.2).

    Raises:
        InvariantError: that type cannot hold it.
    """
    quantity = plain(record.quantity)
    if record.quantity_kind is QuantityKind.INTEGER:
        if _INTEGER.fullmatch(quantity) and int(quantity) <= _MAX_INTEGER:
            return {"int64Value": quantity}
    elif _DECIMAL.fullmatch(quantity) and len(quantity.replace(".", "").strip("0")) <= _MAX_DIGITS:
        return {"doubleValue": quantity}
    raise InvariantError(f"{record.key}: Google takes no {record.quantity_kind} of {quantity}")


def _verdict(error: Mapping[str, Any]) -> Verdict:
    status = error.get("status")
    return verdict_of_operation(status if isinstance(status, dict) else {})


def _result(
    submission: Submission, verdicts: Mapping[str, Verdict], *, in_doubt: bool
) -> ReportResult:
    """A 200 names what failed; the rest landed, says Google, so only then is silence success."""
    operation_id = submission.entry["operationId"]
    verdict = verdicts.get(operation_id, UNATTRIBUTED if in_doubt else None)
    if verdict is not None:
        return answered_alike([submission], verdict)[0]
    return ReportResult(
        key=submission.key, outcome=ReportOutcome.ACCEPTED, code="OK", receipt=operation_id
    )
