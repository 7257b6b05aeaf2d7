"""An invoice as one web page: nothing is loaded, nothing runs, and it prints as a document."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from meterbridge.adapters.documents.invoice_style import STYLE
from meterbridge.adapters.documents.printed_document import (
    PrintedDocument,
    PrintedMarketplaceRow,
    PrintedRow,
    PrintedSection,
    printed,
)
from meterbridge.domain.invoicing.billing_documents import BillingDocument

CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Of the answer that carries the page, and of the page itself."""


def invoice_html(document: BillingDocument) -> str:
    """A whole page, with everything from outside escaped."""
    paper = printed(document)
    body = "".join(_body(paper))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{CONTENT_SECURITY_POLICY}">'
        f"<title>{_text(paper.name)}</title><style>{STYLE}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def _body(paper: PrintedDocument) -> Iterable[str]:
    if paper.notice:
        yield f'<p class="notice" role="note">{_text(paper.notice)}</p>'
    yield "<header><div>"
    yield _lines(paper.seller, "seller", "Seller")
    yield f'</div><div class="title"><h1>{_text(paper.title)}</h1>'
    yield f'<p class="number">{_text(paper.number)}</p></div></header>'
    yield '<section class="parties"><div><h2>Billed to</h2>'
    yield _lines(paper.buyer, "buyer", "Buyer")
    yield '</div><dl class="details">'
    for label, text in paper.details:
        yield f"<div><dt>{_text(label)}</dt><dd><bdi>{_text(text)}</bdi></dd></div>"
    yield "</dl></section>"
    yield _table(paper)
    yield '<section class="sums"><table class="totals"><caption>Total</caption><tbody>'
    for place, (label, amount) in enumerate(paper.totals, start=1):
        last = ' class="total"' if place == len(paper.totals) else ""
        shown = f"{_text(paper.currency)} {_text(amount)}" if last else _text(amount)
        yield f'<tr{last}><th scope="row">{_text(label)}</th><td>{shown}</td></tr>'
    yield "</tbody></table>"
    if paper.shares:
        yield '<table class="totals shares"><caption>Who bills it</caption><tbody>'
        for label, amount in paper.shares:
            yield f'<tr><th scope="row">{_text(label)}</th><td>{_text(amount)}</td></tr>'
        yield "</tbody></table>"
    yield "</section>"
    yield '<div class="notes">'
    yield "".join(f"<p>{_text(note)}</p>" for note in paper.notes)
    yield "</div>"
    if paper.statement:
        yield _statement(paper)


def _table(paper: PrintedDocument) -> str:
    head = (
        '<thead><tr><th scope="col" class="no">No.</th><th scope="col">Description</th>'
        '<th scope="col" class="figure">Quantity</th>'
        '<th scope="col" class="figure">Unit price</th>'
        f'<th scope="col" class="figure">Amount in {_text(paper.currency)}</th></tr></thead>'
    )
    sections = "".join(_section(section) for section in paper.sections)
    return f'<table class="lines"><caption>Lines</caption>{head}{sections}</table>'


def _section(section: PrintedSection) -> str:
    heading = (
        f'<tr class="section"><th colspan="5" scope="rowgroup">{_text(section.heading)}</th></tr>'
    )
    return f"<tbody>{heading}{''.join(_row(row) for row in section.rows)}</tbody>"


def _row(row: PrintedRow) -> str:
    remark = f'<br><span class="remark">{_text(row.remark)}</span>' if row.remark else ""
    return (
        f'<tr><td class="no">{_text(row.number)}</td>'
        f"<td><bdi>{_text(row.description)}</bdi>{remark}</td>"
        f'<td class="figure">{_text(row.quantity)}</td>'
        f'<td class="figure">{_text(row.unit_price)}</td>'
        f'<td class="figure">{_text(row.amount)}</td></tr>'
    )


def _statement(paper: PrintedDocument) -> str:
    rows = "".join(_marketplace_row(row) for row in paper.marketplace_rows)
    return (
        f'<section class="statement"><h2>{_text(paper.marketplace)}</h2>'
        f"<p>{_text(paper.statement)}</p>"
        '<div class="wide" role="region" aria-label="What the marketplace bills" tabindex="0">'
        '<table class="lines"><caption>What the marketplace bills</caption><thead><tr>'
        '<th scope="col">Dimension</th><th scope="col" class="figure">Accepted quantity</th>'
        '<th scope="col" class="figure">Unit price</th>'
        '<th scope="col" class="figure">Marketplace bills</th>'
        '<th scope="col" class="figure">Charged here</th>'
        '<th scope="col" class="figure">Difference</th></tr></thead>'
        f"{rows}</table></div></section>"
    )


def _marketplace_row(row: PrintedMarketplaceRow) -> str:
    figures = (row.quantity, row.unit_price, row.amount, row.expected, row.difference)
    cells = "".join(f'<td class="figure">{_text(figure)}</td>' for figure in figures)
    first = (
        f'<tr class="dimension"><th scope="row"><bdi>{_text(row.dimension)}</bdi></th>{cells}</tr>'
    )
    causes = "<br>".join(_text(cause) for cause in row.causes)
    second = f'<tr class="causes"><td colspan="6">{causes}</td></tr>'
    return f"<tbody>{first}{second if causes else ''}</tbody>"


def _lines(texts: tuple[str, ...], kind: str, label: str) -> str:
    if not texts:
        return ""
    first, *rest = texts
    more = "".join(f"<br><bdi>{_text(text)}</bdi>" for text in rest)
    return f'<address class="{kind}" aria-label="{label}"><strong><bdi>{_text(first)}</bdi></strong>{more}</address>'


def _text(text: str) -> str:
    return escape(text, quote=True)
