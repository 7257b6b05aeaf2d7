"""Google's reporter between a ledger and Google's sandbox: agreements, records, and the way in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from botocore.session import Session
from urllib3 import PoolManager

from builders import NOON, agreement, at, metering_record, offering, product
from fakes.clock import FakeClock
from fakes.registry import FakeRegistry
from meterbridge.adapters.marketplaces.connections import connection_pool
from meterbridge.adapters.marketplaces.gcp import GcpMarketplace
from meterbridge.adapters.marketplaces.gcp_client import ServiceControl
from meterbridge.adapters.marketplaces.gcp_credentials import (
    GoogleEndpoints,
    GoogleTokens,
    by_aws_identity,
)
from meterbridge.adapters.marketplaces.gcp_listings import RegistryListings
from meterbridge.adapters.marketplaces.pacing import CallPacer
from meterbridge.domain.agreements import AgreementState, Customer, GcpBuyerReference
from meterbridge.domain.errors import StoreUnavailableError
from meterbridge.domain.ledger_head import LedgerHead
from meterbridge.domain.metering_record import MeteringRecord
from meterbridge.domain.offerings import Channel, QuantityKind
from meterbridge.domain.policy import policy_at
from meterbridge.domain.windows import BillingPeriod
from reporting_setup import Reporting
from sandbox.marketplaces.client import SandboxControl

SERVICE = "assistant.gcpmarketplace.acme.example"
ACCOUNT = "meter@acme.iam.gserviceaccount.com"
AUDIENCE = (
    "//iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/aws/providers/lambda"
)
METRICS = [f"d{number:02d}" for number in range(30)]
BUYERS = ("agr_1", "agr_2")
STARTED = at("2026-11-01T00")


def consumer_of(agreement_id: str) -> str:
    return f"project_number:10000000000{agreement_id[-1]}"


def gcp_record(
    agreement_id: str = "agr_1", code: str = "d00", quantity: str = "5", **changes: Any
) -> MeteringRecord:
    hour = changes.get("hour", at("2026-11-24T10"))
    values: dict[str, Any] = {
        "channel": Channel.GCP,
        "deadline": policy_at(Channel.GCP, hour).deadline(hour),
        "buyer": {"usage_reporting_id": consumer_of(agreement_id)},
    }
    return metering_record(
        agreement_id=agreement_id, code=code, quantity=quantity, **{**values, **changes}
    )


def gcp_records(
    count: int = 3, agreement_id: str = "agr_1", **changes: Any
) -> list[MeteringRecord]:
    """Records of one agreement, one for each metric."""
    return [
        gcp_record(agreement_id, code, str(number + 1), **changes)
        for number, code in enumerate(METRICS[:count])
    ]


def double_record(quantity: str, **changes: Any) -> MeteringRecord:
    return gcp_record(
        code="double", quantity=quantity, quantity_kind=QuantityKind.DECIMAL, **changes
    )


def gcp_agreement(agreement_id: str, **changes: Any) -> Any:
    values: dict[str, Any] = {
        "id": agreement_id,
        "customer_id": agreement_id,
        "channel": Channel.GCP,
        "aws": None,
        "gcp": GcpBuyerReference(consumer_of(agreement_id)),
    }
    return agreement(**{**values, **changes})


@dataclass
class GcpReporting(Reporting):
    """A reporting run to Google."""

    registry: Any = field(default_factory=FakeRegistry)

    def __post_init__(self) -> None:
        self.registry.add_product(product(listings={Channel.GCP: SERVICE}))
        self.registry.add_offering(offering(), {})

    def add(
        self,
        *records: MeteringRecord,
        state: AgreementState = AgreementState.ACTIVE,
        ends_at: datetime | None = None,
    ) -> None:
        for agreement_id in dict.fromkeys(record.key.agreement_id for record in records):
            own = [record for record in records if record.key.agreement_id == agreement_id]
            self.registry.add_customer(Customer(agreement_id))
            self.registry.add_agreement(gcp_agreement(agreement_id, state=state, ends_at=ends_at))
            head = LedgerHead(agreement_id, 1, BillingPeriod(2026, 11), NOON, None)
            self.ledger.commit(head, expected_version=0, new_records=own)


def patient() -> CallPacer:
    """Calls as fast as the test can."""
    return CallPacer(10_000, monotonic=lambda: 0.0, sleep=lambda _: None, jitter=lambda: 0.0)


def own_session() -> Session:
    session = Session()
    session.set_config_variable("region", "us-east-1")
    session.set_credentials("ASIAX", "secret", "token")
    return session


def google_tokens(url: str, pool: PoolManager, audience: str = AUDIENCE) -> GoogleTokens:
    endpoints = GoogleEndpoints.all_at(url)
    return GoogleTokens(by_aws_identity(audience, ACCOUNT, own_session(), endpoints), pool)


def gcp_reporting(url: str, pool: PoolManager, **changes: Any) -> GcpReporting:
    """Use case, adapter, google-auth and urllib3, to a server at an address."""
    reporting = GcpReporting(clock=FakeClock(NOON))
    tokens = changes.pop("tokens", None) or google_tokens(url, pool)
    reporting.marketplace = GcpMarketplace(
        ServiceControl(pool, tokens, patient(), endpoint=url),
        RegistryListings(reporting.registry, reporting.clock),
        reporting.clock,
        **changes,
    )
    return reporting


def small_pool() -> PoolManager:
    return connection_pool(2)


def prepare(control: SandboxControl) -> None:
    """One service with integer metrics and a double one, two buyers, the clock at noon."""
    control.reset()
    control.set_clock(NOON)
    control.gcp.register_service(
        SERVICE, [*METRICS, {"id": "double", "kind": "double"}], reporters=[ACCOUNT]
    )
    for buyer in BUYERS:
        control.gcp.register_entitlement(
            service=SERVICE, usage_reporting_id=consumer_of(buyer), start=STARTED
        )


HOUR = timedelta(hours=1)


@dataclass
class FixedListings:
    """One service for every product; nobody has left."""

    service: str = SERVICE
    unavailable: bool = False

    def service_of(self, _product_id: str) -> str:
        return self.service

    def has_ended(self, _agreement_id: str) -> bool:
        if self.unavailable:
            raise StoreUnavailableError("the registry")
        return False
