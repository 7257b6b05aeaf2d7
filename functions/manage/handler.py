"""The management API: everything under /v1 but the sending of events.

Whoever may invoke the function directly (IAM) can make the first API key with the event
{"meterbridge": "create-admin-key", "name": "…"}.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from manage.app import build_app
from manage.catalogs import PublishingSettings, catalogs, validators
from manage.keys import create_admin_key
from manage.services import Services
from meterbridge.adapters.dynamodb.invoice_admin import InvoiceAdminStore
from meterbridge.adapters.dynamodb.ledger_decisions import LedgerAdminStore
from meterbridge.adapters.dynamodb.publication_store import DynamoPublicationStore
from meterbridge.adapters.dynamodb.registry_store import RegistryStore
from meterbridge.adapters.dynamodb.usage_log_store import UsageLogStore
from meterbridge.adapters.dynamodb.usage_store import UsageStore
from meterbridge.adapters.settle_queue import SqsSettleQueue
from meterbridge.application.publication_ports import Publishing
from meterbridge.lambda_runtime.clock import SystemClock
from meterbridge.lambda_runtime.invoicing import invoicing_rules
from meterbridge.lambda_runtime.observability import make_logger
from meterbridge.lambda_runtime.settings import load, minutes, variable


@dataclass(frozen=True, slots=True)
class Settings:
    """This function's environment."""

    registry_table: str = variable("REGISTRY_TABLE")
    usage_log_table: str = variable("USAGE_LOG_TABLE")
    usage_table: str = variable("USAGE_TABLE")
    ledger_table: str = variable("LEDGER_TABLE")
    invoices_table: str = variable("INVOICES_TABLE")
    settle_queue_url: str = variable("SETTLE_QUEUE_URL")
    archive_bucket: str = variable("ARCHIVE_BUCKET", default="")
    grace: timedelta = variable("GRACE_MINUTES", minutes, default=timedelta(minutes=15))


SETTINGS = load(Settings, os.environ)
LOGGER = make_logger()
SERVICES = Services(
    registry=RegistryStore(SETTINGS.registry_table),
    usage_log=UsageLogStore(SETTINGS.usage_log_table),
    usage=UsageStore(SETTINGS.usage_table),
    ledger=LedgerAdminStore(SETTINGS.ledger_table, answers_table=SETTINGS.registry_table),
    queue=SqsSettleQueue(SETTINGS.settle_queue_url),
    clock=SystemClock(),
    grace=SETTINGS.grace,
    publishing=Publishing(
        DynamoPublicationStore(SETTINGS.registry_table),
        validators(),
        catalogs(load(PublishingSettings, os.environ)),
    ),
    invoices=InvoiceAdminStore(SETTINGS.invoices_table, answers_table=SETTINGS.registry_table),
    invoicing=invoicing_rules(os.environ),
    archive_bucket=SETTINGS.archive_bucket,
)
APP = build_app(SERVICES, LOGGER)


@LOGGER.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer a request of the HTTP API, or make the first key."""
    if event.get("meterbridge") == "create-admin-key":
        return create_admin_key(str(event["name"]), SERVICES)
    return APP.resolve(event, context)
