"""Invoices in DynamoDB, with the credit notes that persons ask for.

A credit note is one transaction over two tables: invoices and registry, where the answers to requests
with an idempotency key are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from meterbridge.adapters.dynamodb.invoice_store import InvoiceStore
from meterbridge.adapters.dynamodb.registry_items import RegistryItem
from meterbridge.adapters.dynamodb.registry_writer import put_answer
from meterbridge.adapters.dynamodb.tables import bind
from meterbridge.adapters.dynamodb.transactions import Transaction
from meterbridge.application.registry_admin import Answer
from meterbridge.domain.invoicing.billing_documents import BillingDocument
from meterbridge.domain.invoicing.crediting import CreditedLines
from meterbridge.domain.invoicing.invoice_account import InvoiceAccount
from meterbridge.domain.invoicing.invoicing_rules import InvoicingRules


class InvoiceAdminStore(InvoiceStore):
    """The InvoiceAdmin port."""

    def __init__(self, table_name: str, *, answers_table: str) -> None:
        """Bind to the tables; nothing is called yet.

        Args:
            answers_table: the registry, which keeps answers.
        """
        super().__init__(table_name)
        self._answers = bind(RegistryItem, answers_table)

    def credit(
        self,
        document: BillingDocument,
        credited: CreditedLines,
        account: InvoiceAccount | None,
        rules: InvoicingRules,
        at: datetime,
        answering: Callable[[BillingDocument], Answer | None],
    ) -> BillingDocument:
        """See InvoiceAdmin."""

        def attempt() -> BillingDocument:
            change = Transaction(self._connection)
            (numbered,), counters = self._with_numbers([document], rules, at)
            answer = answering(numbered)
            if answer is not None:
                put_answer(change, self._answers, answer)
            self._put_credited(change, credited)
            if account is not None:
                self._put_account(change, account)
            for series, last in counters.items():
                self._put_counter(change, series, *last)
            self._put_document(change, numbered)
            change.commit()
            return numbered

        return self._repeat(document.id, attempt)
