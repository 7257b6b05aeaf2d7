"""Publications from the dry run to the marketplace and back, against strict marketplaces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from builders import dimension, offering
from fakes.publications import FakePublicationStore
from integration.publishing_seller import PublishingSeller
from meterbridge.adapters.marketplaces.aws_catalog import request_token
from meterbridge.application.publication_ports import (
    CatalogBusyError,
    CatalogClosedError,
    CatalogUnknownError,
    RefusedPublicationError,
)
from meterbridge.domain.errors import StaleVersionError
from meterbridge.domain.money import Money
from meterbridge.domain.offerings import Offering
from meterbridge.domain.publishing.listings import AwsListing, AzureTarget
from meterbridge.domain.publishing.publication import Publication, PublicationState
from publishing_setup import (
    INSTALMENTS,
    NEW_ON_AWS,
    ON_AZURE,
    PRIVATE,
    SUBSCRIPTION,
    TIERED,
    TRIAL,
    UNITS,
)
from sandbox.marketplaces.http_server import running_sandbox

PREVIEW = replace(ON_AZURE, target=AzureTarget.PREVIEW)
LISTINGS = {"aws": NEW_ON_AWS, "azure": ON_AZURE}


@pytest.fixture(scope="module")
def connected() -> Iterator[PublishingSeller]:
    with running_sandbox(seed=3) as running:
        seller = PublishingSeller(running)
        yield seller
        seller.close()


@pytest.fixture
def seller(connected: PublishingSeller) -> Iterator[PublishingSeller]:
    fresh = PublishingSeller(connected.running)
    fresh.set_up()
    yield fresh
    fresh.close()


@pytest.fixture(params=["aws", "azure"])
def listing(request: pytest.FixtureRequest) -> Any:
    return LISTINGS[request.param]


def at_price(price: str, *more: str) -> Offering:
    return offering(
        *(
            dimension(code=f"d{number}", unit_price=Money(Decimal(each), "USD"))
            for number, each in enumerate((price, *more))
        )
    )


def starts(seller: PublishingSeller) -> list[str]:
    """Outcomes of the calls that start something."""
    return [
        call["outcome"]
        for call in seller.control.calls()
        if call["operation"] in ("StartChangeSet", "configure")
    ]


class TestEveryKindOfOffering:
    @pytest.mark.parametrize("sold", [TIERED, UNITS, TRIAL, SUBSCRIPTION])
    def test_aws_takes_it_as_a_new_product_and_carries_it_out(
        self, seller: PublishingSeller, sold: Offering
    ) -> None:
        seller.sell(sold)
        done = seller.published(NEW_ON_AWS)
        assert (done.state, done.words) == (PublicationState.APPLIED, ())
        trial = {"trial_offer"} if sold is TRIAL else set()
        assert set(done.entities) == {"product", "offer"} | trial
        assert done.entities["product"].startswith("prod-")

    @pytest.mark.parametrize("private", [PRIVATE, INSTALMENTS])
    def test_aws_takes_private_offers_of_it(self, seller: PublishingSeller, private: Any) -> None:
        seller.sell(SUBSCRIPTION)
        made = seller.published(NEW_ON_AWS).entities
        done = seller.published(AwsListing(private=private))
        assert (done.state, done.words) == (PublicationState.APPLIED, ())
        assert done.audience == "111122223333"
        assert done.entities["product"] == made["product"]
        assert done.entities["offer"] != made["offer"]

    @pytest.mark.parametrize("sold", [TIERED, UNITS, SUBSCRIPTION])
    def test_azure_takes_it_up_to_live(self, seller: PublishingSeller, sold: Offering) -> None:
        seller.sell(sold)
        preview = seller.published(PREVIEW)
        assert (preview.state, preview.words) == (PublicationState.APPLIED, ())
        assert set(preview.entities) == {"product", "plan", "submission"}
        live = seller.published(replace(ON_AZURE, target=AzureTarget.LIVE))
        assert (live.state, live.words) == (PublicationState.APPLIED, ())
        assert live.entities == preview.entities
        assert [(each.pointer, each.after) for each in live.changes] == [("/target", '"live"')]


class TestWhatFollows:
    def test_another_version_changes_what_the_first_has_made(
        self, seller: PublishingSeller, listing: Any
    ) -> None:
        seller.sell(at_price("0.01"))
        first = seller.published(listing)
        seller.sell(at_price("0.005"))
        second = seller.draft(listing)
        assert second.follows == first.id
        (change,) = [e for e in second.changes if "rice" in e.pointer]
        assert (str(change.before).strip('"'), str(change.after).strip('"')) == ("0.01", "0.005")
        seller.apply(second)
        seller.wait()
        done = seller.observe(second).publication
        assert (done.state, done.entities) == (PublicationState.APPLIED, first.entities)

    def test_an_increase_within_120_days_of_the_last_is_seen_before_aws_sees_it(
        self, seller: PublishingSeller
    ) -> None:
        for price in ("0.01", "0.011"):
            seller.sell(at_price(price))
            assert seller.published(NEW_ON_AWS).state is PublicationState.APPLIED
        seller.sell(at_price("0.012"))
        early = seller.draft(NEW_ON_AWS)
        assert [gap.code for gap in early.gaps if gap.blocks] == ["increase_too_soon"]
        with pytest.raises(RefusedPublicationError, match="wrong"):
            seller.apply(early)
        seller.wait(int(timedelta(days=120).total_seconds()))
        assert seller.published(NEW_ON_AWS).state is PublicationState.APPLIED

    def test_what_was_drafted_before_another_was_applied_is_stale(
        self, seller: PublishingSeller, listing: Any
    ) -> None:
        seller.sell(at_price("0.01"))
        early, other = seller.draft(listing), seller.draft(listing)
        seller.apply(other)
        with pytest.raises(RefusedPublicationError) as refused:
            seller.apply(early)
        assert refused.value.code == "another_is_applying"
        seller.wait()
        seller.observe(other)
        with pytest.raises(RefusedPublicationError) as refused:
            seller.apply(early)
        assert refused.value.code == "publication_is_stale"

    def test_what_the_marketplace_finds_wrong_later_is_told_in_its_words(
        self, seller: PublishingSeller
    ) -> None:
        seller.sell(at_price("0.01"))
        made = seller.published(NEW_ON_AWS).entities
        seller.sell(at_price("0.02"))
        seller.store = FakePublicationStore()
        failed = seller.published(AwsListing(product_id=made["product"], private=PRIVATE))
        assert failed.state is PublicationState.FAILED
        assert failed.words == (
            "FAILED CLIENT_ERROR change set failed",
            "AddDimensions: DUPLICATE_DIMENSION_KEY: dimension d0 exists",
        )

    def test_what_is_refused_at_once_is_told_in_its_words(self, seller: PublishingSeller) -> None:
        seller.sell(at_price("0.01"))
        failed = seller.apply(seller.draft(AwsListing(product_id="prod-none", refund_policy="No")))
        assert failed.state is PublicationState.FAILED
        assert failed.words == ("ResourceNotFoundException: no entity prod-none",)
        again = seller.draft(replace(NEW_ON_AWS))
        assert seller.apply(again).state is PublicationState.APPLYING


class Killed(BaseException):
    """The process is gone."""


class TestKills:
    def test_killed_between_call_and_save_it_is_carried_out_once(
        self, seller: PublishingSeller, listing: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seller.sell(TIERED)
        draft = seller.draft(listing)
        save = seller.store.save

        def killed_on_the_reference(publication: Publication, *rest: Any, **named: Any) -> None:
            if publication.reference:
                raise Killed
            save(publication, *rest, **named)

        with monkeypatch.context() as patched:
            patched.setattr(seller.store, "save", killed_on_the_reference)
            with pytest.raises(Killed):
                seller.apply(draft, expected=1)
        stuck = seller.observe(draft)
        assert stuck.publication.state is PublicationState.APPLYING
        assert "apply it again" in stuck.unknown
        if listing is ON_AZURE:
            with pytest.raises(CatalogBusyError):
                seller.apply(draft, expected=1)
            seller.wait()
        again = seller.apply(draft, expected=1)
        seller.wait()
        done = seller.observe(again).publication
        assert (done.state, done.words) == (PublicationState.APPLIED, ())
        assert starts(seller) == (
            ["Success", "Success"] if listing is NEW_ON_AWS else ["Success", "conflict", "Success"]
        )
        listed = seller.aws_client.list_change_sets(Catalog="AWSMarketplace")
        assert len(listed["ChangeSetSummaryList"]) == (1 if listing is NEW_ON_AWS else 0)

    def test_killed_before_the_call_it_is_sent_when_asked_again(
        self, seller: PublishingSeller, listing: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seller.sell(TIERED)
        draft = seller.draft(listing)
        catalog = seller.aws if listing is NEW_ON_AWS else seller.azure

        def killed(_: Publication) -> str:
            raise Killed

        with monkeypatch.context() as patched:
            patched.setattr(catalog, "start", killed)
            with pytest.raises(Killed):
                seller.apply(draft)
        assert starts(seller) == []
        assert seller.apply(draft).reference
        seller.wait()
        assert seller.observe(draft).publication.state is PublicationState.APPLIED

    def test_an_answer_that_is_lost_is_asked_for_again(
        self, seller: PublishingSeller, listing: Any
    ) -> None:
        seller.sell(TIERED)
        draft = seller.draft(listing)
        operation = "StartChangeSet" if listing is NEW_ON_AWS else "configure"
        seller.control.inject("lost_acknowledgement", operation=operation)
        with pytest.raises(CatalogUnknownError):
            seller.apply(draft)
        seller.wait()
        seller.apply(draft)
        seller.wait()
        done = seller.observe(draft).publication
        assert (done.state, done.words) == (PublicationState.APPLIED, ())

    def test_a_save_that_is_lost_after_the_end_is_found_again(
        self, seller: PublishingSeller, listing: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seller.sell(TIERED)
        draft = seller.apply(seller.draft(listing))
        seller.wait()

        def killed(*_: Any, **__: Any) -> None:
            raise Killed

        with monkeypatch.context() as patched:
            patched.setattr(seller.store, "save", killed)
            with pytest.raises(Killed):
                seller.observe(draft)
        assert seller.observe(draft).publication.state is PublicationState.APPLIED


class TestTrouble:
    @pytest.mark.parametrize(
        ("fault", "error", "left"),
        [
            ("throttled", CatalogClosedError, PublicationState.DRAFT),
            ("internal_error", CatalogUnknownError, PublicationState.APPLYING),
            ("connection_reset", CatalogUnknownError, PublicationState.APPLYING),
        ],
    )
    def test_it_stays_appliable_whatever_happens_on_the_way(
        self, seller: PublishingSeller, listing: Any, fault: str, error: Any, left: Any
    ) -> None:
        seller.sell(TIERED)
        draft = seller.draft(listing)
        operation = "StartChangeSet" if listing is NEW_ON_AWS else "configure"
        seller.control.inject(fault, operation=operation)
        with pytest.raises(error):
            seller.apply(draft, expected=1)
        assert seller.store.publication(draft.id).state is left
        assert seller.apply(draft, expected=1).reference
        seller.wait()
        assert seller.observe(draft).publication.state is PublicationState.APPLIED

    def test_a_locked_entity_is_waited_for(self, seller: PublishingSeller) -> None:
        seller.sell(at_price("0.01"))
        seller.published(NEW_ON_AWS)
        private = replace(NEW_ON_AWS, private=PRIVATE)
        public = seller.draft(NEW_ON_AWS)
        seller.apply(seller.draft(private))
        with pytest.raises(CatalogBusyError, match="locked by change set"):
            seller.apply(public)
        assert seller.store.publication(public.id).state is PublicationState.DRAFT
        seller.wait()
        assert seller.apply(public).state is PublicationState.APPLYING

    def test_progress_that_is_not_told_is_said_to_be_unknown(
        self, seller: PublishingSeller, listing: Any
    ) -> None:
        seller.sell(TIERED)
        applying = seller.apply(seller.draft(listing))
        seller.control.inject("internal_error")
        observed = seller.observe(applying)
        assert observed.publication.state is PublicationState.APPLYING
        assert observed.unknown
        seller.wait()
        assert seller.observe(applying).publication.state is PublicationState.APPLIED

    def test_azure_is_asked_once_a_minute(self, seller: PublishingSeller) -> None:
        seller.sell(TIERED)
        applying = seller.apply(seller.draft(ON_AZURE))
        for _ in range(3):
            seller.observe(applying)
            seller.wait(25)
        asked = [c for c in seller.control.calls() if c["operation"] == "configure-status"]
        assert len(asked) == 1

    def test_two_who_apply_at_once_start_it_once(
        self, seller: PublishingSeller, listing: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seller.sell(TIERED)
        draft = seller.draft(listing)
        save, other = seller.store.save, []

        def overtaken(publication: Publication, *rest: Any, **named: Any) -> None:
            if not other:
                other.append(None)
                other.append(seller.apply(draft))
            save(publication, *rest, **named)

        monkeypatch.setattr(seller.store, "save", overtaken)
        with pytest.raises(StaleVersionError):
            seller.apply(draft)
        assert starts(seller) == ["Success"]
        assert seller.store.publication(draft.id) == other[1]


def test_the_token_of_a_request_is_the_publications_own() -> None:
    assert request_token("pub_1") == request_token("pub_1") != request_token("pub_2")
    assert len(request_token("pub_1")) == 64
