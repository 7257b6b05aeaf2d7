"""Links between customers, on both registries."""

from __future__ import annotations

import pytest

from builders import at
from meterbridge.application.registry_admin import RegistryAdmin
from meterbridge.domain.agreements import Customer
from meterbridge.domain.customer_links import CustomerLink, ParentBilling
from meterbridge.domain.errors import InUseError, NotFoundError, StaleVersionError

SINCE, LATER = at("2026-11-24T10"), at("2026-11-25T00")


def link(child: str, parent: str, **changes: object) -> CustomerLink:
    return CustomerLink(child, parent, ParentBilling.AGGREGATED, SINCE, **changes)  # type: ignore[arg-type]


def fill(registry: RegistryAdmin) -> RegistryAdmin:
    for name in ("acme", "globex", "eu", "us / 1"):
        registry.add_customer(Customer(name))
    return registry


def save(registry: RegistryAdmin, child: str, *links: CustomerLink, **guarded: int) -> None:
    version = registry.links_entry(child).version
    registry.save_links(child, links, expected_version=version, guarded=guarded)


def test_links_are_found_from_both_sides(registry: RegistryAdmin) -> None:
    fill(registry)
    assert (registry.links_of("eu"), registry.links_entry("eu").version) == ((), 0)
    first, second = link("eu", "acme", until=LATER), link("us / 1", "acme")
    moved = CustomerLink("eu", "globex", ParentBilling.SEPARATE, LATER)
    save(registry, "eu", first, moved)
    save(registry, "us / 1", second)
    assert tuple(registry.links_of("eu")) == (first, moved)
    assert registry.links_entry("eu").version == 1
    assert list(registry.children_of("acme")) == [first, second]
    assert list(registry.children_of("globex")) == [moved]
    assert list(registry.children_of("eu")) == []
    assert list(registry.customer_links()) == [first, moved, second]


def test_what_is_replaced_is_gone_from_the_parent_too(registry: RegistryAdmin) -> None:
    fill(registry)
    save(registry, "eu", link("eu", "acme"))
    save(registry, "eu", link("eu", "globex"))
    assert list(registry.children_of("acme")) == []
    assert list(registry.children_of("globex")) == [link("eu", "globex")]
    save(registry, "eu")
    assert list(registry.children_of("globex")) == []
    assert list(registry.customer_links()) == []
    assert registry.links_entry("eu").version == 3


def test_of_two_changes_at_once_the_second_fails(registry: RegistryAdmin) -> None:
    fill(registry)
    save(registry, "eu", link("eu", "acme"))
    with pytest.raises(StaleVersionError):
        registry.save_links("eu", (), expected_version=0, guarded={})
    assert list(registry.children_of("acme")) == [link("eu", "acme")]


def test_whoever_looked_at_a_customer_before_it_became_a_parent_looks_again(
    registry: RegistryAdmin,
) -> None:
    """So a child cannot become a parent, nor a parent a child, in between."""
    fill(registry)
    registry.save_links("eu", (link("eu", "acme"),), expected_version=0, guarded={"acme": 0})
    assert (registry.links_of("acme"), registry.links_entry("acme").version) == ((), 1)
    with pytest.raises(StaleVersionError):
        registry.save_links(
            "acme", (link("acme", "globex"),), expected_version=0, guarded={"globex": 0}
        )
    with pytest.raises(StaleVersionError):
        registry.save_links(
            "us / 1", (link("us / 1", "acme"),), expected_version=0, guarded={"acme": 0}
        )
    registry.save_links(
        "us / 1", (link("us / 1", "acme"),), expected_version=0, guarded={"acme": 1}
    )
    assert registry.links_entry("globex").version == 0
    assert registry.links_entry("acme").version == 2


def test_linked_customers_stay(registry: RegistryAdmin) -> None:
    fill(registry)
    save(registry, "eu", link("eu", "acme", until=LATER))
    for name in ("eu", "acme"):
        with pytest.raises(InUseError):
            registry.remove_customer(name)
    save(registry, "eu", link("eu", "acme"))
    save(registry, "eu")
    for name in ("eu", "acme"):
        registry.remove_customer(name)


def test_customers_that_do_not_exist_are_not_linked(registry: RegistryAdmin) -> None:
    fill(registry)
    for child, parent in (("eu", "nobody"), ("nobody", "acme")):
        with pytest.raises(NotFoundError):
            save(registry, child, link(child, parent))
    assert list(registry.customer_links()) == []
