"""The settings by which invoices are made, the same in every function that makes or shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from meterbridge.domain.invoicing.billing_documents import Seller
from meterbridge.domain.invoicing.invoicing_rules import DELAY, PREFIX, InvoicingRules
from meterbridge.lambda_runtime.settings import days, load, variable


@dataclass(frozen=True, slots=True)
class InvoicingSettings:
    """Part of a function's environment."""

    seller_name: str = variable("SELLER_NAME", default="")
    seller_address: str = variable("SELLER_ADDRESS", default="")
    seller_tax_id: str = variable("SELLER_TAX_ID", default="")
    seller_email: str = variable("SELLER_EMAIL", default="")
    prefix: str = variable("INVOICE_PREFIX", default=PREFIX)
    delay: timedelta = variable("INVOICE_DAYS", days, default=DELAY)

    @property
    def rules(self) -> InvoicingRules:
        """For the use cases; the lines of an address are set apart by bars."""
        lines = (line.strip() for line in self.seller_address.split("|"))
        seller = Seller(
            name=self.seller_name,
            address=tuple(line for line in lines if line),
            tax_id=self.seller_tax_id,
            email=self.seller_email,
        )
        return InvoicingRules(seller, self.prefix, self.delay)


def invoicing_rules(environ: Mapping[str, str]) -> InvoicingRules:
    """The rules that an environment sets.

    Raises:
        SettingsError: variables are wrong; the message names every one.
    """
    return load(InvoicingSettings, environ).rules
