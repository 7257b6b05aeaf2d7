"""A POST that is repeated: one effect, one answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from api_setup import AGREEMENT, CUSTOMER, KEY, METER, OFFERING, PRODUCT, Api, create_all, make_api
from meterbridge.application.registry_admin import Answer
from meterbridge.domain.offerings import Product

NEW = {"name": "LLM"}


def test_a_repeated_post_gets_the_first_answer_and_has_one_effect(stored: Api) -> None:
    call = stored.client()
    first = call("POST", "/v1/products", NEW, Idempotency_Key="k1")
    again = call("POST", "/v1/products", NEW, Idempotency_Key="k1")
    assert (again.status, again.body) == (201, first.body)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert len(call("GET", "/v1/products").body["items"]) == 1


def test_every_post_that_creates_can_be_repeated(stored: Api) -> None:
    call = stored.client()
    version = {"name": "Two", "plans": OFFERING["plans"]}
    for path, body in (
        ("products", PRODUCT),
        ("meters", METER),
        ("offerings", OFFERING),
        ("offerings/off_std/versions", version),
        ("customers", CUSTOMER),
        ("agreements", AGREEMENT),
    ):
        first = call("POST", f"/v1/{path}", body, Idempotency_Key=path)
        again = call("POST", f"/v1/{path}", body, Idempotency_Key=path)
        assert (first.status, again.status, again.body) == (201, 201, first.body), path
    assert call("GET", "/v1/offerings/off_std").body["version"] == 2


def test_the_same_key_for_another_request_is_refused(stored: Api) -> None:
    call = stored.client()
    call("POST", "/v1/products", NEW, Idempotency_Key="k1")
    for path, body in (("products", {"name": "Other"}), ("customers", CUSTOMER)):
        answer = call("POST", f"/v1/{path}", body, Idempotency_Key="k1")
        assert (answer.status, answer.code) == (422, "idempotency_key_reused"), path


def test_another_api_key_has_idempotency_keys_of_its_own(stored: Api) -> None:
    stored.client()("POST", "/v1/products", NEW, Idempotency_Key="k1")
    other = stored.client(key_id="key_other")
    assert other("POST", "/v1/customers", CUSTOMER, Idempotency_Key="k1").status == 201


def test_a_refused_request_can_be_repeated_once_it_is_right(stored: Api) -> None:
    call = stored.client()
    refused = call("POST", "/v1/meters", METER, Idempotency_Key="k1")
    assert refused.status == 422
    call("POST", "/v1/products", PRODUCT)
    assert call("POST", "/v1/meters", METER, Idempotency_Key="k1").status == 201


def test_a_kept_answer_expires_after_two_days(stored: Api) -> None:
    call = stored.client()
    first = call("POST", "/v1/products", NEW, Idempotency_Key="k1")
    stored.clock.advance(timedelta(hours=47, minutes=59))
    assert call("POST", "/v1/products", NEW, Idempotency_Key="k1").body == first.body
    stored.clock.advance(timedelta(minutes=1))
    assert call("POST", "/v1/products", NEW, Idempotency_Key="k1").body["id"] != first.body["id"]


def test_a_secret_is_not_kept_for_a_replay(stored: Api) -> None:
    call = stored.client()
    call("POST", "/v1/products", PRODUCT)
    first = call("POST", "/v1/api-keys", KEY, Idempotency_Key="k1")
    again = call("POST", "/v1/api-keys", KEY, Idempotency_Key="k1")
    assert (again.status, again.code) == (409, "idempotency_secret_shown")
    assert first.body["id"] in again.body["detail"]
    kept = stored.registry.answer("key_test", "k1", stored.clock.now())
    assert kept is not None
    assert first.body["key"] not in kept.body
    assert len(call("GET", "/v1/api-keys").body["items"]) == 1


@pytest.mark.parametrize("key", ["", " ", "a b", "ü", "x" * 256])
def test_an_idempotency_key_is_printable_ascii(stored: Api, key: str) -> None:
    answer = stored.client()("POST", "/v1/products", NEW, Idempotency_Key=key)
    assert answer.status in (201, 422)
    if key.strip():
        assert answer.faults[0][0] == "idempotency-key"


def overtaken(api: Api, monkeypatch: pytest.MonkeyPatch, rival: Callable[[], object]) -> None:
    """Let somebody overtake the next creation of a product, just before it is stored."""
    add = api.registry.add_product

    def add_product(product: Product, answer: Answer | None = None) -> None:
        monkeypatch.setattr(api.registry, "add_product", add)
        rival()
        add(product, answer)

    monkeypatch.setattr(api.registry, "add_product", add_product)


def test_of_two_repeats_at_once_one_has_the_effect_and_both_its_answer(
    stored: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, answers = stored.client(), []
    other = make_api(stored.registry).client()

    def rival() -> None:
        answers.append(other("POST", "/v1/products", NEW, Idempotency_Key="k1"))

    overtaken(stored, monkeypatch, rival)
    slower = call("POST", "/v1/products", NEW, Idempotency_Key="k1")
    assert (slower.status, slower.body) == (201, answers[0].body)
    assert len(call("GET", "/v1/products").body["items"]) == 1


def test_a_request_killed_after_its_effect_is_answered_by_the_retry(
    stored: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = stored.client()
    add = stored.registry.add_product

    def killed(product: Product, answer: Answer | None = None) -> None:
        add(product, answer)
        raise KeyboardInterrupt

    monkeypatch.setattr(stored.registry, "add_product", killed)
    with pytest.raises(KeyboardInterrupt):
        call("POST", "/v1/products", NEW, Idempotency_Key="k1")
    monkeypatch.setattr(stored.registry, "add_product", add)
    retried = call("POST", "/v1/products", NEW, Idempotency_Key="k1")
    assert retried.status == 201
    assert [each["id"] for each in call("GET", "/v1/products").body["items"]] == [
        retried.body["id"]
    ]


def test_the_repeat_of_an_agreement_is_no_overlap(stored: Api) -> None:
    call = stored.client()
    create_all(call)
    unnamed = {**AGREEMENT, "starts_at": "2027-01-01T00:00:00Z"}
    unnamed.pop("id")
    call("PATCH", "/v1/agreements/agr_1", {"ends_at": "2027-01-01T00:00:00Z"})
    first = call("POST", "/v1/agreements", unnamed, Idempotency_Key="k1")
    again = call("POST", "/v1/agreements", unnamed, Idempotency_Key="k1")
    assert (first.status, again.status, again.body) == (201, 201, first.body)
