"""The present, from the machine."""

from __future__ import annotations

from datetime import UTC, datetime


class SystemClock:
    """The Clock port; Lambda's machines are kept within milliseconds of UTC."""

    def now(self) -> datetime:
        """Aware UTC."""
        return datetime.now(UTC)
