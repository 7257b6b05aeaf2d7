"""Whether a marketplace answers and lets us in, product by product, as far as one run knows.

What was sent without an answer may be booked. Past its deadline such a record is a person's matter,
while one that was never sent bills itself again. So what is in doubt already is sent first, and what
was never sent follows only when something was answered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from meterbridge.application.ports import ReportResult
from meterbridge.domain.errors import ProductRefusedError
from meterbridge.domain.metering_record import MeteringRecord, RecordKey, ReportOutcome
from meterbridge.domain.reporting import in_doubt

_UNANSWERED_IN_A_ROW = 3
"""One call without an answer happens; so many without a good one in between are an outage."""


class Contact:
    """The marketplace's answers so far.

    Attributes:
        refusals: why it lets us report nothing of a product, or not everything.
    """

    def __init__(self) -> None:
        """Nothing was asked yet."""
        self._doubted: set[str] = set()
        self._tried: set[str] = set()
        self._answered: set[str] = set()
        self._unanswered: Counter[str] = Counter()
        self._closed: set[str] = set()
        self._unauthorized: set[RecordKey] = set()
        self.refusals: dict[str, str] = {}

    def refused(self, product_id: str, error: ProductRefusedError) -> None:
        """It takes no call of ours for a product: none is made any more."""
        self._closed.add(product_id)
        self.refusals[product_id] = str(error)

    def unauthorized(self, record: MeteringRecord, reason: str) -> None:
        """It does not let us report this record: it is not tried again in this run."""
        self._unauthorized.add(record.key)
        self.refusals.setdefault(record.product_id, f"{record.key}: {reason}")

    def is_open(self, record: MeteringRecord) -> bool:
        """Whether we are let report a record."""
        return record.product_id not in self._closed and record.key not in self._unauthorized

    def given_up(self, records: Iterable[MeteringRecord]) -> None:
        """Records that were closed at their deadline: nobody has answered for those in doubt."""
        self._doubted.update(record.product_id for record in records if in_doubt(record))

    def first(self, records: Sequence[MeteringRecord]) -> list[MeteringRecord]:
        """What is sent before anything else.

        Where the last ones in doubt were given up, it is the one record that can wait longest.
        """
        doubtful = [record for record in records if in_doubt(record)]
        waited_for = {record.product_id for record in doubtful} | self._answered
        scouts: dict[str, MeteringRecord] = {}
        for record in records:
            product_id = record.product_id
            if product_id in self._doubted - waited_for:
                known = scouts.setdefault(product_id, record)
                scouts[product_id] = max(known, record, key=lambda each: each.deadline)
        return [*doubtful, *scouts.values()]

    def heard(self, product_id: str, results: Iterable[ReportResult], *, first: bool) -> None:
        """A call was made; it was answered unless nothing is known of any of its records."""
        if all(each.outcome is ReportOutcome.RETRY and each.reached for each in results):
            self._unanswered[product_id] += 1
        else:
            self._unanswered[product_id] = 0
            self._answered.add(product_id)
        if first:
            self._tried.add(product_id)

    def is_silent(self, product_id: str) -> bool:
        """Whether what was never sent had better wait."""
        in_vain = product_id in self._tried and product_id not in self._answered
        return in_vain or self._unanswered[product_id] >= _UNANSWERED_IN_A_ROW
