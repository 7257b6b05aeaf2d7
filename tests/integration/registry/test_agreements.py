"""Agreements and what they hold in place, on both registries."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import LICENSE_ARN, NOON, agreement, at
from meterbridge.application.registry_admin import (
    OverlapError,
    RegistryAdmin,
)
from meterbridge.domain.agreements import (
    AgreementState,
    AwsBuyerReference,
    AzureBuyerReference,
    Customer,
    GcpBuyerReference,
    SuspendedBy,
)
from meterbridge.domain.errors import InUseError, NotFoundError, StaleVersionError
from meterbridge.domain.offerings import Channel
from registry_setup import set_up


def test_what_is_referred_to_stays(registry: RegistryAdmin) -> None:
    set_up(registry)
    registry.add_agreement(agreement(state=AgreementState.PENDING))
    for remove in (
        lambda: registry.remove_product("prd_llm"),
        lambda: registry.remove_meter("mtr_requests"),
        lambda: registry.remove_offering("off_std"),
        lambda: registry.remove_customer("acme"),
    ):
        with pytest.raises(InUseError):
            remove()


def test_an_agreement_needs_what_it_refers_to(registry: RegistryAdmin) -> None:
    set_up(registry)
    for changes in (
        {"product_id": "prd_x"},
        {"customer_id": "x"},
        {"offering_id": "off_x"},
        {"offering_version": 2},
    ):
        with pytest.raises(NotFoundError):
            registry.add_agreement(agreement(**changes))
    registry.remove_customer("acme")


def test_an_active_agreement_cannot_go(registry: RegistryAdmin) -> None:
    set_up(registry)
    registry.add_agreement(agreement())
    with pytest.raises(InUseError):
        registry.remove_agreement("agr_1")


def test_agreements_of_a_customer_are_in_order_of_start(registry: RegistryAdmin) -> None:
    set_up(registry)
    later = agreement(
        id="agr_0", starts_at=at("2026-12-01T00"), aws=AwsBuyerReference("1" * 12, "arn:other")
    )
    first = agreement(ends_at=at("2026-12-01T00"))
    registry.add_agreement(later)
    registry.add_agreement(first)
    assert registry.agreements_of("prd_llm", "acme") == [first, later]
    assert list(registry.agreements()) == [later, first]
    assert registry.agreement("agr_1") == first


def test_two_agreements_of_a_customer_never_overlap(registry: RegistryAdmin) -> None:
    set_up(registry)
    registry.add_agreement(agreement(ends_at=at("2026-12-01T00"), aws=None))
    clash = agreement(id="agr_2", starts_at=at("2026-11-30T23"), aws=None)
    with pytest.raises(OverlapError):
        registry.add_agreement(clash)
    registry.add_agreement(replace(clash, starts_at=at("2026-12-01T00")))
    with pytest.raises(OverlapError):
        registry.save_agreement(agreement(ends_at=None, aws=None, version=2))
    assert registry.agreement("agr_1").version == 1
    with pytest.raises(NotFoundError):
        registry.remove_agreement("agr_3")


def test_two_agreements_never_charge_one_license_at_once(registry: RegistryAdmin) -> None:
    set_up(registry)
    registry.add_customer(Customer("other"))
    registry.add_agreement(agreement(ends_at=at("2026-12-01T00")))
    clash = agreement(id="agr_2", customer_id="other")
    with pytest.raises(OverlapError):
        registry.add_agreement(clash)
    moved = AwsBuyerReference("111122223333", LICENSE_ARN + "0")
    registry.save_agreement(agreement(ends_at=at("2026-12-01T00"), aws=moved, version=2))
    registry.add_agreement(clash)


@pytest.mark.parametrize(
    "buyer",
    [
        AzureBuyerReference("gold", resource_id="6f1c2f4e-0000-4000-8000-00000000000a"),
        AzureBuyerReference("gold", resource_uri="/subscriptions/x/resourceGroups/y"),
        GcpBuyerReference("project_number:123456789012"),
    ],
)
def test_a_buyer_of_any_marketplace_is_kept_and_charged_by_one_agreement_at_once(
    registry: RegistryAdmin, buyer: AzureBuyerReference | GcpBuyerReference
) -> None:
    set_up(registry)
    registry.add_customer(Customer("other"))
    channel: Channel = buyer.channel
    reference = {"channel": channel, "aws": None, channel.value: buyer}
    first = agreement(ends_at=at("2026-12-01T00"), **reference)
    registry.add_agreement(first)
    assert registry.agreement("agr_1") == first
    clash = agreement(id="agr_2", customer_id="other", **reference)
    with pytest.raises(OverlapError):
        registry.add_agreement(clash)
    registry.add_agreement(replace(clash, starts_at=at("2026-12-01T00")))


def test_azure_resources_are_the_same_in_capitals(registry: RegistryAdmin) -> None:
    set_up(registry)
    registry.add_customer(Customer("other"))
    azure = {"channel": Channel.AZURE, "aws": None}
    lower = AzureBuyerReference("gold", resource_id="6f1c2f4e-0000-4000-8000-00000000000a")
    upper = AzureBuyerReference("gold", resource_id="6F1C2F4E-0000-4000-8000-00000000000A")
    registry.add_agreement(agreement(**azure, azure=lower))
    with pytest.raises(OverlapError):
        registry.add_agreement(agreement(id="agr_2", customer_id="other", **azure, azure=upper))


def test_an_agreement_changes_from_the_version_before(registry: RegistryAdmin) -> None:
    set_up(registry)
    registry.add_agreement(agreement())
    ended = agreement(state=AgreementState.ENDED, ends_at=NOON, version=2)
    registry.save_agreement(ended)
    assert registry.agreement("agr_1") == ended
    assert registry.agreements_of("prd_llm", "acme") == [ended]
    with pytest.raises(StaleVersionError):
        registry.save_agreement(ended)
    registry.add_agreement(agreement(id="agr_2", starts_at=NOON))


def test_only_an_active_agreement_is_suspended(registry: RegistryAdmin) -> None:
    set_up(registry)
    registry.add_agreement(agreement())
    registry.suspend("agr_1", "not entitled")
    suspended = registry.agreement("agr_1")
    assert (suspended.state, suspended.state_reason, suspended.version) == (
        AgreementState.SUSPENDED,
        "not entitled",
        2,
    )
    assert suspended.suspended_by is SuspendedBy.MARKETPLACE
    registry.suspend("agr_1", "again")
    assert registry.agreement("agr_1") == suspended


def test_what_the_marketplace_suspended_is_resumed_and_nothing_else(
    registry: RegistryAdmin,
) -> None:
    set_up(registry)
    registry.add_agreement(agreement())
    registry.suspend("agr_1", "not entitled")
    registry.resume("agr_1")
    resumed = registry.agreement("agr_1")
    assert resumed == agreement(version=3)
    registry.resume("agr_1")
    assert registry.agreement("agr_1") == resumed
    by_hand = agreement(state=AgreementState.SUSPENDED, suspended_by=SuspendedBy.SELLER, version=4)
    registry.save_agreement(by_hand)
    registry.suspend("agr_1", "not entitled")
    registry.resume("agr_1")
    assert registry.agreement("agr_1") == by_hand
