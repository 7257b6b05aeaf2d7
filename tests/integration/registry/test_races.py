"""Two changes at once on DynamoDB: the second is committed between the first's read and write."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from builders import agreement, at, offering, product
from dynamodb import mocked_table
from meterbridge.adapters.dynamodb.registry_store import RegistryStore
from meterbridge.adapters.dynamodb.transactions import Transaction
from meterbridge.application.registry_admin import Answer, AnsweredError, OverlapError
from meterbridge.domain.agreements import AgreementState, Customer
from meterbridge.domain.errors import InUseError, NotFoundError, StaleVersionError
from registry_setup import answer, meter, set_up


class Overtaken(RegistryStore):
    """A store that somebody overtakes, once, just before it writes."""

    rival: Callable[[], None] | None = None

    def _change(self, answer: Answer | None = None) -> Transaction:
        change = super()._change(answer)
        commit = change.commit

        def overtaken() -> None:
            rival, self.rival = self.rival, None
            if rival is not None:
                rival()
            commit()

        change.commit = overtaken  # type: ignore[method-assign]
        return change


@pytest.fixture
def other() -> Iterator[RegistryStore]:
    with mocked_table("Registry", "ref", "by_reference") as name:
        yield RegistryStore(name)


@pytest.fixture
def store(other: RegistryStore) -> Overtaken:
    return Overtaken("Registry")


def test_a_product_deleted_meanwhile_gets_no_meter(store: Overtaken, other: RegistryStore) -> None:
    other.add_product(product())
    store.rival = lambda: other.remove_product("prd_llm")
    with pytest.raises(NotFoundError):
        store.add_meter(meter())
    assert other.catalog().meters == ()


def test_a_product_that_got_a_meter_meanwhile_stays(store: Overtaken, other: RegistryStore) -> None:
    other.add_product(product())
    store.rival = lambda: other.add_meter(meter())
    with pytest.raises(InUseError):
        store.remove_product("prd_llm")
    assert other.product("prd_llm") == product()


def test_a_meter_that_got_an_offering_meanwhile_stays(
    store: Overtaken, other: RegistryStore
) -> None:
    other.add_product(product())
    other.add_meter(meter())
    store.rival = lambda: other.add_offering(offering(), {"mtr_requests": 1})
    with pytest.raises(InUseError):
        store.remove_meter("mtr_requests")
    assert other.meter("mtr_requests") == meter()


def test_an_offering_deleted_meanwhile_gets_no_agreement(
    store: Overtaken, other: RegistryStore
) -> None:
    set_up(other)
    store.rival = lambda: other.remove_offering("off_std")
    with pytest.raises(NotFoundError):
        store.add_agreement(agreement())
    assert list(other.agreements()) == []


def test_an_offering_that_got_an_agreement_meanwhile_stays(
    store: Overtaken, other: RegistryStore
) -> None:
    set_up(other)
    store.rival = lambda: other.add_agreement(agreement())
    with pytest.raises(InUseError):
        store.remove_offering("off_std")
    assert other.offering("off_std", 1) == offering()


def test_a_customer_who_got_an_agreement_meanwhile_stays(
    store: Overtaken, other: RegistryStore
) -> None:
    set_up(other)
    store.rival = lambda: other.add_agreement(agreement())
    with pytest.raises(InUseError):
        store.remove_customer("acme")
    assert set(other.customers(["acme"])) == {"acme"}


def test_of_two_overlapping_agreements_at_once_one_is_made(
    store: Overtaken, other: RegistryStore
) -> None:
    set_up(other)
    store.rival = lambda: other.add_agreement(agreement(id="agr_2", aws=None))
    with pytest.raises(OverlapError):
        store.add_agreement(agreement())
    assert [each.id for each in other.agreements()] == ["agr_2"]


def test_two_agreements_at_once_that_do_not_overlap_are_both_made(
    store: Overtaken, other: RegistryStore
) -> None:
    set_up(other)
    store.rival = lambda: other.add_agreement(agreement(id="agr_2", ends_at=at("2026-11-20T00")))
    store.add_agreement(agreement(starts_at=at("2026-11-20T00")))
    assert [each.id for each in other.agreements_of("prd_llm", "acme")] == ["agr_2", "agr_1"]


def test_an_agreement_activated_meanwhile_is_not_deleted(
    store: Overtaken, other: RegistryStore
) -> None:
    set_up(other)
    other.add_agreement(agreement(state=AgreementState.PENDING))
    store.rival = lambda: other.save_agreement(agreement(version=2))
    with pytest.raises(StaleVersionError):
        store.remove_agreement("agr_1")
    assert other.agreement("agr_1").state is AgreementState.ACTIVE


def test_an_agreement_changed_while_it_is_suspended_is_suspended_all_the_same(
    store: Overtaken, other: RegistryStore
) -> None:
    set_up(other)
    other.add_agreement(agreement())
    other.add_customer(Customer("beta"))
    read = store.agreement
    changed = agreement(zero_records=True, version=2)

    def read_then_changed(agreement_id: str) -> object:
        found = read(agreement_id)
        if found.version == 1:
            other.save_agreement(changed)
        return found

    store.agreement = read_then_changed  # type: ignore[method-assign, assignment]
    store.suspend("agr_1", "not entitled")
    suspended = other.agreement("agr_1")
    assert suspended.state is AgreementState.SUSPENDED
    assert (suspended.version, suspended.zero_records) == (3, True)


def test_one_idempotency_key_used_twice_at_once_has_one_effect(
    store: Overtaken, other: RegistryStore
) -> None:
    store.rival = lambda: other.add_product(product(), answer())
    with pytest.raises(AnsweredError):
        store.add_product(product(id="prd_second"), answer())
    with pytest.raises(NotFoundError):
        other.product("prd_second")
