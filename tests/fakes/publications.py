"""Publications in memory, and a marketplace's catalog that does what it is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from threading import RLock

from fakes.registry import FakeRegistry
from meterbridge.application.publication_ports import LineHead, Progress, ProgressState
from meterbridge.application.registry_admin import AlreadyExistsError, Answer
from meterbridge.domain.errors import NotFoundError, StaleVersionError
from meterbridge.domain.publishing.publication import Publication, PublicationLine


class FakePublicationStore:
    """Every method is atomic.

    Args:
        shelves: where answers are kept.
    """

    def __init__(self, shelves: FakeRegistry | None = None) -> None:
        self._shelves = shelves or FakeRegistry()
        self._lock = RLock()
        self._found: dict[str, Publication] = {}
        self._heads: dict[PublicationLine, LineHead] = {}

    def publication(self, publication_id: str) -> Publication:
        with self._lock:
            if publication_id not in self._found:
                raise NotFoundError(publication_id)
            return self._found[publication_id]

    def publications(self, offering_id: str, after: str, limit: int) -> list[Publication]:
        with self._lock:
            found = [each for _, each in sorted(self._found.items()) if each.id > after]
            return [each for each in found if each.offering_id == offering_id][:limit]

    def head(self, line: PublicationLine) -> LineHead:
        return self._heads.get(line, LineHead())

    def add(self, publication: Publication, answer: Answer | None = None) -> None:
        with self._lock, self._shelves.answering(answer):
            if publication.id in self._found:
                raise AlreadyExistsError(publication.id)
            self._found[publication.id] = publication

    def save(
        self, publication: Publication, head: LineHead | None = None, answer: Answer | None = None
    ) -> None:
        with self._lock, self._shelves.answering(answer):
            if self.publication(publication.id).version != publication.version - 1:
                raise StaleVersionError(publication.id)
            if head is not None and self.head(publication.line).version != head.version - 1:
                raise StaleVersionError("head")
            self._found[publication.id] = publication
            if head is not None:
                self._heads[publication.line] = head


@dataclass
class FakeCatalog:
    """A marketplace that carries out what it is sent, each publication once.

    Attributes:
        failures: raised by the next calls of start, before anything is done.
        lost: how many of the next calls of start are carried out and then not answered.
        now: what progress tells, or raises.
    """

    poll_interval: timedelta = timedelta(0)
    failures: list[Exception] = field(default_factory=list)
    lost: list[Exception] = field(default_factory=list)
    now: Progress | Exception = field(default_factory=lambda: Progress(ProgressState.RUNNING))
    started: dict[str, str] = field(default_factory=dict)
    calls: int = 0
    asked: int = 0

    def start(self, publication: Publication) -> str:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        reference = self.started.setdefault(publication.id, f"job-{len(self.started) + 1}")
        if self.lost:
            raise self.lost.pop(0)
        return reference

    def progress(self, reference: str) -> Progress:
        self.asked += 1
        if reference not in self.started.values():
            raise AssertionError(f"nothing was started as {reference}")
        if isinstance(self.now, Exception):
            raise self.now
        return self.now
