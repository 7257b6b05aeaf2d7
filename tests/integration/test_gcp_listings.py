"""What Google's reporter reads in the registry."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from builders import NOON, agreement, at, offering, product
from fakes.clock import FakeClock
from fakes.registry import FakeRegistry
from gcp_setup import SERVICE
from meterbridge.adapters.marketplaces.gcp_listings import RegistryListings
from meterbridge.domain.agreements import AgreementState, Customer
from meterbridge.domain.errors import InvariantError
from meterbridge.domain.offerings import Channel, Product


def registry_of(**listings: str) -> FakeRegistry:
    registry = FakeRegistry()
    registry.add_product(
        product(listings={Channel(name): value for name, value in listings.items()})
    )
    registry.add_offering(offering(), {})
    registry.add_customer(Customer("acme"))
    return registry


def test_the_service_is_the_products_listing() -> None:
    listings = RegistryListings(registry_of(gcp=SERVICE), FakeClock(NOON))
    assert listings.service_of("prd_llm") == SERVICE


@pytest.mark.parametrize("given", [{}, {"aws": "prod"}, {"gcp": "not a service/name"}])
def test_a_product_without_one_is_a_defect(given: dict[str, str]) -> None:
    listings = RegistryListings(registry_of(**given), FakeClock(NOON))
    with pytest.raises(InvariantError):
        listings.service_of("prd_llm")
    with pytest.raises(InvariantError, match="no product"):
        listings.service_of("prd_other")


@pytest.mark.parametrize(
    ("state", "ends_at", "ended"),
    [
        (AgreementState.ACTIVE, None, False),
        (AgreementState.ACTIVE, at("2026-11-24T13"), False),
        (AgreementState.ACTIVE, NOON, True),
        (AgreementState.ENDED, at("2026-11-24T13"), True),
    ],
)
def test_an_agreement_is_over_by_its_state_or_its_end(
    state: AgreementState, ends_at: datetime | None, ended: bool
) -> None:
    registry = registry_of(gcp=SERVICE)
    registry.add_agreement(agreement(state=state, ends_at=ends_at))
    listings = RegistryListings(registry, FakeClock(NOON))
    assert listings.has_ended("agr_1") is ended
    assert listings.has_ended("agr_unknown") is False


def test_a_changed_listing_is_found_after_a_minute() -> None:
    class Renamed(FakeRegistry):
        service = SERVICE

        def product(self, product_id: str) -> Product:
            return product(id=product_id, listings={Channel.GCP: self.service})

    registry, clock = Renamed(), FakeClock(NOON)
    listings = RegistryListings(registry, clock)
    assert listings.service_of("prd_llm") == SERVICE
    registry.service = "other.example.com"
    assert listings.service_of("prd_llm") == SERVICE
    clock.advance(timedelta(minutes=1))
    assert listings.service_of("prd_llm") == "other.example.com"
