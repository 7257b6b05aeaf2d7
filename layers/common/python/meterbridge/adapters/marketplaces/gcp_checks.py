"""services.check before a report: which operations may go out now (contracts.md §3.1.3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from meterbridge.adapters.marketplaces.calls import Part, Verdict, answered_alike
from meterbridge.adapters.marketplaces.gcp_client import ServiceControl
from meterbridge.adapters.marketplaces.gcp_outcomes import verdict_of_check
from meterbridge.adapters.marketplaces.gcp_wire import check_body
from meterbridge.application.ports import Clock, ReportResult, Submission
from meterbridge.domain.errors import MarketplaceError, StoreUnavailableError
from meterbridge.domain.metering_record import RecordKey, ReportOutcome

_KEPT = timedelta(seconds=60)
"""How long a go holds; changes take that long to reach check anyway."""

_KEPT_IN_TROUBLE = timedelta(hours=1)
"""How long it holds while check itself is in trouble: "much longer", Google says."""

_Consumer = tuple[str, str]


class Agreements(Protocol):
    """What is known of the buyers here."""

    def has_ended(self, agreement_id: str) -> bool:
        """Whether only an agreement's last usage is left; raises StoreUnavailableError."""


class ConsumerChecks:
    """Asks for each consumer before its operations are reported.

    A service that went off is off for usage from then on: a refusal holds for operations that start
    at that moment or later, a go for those that start then or earlier.
    """

    def __init__(
        self, service_control: ServiceControl, agreements: Agreements, clock: Clock
    ) -> None:
        """Nothing is asked yet."""
        self._service_control = service_control
        self._agreements = agreements
        self._clock = clock
        self._passed: dict[_Consumer, tuple[datetime, str]] = {}

    def split(self, submissions: Part) -> tuple[list[Submission], list[ReportResult]]:
        """What may be reported, and the results of what may not.

        Raises:
            MarketplaceError: nobody could be asked.
        """
        refused: dict[RecordKey, Verdict] = {}
        trouble: Verdict | None = None
        for (consumer, agreement_id), own in _by_consumer(submissions).items():
            newest = max(each.entry["startTime"] for each in own)
            if self._has_passed(consumer, newest, _KEPT) or self._has_ended(agreement_id):
                continue
            refusals, trouble = self._judge(consumer, own, trouble)
            refused |= refusals
        passed = [each for each in submissions if each.key not in refused]
        results = [
            result
            for each in submissions
            if each.key in refused
            for result in answered_alike([each], refused[each.key])
        ]
        return passed, results

    def _judge(
        self, consumer: _Consumer, own: Part, trouble: Verdict | None
    ) -> tuple[dict[RecordKey, Verdict], Verdict | None]:
        """One consumer's refusals, newest usage first.

        Args:
            trouble: why check cannot be asked, once that was found out.
        """
        refused: dict[RecordKey, Verdict] = {}
        starts = sorted({each.entry["startTime"] for each in own}, reverse=True)
        for start in starts:
            asked = next(each for each in own if each.entry["startTime"] == start)
            verdict, fails = (trouble, True) if trouble else self._ask(consumer, asked)
            if verdict is None:
                break
            if verdict.outcome is ReportOutcome.NOT_ENTITLED:
                # Says nothing of usage from before the service went off.
                refused |= {e.key: verdict for e in own if e.entry["startTime"] == start}
                continue
            in_trouble = verdict.outcome is ReportOutcome.RETRY
            trouble = verdict if in_trouble and fails else trouble
            refused |= {
                each.key: verdict
                for each in own
                if (begins := each.entry["startTime"]) <= start
                and not (in_trouble and self._has_passed(consumer, begins, _KEPT_IN_TROUBLE))
            }
            break
        return refused, trouble

    def _ask(self, consumer: _Consumer, submission: Submission) -> tuple[Verdict | None, bool]:
        """Why an operation may not go out, if so; and whether it was check itself that failed."""
        service, _ = consumer
        answer = self._service_control.call(service, "check", check_body(submission.entry))
        if isinstance(answer, Verdict):
            # Nothing was reported, whatever became of this call.
            return replace(answer, reached=False), True
        errors = answer.get("checkErrors", [])
        named = [each for each in errors if isinstance(each, dict)]
        if named:
            return verdict_of_check(named), False
        self._remember(consumer, submission.entry["startTime"])
        return None, False

    def _remember(self, consumer: _Consumer, start: str) -> None:
        self._passed[consumer] = self._clock.now(), start

    def _has_passed(self, consumer: _Consumer, start: str, kept: timedelta) -> bool:
        passed_at, through = self._passed.get(consumer, (None, ""))
        return passed_at is not None and start <= through and self._clock.now() - passed_at < kept

    def _has_ended(self, agreement_id: str) -> bool:
        """After a cancellation check may refuse what report still takes (contracts.md §3.1.5)."""
        try:
            return self._agreements.has_ended(agreement_id)
        except StoreUnavailableError as exc:
            raise MarketplaceError(f"agreement {agreement_id} cannot be read: {exc}") from exc


def _by_consumer(
    submissions: Iterable[Submission],
) -> dict[tuple[_Consumer, str], list[Submission]]:
    found: dict[tuple[_Consumer, str], list[Submission]] = {}
    for submission in submissions:
        consumer = submission.entry["serviceName"], submission.entry["consumerId"]
        found.setdefault((consumer, submission.key.agreement_id), []).append(submission)
    return found
