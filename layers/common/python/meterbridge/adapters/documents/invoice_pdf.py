"""An invoice as a PDF: A4, heads of tables and page numbers on every page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from reportlab.lib import colors
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    KeepTogether,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)

from meterbridge.adapters.documents.pdf_fonts import BOLD, REGULAR, marked_up, register_fonts
from meterbridge.adapters.documents.printed_document import (
    PrintedDocument,
    PrintedMarketplaceRow,
    printed,
)
from meterbridge.domain.invoicing.billing_documents import BillingDocument

INK = colors.HexColor("#1b2430")
MUTED = colors.HexColor("#51606f")
ACCENT = colors.HexColor("#1f4b7a")
HAIRLINE = colors.HexColor("#dfe4ea")
WARNING = colors.HexColor("#7a3804")
MARGIN = 18 * mm
WIDTH = A4[0] - 2 * MARGIN
_LINE_WIDTHS = (9 * mm, WIDTH - (9 + 28 + 28 + 30) * mm, 28 * mm, 28 * mm, 30 * mm)
_BILL_WIDTHS = (WIDTH - (26 + 22 + 26 + 26 + 24) * mm, 26 * mm, 22 * mm, 26 * mm, 26 * mm, 24 * mm)
_TEXT = ParagraphStyle(
    "text", fontName=REGULAR, fontSize=9, leading=12, textColor=INK, splitLongWords=True
)
_MUTED = ParagraphStyle("muted", parent=_TEXT, textColor=MUTED)
_SMALL = ParagraphStyle("small", parent=_MUTED, fontSize=7.5, leading=10)
_FIGURE = ParagraphStyle("figure", parent=_TEXT, alignment=TA_RIGHT)
_FIGURE_HEAD = ParagraphStyle("figure-head", parent=_MUTED, alignment=TA_RIGHT, fontSize=8)
_HEAD = ParagraphStyle("head", parent=_MUTED, fontSize=8)
_LABEL = ParagraphStyle("label", parent=_MUTED, fontSize=8, leading=11)
_SECTION = ParagraphStyle("section", parent=_TEXT, textColor=ACCENT, fontName=BOLD)
_NAME = ParagraphStyle("name", parent=_TEXT, fontName=BOLD, fontSize=13, leading=17)
_TITLE = ParagraphStyle("title", parent=_NAME, fontSize=22, leading=27, alignment=TA_RIGHT)
_NUMBER = ParagraphStyle(
    "number", parent=_TEXT, fontSize=12, leading=16, alignment=TA_RIGHT, textColor=ACCENT
)
_TOTAL = ParagraphStyle("total", parent=_TEXT, fontName=BOLD, fontSize=12, leading=16)
_TOTAL_FIGURE = ParagraphStyle("total-figure", parent=_TOTAL, alignment=TA_RIGHT)
_NOTICE = ParagraphStyle("notice", parent=_TEXT, textColor=WARNING, fontName=BOLD)


def invoice_pdf(document: BillingDocument) -> bytes:
    """The file. The same document always gives the same bytes."""
    register_fonts()
    paper = printed(document)
    out = io.BytesIO()
    template = BaseDocTemplate(
        out,
        pagesize=A4,
        title=paper.name,
        author=paper.seller[0] if paper.seller else "",
        subject=paper.statement or paper.name,
        creator="Meterbridge",
        lang="en",
        invariant=1,
    )
    frame = Frame(MARGIN, 20 * mm, WIDTH, A4[1] - 36 * mm, 0, 0, 0, 0)
    template.addPageTemplates([PageTemplate(frames=[frame])])
    footer = " · ".join(part for part in (paper.seller[:1] or ("",)) + (paper.name,) if part)
    template.build(_story(paper), canvasmaker=_numbering(footer))
    return out.getvalue()


def _story(paper: PrintedDocument) -> list[Flowable]:
    story: list[Flowable] = []
    if paper.notice:
        story += [_box(_paragraph(paper.notice, _NOTICE)), Spacer(1, 5 * mm)]
    story += [_header(paper), Spacer(1, 6 * mm), _parties(paper), Spacer(1, 6 * mm)]
    notes: list[Flowable] = [_paragraph(note, _SMALL) for note in paper.notes]
    story += [_lines(paper), Spacer(1, 5 * mm)]
    story.append(KeepTogether([*_sums(paper), Spacer(1, 5 * mm), *notes]))
    if paper.statement:
        story += [Spacer(1, 6 * mm), *_statement(paper)]
    return story


def _header(paper: PrintedDocument) -> Table:
    seller = [
        _paragraph(text, _TEXT if place else _NAME) for place, text in enumerate(paper.seller)
    ]
    title = [_paragraph(paper.title, _TITLE)]
    title += [_paragraph(paper.number, _NUMBER)] if paper.number else []
    return _table(
        [[seller, title]],
        (WIDTH * 0.55, WIDTH * 0.45),
        [("LINEBELOW", (0, 0), (-1, -1), 1.6, ACCENT), ("BOTTOMPADDING", (0, 0), (-1, -1), 10)],
    )


def _parties(paper: PrintedDocument) -> Table:
    buyer = [_paragraph("BILLED TO", _LABEL)]
    buyer += [_paragraph(text, _TEXT, bold=place == 0) for place, text in enumerate(paper.buyer)]
    details = _table(
        [[_paragraph(label, _MUTED), _paragraph(text, _TEXT)] for label, text in paper.details],
        (30 * mm, WIDTH * 0.56 - 30 * mm),
        [("TOPPADDING", (0, 0), (-1, -1), 0.5), ("BOTTOMPADDING", (0, 0), (-1, -1), 0.5)],
    )
    return _table([[buyer, details]], (WIDTH * 0.44, WIDTH * 0.56), [])


def _lines(paper: PrintedDocument) -> Table:
    heads = ("No.", "Description", "Quantity", "Unit price", f"Amount in {paper.currency}")
    rows: list[list[Any]] = [
        [_paragraph(head, _FIGURE_HEAD if place > 1 else _HEAD) for place, head in enumerate(heads)]
    ]
    # A rule for each row would make long tables slow: they are gone through at every page.
    style: list[tuple[Any, ...]] = [
        ("LINEBELOW", (0, 1), (-1, -1), 0.5, HAIRLINE),
        ("LINEBELOW", (0, 0), (-1, 0), 1, ACCENT),
        ("FONT", (0, 1), (-1, -1), REGULAR, 9, 12),
        ("TEXTCOLOR", (0, 1), (0, -1), MUTED),
        ("TEXTCOLOR", (1, 1), (-1, -1), INK),
        ("ALIGN", (2, 1), (-1, -1), "RIGHT"),
    ]
    for section in paper.sections:
        at = len(rows)
        rows.append([_paragraph(section.heading, _SECTION), "", "", "", ""])
        # A heading stays with its first line.
        style += [("SPAN", (0, at), (-1, at)), ("NOSPLIT", (0, at), (-1, at + 1))]
        style += [("TOPPADDING", (0, at), (-1, at), 7)]
        for row in section.rows:
            text: list[Flowable] = [_paragraph(row.description, _TEXT)]
            text += [_paragraph(row.remark, _SMALL)] if row.remark else []
            figures = (row.quantity, row.unit_price, row.amount)
            rows.append([row.number, text, *(_figure(figure) for figure in figures)])
    return _table(rows, _LINE_WIDTHS, style, repeat=1, padding=2.4)


def _sums(paper: PrintedDocument) -> list[Flowable]:
    totals: list[list[Any]] = [
        [_paragraph(label, _TEXT), _paragraph(amount, _FIGURE)]
        for label, amount in paper.totals[:-1]
    ]
    label, amount = paper.totals[-1]
    totals.append(
        [_paragraph(label, _TOTAL), _paragraph(f"{paper.currency} {amount}", _TOTAL_FIGURE)]
    )
    right = _table(
        totals,
        (58 * mm, 36 * mm),
        [("LINEABOVE", (0, -1), (-1, -1), 1.6, ACCENT), ("TOPPADDING", (0, -1), (-1, -1), 5)],
        padding=2,
    )
    left: Any = ""
    if paper.shares:
        left = _table(
            [[_paragraph(who, _MUTED), _paragraph(share, _FIGURE)] for who, share in paper.shares],
            (46 * mm, 26 * mm),
            [],
            padding=2,
        )
    style = [("VALIGN", (0, 0), (-1, -1), "BOTTOM")]
    return [_table([[left, right]], (WIDTH - 94 * mm, 94 * mm), style)]


def _statement(paper: PrintedDocument) -> list[Flowable]:
    heads = (
        "Dimension",
        "Accepted quantity",
        "Unit price",
        "Marketplace bills",
        "Charged here",
        "Difference",
    )
    rows: list[list[Any]] = [
        [_paragraph(head, _FIGURE_HEAD if place else _HEAD) for place, head in enumerate(heads)]
    ]
    style: list[tuple[Any, ...]] = [("LINEBELOW", (0, 0), (-1, 0), 1, ACCENT)]
    for row in paper.marketplace_rows:
        at = len(rows)
        rows += _marketplace_rows(row)
        last = len(rows) - 1
        style.append(("LINEBELOW", (0, last), (-1, last), 0.5, HAIRLINE))
        if last > at:
            style += [("SPAN", (0, last), (-1, last)), ("NOSPLIT", (0, at), (-1, last))]
            style += [("TOPPADDING", (0, last), (-1, last), 0)]
    heading = [
        _paragraph(paper.marketplace, _SECTION),
        _paragraph(paper.statement, _TEXT),
        Spacer(1, 2 * mm),
    ]
    table = _table(rows, _BILL_WIDTHS, style, repeat=1, padding=3)
    # Together on one page where they fit; a long table takes the heading along and goes on.
    return [KeepTogether([*heading, table])] if len(rows) < _FEW else [*heading, table]


_FEW = 12
_LONGEST = 14


def _marketplace_rows(row: PrintedMarketplaceRow) -> list[list[Any]]:
    """The figures, and under them what explains the difference."""
    figures = (row.quantity, row.unit_price, row.amount, row.expected, row.difference)
    shown: list[list[Any]] = [
        [_paragraph(row.dimension, _TEXT), *(_paragraph(figure, _FIGURE) for figure in figures)]
    ]
    if row.causes:
        causes: list[Any] = [_paragraph(cause, _SMALL) for cause in row.causes]
        shown.append([causes, "", "", "", "", ""])
    return shown


def _figure(text: str) -> str | Paragraph:
    """A figure as it is, which is fast; a long one is broken into lines."""
    return text if len(text) <= _LONGEST else _paragraph(text, _FIGURE)


def _paragraph(text: str, style: ParagraphStyle, *, bold: bool = False) -> Paragraph:
    return Paragraph(marked_up(text, bold=bold), style)


def _box(content: Flowable) -> Table:
    style = [("BOX", (0, 0), (-1, -1), 0.8, WARNING)]
    return _table([[content]], (WIDTH,), style, padding=6)


def _table(
    rows: list[list[Any]],
    widths: Sequence[float],
    style: Sequence[tuple[Any, ...]],
    *,
    repeat: int = 0,
    padding: float = 0,
) -> Table:
    base: list[tuple[Any, ...]] = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), padding),
        ("RIGHTPADDING", (0, 0), (-1, -1), padding),
        ("TOPPADDING", (0, 0), (-1, -1), padding),
        ("BOTTOMPADDING", (0, 0), (-1, -1), padding),
    ]
    table = Table(rows, colWidths=list(widths), repeatRows=repeat)
    table.setStyle(TableStyle([*base, *style]))
    return table


def _numbering(footer: str) -> type[Canvas]:
    """A canvas that knows at the end how many pages there are, and writes it on each."""

    class NumberedCanvas(Canvas):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._pages: list[dict[str, Any]] = []

        def showPage(self) -> None:  # noqa: N802
            self._pages.append(dict(self.__dict__))
            self._startPage()  # type: ignore[attr-defined]

        def save(self) -> None:
            for number, page in enumerate(self._pages, start=1):
                self.__dict__.update(page)
                self._write_footer(number, len(self._pages))
                super().showPage()
            super().save()

        def _write_footer(self, number: int, count: int) -> None:
            left = Paragraph(marked_up(footer), _SMALL)
            left.wrap(WIDTH - 30 * mm, 10 * mm)
            left.drawOn(self, MARGIN, 10 * mm)
            self.setFont(REGULAR, 7.5)
            self.setFillColor(MUTED)
            self.drawRightString(A4[0] - MARGIN, 10 * mm + 2, f"Page {number} of {count}")

    return NumberedCanvas
