"""One itemised invoice: printed, kept as a web page and a PDF, and one line followed to its events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from sandbox.demo.deals import CENT
from sandbox.demo.seller import Seller

_ROW = "{:<52}{:>12}{:>16}{:>14}"


@dataclass(frozen=True, slots=True)
class ShownInvoice:
    """The draft of a customer's invoice.

    Attributes:
        document: as the API answers it.
        explained: the description of its first line of usage.
        events: ids of usage events that this line comes from.
        expected: the customer's charge, worked out without Meterbridge.
        files: where the document was written to.
    """

    document: Mapping[str, Any]
    explained: str
    events: tuple[str, ...]
    expected: Decimal
    files: tuple[Path, ...]

    @property
    def right(self) -> bool:
        """Whether it comes to the charge, to the cent, and its lines to its total."""
        total = Decimal(self.document["total"])
        lines = sum((Decimal(line["amount"]) for line in self.document["lines"]), Decimal(0))
        return (
            total == self.expected.quantize(CENT, rounding=ROUND_HALF_UP)
            and total == lines
            and bool(self.events)
        )

    def table(self) -> str:
        """For a person."""
        found = self.document
        period = f"{found['period_start'][:10]} to {found['period_end'][:10]}"
        rows = [
            f"Invoice ({found['state']}) for {found['buyer']['name']}: {found['plan_name']}, {period}",
            _ROW.format("", "quantity", "unit price", "USD"),
            "-" * 94,
            *map(_line, found["lines"]),
            "-" * 94,
            _ROW.format("total", "", "", found["total"]),
        ]
        for line in found["marketplace"]:
            counted = f"{line['quantity']} at {line['unit_price']}"
            what = f"{found['channel']} says: {line['dimension']}, {line['records']} records"
            rows.append(_ROW.format(what, "", counted, line["amount"]))
            differences = ", ".join(
                f"{why} {amount}" for why, amount in line["differences"].items()
            )
            rows.append(_ROW.format(f"  the rest is {differences}", "", "", line["difference"]))
        shown = ", ".join(self.events[:3])
        rows += ["", f"“{self.explained}” comes from usage events such as {shown}"]
        rows += [f"written to {file}" for file in self.files]
        return "\n".join(rows)


def show_invoice(
    seller: Seller, agreement_id: str, expected: Decimal, folder: Path
) -> ShownInvoice:
    """Read the draft of an agreement's invoice, keep it as files, and ask where it comes from."""
    listed = seller.call("GET", f"/v1/agreements/{agreement_id}/invoices")
    draft = listed["drafts"][-1]["id"]
    document = seller.call("GET", f"/v1/invoices/{draft}?format=json")
    files = []
    for kind in ("html", "pdf"):
        file = folder / f"demo-invoice.{kind}"
        file.write_bytes(seller.download(f"/v1/invoices/{draft}?format={kind}"))
        files.append(file)
    line = next(line for line in document["lines"] if line["kind"] == "usage")
    explained = seller.call("GET", f"/v1/invoices/{draft}/lines/{line['number']}/explain")
    events = tuple(event["id"] for event in explained["events"])
    return ShownInvoice(document, line["description"], events, expected, tuple(files))


def _line(line: Mapping[str, Any]) -> str:
    price = line["unit_price"] or ""
    if price and line["percent"]:
        price = f"{Decimal(price) * 100:f} %"
    units = line["units"] if line["units"] != "0" else ""
    return _ROW.format(line["description"][:51], units, price, line["amount"])
