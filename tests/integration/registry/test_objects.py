"""Products, meters, offerings, customers, keys, answers and settings, on both registries."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from builders import NOON, agreement, at, dimension, offering, product
from meterbridge.adapters.dynamodb import registry_offerings
from meterbridge.application.registry_admin import (
    AlreadyExistsError,
    AnsweredError,
    RegistryAdmin,
)
from meterbridge.domain.agreements import AgreementState, Customer
from meterbridge.domain.errors import InUseError, NotFoundError, StaleVersionError
from meterbridge.domain.event_filters import Filter, FilterOperator
from meterbridge.domain.meters import Aggregation, GroupBy
from meterbridge.domain.usage_log import ShardPlan
from registry_setup import answer, api_key, ids, meter, set_up


def test_a_product_is_read_as_it_was_written(registry: RegistryAdmin) -> None:
    written = product(created_at=NOON)
    registry.add_product(written)
    assert registry.product("prd_llm") == written
    assert registry.product_entry("prd_llm").version == 1


def test_what_does_not_exist_is_not_found(registry: RegistryAdmin) -> None:
    for read in (
        lambda: registry.product("prd_x"),
        lambda: registry.meter("mtr_x"),
        lambda: registry.offering("off_x", 1),
        lambda: registry.agreement("agr_x"),
        lambda: registry.customer_entry("x"),
        lambda: registry.customer_entry(""),
        lambda: registry.api_key("key_x"),
        lambda: registry.api_key_by_digest("00"),
        lambda: registry.offering_versions("off_x", 0, 10),
        lambda: registry.remove_product("prd_x"),
        lambda: registry.remove_meter("mtr_x"),
        lambda: registry.remove_offering("off_x"),
        lambda: registry.remove_customer("x"),
        lambda: registry.remove_agreement("agr_x"),
        lambda: registry.suspend("agr_x", "why"),
        lambda: registry.resume("agr_x"),
    ):
        with pytest.raises(NotFoundError):
            read()
    assert registry.customers(["x", ""]) == {}
    assert registry.agreements_of("prd_x", "x") == []
    assert list(registry.agreements()) == []


def test_an_id_is_taken_once(registry: RegistryAdmin) -> None:
    set_up(registry)
    registry.add_agreement(agreement())
    registry.add_api_key(api_key())
    for write in (
        lambda: registry.add_product(product(name="Other")),
        lambda: registry.add_meter(meter(name="Other")),
        lambda: registry.add_offering(offering(name="Other"), {"mtr_requests": 1}),
        lambda: registry.add_customer(Customer("acme", "Other")),
        lambda: registry.add_api_key(api_key(name="Other", digest="cd" * 32)),
    ):
        with pytest.raises(AlreadyExistsError):
            write()
    assert registry.product("prd_llm").name == "LLM"
    assert registry.customers(["acme"])["acme"].name == "Acme"


def test_a_change_needs_the_version_that_was_read(registry: RegistryAdmin) -> None:
    set_up(registry)
    registry.add_api_key(api_key())
    registry.save_product(product(name="Two"), 1)
    registry.save_customer(Customer("acme", "Two"), 1)
    registry.save_meter(meter(name="Two"), 1)
    registry.save_api_key(api_key(name="Two"), 1)
    for write in (
        lambda: registry.save_product(product(name="Three"), 1),
        lambda: registry.save_customer(Customer("acme", "Three"), 1),
        lambda: registry.save_meter(meter(name="Three"), 1),
        lambda: registry.save_api_key(api_key(name="Three"), 1),
    ):
        with pytest.raises(StaleVersionError):
            write()
    assert registry.product_entry("prd_llm").version == 2
    assert registry.product("prd_llm").name == "Two"
    assert registry.meter("mtr_requests").name == "Two"
    assert registry.api_key_by_digest("ab" * 32).name == "Two"


def test_a_change_leaves_the_references_as_they_were(registry: RegistryAdmin) -> None:
    set_up(registry)
    registry.save_product(product(name="Two"), 1)
    registry.save_meter(meter(name="Two"), 1)
    with pytest.raises(InUseError):
        registry.remove_product("prd_llm")
    with pytest.raises(InUseError):
        registry.remove_meter("mtr_requests")


def test_a_meter_keeps_its_exact_filters(registry: RegistryAdmin) -> None:
    filters = (
        Filter("status", FilterOperator.IN, ("ok", Decimal("1.50"), 7, True, None)),
        Filter("$.a.b", FilterOperator.GTE, Decimal("0.10000000000000000000000000001")),
        Filter("text", FilterOperator.EQ, "1.5"),
        Filter("region", FilterOperator.EXISTS, False),
    )
    registry.add_product(product())
    written = meter(
        aggregation=Aggregation.SUM,
        value_path="$.tokens",
        filters=filters,
        group_by=(GroupBy("region", "$.region"),),
        created_at=NOON,
        archived_at=NOON + timedelta(days=1),
    )
    registry.add_meter(written)
    assert registry.meter("mtr_requests") == written
    assert registry.catalog().meters == (written,)


def test_every_change_of_a_meter_increases_the_catalog_version(registry: RegistryAdmin) -> None:
    assert registry.catalog().version == 0
    registry.add_product(product())
    registry.add_meter(meter())
    assert registry.catalog().version == 1
    registry.save_meter(meter(name="Two"), 1)
    assert registry.catalog().version == 2
    with pytest.raises(StaleVersionError):
        registry.save_meter(meter(name="Three"), 1)
    assert registry.catalog().version == 2
    registry.remove_meter("mtr_requests")
    assert registry.catalog().version == 3
    assert registry.catalog().meters == ()


def test_a_meter_needs_its_product(registry: RegistryAdmin) -> None:
    with pytest.raises(NotFoundError):
        registry.add_meter(meter())
    assert registry.catalog().meters == ()


def test_a_used_meter_keeps_its_group_names(registry: RegistryAdmin) -> None:
    registry.add_product(product())
    registry.add_meter(meter())
    registry.save_meter(meter(group_by=(GroupBy("region", "r"),)), 1)
    registry.add_offering(offering(dimension(group={"region": "eu"})), {"mtr_requests": 2})
    registry.save_meter(meter(group_by=(GroupBy("region", "$.other"),)), 2)
    with pytest.raises(InUseError):
        registry.save_meter(meter(), 3)


def test_a_used_meter_keeps_its_aggregation(registry: RegistryAdmin) -> None:
    registry.add_product(product())
    registry.add_meter(meter())
    by_value = meter(aggregation=Aggregation.MAX, value_path="v")
    registry.save_meter(by_value, 1)
    registry.add_offering(offering(), {"mtr_requests": 2})
    registry.save_meter(replace(by_value, value_path="w"), 2)
    with pytest.raises(InUseError):
        registry.save_meter(replace(by_value, aggregation=Aggregation.SUM), 3)


def test_an_offering_is_refused_where_a_meter_changed_meanwhile(registry: RegistryAdmin) -> None:
    registry.add_product(product())
    registry.add_meter(meter())
    registry.save_meter(meter(name="Two"), 1)
    with pytest.raises(StaleVersionError):
        registry.add_offering(offering(), {"mtr_requests": 1})
    with pytest.raises(NotFoundError):
        registry.offering_entry("off_std")


def test_a_published_version_never_changes(registry: RegistryAdmin) -> None:
    set_up(registry)
    second = offering(version=2, name="Second")
    registry.add_offering(second, {"mtr_requests": 1})
    assert registry.offering("off_std", 1) == offering()
    assert registry.offering("off_std", 2) == second
    assert registry.offering_entry("off_std").value == second
    with pytest.raises(StaleVersionError):
        registry.add_offering(offering(version=2, name="Third"), {"mtr_requests": 1})
    with pytest.raises(StaleVersionError):
        registry.add_offering(offering(version=4), {"mtr_requests": 1})
    page = registry.offering_versions("off_std", 0, 1)
    assert [entry.value.version for entry in page.entries] == [1]
    page = registry.offering_versions("off_std", int(page.next_after), 1)
    assert [entry.value.version for entry in page.entries] == [2]
    assert page.next_after == ""


def test_everything_can_go_once_nothing_refers_to_it(registry: RegistryAdmin) -> None:
    set_up(registry)
    registry.add_offering(offering(version=2), {"mtr_requests": 1})
    registry.add_agreement(agreement(state=AgreementState.PENDING))
    registry.remove_agreement("agr_1")
    registry.remove_customer("acme")
    registry.remove_offering("off_std")
    registry.remove_meter("mtr_requests")
    registry.remove_product("prd_llm")
    assert registry.agreements_of("prd_llm", "acme") == []
    with pytest.raises(NotFoundError):
        registry.offering("off_std", 1)
    set_up(registry)
    assert registry.offering("off_std", 1) == offering()


def test_an_offering_with_more_versions_than_a_transaction_holds_can_go(
    registry: RegistryAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_offerings, "MAX_ITEMS", 9)
    set_up(registry)
    for version in range(2, 13):
        registry.add_offering(offering(version=version), {"mtr_requests": 1})
    registry.remove_offering("off_std")
    with pytest.raises(NotFoundError):
        registry.offering_entry("off_std")
    registry.remove_meter("mtr_requests")
    registry.remove_product("prd_llm")


def test_lists_continue_where_they_stopped(registry: RegistryAdmin) -> None:
    set_up(registry)
    for name in ("prd_a", "prd_z"):
        registry.add_product(product(id=name))
        registry.add_meter(meter(id=f"m_{name}", product_id=name))
        registry.add_offering(
            offering(dimension(meter_id=f"m_{name}"), id=f"o_{name}", product_id=name),
            {f"m_{name}": 1},
        )
        registry.add_customer(Customer(name))
        registry.add_agreement(
            agreement(
                id=f"a_{name}", product_id=name, offering_id=f"o_{name}", customer_id=name, aws=None
            )
        )
    first = registry.products("", 2)
    assert (ids(first), first.next_after) == (["prd_a", "prd_llm"], "prd_llm")
    assert ids(registry.products(first.next_after, 2)) == ["prd_z"]
    assert ids(registry.products("", 2, ["prd_z", "prd_llm", "prd_x"])) == ["prd_llm", "prd_z"]
    assert ids(registry.meters("m_prd_a", 1)) == ["m_prd_z"]
    assert ids(registry.meters("", 9, ["prd_llm"])) == ["mtr_requests"]
    assert ids(registry.offerings("", 9)) == ["o_prd_a", "o_prd_z", "off_std"]
    page = registry.offerings("", 1, ["prd_llm", "prd_z"])
    assert (ids(page), page.next_after) == (["o_prd_z"], "o_prd_z")
    assert ids(registry.offerings("o_prd_z", 1, ["prd_llm", "prd_z"])) == ["off_std"]
    assert ids(registry.customer_page("", 2)) == ["acme", "prd_a"]
    assert ids(registry.agreement_page("", 9)) == ["a_prd_a", "a_prd_z"]
    assert ids(registry.agreement_page("", 9, ["prd_z"])) == ["a_prd_z"]
    assert ids(registry.agreement_page("", 9, [])) == []


def test_a_key_is_found_by_its_digest_until_it_is_changed(registry: RegistryAdmin) -> None:
    key = api_key(expires_at=NOON + timedelta(days=1))
    registry.add_api_key(key)
    registry.add_api_key(api_key(id="key_2", products=None, digest="cd" * 32))
    assert registry.api_key_by_digest("ab" * 32) == key
    registry.save_api_key(replace(key, revoked_at=NOON), 1)
    assert registry.api_key_by_digest("ab" * 32).revoked_at == NOON
    assert registry.api_key("key_1").value.revoked_at == NOON
    assert ids(registry.api_keys("", 9)) == ["key_1", "key_2"]


def test_an_answer_is_kept_with_the_effect_or_neither(registry: RegistryAdmin) -> None:
    registry.add_product(product(), answer())
    assert registry.answer("key_1", "retry-1", NOON) == answer()
    assert registry.answer("key_2", "retry-1", NOON) is None
    with pytest.raises(AnsweredError):
        registry.add_product(product(id="prd_other"), answer())
    with pytest.raises(NotFoundError):
        registry.product("prd_other")
    with pytest.raises(AlreadyExistsError):
        registry.add_product(product(), answer(idempotency_key="retry-2"))
    assert registry.answer("key_1", "retry-2", NOON) is None


def test_an_expired_answer_frees_its_key(registry: RegistryAdmin) -> None:
    registry.add_product(product(), answer())
    later = NOON + timedelta(hours=48)
    assert registry.answer("key_1", "retry-1", later) is None
    registry.add_product(product(id="prd_other"), answer(given_at=later, body="{}"))
    assert registry.answer("key_1", "retry-1", later) == answer(given_at=later, body="{}")


def test_the_shard_plan_is_set_from_the_version_read(registry: RegistryAdmin) -> None:
    assert registry.shard_plan_entry().version == 0
    assert registry.shard_plan() == ShardPlan()
    plan = ShardPlan().changed(16, at("2026-11-25T00"), NOON)
    registry.set_shard_plan(plan, 0)
    assert registry.shard_plan() == plan
    with pytest.raises(StaleVersionError):
        registry.set_shard_plan(ShardPlan(), 0)
    registry.set_shard_plan(ShardPlan(), 1)
    assert registry.shard_plan_entry().version == 2
