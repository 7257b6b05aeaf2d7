"""The outcome of the demo: a table for a person, and the same as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sandbox.demo.books import BookLine, totals_by_meter
from sandbox.demo.charges import ChargeBook
from sandbox.demo.clouds import Cloud
from sandbox.demo.invoice import ShownInvoice
from sandbox.demo.seller import DIMENSIONS

_COLUMNS = ("used (CSV)", "metered", "reported", "billed", "carried")


@dataclass(frozen=True, slots=True)
class Traffic:
    """Events, as sent and as the API counted them."""

    sent: int
    accepted: int
    duplicates: int
    expected_duplicates: int
    conflicts: int
    unmatched: int

    @property
    def right(self) -> bool:
        """Whether every event was taken once, and each repeat seen as one."""
        return (
            self.accepted == self.sent
            and self.duplicates == self.expected_duplicates
            and not self.conflicts
            and not self.unmatched
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out, of all clouds.

    Attributes:
        records: how many records each marketplace billed, by channel.
        oddities: what a marketplace billed and should not have.
    """

    clouds: Mapping[str, Cloud]
    lines: Sequence[BookLine]
    traffic: Traffic
    records: Mapping[str, int]
    oddities: Sequence[str]
    seconds: float
    charges: Sequence[ChargeBook] = ()
    invoice: ShownInvoice | None = None

    @property
    def balanced(self) -> bool:
        """Whether every statement adds up."""
        return all(line.balanced for line in (*self.lines, *self.charges))

    @property
    def right(self) -> bool:
        """Whether every quantity of every customer is right on every cloud."""
        billed_on_all = all(self.records.get(channel) for channel in self.clouds)
        lines_right = all(line.right for line in (*self.lines, *self.charges))
        lines_right = lines_right and (self.invoice is None or self.invoice.right)
        return lines_right and self.traffic.right and billed_on_all and not self.oddities

    def table(self) -> str:
        """The books for a person to read: a part for each cloud, then what is carried and why."""
        parts = [_part(cloud, self._of(channel)) for channel, cloud in self.clouds.items()]
        everything = ["All clouds", *_totals(self.lines), ""]
        charged = _charges(self.charges) if self.charges else []
        invoice = [self.invoice.table(), ""] if self.invoice is not None else []
        tables = (line for part in parts for line in part)
        rows = [*tables, *everything, *_legend(), "", *charged, *invoice]
        return "\n".join(rows)

    def to_json(self) -> dict[str, Any]:
        """What `.local/demo.json` holds; quantities are exact decimals in texts."""
        traffic = self.traffic
        totals = totals_by_meter(self.lines)
        return {
            "events": {
                "sent": traffic.sent,
                "accepted": traffic.accepted,
                "duplicates": traffic.duplicates,
            },
            "quantities": {
                meter: {
                    "csv": number(one["csv"]),
                    "metered": number(one["metered"]),
                    "accepted": number(one["billed"]),
                    "carried": number(one["carried"]),
                }
                for meter, one in totals.items()
            },
            "charges": {
                book.customer: {
                    "channel": book.channel,
                    "private": book.deal.private,
                    "expected": number(book.expected),
                    "charged": number(book.charged),
                    "billed": number(book.billed),
                    "carried": number(book.carried),
                }
                for book in self.charges
            },
            "clouds": {channel: self._cloud_to_json(channel) for channel in self.clouds},
            "balanced": self.balanced,
            "right": self.right,
            "seconds": round(self.seconds, 1),
        }

    def _cloud_to_json(self, channel: str) -> dict[str, Any]:
        lines = self._of(channel)
        return {
            "customers": len({line.customer for line in lines}),
            "records_billed": self.records.get(channel, 0),
            "quantities": {
                meter: {name: number(amount) for name, amount in one.items()}
                for meter, one in totals_by_meter(lines).items()
            },
            "balanced": all(line.balanced for line in lines),
            "right": all(line.right for line in lines),
        }

    def _of(self, channel: str) -> list[BookLine]:
        return [line for line in self.lines if line.channel == channel]


def number(amount: Decimal) -> str:
    """Plain digits, no trailing zeros."""
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _part(cloud: Cloud, lines: Sequence[BookLine]) -> list[str]:
    head = f"{'customer':<12} {'meter':<17}" + "".join(f"{name:>13}" for name in _COLUMNS)
    rows = [f"{cloud.title} ({cloud.quantities})", head, "-" * len(head)]
    for line in lines:
        amounts = (line.expected, line.metered, line.reported, line.billed, line.carried)
        mark = "" if line.right else "   ✗"
        rows.append(_row(line.customer, line.dimension.meter, amounts) + mark)
    return [*rows, "-" * len(head), *_totals(lines), ""]


def _charges(books: Sequence[ChargeBook]) -> list[str]:
    """Customers on a plan with terms, in USD."""
    names = ("list charge", "expected", "charged", "billed", "carried")
    head = f"{'customer':<12} {'channel, deal':<17}" + "".join(f"{name:>13}" for name in names)
    rows = ["Plan Pro, in USD (tiers, trial, included requests, monthly fee, credits)", head]
    rows.append("-" * len(head))
    for book in books:
        kind = f"{book.channel}, {'private' if book.deal.private else 'public'}"
        amounts = (book.listed, book.expected, book.charged, book.billed, book.carried)
        mark = "" if book.right else "   ✗"
        rows.append(_row(book.customer, kind, amounts) + mark)
    return [*rows, ""]


def _totals(lines: Sequence[BookLine]) -> list[str]:
    return [_row("total", meter, one.values()) for meter, one in totals_by_meter(lines).items()]


def _row(first: str, meter: str, amounts: Any) -> str:
    return f"{first:<12} {meter:<17}" + "".join(f"{number(amount):>13}" for amount in amounts)


def _legend() -> list[str]:
    """Why something is carried, by dimension."""
    rows = ["used = billed + carried. Carried is less than one unit, and billed once it is whole:"]
    for each in DIMENSIONS:
        unit = f"{each.per_unit:,}" if each.per_unit > 1 else "1"
        if each.kind == "decimal":
            why = f"sold by {unit} with six decimals: nothing is left over"
        elif each.per_unit == 1:
            why = "sold by 1: nothing is left over"
        else:
            why = f"sold by whole {unit}: up to {each.per_unit - 1} of each customer wait"
        rows.append(f"  {each.meter:<17} {why}")
    return rows
