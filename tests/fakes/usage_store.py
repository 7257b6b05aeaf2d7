"""An in-memory usage store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from threading import RLock

from meterbridge.domain.errors import StaleVersionError
from meterbridge.domain.usage import FoldHead, HourlyUsage
from meterbridge.domain.usage_log import Partition


class FakeUsageStore:
    """Rows, heads and cursors in dicts. Rows are stored one by one, as the real store does."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._rows: dict[tuple[str, str, datetime], HourlyUsage] = {}
        self._heads: dict[Partition, FoldHead] = {}
        self._cursors: dict[str, str] = {}

    def head(self, partition: Partition) -> FoldHead | None:
        with self._lock:
            return self._heads.get(partition)

    def heads(self, start: datetime, end: datetime) -> Iterator[FoldHead]:
        with self._lock:
            found = [head for key, head in self._heads.items() if start <= key.hour < end]
        return iter(sorted(found, key=lambda head: head.partition))

    def advance(self, head: FoldHead, rows: Iterable[HourlyUsage]) -> None:
        for row in rows:
            self._put_row(row)
        with self._lock:
            known = self._heads.get(head.partition)
            if known is not None and not head.position.covers(known.position):
                raise StaleVersionError(str(head.partition))
            self._heads[head.partition] = head

    def _put_row(self, row: HourlyUsage) -> None:
        key = (row.product_id, row.subject, row.hour)
        with self._lock:
            known = self._rows.get(key)
            if known is not None and not row.position.covers(known.position):
                raise StaleVersionError(f"{key}")
            self._rows[key] = row

    def hourly(
        self, product_id: str, subject: str, start: datetime, end: datetime
    ) -> list[HourlyUsage]:
        with self._lock:
            found = [
                row
                for (product, customer, hour), row in self._rows.items()
                if product == product_id and customer == subject and start <= hour < end
            ]
        return sorted(found, key=lambda row: row.hour)

    def cursor(self, name: str) -> str:
        with self._lock:
            return self._cursors.get(name, "")

    def set_cursor(self, name: str, value: str, expected: str) -> None:
        with self._lock:
            if self._cursors.get(name, "") != expected:
                raise StaleVersionError(name)
            self._cursors[name] = value
