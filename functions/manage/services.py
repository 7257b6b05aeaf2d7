"""What the routes work with, wired in the handler module."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta

from meterbridge.application.invoice_ports import InvoiceAdmin
from meterbridge.application.ledger_admin import LedgerAdmin
from meterbridge.application.ports import Clock, SettleQueue, UsageLog, UsageStore
from meterbridge.application.publication_ports import Publishing
from meterbridge.application.registry_admin import RegistryAdmin
from meterbridge.domain.api_keys import Caller
from meterbridge.domain.invoicing.invoicing_rules import InvoicingRules


@dataclass(frozen=True, slots=True)
class Services:
    """The ports, and how long an hour stays open for late events.

    Attributes:
        invoicing: who invoices, and when.
        archive_bucket: where events are kept for good; "" where they are not.
    """

    registry: RegistryAdmin
    usage_log: UsageLog
    usage: UsageStore
    ledger: LedgerAdmin
    queue: SettleQueue
    clock: Clock
    grace: timedelta
    publishing: Publishing
    invoices: InvoiceAdmin
    invoicing: InvoicingRules
    archive_bucket: str = ""


def new_id(prefix: str) -> str:
    """An id nobody has, as "prd_8f0c…"."""
    return f"{prefix}_{secrets.token_hex(10)}"


def products_in_view(caller: Caller, product_id: str | None) -> frozenset[str] | None:
    """Which products' things a list shows: those of the key, or the one asked for."""
    if product_id is None:
        return caller.products
    return frozenset({product_id}) if caller.sees(product_id) else frozenset()
