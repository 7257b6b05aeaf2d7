"""All routes of the management API."""

from __future__ import annotations

from aws_lambda_powertools import Logger

from manage.agreed import add_agreed
from manage.agreements import add_agreements
from manage.corrections import add_corrections
from manage.customer_parents import add_customer_parents
from manage.customers import add_customers
from manage.decisions import add_decisions
from manage.events import add_events
from manage.idempotency import Idempotency
from manage.invoices import add_invoices
from manage.keys import add_keys
from manage.meters import add_meters
from manage.offerings import add_offerings
from manage.openapi import add_openapi
from manage.parity import add_parity
from manage.products import add_products
from manage.publications import add_publications
from manage.replays import add_replays
from manage.reporting import add_reporting
from manage.resolver import Resolver
from manage.services import Services
from manage.settings import add_settings
from manage.statements import add_statements
from manage.usage import add_usage
from manage.wallet import add_wallet


def build_app(services: Services, logger: Logger) -> Resolver:
    """The API over these services."""
    app = Resolver(logger)
    idempotency = Idempotency(services.registry, services.clock)
    app.use(middlewares=[idempotency.replaying])
    add_products(app, services, idempotency)
    add_meters(app, services, idempotency)
    add_offerings(app, services, idempotency)
    add_parity(app, services)
    add_replays(app, services)
    # Before the customers: whatever follows theirs in a path is taken for a part of an id.
    add_customer_parents(app, services)
    add_customers(app, services, idempotency)
    add_agreements(app, services, idempotency)
    add_agreed(app, services, idempotency)
    add_wallet(app, services)
    add_keys(app, services, idempotency)
    add_settings(app, services)
    add_events(app, services)
    add_usage(app, services)
    add_statements(app, services)
    add_reporting(app, services)
    add_decisions(app, services, idempotency)
    add_publications(app, services, idempotency)
    add_corrections(app, services, idempotency)
    add_invoices(app, services, idempotency)
    add_openapi(app)
    return app
