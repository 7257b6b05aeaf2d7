"""Publications are kept like everything else of the registry: all of a change, or nothing of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from builders import NOON
from dynamodb import mocked_table
from fakes.publications import FakePublicationStore
from fakes.registry import FakeRegistry
from meterbridge.adapters.dynamodb.publication_store import DynamoPublicationStore
from meterbridge.adapters.dynamodb.registry_store import RegistryStore
from meterbridge.application.publication_ports import LineHead
from meterbridge.application.registry_admin import AlreadyExistsError, AnsweredError
from meterbridge.domain.channels import Channel
from meterbridge.domain.errors import InvalidInputError, NotFoundError, StaleVersionError
from meterbridge.domain.pricing.faults import Fault
from meterbridge.domain.publishing.compiled import Change, Document, Gap
from meterbridge.domain.publishing.publication import Publication
from registry_setup import answer


def publication(**changes: Any) -> Publication:
    values: dict[str, Any] = {
        "id": "pub_1",
        "product_id": "prd_llm",
        "offering_id": "off_std",
        "offering_version": 1,
        "plan_code": "std",
        "channel": Channel.AZURE,
        "audience": "",
        "documents": (Document("configure", "POST configure", '{"price":0.0000001}'),),
        "gaps": (Gap("/trial", "kept_here", "why"), Gap("/fees", "missing", "x", blocks=True)),
        "faults": (Fault("/resources", "missing", "it"),),
        "steps": ("Look.",),
        "content": {"/prices/d0": '"0.01"'},
        "changes": (Change("/prices/d0", None, '"0.01"'),),
        "created_at": NOON,
        "created_by": "key_1",
    }
    return Publication(**{**values, **changes})


@pytest.fixture(params=["fake", "dynamodb"])
def kept(request: pytest.FixtureRequest) -> Iterator[tuple[Any, Any]]:
    """The store, and the registry whose answers it keeps."""
    if request.param == "fake":
        shelves = FakeRegistry()
        yield FakePublicationStore(shelves), shelves
        return
    with mocked_table("Registry", "ref", "by_reference") as name:
        yield DynamoPublicationStore(name), RegistryStore(name)


@pytest.fixture
def store(kept: tuple[Any, Any]) -> Any:
    return kept[0]


def test_it_comes_back_as_it_was_to_the_last_digit(store: Any) -> None:
    given = (
        publication(entities={"product": "product/1"}, prices_raised_at=NOON)
        .starting("key_2", NOON)
        .started("job-1")
        .checked(NOON + timedelta(minutes=1))
        .failed(("no", "never"), NOON + timedelta(minutes=2))
    )
    store.add(given)
    assert store.publication("pub_1") == given


def test_what_is_not_there_is_not_found(store: Any) -> None:
    for name in ("pub_1", "", "off_std"):
        with pytest.raises(NotFoundError):
            store.publication(name)


def test_an_id_is_taken_once(store: Any) -> None:
    store.add(publication())
    with pytest.raises(AlreadyExistsError):
        store.add(publication(plan_code="pro"))
    assert store.publication("pub_1").plan_code == "std"


def test_those_of_an_offering_are_listed_page_by_page(store: Any) -> None:
    for number in (3, 1, 2):
        store.add(publication(id=f"pub_{number}"))
    store.add(publication(id="pub_0", offering_id="off_other"))
    assert [each.id for each in store.publications("off_std", "", 2)] == ["pub_1", "pub_2"]
    assert [each.id for each in store.publications("off_std", "pub_2", 2)] == ["pub_3"]
    assert store.publications("off_none", "", 2) == []


def test_a_line_has_no_head_before_something_of_it_is_applied(store: Any) -> None:
    assert store.head(publication().line) == LineHead()


def test_both_are_changed_or_neither(store: Any) -> None:
    draft, other = publication(), publication(id="pub_2")
    store.add(draft)
    store.add(other)
    begun = draft.starting("key_1", NOON)
    head = store.head(draft.line).taken_by(draft.id)
    store.save(begun, head)
    assert (store.publication("pub_1"), store.head(draft.line)) == (begun, head)
    with pytest.raises(StaleVersionError):
        store.save(begun, head.free())
    with pytest.raises(StaleVersionError):
        store.save(other.starting("key_1", NOON), LineHead().taken_by(other.id))
    assert (store.publication("pub_2"), store.head(draft.line)) == (other, head)
    done = begun.started("job-1")
    store.save(done)
    store.save(done.applied({"offer": "o"}, NOON), head.settled_by(draft.id))
    assert store.head(draft.line) == LineHead("pub_1", "", 2)


@pytest.mark.parametrize(
    "changes", [{"channel": Channel.AWS}, {"plan_code": "pro"}, {"audience": "111122223333"}]
)
def test_another_line_has_a_head_of_its_own(store: Any, changes: dict[str, Any]) -> None:
    first, other = publication(), publication(id="pub_2", **changes)
    for each in (first, other):
        store.add(each)
        store.save(each.starting("key_1", NOON), store.head(each.line).taken_by(each.id))
    assert store.head(first.line).applying == "pub_1"
    assert store.head(other.line).applying == "pub_2"


def test_an_answer_is_kept_with_what_it_answers_and_once(kept: tuple[Any, Any]) -> None:
    store, registry = kept
    store.add(publication(), answer())
    assert registry.answer("key_1", "retry-1", NOON) == answer()
    with pytest.raises(AnsweredError):
        store.add(publication(id="pub_2"), answer())
    with pytest.raises(NotFoundError):
        store.publication("pub_2")
    begun = publication().starting("key_1", NOON)
    with pytest.raises(AnsweredError):
        store.save(begun, answer=answer())
    assert store.publication("pub_1").version == 1
    store.save(begun, answer=answer(idempotency_key="retry-2"))
    assert registry.answer("key_1", "retry-2", NOON) is not None


def test_more_buyers_than_a_key_holds_are_still_one_line(store: Any) -> None:
    many = publication(audience=",".join(f"{number:012d}" for number in range(200)))
    store.add(many)
    store.save(many.starting("key_1", NOON), store.head(many.line).taken_by(many.id))
    assert store.head(replace(many, id="pub_9").line).applying == "pub_1"


def test_documents_that_do_not_fit_an_item_are_refused() -> None:
    with mocked_table("Registry", "ref", "by_reference") as name:
        store = DynamoPublicationStore(name)
        large = publication(documents=(Document("configure", "", f'"{"x" * 350_000}"'),))
        with pytest.raises(InvalidInputError) as refused:
            store.add(large)
    assert refused.value.code == "too_large"
