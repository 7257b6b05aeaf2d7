"""A publication from the dry run to its end, over fakes: what is refused, and what a repeat does."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import NOON, product
from fakes.clock import FakeClock
from fakes.publications import FakeCatalog, FakePublicationStore
from fakes.registry import FakeRegistry
from manage.catalogs import validators
from meterbridge.application.apply_publication import (
    apply_publication,
    confirm_publication,
    observe_publication,
)
from meterbridge.application.draft_publication import PublicationOrder, draft_publication
from meterbridge.application.publication_ports import (
    CatalogBusyError,
    CatalogClosedError,
    CatalogRefusedError,
    CatalogUnknownError,
    Progress,
    ProgressState,
    Publishing,
    RefusedPublicationError,
)
from meterbridge.application.refusals import PreconditionError
from meterbridge.domain.api_keys import Caller, Scope
from meterbridge.domain.errors import InvalidInputError, MarketplaceError, NotFoundError
from meterbridge.domain.offerings import Channel
from meterbridge.domain.publishing.listings import AwsListing, Listing
from meterbridge.domain.publishing.publication import Publication, PublicationState
from publishing_setup import KNOWN_ON_AWS, ON_AZURE, ON_GCP, PRIVATE, TIERED, UNITS

CALLER = Caller("key_1", frozenset({Scope.ADMIN}), None)
STRANGER = Caller("key_2", frozenset({Scope.ADMIN}), frozenset({"prd_other"}))
DRAFT, APPLYING, APPLIED, FAILED = PublicationState


class Desk:
    """A seller's desk with one offering and a catalog that does what it is told."""

    def __init__(self, listings: Any = None) -> None:
        self.registry = FakeRegistry()
        self.registry.add_product(product(listings=listings or {}))
        self.registry.add_offering(TIERED, {})
        self.clock = FakeClock(NOON)
        self.store = FakePublicationStore(self.registry)
        self.catalog = FakeCatalog()
        self.on = True
        self.drafts = 0

    @property
    def publishing(self) -> Publishing:
        catalogs = {Channel.AWS: lambda: self.catalog, Channel.AZURE: lambda: self.catalog}
        return Publishing(self.store, validators(), catalogs if self.on else {})

    def _known(self, caller: Caller, *, writing: bool = True) -> dict[str, Any]:
        known: dict[str, Any] = {"publishing": self.publishing, "clock": self.clock}
        if writing:
            known["answering"] = lambda _: None
        return {**known, "caller": caller}

    def draft(
        self, listing: Listing = KNOWN_ON_AWS, caller: Caller = CALLER, **order: Any
    ) -> Publication:
        self.drafts += 1
        number = self.drafts
        return draft_publication(
            PublicationOrder("off_std", listing, **order),
            registry=self.registry,
            new_id=lambda _: f"pub_{number}",
            **self._known(caller),
        )

    def apply(
        self, draft: Publication, expected: int | None = None, caller: Caller = CALLER
    ) -> Publication:
        return apply_publication(draft.id, expected, **self._known(caller))

    def observe(self, draft: Publication, caller: Caller = CALLER) -> Any:
        return observe_publication(draft.id, **self._known(caller, writing=False))

    def confirm(
        self, draft: Publication, expected: int | None = None, caller: Caller = CALLER
    ) -> Publication:
        return confirm_publication(draft.id, "entered", expected, **self._known(caller))

    def applied(self, listing: Listing = KNOWN_ON_AWS) -> Publication:
        draft = self.apply(self.draft(listing))
        self.catalog.now = Progress(ProgressState.SUCCEEDED, entities={"offer": "offer-1"})
        done: Publication = self.observe(draft).publication
        self.catalog.now = Progress(ProgressState.RUNNING)
        return done

    def refusal(self, action: Any, *given: Any) -> str:
        with pytest.raises(RefusedPublicationError) as refused:
            action(*given)
        return refused.value.code


@pytest.fixture
def desk() -> Desk:
    return Desk()


class TestDrafts:
    def test_a_draft_asks_no_marketplace(self, desk: Desk) -> None:
        draft = desk.draft()
        assert (draft.state, draft.version, draft.follows) == (DRAFT, 1, "")
        assert (desk.catalog.calls, desk.catalog.asked) == (0, 0)
        assert desk.store.publication(draft.id) == draft
        assert all(change.before is None for change in draft.changes)

    def test_an_older_version_can_be_published(self, desk: Desk) -> None:
        desk.registry.add_offering(replace(UNITS, version=2), {})
        assert desk.draft().offering_version == 2
        assert desk.draft(version=1).offering_version == 1

    @pytest.mark.parametrize(
        ("order", "code"),
        [({"version": 9}, "unknown_version"), ({"plan_code": "gold"}, "unknown_plan")],
    )
    def test_what_there_is_not_cannot_be_published(
        self, desk: Desk, order: dict[str, Any], code: str
    ) -> None:
        with pytest.raises(InvalidInputError) as refused:
            desk.draft(**order)
        assert refused.value.code == code

    def test_one_of_several_plans_has_to_be_named(self, desk: Desk) -> None:
        two = (*TIERED.plans, replace(TIERED.plans[0], code="pro"))
        desk.registry.add_offering(replace(TIERED, version=2, plans=two), {})
        with pytest.raises(InvalidInputError, match="std, pro"):
            desk.draft()
        assert desk.draft(plan_code="pro").plan_code == "pro"

    @pytest.mark.parametrize(
        ("listed", "found"), [("prod-known1", "prod-known1"), ("a1b2productcode", "")]
    )
    def test_awss_own_id_of_the_product_is_taken_from_the_product(
        self, listed: str, found: str
    ) -> None:
        desk = Desk({Channel.AWS: listed})
        draft = desk.draft(AwsListing(refund_policy="No"))
        assert draft.entities.get("product", "") == found

    def test_publications_for_other_buyers_do_not_follow_one_another(self, desk: Desk) -> None:
        public = desk.applied()
        private = desk.draft(replace(KNOWN_ON_AWS, private=PRIVATE))
        assert (private.follows, private.audience) == ("", "111122223333")
        assert desk.draft().follows == public.id

    def test_a_stranger_finds_nothing(self, desk: Desk) -> None:
        draft = desk.draft()
        for action in (desk.apply, desk.confirm):
            with pytest.raises(NotFoundError):
                action(draft, None, STRANGER)
        with pytest.raises(NotFoundError):
            desk.observe(draft, STRANGER)
        with pytest.raises(NotFoundError):
            desk.draft(caller=STRANGER)


class TestRefusals:
    def test_with_a_gap_that_blocks_nothing_is_sent(self, desk: Desk) -> None:
        draft = desk.draft(AwsListing())
        assert desk.refusal(desk.apply, draft) == "publication_has_gaps"
        assert desk.catalog.calls == 0

    def test_with_a_faulty_document_nothing_is_sent(self, desk: Desk) -> None:
        draft = desk.draft(replace(ON_AZURE, offer_id="x" * 51))
        assert [fault.code for fault in draft.faults] == ["too_long"]
        assert desk.refusal(desk.apply, draft) == "publication_has_gaps"

    def test_switched_off_nothing_is_sent(self, desk: Desk) -> None:
        draft = desk.draft()
        desk.on = False
        assert desk.refusal(desk.apply, draft) == "publishing_off"

    def test_only_the_version_that_was_seen_is_applied(self, desk: Desk) -> None:
        draft = desk.draft()
        with pytest.raises(PreconditionError, match="version 1"):
            desk.apply(draft, 2)
        assert desk.apply(draft, 1).state is APPLYING

    def test_what_is_final_is_not_applied_again(self, desk: Desk) -> None:
        done = desk.applied()
        assert desk.refusal(desk.apply, done) == "publication_is_final"
        assert desk.refusal(desk.apply, done, done.version) == "publication_is_final"

    def test_what_was_compiled_before_another_was_applied_is_stale(self, desk: Desk) -> None:
        early = desk.draft()
        desk.applied()
        assert desk.refusal(desk.apply, early) == "publication_is_stale"
        assert desk.store.publication(early.id) == early

    def test_only_one_of_a_line_is_applied_at_a_time(self, desk: Desk) -> None:
        first, second = desk.draft(), desk.draft()
        desk.apply(first)
        assert desk.refusal(desk.apply, second) == "another_is_applying"
        desk.catalog.now = Progress(ProgressState.FAILED, ("no",))
        assert desk.observe(first).publication.state is FAILED
        assert desk.apply(second).state is APPLYING


class TestRepeats:
    def test_the_same_request_again_gets_what_became_of_it(self, desk: Desk) -> None:
        draft = desk.draft()
        applying = desk.apply(draft, 1)
        assert desk.apply(draft, 1) == applying
        desk.catalog.now = Progress(ProgressState.SUCCEEDED)
        done = desk.observe(draft).publication
        assert desk.apply(draft, 1) == done
        assert desk.catalog.calls == 1

    def test_a_refusal_is_final_and_told_again(self, desk: Desk) -> None:
        desk.catalog.failures = [CatalogRefusedError(("ValidationException: no",))]
        draft = desk.draft()
        failed = desk.apply(draft, 1)
        assert (failed.state, failed.words) == (FAILED, ("ValidationException: no",))
        assert desk.apply(draft, 1) == failed
        assert desk.store.head(draft.line).applying == ""

    @pytest.mark.parametrize("error", [CatalogBusyError("busy"), CatalogClosedError("closed")])
    def test_what_was_surely_not_sent_is_a_draft_again(self, desk: Desk, error: Exception) -> None:
        desk.catalog.failures = [error]
        draft = desk.draft()
        with pytest.raises(type(error)):
            desk.apply(draft, 1)
        assert desk.store.publication(draft.id).state is DRAFT
        assert desk.apply(draft, 1).state is APPLYING

    @pytest.mark.parametrize("error", [CatalogBusyError("busy"), CatalogClosedError("closed")])
    def test_what_may_have_been_sent_is_no_draft_again(self, desk: Desk, error: Exception) -> None:
        desk.catalog.lost = [CatalogUnknownError("no answer")]
        draft = desk.draft()
        with pytest.raises(CatalogUnknownError):
            desk.apply(draft, 1)
        desk.catalog.failures = [error]
        with pytest.raises(type(error)):
            desk.apply(draft, 1)
        stored = desk.store.publication(draft.id)
        assert (stored.state, stored.reference) == (APPLYING, "")
        assert desk.apply(draft, 1).reference == "job-1"
        assert desk.catalog.started == {draft.id: "job-1"}


class TestProgress:
    def test_it_is_asked_only_while_it_is_being_applied(self, desk: Desk) -> None:
        draft = desk.draft()
        desk.observe(draft)
        assert desk.catalog.asked == 0
        desk.apply(draft)
        desk.observe(draft)
        assert desk.catalog.asked == 1
        desk.catalog.now = Progress(ProgressState.SUCCEEDED)
        desk.observe(draft)
        desk.observe(draft)
        assert desk.catalog.asked == 2

    def test_it_is_asked_no_oftener_than_the_marketplace_wants(self, desk: Desk) -> None:
        desk.catalog.poll_interval = timedelta(minutes=1)
        draft = desk.apply(desk.draft())
        for seconds in (0, 59, 1):
            desk.clock.advance(timedelta(seconds=seconds))
            desk.observe(draft)
        assert desk.catalog.asked == 2

    def test_a_marketplace_that_does_not_say_leaves_it_as_it_is(self, desk: Desk) -> None:
        draft = desk.apply(desk.draft())
        desk.catalog.now = MarketplaceError("no answer")
        observed = desk.observe(draft)
        assert (observed.publication, observed.unknown) == (draft, "no answer")

    def test_switched_off_its_progress_is_unknown(self, desk: Desk) -> None:
        draft = desk.apply(desk.draft())
        desk.on = False
        assert desk.observe(draft).unknown == "publishing is not switched on here any more"


class TestByHand:
    def test_google_is_entered_by_a_person_who_says_so(self, desk: Desk) -> None:
        draft = desk.draft(ON_GCP)
        assert desk.refusal(desk.apply, draft) == "entered_by_hand"
        done = desk.confirm(draft, 1)
        assert (done.state, done.note, done.applied_by) == (APPLIED, "entered", "key_1")
        assert desk.draft(ON_GCP).follows == draft.id
        assert desk.draft(ON_GCP).changes == ()

    def test_it_is_confirmed_once_and_at_the_version_that_was_seen(self, desk: Desk) -> None:
        draft = desk.draft(ON_GCP)
        with pytest.raises(PreconditionError):
            desk.confirm(draft, 2)
        desk.confirm(draft)
        assert desk.refusal(desk.confirm, draft) == "publication_is_final"

    def test_what_an_api_takes_is_not_confirmed(self, desk: Desk) -> None:
        assert desk.refusal(desk.confirm, desk.draft()) == "not_entered_by_hand"


STEPS = st.lists(
    st.sampled_from(
        ["draft", "apply", "lost", "busy", "refused", "running", "succeeded", "failed"]
    ),
    max_size=25,
)


@given(STEPS, st.data())
@settings(max_examples=80)
def test_whatever_happens_each_is_started_once_and_one_of_a_line_at_a_time(
    steps: list[str], data: st.DataObject
) -> None:
    desk = Desk()
    drafts = [desk.draft()]
    outcomes = {
        "running": Progress(ProgressState.RUNNING),
        "succeeded": Progress(ProgressState.SUCCEEDED),
        "failed": Progress(ProgressState.FAILED, ("no",)),
    }
    troubles: dict[str, Exception] = {
        "busy": CatalogBusyError("busy"),
        "refused": CatalogRefusedError(("no",)),
    }
    for step in steps:
        chosen = data.draw(st.sampled_from(drafts))
        if step == "draft":
            drafts.append(desk.draft())
        elif step in outcomes:
            desk.catalog.now = outcomes[step]
            desk.observe(chosen)
        else:
            desk.catalog.failures = [troubles[step]] if step in troubles else []
            desk.catalog.lost = [CatalogUnknownError("?")] if step == "lost" else []
            with contextlib.suppress(RefusedPublicationError, MarketplaceError):
                desk.apply(chosen)
        stored = [desk.store.publication(each.id) for each in drafts]
        head = desk.store.head(chosen.line)
        assert [each.id for each in stored if each.state is APPLYING] == (
            [head.applying] if head.applying else []
        )
        for each in stored:
            assert each.reference in ("", desk.catalog.started.get(each.id))
            assert each.state is not APPLIED or each.id in desk.catalog.started
