"""A seller who publishes through our adapters to the sandbox."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import boto3
from botocore.config import Config

from builders import at
from fakes.clock import FakeClock
from fakes.publications import FakePublicationStore
from fakes.registry import FakeRegistry
from manage.catalogs import validators
from meterbridge.adapters.marketplaces.aws_catalog import AwsCatalog
from meterbridge.adapters.marketplaces.azure_credentials import (
    GRAPH_SCOPE,
    AzureApp,
    AzureTokens,
    by_secret,
)
from meterbridge.adapters.marketplaces.azure_ingestion import AzureIngestion
from meterbridge.adapters.marketplaces.connections import connection_pool
from meterbridge.application.apply_publication import (
    Observed,
    apply_publication,
    observe_publication,
)
from meterbridge.application.draft_publication import PublicationOrder, draft_publication
from meterbridge.application.publication_ports import Publishing
from meterbridge.domain.api_keys import Caller, Scope
from meterbridge.domain.offerings import Channel, Offering
from meterbridge.domain.publishing.listings import Listing
from meterbridge.domain.publishing.publication import Publication
from registry_setup import meter, product
from sandbox.marketplaces.http_server import RunningSandbox

START = at("2026-11-24T12")
TENANT, APP = "tenant", "11111111-2222-4333-8444-555555555555"
CALLER = Caller("key_1", frozenset({Scope.ADMIN}), None)


@dataclass
class _Secret:
    text: str

    def read(self) -> str:
        return self.text


class PublishingSeller:
    """One seller; the sandbox's clock and ours are the same."""

    def __init__(self, running: RunningSandbox) -> None:
        self.running = running
        self.control = running.control
        self.clock = FakeClock(START)
        self.registry = FakeRegistry()
        self.registry.add_product(product(listings={}))
        self.registry.add_meter(meter())
        self.store: Any = FakePublicationStore(self.registry)
        self.aws_client = _catalog_client(running.url)
        app = AzureApp(TENANT, APP, running.url)
        self.pool = connection_pool(2)
        self.tokens = AzureTokens(by_secret(app, _Secret("s3cret")), GRAPH_SCOPE)
        self.aws = AwsCatalog(self.aws_client)
        self.azure = AzureIngestion(self.pool, self.tokens, endpoint=running.url)
        self._numbers = 0

    def set_up(self) -> None:
        self.control.reset()
        self.control.set_clock(START)
        self.control.azure.register_app(TENANT, APP, client_secret="s3cret")

    def close(self) -> None:
        self.aws_client.close()
        self.tokens.close()
        self.pool.clear()

    @property
    def publishing(self) -> Publishing:
        catalogs = {Channel.AWS: lambda: self.aws, Channel.AZURE: lambda: self.azure}
        return Publishing(self.store, validators(), catalogs)

    def sell(self, offering: Offering) -> Offering:
        """The next version of the one offering."""
        newest = len(self.registry._offerings.get(offering.id, []))
        sold = replace(offering, version=newest + 1)
        self.registry.add_offering(sold, {})
        return sold

    def draft(self, listing: Listing, plan_code: str = "") -> Publication:
        self._numbers += 1
        return draft_publication(
            PublicationOrder("off_std", listing, plan_code=plan_code),
            caller=CALLER,
            registry=self.registry,
            publishing=self.publishing,
            clock=self.clock,
            new_id=lambda _: f"pub_{self._numbers:03d}",
            answering=lambda _: None,
        )

    def apply(self, publication: Publication, expected: int | None = None) -> Publication:
        return apply_publication(
            publication.id,
            expected,
            caller=CALLER,
            publishing=self.publishing,
            clock=self.clock,
            answering=lambda _: None,
        )

    def observe(self, publication: Publication) -> Observed:
        return observe_publication(
            publication.id, caller=CALLER, publishing=self.publishing, clock=self.clock
        )

    def wait(self, seconds: int = 600) -> datetime:
        """Time passes, for the marketplaces too."""
        self.clock.advance(timedelta(seconds=seconds))
        self.control.set_clock(self.clock.now())
        return self.clock.now()

    def published(self, listing: Listing) -> Publication:
        """Drafted, applied and carried out."""
        publication = self.apply(self.draft(listing))
        self.wait()
        return self.observe(publication).publication


def _catalog_client(url: str) -> Any:
    return boto3.client(
        "marketplace-catalog",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="not-a-secret",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=5),
    )
