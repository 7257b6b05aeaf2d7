"""Print the OpenAPI description: `python -m manage > docs/openapi.json`."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from manage.app import build_app
from manage.openapi import document
from manage.services import Services
from meterbridge.application.publication_ports import Publishing
from meterbridge.domain.invoicing.invoicing_rules import InvoicingRules
from meterbridge.lambda_runtime.observability import make_logger


def description() -> str:
    """The description as a file. No route is called, so nothing needs to be there to call."""
    nothing: Any = SimpleNamespace()
    services = Services(
        registry=nothing,
        usage_log=nothing,
        usage=nothing,
        ledger=nothing,
        queue=nothing,
        clock=nothing,
        grace=timedelta(0),
        invoices=nothing,
        invoicing=InvoicingRules(),
        publishing=Publishing(nothing, {}, {}),
    )
    return json.dumps(document(build_app(services, make_logger())), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(description())
