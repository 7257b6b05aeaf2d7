"""Says what is going on while something takes long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[str], None]

_SECONDS_BETWEEN_LINES = 10


@contextmanager
def progress(what: str, report: Report) -> Iterator[None]:
    """Report `what` at once, every ten seconds while it lasts, and how long it took."""
    started = time.monotonic()
    finished = threading.Event()

    def keep_reporting() -> None:
        while not finished.wait(_SECONDS_BETWEEN_LINES):
            report(f"{what} … {time.monotonic() - started:.0f} s")

    reporter = threading.Thread(target=keep_reporting, daemon=True)
    report(f"{what} …")
    reporter.start()
    try:
        yield
        report(f"{what}: done in {time.monotonic() - started:.1f} s")
    finally:
        finished.set()
        reporter.join()
