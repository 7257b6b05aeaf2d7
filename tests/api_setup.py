"""The management API over fakes, and what a seller sends to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools import Logger

from builders import GRACE, LICENSE_ARN, NOON
from fakes.clock import FakeClock
from fakes.invoice_store import FakeInvoiceStore
from fakes.ledger import FakeLedger
from fakes.publications import FakePublicationStore
from fakes.registry import FakeRegistry
from fakes.settle_queue import FakeSettleQueue
from fakes.usage_log import FakeUsageLog
from fakes.usage_store import FakeUsageStore
from http_api import Client
from invoicing_setup import SELLER
from manage.app import build_app
from manage.catalogs import validators
from manage.resolver import Resolver
from manage.services import Services
from meterbridge.application.invoice_ports import InvoiceAdmin
from meterbridge.application.ledger_admin import LedgerAdmin
from meterbridge.application.publication_ports import Publishing
from meterbridge.application.registry_admin import RegistryAdmin
from meterbridge.domain.invoicing.invoicing_rules import InvoicingRules
from meterbridge.lambda_runtime.observability import make_logger

PRODUCT = {"id": "prd_llm", "name": "LLM", "listings": {"aws": "prodcode123"}}
METER = {
    "id": "mtr_tokens",
    "product_id": "prd_llm",
    "name": "Tokens",
    "event_type": "completion",
    "aggregation": "sum",
    "value_path": "$.tokens",
    "group_by": [{"name": "model", "path": "$.model"}],
}
DIMENSION = {"code": "tokens", "meter_id": "mtr_tokens", "unit_price": "0.002"}
OFFERING = {
    "id": "off_std",
    "product_id": "prd_llm",
    "name": "Standard",
    "plans": [{"code": "std", "dimensions": [DIMENSION]}],
}
CUSTOMER = {"id": "acme", "name": "Acme"}
AGREEMENT = {
    "id": "agr_1",
    "customer_id": "acme",
    "product_id": "prd_llm",
    "channel": "aws",
    "offering_id": "off_std",
    "plan_code": "std",
    "starts_at": "2026-11-01T00:00:00Z",
    "aws": {"customer_aws_account_id": "111122223333", "license_arn": LICENSE_ARN},
}
KEY = {"name": "producer", "scopes": ["ingest"], "products": ["prd_llm"]}


@dataclass(frozen=True)
class Api:
    """The API, and what is behind it."""

    app: Resolver
    services: Services
    registry: RegistryAdmin
    clock: FakeClock
    queue: FakeSettleQueue

    def client(self, **changes: Any) -> Client:
        """Whoever calls: by default an admin of all products."""
        return Client(self.app.resolve, **changes)


def make_api(
    registry: RegistryAdmin | None = None,
    logger: Logger | None = None,
    ledger: LedgerAdmin | None = None,
    publishing: Publishing | None = None,
    invoices: InvoiceAdmin | None = None,
) -> Api:
    """An API over an empty registry and ledger, or over these; nothing can be applied."""
    clock, queue = FakeClock(NOON), FakeSettleQueue()
    shelves = FakeRegistry()
    services = Services(
        registry=registry or shelves,
        usage_log=FakeUsageLog(),
        usage=FakeUsageStore(),
        ledger=ledger or FakeLedger(shelves),
        queue=queue,
        clock=clock,
        grace=GRACE,
        publishing=publishing or not_publishing(shelves),
        invoices=invoices or FakeInvoiceStore(shelves),
        invoicing=InvoicingRules(SELLER),
        archive_bucket="archive-bucket",
    )
    app = build_app(services, logger or make_logger())
    return Api(app, services, services.registry, clock, queue)


def not_publishing(shelves: FakeRegistry | None = None) -> Publishing:
    """Plans are compiled and checked, and nothing can be applied."""
    return Publishing(FakePublicationStore(shelves), validators(), {})


def create_all(call: Client) -> None:
    """A product with a meter, an offering, a customer and an agreement."""
    for path, body in (
        ("products", PRODUCT),
        ("meters", METER),
        ("offerings", OFFERING),
        ("customers", CUSTOMER),
        ("agreements", AGREEMENT),
    ):
        answer = call("POST", f"/v1/{path}", body)
        if answer.status != 201:
            raise AssertionError(f"{path}: {answer}")
