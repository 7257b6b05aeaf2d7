"""One line of the benchmark table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """A measured value against a yardstick taken in the same run.

    Attributes:
        name: what was measured.
        value: of ours.
        yardstick: of what it is compared with.
        ratio: value ÷ yardstick.
        target: what the ratio has to be, as "<= 4" or ">= 1.5".
        unit: of value and yardstick.
        note: how it was measured, and what else is worth knowing.
    """

    name: str
    value: float
    yardstick: float
    ratio: float
    target: str
    unit: str
    note: str = ""

    @property
    def reached(self) -> bool:
        """Whether the ratio is what it has to be."""
        sign, limit = self.target.split()
        return self.ratio <= float(limit) if sign == "<=" else self.ratio >= float(limit)
