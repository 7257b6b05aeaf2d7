"""Schedule → make the invoices final that are due, and credit notes for what costs less now."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from meterbridge.adapters.dynamodb.invoice_store import InvoiceStore
from meterbridge.adapters.dynamodb.ledger_store import LedgerStore
from meterbridge.adapters.dynamodb.registry_store import RegistryStore
from meterbridge.adapters.dynamodb.usage_store import UsageStore
from meterbridge.application.issue_invoices import issue_invoices
from meterbridge.application.read_invoices import InvoiceSources
from meterbridge.lambda_runtime.clock import SystemClock
from meterbridge.lambda_runtime.invoicing import invoicing_rules
from meterbridge.lambda_runtime.observability import Metric, count, make_logger, make_metrics
from meterbridge.lambda_runtime.reporting import until_timeout
from meterbridge.lambda_runtime.settings import load, variable


@dataclass(frozen=True, slots=True)
class Settings:
    """This function's environment, but for how invoices are made."""

    registry_table: str = variable("REGISTRY_TABLE")
    usage_table: str = variable("USAGE_TABLE")
    ledger_table: str = variable("LEDGER_TABLE")
    invoices_table: str = variable("INVOICES_TABLE")


SETTINGS = load(Settings, os.environ)
SOURCES = InvoiceSources(
    registry=RegistryStore(SETTINGS.registry_table),
    usage=UsageStore(SETTINGS.usage_table),
    ledger=LedgerStore(SETTINGS.ledger_table),
    invoices=InvoiceStore(SETTINGS.invoices_table),
    rules=invoicing_rules(os.environ),
)
CLOCK = SystemClock()
logger = make_logger()
metrics = make_metrics()


@logger.inject_lambda_context
@metrics.log_metrics
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """One run; answers what it did."""
    summary = issue_invoices(SOURCES, clock=CLOCK, may_go_on=until_timeout(context))
    for agreement_id, reason in summary.failed.items():
        logger.error("invoice cannot be made", agreement_id=agreement_id, reason=reason)
    count(
        metrics,
        {
            Metric.INVOICES_ISSUED: summary.invoices,
            Metric.CREDIT_NOTES_ISSUED: summary.credit_notes,
            Metric.INVOICES_FAILED: summary.failing,
        },
    )
    answer = {
        "issues": SOURCES.rules.issues,
        "invoices": summary.invoices,
        "credit_notes": summary.credit_notes,
        "failing": summary.failing,
        "finished": summary.finished,
    }
    logger.info("issued invoices", **answer)
    return answer
