"""Publications over HTTP: a dry run, an explicit step to apply it, and what becomes of that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from api_setup import DIMENSION, Api, create_all, make_api
from dynamodb import mocked_table
from fakes.publications import FakeCatalog, FakePublicationStore
from fakes.registry import FakeRegistry
from http_api import Answer, Client
from manage.catalogs import PublishingSettings, catalogs, validators
from meterbridge.adapters.dynamodb.publication_store import DynamoPublicationStore
from meterbridge.adapters.dynamodb.registry_store import RegistryStore
from meterbridge.adapters.marketplaces.azure_ingestion import AzureIngestion
from meterbridge.application.publication_ports import (
    CatalogBusyError,
    CatalogClosedError,
    CatalogRefusedError,
    CatalogUnknownError,
    Progress,
    ProgressState,
    Publishing,
)
from meterbridge.domain.channels import Channel
from meterbridge.domain.errors import MarketplaceError

PUBLICATIONS = "/v1/offerings/off_std/publications"
AWS = {"channel": "aws", "aws": {"product_id": "prod-abc123", "refund_policy": "None."}}
AZURE = {
    "channel": "azure",
    "azure": {
        "offer_id": "acme-llm",
        "plan_id": "std",
        "offer_alias": "Acme LLM",
        "plan_alias": "Standard",
        "markets": ["US"],
    },
}
GCP = {
    "channel": "gcp",
    "gcp": {"service_name": "acme.gcpmarketplace.acme.example", "plan_id": "std"},
}
NOTE = {"note": "entered by Ada"}


@dataclass
class Shop:
    """The API with a catalog behind it that does what it is told."""

    api: Api
    call: Client
    catalog: FakeCatalog

    def draft(self, body: Any = AWS, **headers: str) -> Answer:
        return self.call("POST", PUBLICATIONS, body, **headers)

    def apply(self, draft: Answer, **headers: str) -> Answer:
        return self.call("POST", f"/v1/publications/{draft.body['id']}/apply", None, **headers)

    def confirm(self, draft: Answer, **headers: str) -> Answer:
        return self.call("POST", f"/v1/publications/{draft.body['id']}/confirm", NOTE, **headers)

    def read(self, draft: Answer) -> Answer:
        return self.call("GET", f"/v1/publications/{draft.body['id']}")


@pytest.fixture(params=["fake", "dynamodb"])
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    catalog = FakeCatalog()
    makes = {Channel.AWS: lambda: catalog, Channel.AZURE: lambda: catalog}
    with mocked_table("Registry", "ref", "by_reference") as name:
        shelves = FakeRegistry()
        fake = request.param == "fake"
        registry: Any = shelves if fake else RegistryStore(name)
        store: Any = FakePublicationStore(shelves) if fake else DynamoPublicationStore(name)
        api = make_api(registry, publishing=Publishing(store, validators(), makes))
        call = api.client()
        create_all(call)
        yield Shop(api, call, catalog)


class TestDryRuns:
    def test_a_dry_run_answers_what_would_be_sent_and_sends_nothing(self, shop: Shop) -> None:
        draft = shop.draft()
        assert (draft.status, draft.headers["ETag"]) == (201, '"1"')
        assert (draft.body["state"], draft.body["appliable"]) == ("draft", True)
        assert (draft.body["plan"], draft.body["offering_version"]) == ("std", 1)
        (document,) = draft.body["documents"]
        assert (document["name"], document["call"]) == ("change_set", "StartChangeSet")
        terms = document["body"]["ChangeSet"][3]["DetailsDocument"]["Terms"]
        assert terms[0]["RateCards"] == [
            {"RateCard": [{"DimensionKey": "tokens", "Price": "0.002"}]}
        ]
        assert {"pointer": "/prices/tokens", "before": None, "after": '"0.002"'} in (
            draft.body["changes"]
        )
        assert draft.body["faults"] == draft.body["gaps"] == []
        assert shop.catalog.calls == 0
        assert shop.read(draft).body == draft.body

    def test_gaps_say_what_the_listing_lacks(self, shop: Shop) -> None:
        draft = shop.draft({"channel": "aws", "aws": {}})
        assert draft.body["appliable"] is False
        assert [(gap["pointer"], gap["code"]) for gap in draft.body["gaps"] if gap["blocks"]] == [
            ("/aws/information", "missing"),
            ("/aws/fulfillment_url", "missing"),
            ("/aws/limited_to", "missing"),
            ("/aws/refund_policy", "missing"),
        ]
        refused = shop.apply(draft)
        assert (refused.status, refused.code) == (409, "publication_has_gaps")

    def test_prices_at_microsoft_are_numbers(self, shop: Shop) -> None:
        resources = shop.draft(AZURE).body["documents"][0]["body"]["resources"]
        (pricing,) = [each["pricing"] for each in resources if "pricing" in each]
        assert pricing["customMeters"]["meters"] == {"tokens": {"pricePerPaymentInUsd": 0.002}}

    def test_they_are_listed_page_by_page_without_their_documents(self, shop: Shop) -> None:
        made = [shop.draft(body).body["id"] for body in (AWS, AZURE, GCP)]
        first = shop.call("GET", f"{PUBLICATIONS}?limit=2")
        assert [each["id"] for each in first.body["items"]] == sorted(made)[:2]
        assert "documents" not in first.body["items"][0]
        rest = shop.call("GET", f"{PUBLICATIONS}?limit=2&cursor={first.body['next_cursor']}")
        assert [each["id"] for each in rest.body["items"]] == sorted(made)[2:]
        assert rest.body["next_cursor"] is None

    def test_another_version_is_compared_with_what_was_applied(self, shop: Shop) -> None:
        first = shop.draft()
        shop.apply(first)
        shop.catalog.now = Progress(ProgressState.SUCCEEDED, entities={"offer": "offer-9"})
        assert shop.read(first).body["state"] == "applied"
        cheaper = {
            "name": "Two",
            "plans": [{"code": "std", "dimensions": [{**DIMENSION, "unit_price": "0.001"}]}],
        }
        shop.call("POST", "/v1/offerings/off_std/versions", cheaper)
        second = shop.draft()
        assert second.body["follows"] == first.body["id"]
        assert second.body["changes"] == [
            {"pointer": "/offer_name", "before": '"Standard (std)"', "after": '"Two (std)"'},
            {"pointer": "/prices/tokens", "before": '"0.002"', "after": '"0.001"'},
        ]
        assert shop.draft({**AWS, "version": 1}).body["changes"] == []


class TestApplying:
    def test_it_goes_from_draft_to_applied_and_tells_the_ids(self, shop: Shop) -> None:
        draft = shop.draft()
        applying = shop.apply(draft, If_Match='"1"')
        assert (applying.status, applying.headers["ETag"]) == (202, '"3"')
        assert (applying.body["state"], applying.body["reference"]) == ("applying", "job-1")
        assert shop.read(draft).body["state"] == "applying"
        shop.catalog.now = Progress(ProgressState.SUCCEEDED, entities={"offer": "offer-9"})
        done = shop.read(draft).body
        assert (done["state"], done["applied_by"]) == ("applied", "key_test")
        assert done["entities"] == {"product": "prod-abc123", "offer": "offer-9"}

    def test_what_failed_tells_the_marketplaces_words(self, shop: Shop) -> None:
        draft = shop.draft(AZURE)
        shop.apply(draft)
        shop.catalog.now = Progress(ProgressState.FAILED, ("the job failed", "plan: taken"))
        failed = shop.read(draft).body
        assert (failed["state"], failed["words"]) == ("failed", ["the job failed", "plan: taken"])
        shop.catalog.failures = [CatalogRefusedError(("HTTP 400", "no"))]
        refused = shop.apply(shop.draft(AZURE))
        assert (refused.status, refused.body["state"]) == (202, "failed")
        assert refused.body["words"] == ["HTTP 400", "no"]

    def test_only_what_was_seen_is_applied(self, shop: Shop) -> None:
        draft = shop.draft()
        refused = shop.apply(draft, If_Match='"2"')
        assert (refused.status, refused.code) == (412, "precondition_failed")
        assert shop.catalog.calls == 0

    def test_a_repeated_request_gets_the_first_answer_and_has_one_effect(self, shop: Shop) -> None:
        draft = shop.draft(Idempotency_Key="d1")
        assert shop.draft(Idempotency_Key="d1").body == draft.body
        first = shop.apply(draft, If_Match='"1"', Idempotency_Key="a1")
        again = shop.apply(draft, If_Match='"1"', Idempotency_Key="a1")
        assert (again.status, again.body) == (202, first.body)
        assert again.headers["Idempotent-Replayed"] == "true"
        assert shop.apply(draft, If_Match='"1"').body == first.body
        assert shop.catalog.calls == 1

    def test_without_an_answer_of_the_marketplace_the_same_request_is_sent_again(
        self, shop: Shop
    ) -> None:
        draft = shop.draft()
        shop.catalog.lost = [CatalogUnknownError("reset")]
        lost = shop.apply(draft, If_Match='"1"', Idempotency_Key="a1")
        assert (lost.status, lost.code) == (503, "marketplace_unknown")
        assert lost.headers["Retry-After"] == "2"
        waiting = shop.read(draft).body
        assert (waiting["state"], waiting["reference"]) == ("applying", "")
        assert "apply it again" in waiting["progress_unknown"]
        again = shop.apply(draft, If_Match='"1"', Idempotency_Key="a1")
        assert (again.status, again.body["reference"]) == (202, "job-1")

    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (CatalogBusyError("locked by cs1"), "marketplace_busy"),
            (CatalogClosedError("AccessDenied: no"), "marketplace_closed"),
        ],
    )
    def test_what_was_not_sent_says_why(self, shop: Shop, error: Exception, code: str) -> None:
        draft = shop.draft()
        shop.catalog.failures = [error]
        refused = shop.apply(draft, If_Match='"1"')
        assert (refused.status, refused.code) == (409, code)
        assert refused.body["detail"] == str(error)
        assert shop.apply(draft, If_Match='"1"').status == 202

    def test_a_marketplace_that_does_not_say_how_far_it_is_does_not_hide_the_rest(
        self, shop: Shop
    ) -> None:
        draft = shop.draft()
        shop.apply(draft)
        shop.catalog.now = MarketplaceError("throttled")
        found = shop.read(draft)
        assert (found.status, found.body["progress_unknown"]) == (200, "throttled")


class TestByHand:
    def test_google_is_entered_by_a_person(self, shop: Shop) -> None:
        draft = shop.draft(GCP)
        assert draft.body["steps"][0].startswith("In Producer Portal")
        refused = shop.apply(draft)
        assert (refused.status, refused.code) == (409, "entered_by_hand")
        done = shop.confirm(draft, If_Match='"1"', Idempotency_Key="c1")
        assert (done.status, done.body["state"], done.body["note"]) == (
            201,
            "applied",
            "entered by Ada",
        )
        assert shop.confirm(draft, If_Match='"1"', Idempotency_Key="c1").body == done.body
        assert shop.confirm(draft).code == "publication_is_final"

    def test_the_others_are_not(self, shop: Shop) -> None:
        refused = shop.confirm(shop.draft())
        assert (refused.status, refused.code) == (409, "not_entered_by_hand")


class TestWhoMay:
    def test_it_takes_an_admin_to_publish_and_a_reader_to_look(self, shop: Shop) -> None:
        draft = shop.draft()
        reader = shop.api.client(scopes="read")
        path = f"/v1/publications/{draft.body['id']}"
        assert reader("GET", path).status == 200
        assert reader("GET", PUBLICATIONS).status == 200
        for target, body in (
            (PUBLICATIONS, AWS),
            (f"{path}/apply", None),
            (f"{path}/confirm", NOTE),
        ):
            assert reader("POST", target, body).status == 403

    def test_what_is_another_products_is_not_there(self, shop: Shop) -> None:
        draft = shop.draft()
        stranger = shop.api.client(products="prd_other")
        path = f"/v1/publications/{draft.body['id']}"
        for method, target, body in (
            ("GET", path, None),
            ("GET", PUBLICATIONS, None),
            ("POST", PUBLICATIONS, AWS),
            ("POST", f"{path}/apply", None),
            ("POST", f"{path}/confirm", NOTE),
        ):
            assert stranger(method, target, body).status == 404


class TestRefusedRequests:
    @pytest.mark.parametrize(
        ("body", "faults"),
        [
            ({"channel": "aws"}, [("/aws", "missing")]),
            ({**AWS, "gcp": GCP["gcp"]}, [("/gcp", "unexpected")]),
            ({"channel": "gcp", "aws": {}}, [("/aws", "unexpected"), ("/gcp", "missing")]),
            ({**AWS, "version": 9}, [("/version", "unknown_version")]),
            ({**AWS, "plan": "gold"}, [("/plan", "unknown_plan")]),
            ({**AWS, "dry_run": True}, [("/dry_run", "extra_forbidden")]),
            (
                {"channel": "azure", "azure": {**AZURE["azure"], "users": {"least": 5, "most": 4}}},  # type: ignore[dict-item]
                [("/azure/users/most", "empty_span")],
            ),
        ],
    )
    def test_what_does_not_fit_together_is_told(self, shop: Shop, body: Any, faults: Any) -> None:
        answer = shop.draft(body)
        assert (answer.status, answer.faults) == (422, faults)

    def test_every_fault_of_a_listing_is_told_at_once(self, shop: Shop) -> None:
        private = {
            "buyer_accounts": ["1", "1"],
            "available_until": "2026-02-30",
            "agreement_duration": "P0D",
            "payments": [{"due_on": 20270101, "amount": 1.5}],
        }
        listing = {
            "product_id": "arn:aws:x",
            "fulfillment_url": "http://acme.example",
            "limited_to": ["111122223333", "111122223333"],
            "units": {"tokens": "Litres"},
            "private_offer": private,
        }
        answer = shop.draft({"channel": "aws", "aws": listing})
        assert answer.status == 422
        assert sorted(answer.faults) == [
            ("/aws/fulfillment_url", "string_pattern_mismatch"),
            ("/aws/limited_to", "repeated"),
            ("/aws/private_offer/agreement_duration", "string_pattern_mismatch"),
            ("/aws/private_offer/available_until", "date"),
            ("/aws/private_offer/buyer_accounts/0", "string_pattern_mismatch"),
            ("/aws/private_offer/buyer_accounts/1", "string_pattern_mismatch"),
            ("/aws/private_offer/payments/0/amount", "decimal_text"),
            ("/aws/private_offer/payments/0/due_on", "date"),
            ("/aws/product_id", "string_pattern_mismatch"),
            ("/aws/units/tokens", "enum"),
        ]

    def test_what_there_is_not_cannot_be_read_or_applied(self, shop: Shop) -> None:
        for method, path in (("GET", ""), ("POST", "/apply")):
            assert shop.call(method, f"/v1/publications/pub_none{path}").status == 404
        assert shop.call("POST", "/v1/offerings/off_none/publications", AWS).status == 404


class TestSwitchedOff:
    def test_without_the_setting_plans_are_compiled_and_nothing_is_applied(self) -> None:
        api = make_api(
            publishing=Publishing(
                FakePublicationStore(), validators(), catalogs(PublishingSettings())
            )
        )
        call = api.client()
        create_all(call)
        draft = call("POST", PUBLICATIONS, AWS)
        refused = call("POST", f"/v1/publications/{draft.body['id']}/apply")
        assert (draft.status, refused.status, refused.code) == (201, 409, "publishing_off")

    def test_with_the_setting_each_catalog_is_made_once_and_when_it_is_needed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        assert set(catalogs(PublishingSettings("true"))) == {Channel.AWS}
        settings = PublishingSettings("true", tenant_id="t", client_id="c", secret_arn="arn")
        made = catalogs(settings)
        assert made[Channel.AWS]() is made[Channel.AWS]()
        azure = made[Channel.AZURE]()
        assert isinstance(azure, AzureIngestion)
        assert made[Channel.AZURE]() is azure
