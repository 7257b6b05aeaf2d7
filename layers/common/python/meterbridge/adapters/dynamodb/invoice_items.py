"""The invoices table: its keys, its one item shape, and how documents become parts of an item.

    pk                  sk                          body
    agreement#<id>      account                     InvoiceAccount; version
    agreement#<id>      document#<own>#<kind>       DocumentSummary; parts; listed_pk, listed_sk by product
    agreement#<id>      part#<own>#<kind>#<number>  a part of the compressed document
    agreement#<id>      credited#<own>#<kind>       CreditedLines; version
    series#<prefix>     counter                     last number given; version is that number
    number#<number>     number                      id of the document
    issuing             failure#<agreement>         IssuingFailure; none once it is over
    issuing             run                         IssuingRun

`own` and `kind` come from the document's id: kind_agreement_own. Bodies are JSON with decimals as text,
documents compressed with zstd. All parts of the documents that are issued at once fit one transaction.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec
import zstandard
from pynamodb.attributes import BinaryAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.models import Model

from meterbridge.application.invoice_ports import DocumentSummary
from meterbridge.domain.errors import InvariantError, NotFoundError
from meterbridge.domain.invoicing.billing_documents import BillingDocument, agreement_of

T = TypeVar("T")

ACCOUNT = "account"
DOCUMENTS = "document#"
PARTS = "part#"
CREDITED = "credited#"
COUNTER = "counter"
NUMBER = "number"
ISSUING = "issuing"
FAILURES = "failure#"
RUN = "run"

PART_BYTES = 300_000
"""Of an item's 400 KB, so that keys and summary have room."""

MAX_BYTES = 3_000_000
"""Compressed documents of one transaction, which takes 4 MB and 100 items. A document of 5,000 lines,
the most that one may have, took 65,000."""


class Listed(GlobalSecondaryIndex["InvoiceItem"]):  # type: ignore[no-untyped-call]
    """Documents by product, in order of issue."""

    class Meta:
        index_name = "listed"
        projection = AllProjection()

    listed_pk = UnicodeAttribute(hash_key=True)
    listed_sk = UnicodeAttribute(range_key=True)


class InvoiceItem(Model):
    """Any item of the table. All its numbers are whole."""

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    body = UnicodeAttribute(null=True)
    packed = BinaryAttribute(legacy_encoding=False, null=True)
    version = NumberAttribute(null=True)
    parts = NumberAttribute(null=True)
    listed_pk = UnicodeAttribute(null=True)
    listed_sk = UnicodeAttribute(null=True)
    listed = Listed()


def agreement_pk(agreement_id: str) -> str:
    """Partition of an agreement's invoicing."""
    return f"agreement#{agreement_id}"


def document_place(document_id: str) -> tuple[str, str]:
    """Partition of a document, and what its sort keys begin with after their kind of item.

    Raises:
        NotFoundError: it cannot be a document's id.
    """
    kind, _, _ = document_id.partition("_")
    agreement_id, own = agreement_of(document_id)
    if not (agreement_id and own):
        raise NotFoundError(document_id)
    return agreement_pk(agreement_id), f"{own}#{kind}"


def series_pk(series: str) -> str:
    """Partition of a series of numbers."""
    return f"series#{series}"


def number_pk(number: str) -> str:
    """Partition of a number that was given."""
    return f"number#{number}"


def to_body(value: object) -> str:
    """Anything that is kept as text."""
    return msgspec.json.encode(value).decode()


def from_body(body: str | None, kind: type[T]) -> T:
    """The reverse of to_body."""
    return msgspec.json.decode(body or "", type=kind)


def document_to_items(document: BillingDocument, item: type[InvoiceItem]) -> list[InvoiceItem]:
    """A final document's items: its summary, and the parts that hold all of it.

    Raises:
        InvariantError: it is too large.
    """
    packed = zstandard.ZstdCompressor(level=10).compress(msgspec.json.encode(document))
    if len(packed) > MAX_BYTES:
        raise InvariantError(f"{document.id} has {len(packed)} bytes, more than {MAX_BYTES}")
    pk, place = document_place(document.id)
    pieces = [packed[at : at + PART_BYTES] for at in range(0, len(packed), PART_BYTES)]
    summary = DocumentSummary.of(document)
    head = item(
        pk,
        DOCUMENTS + place,
        body=to_body(summary),
        parts=len(pieces),
        listed_pk=summary.product_id,
        listed_sk=summary.place,
    )
    return [
        head,
        *(
            item(pk, f"{PARTS}{place}#{number:04d}", packed=piece)
            for number, piece in enumerate(pieces)
        ),
    ]


def document_from_parts(parts: list[bytes]) -> BillingDocument:
    """The document that parts hold, in their order."""
    packed = zstandard.ZstdDecompressor().decompress(b"".join(parts))
    return msgspec.json.decode(packed, type=BillingDocument)
