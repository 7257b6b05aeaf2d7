"""The sandbox's AWS catalog: what it takes, what it finds wrong later, and what it locks."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from publishing_setup import INSTALMENTS, NEW_ON_AWS, SUBSCRIPTION, TIERED, TRIAL, body, on_aws
from sandbox.marketplaces.http_server import RunningSandbox, running_sandbox

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LATER = timedelta(seconds=300)
REQUEST = body(on_aws(TIERED, NEW_ON_AWS))


class Catalog:
    """A client of the catalog, and the sandbox's clock."""

    def __init__(self, running: RunningSandbox, region: str = "us-east-1") -> None:
        self.control = running.control
        self.client = boto3.client(
            "marketplace-catalog",
            region_name=region,
            endpoint_url=running.url,
            aws_access_key_id="a",
            aws_secret_access_key="s",
            config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
        )

    def start(self, request: Any = REQUEST, token: str = "") -> str:
        extra = {"ClientRequestToken": token} if token else {}
        return str(self.client.start_change_set(**request, **extra)["ChangeSetId"])

    def describe(self, change_set_id: str) -> Any:
        return self.client.describe_change_set(Catalog="AWSMarketplace", ChangeSetId=change_set_id)

    def done(self, request: Any = REQUEST) -> Any:
        """What became of a change set."""
        change_set_id = self.start(request)
        self.control.advance_clock(LATER)
        return self.describe(change_set_id)

    def refusal(self, request: Any, **more: Any) -> tuple[str, int]:
        with pytest.raises(ClientError) as refused:
            self.start(request, **more)
        response: Any = refused.value.response
        return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.fixture
def catalog(running: RunningSandbox) -> Iterator[Catalog]:
    running.control.reset()
    running.control.set_clock(NOW)
    running.control.aws.configure(calls_per_second=0)
    found = Catalog(running)
    yield found
    found.client.close()


def changed(change: Callable[[dict[str, Any]], object], request: Any = REQUEST) -> Any:
    """A request with something else in it; `change` gets the changes by their type."""
    found = copy.deepcopy(request)
    rows = {
        f"{each['ChangeType']} {each['Entity']['Type'][:5]}": each for each in found["ChangeSet"]
    }
    change(rows)
    return found


def errors(described: Any) -> list[tuple[str, str, str]]:
    return [
        (change["ChangeType"], error["ErrorCode"], error["ErrorMessage"])
        for change in described["ChangeSet"]
        for error in change.get("ErrorDetailList", [])
    ]


def entity(described: Any, name: str) -> str:
    (found,) = [
        change["Entity"]["Identifier"]
        for change in described["ChangeSet"]
        if change.get("ChangeName") == name
    ]
    return str(found).partition("@")[0]


class TestItsLife:
    def test_a_change_set_is_prepared_applied_and_then_done(self, catalog: Catalog) -> None:
        change_set_id = catalog.start()
        states = []
        for _ in range(4):
            states.append(catalog.describe(change_set_id)["Status"])
            catalog.control.advance_clock(timedelta(seconds=100))
        assert states == ["PREPARING", "APPLYING", "APPLYING", "SUCCEEDED"]
        described = catalog.describe(change_set_id)
        assert described["StartTime"] == "2026-11-24T12:00:00Z"
        assert described["EndTime"] == "2026-11-24T12:05:00Z"
        assert described["ChangeSetName"] == "off_std v1"

    def test_the_same_token_gets_the_same_change_set(self, catalog: Catalog) -> None:
        first = catalog.start(token="t1")
        catalog.control.advance_clock(LATER)
        assert catalog.start(token="t1") == first
        other = {**REQUEST, "ChangeSetName": "another"}
        assert catalog.refusal(other, token="t1") == ("ValidationException", 422)
        assert catalog.start(token="t2") != first

    def test_they_are_listed_the_newest_first_for_90_days(self, catalog: Catalog) -> None:
        first, second = catalog.start(), catalog.start()
        listed = catalog.client.list_change_sets(Catalog="AWSMarketplace")
        found = [each["ChangeSetId"] for each in listed["ChangeSetSummaryList"]]
        assert found == [second, first]
        catalog.control.advance_clock(timedelta(days=91))
        listed = catalog.client.list_change_sets(Catalog="AWSMarketplace")
        assert listed["ChangeSetSummaryList"] == []
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            catalog.describe(first)

    def test_an_entity_is_locked_while_a_change_set_changes_it(self, catalog: Catalog) -> None:
        product = entity(catalog.done(), "CreateProductChange")
        only = [
            change for change in REQUEST["ChangeSet"] if change["ChangeType"] == "UpdateInformation"
        ][:1]
        request = {**REQUEST, "ChangeSet": copy.deepcopy(only)}
        request["ChangeSet"][0]["Entity"]["Identifier"] = product
        catalog.start(request)
        assert catalog.refusal(request) == ("ResourceInUseException", 423)
        catalog.control.advance_clock(LATER)
        catalog.start(request)

    def test_details_may_be_a_text(self, catalog: Catalog) -> None:
        request = copy.deepcopy(REQUEST)
        for change in request["ChangeSet"]:
            change["Details"] = json.dumps(change.pop("DetailsDocument"))
        assert catalog.done(request)["Status"] == "SUCCEEDED"

    def test_calls_are_throttled_by_operation(self, catalog: Catalog) -> None:
        catalog.control.aws.configure(calls_per_second=10)
        for _ in range(5):
            catalog.start()
        assert catalog.refusal(REQUEST) == ("ThrottlingException", 429)
        catalog.control.advance_clock(timedelta(seconds=1))
        catalog.start()

    def test_the_catalog_is_in_virginia(self, running: RunningSandbox, catalog: Catalog) -> None:
        elsewhere = Catalog(running, "eu-west-1")
        assert elsewhere.refusal(REQUEST) == ("AccessDeniedException", 403)
        elsewhere.client.close()

    def test_what_is_carried_out_survives_a_restart(self, tmp_path: Path) -> None:
        state = tmp_path / "state.jsonl"
        with running_sandbox(state=state) as first:
            first.control.set_clock(NOW)
            seller = Catalog(first)
            seller.start(token="t1")
            seller.client.close()
        with running_sandbox(state=state) as second:
            again = Catalog(second)
            again.control.advance_clock(LATER)
            described = again.describe(again.start(token="t1"))
            assert described["Status"] == "SUCCEEDED"
            again.client.close()


def _drop(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda rows: rows[name].update(ChangeType="Nothing")


class TestWhatIsNotTaken:
    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            (lambda r: r["AddDimensions SaaSP"]["DetailsDocument"][0].update(Key="a b"), 422),
            (lambda r: r["AddDimensions SaaSP"]["DetailsDocument"][0].update(Unit="Litres"), 422),
            (lambda r: r["AddDimensions SaaSP"]["DetailsDocument"][0].update(Types=["Metered"]), 422),
            (lambda r: r["UpdateTargeting SaaSP"]["DetailsDocument"]["PositiveTargeting"].update(BuyerAccounts=["1"]), 422),
            (lambda r: r["UpdateInformation SaaSP"]["DetailsDocument"].pop("LogoUrl"), 422),
            (lambda r: r["CreateOffer Offer"]["DetailsDocument"].clear(), 422),
            (lambda r: r["CreateOffer Offer"]["Entity"].update(Identifier="offer-1"), 422),
            (lambda r: r["ReleaseOffer Offer"]["Entity"].pop("Identifier"), 422),
            (lambda r: r["ReleaseOffer Offer"]["Entity"].update(Identifier="offer-none"), 404),
            (lambda r: r["CreateOffer Offer"].update(ChangeName="Other"), 422),
            (lambda r: r["UpdateLegalTerms Offer"]["DetailsDocument"]["Terms"][0].update(Documents=[]), 422),
            (_drop("ReleaseOffer Offer"), 415),
        ],
    )  # fmt: skip
    def test_a_change_is_refused_at_once(
        self, catalog: Catalog, change: Any, expected: int
    ) -> None:
        assert catalog.refusal(changed(change))[1] == expected

    @pytest.mark.parametrize(
        ("term", "change"),
        [
            (0, lambda t: t["RateCards"][0]["RateCard"][0].update(Price="0.000000001")),
            (0, lambda t: t["RateCards"][0]["RateCard"][0].update(Price="-1")),
            (0, lambda t: t["RateCards"][0]["RateCard"][0].update(Price=1)),
            (0, lambda t: t.update(CurrencyCode="EUR")),
            (0, lambda t: t["RateCards"].append(t["RateCards"][0])),
            (0, lambda t: t["RateCards"][0].update(RateCard=[])),
            (1, lambda t: t["RateCards"][0]["RateCard"][0].update(Price="1.0001")),
            (1, lambda t: t["RateCards"][0]["Selector"].update(Value="a year")),
            (1, lambda t: t["RateCards"][0]["Constraints"].update(QuantityConfiguration="Allowed")),
            (1, lambda t: t.update(Type="NoTerm")),
        ],
    )  # fmt: skip
    def test_a_term_is_refused_at_once(self, catalog: Catalog, term: int, change: Any) -> None:
        request = changed(
            lambda rows: change(rows["UpdatePricingTerms Offer"]["DetailsDocument"]["Terms"][term]),
            body(on_aws(SUBSCRIPTION, NEW_ON_AWS)),
        )
        assert catalog.refusal(request) == ("ValidationException", 422)

    @pytest.mark.parametrize(
        "more",
        [{"Catalog": "Other"}, {"Intent": "VALIDATE"}, {"ChangeSet": []}, {"ChangeSetName": "x" * 101}],
    )  # fmt: skip
    def test_a_whole_request_is_refused_at_once(self, catalog: Catalog, more: Any) -> None:
        assert catalog.refusal({**REQUEST, **more}) == ("ValidationException", 422)

    def test_more_than_twenty_changes_are_refused(self, catalog: Catalog) -> None:
        request = {**REQUEST, "ChangeSet": REQUEST["ChangeSet"][:1] * 21}
        assert catalog.refusal(request) == ("ValidationException", 422)


class TestWhatFailsLater:
    def test_everything_of_a_change_set_happens_or_nothing(self, catalog: Catalog) -> None:
        request = changed(
            lambda rows: rows["UpdatePricingTerms Offer"]["DetailsDocument"]["Terms"][0][
                "RateCards"
            ][0]["RateCard"][0].update(DimensionKey="nothing")
        )
        described = catalog.done(request)
        assert (described["Status"], described["FailureCode"]) == ("FAILED", "CLIENT_ERROR")
        assert errors(described) == [
            (
                "UpdatePricingTerms",
                "INVALID_INPUT",
                "nothing is no ExternallyMetered dimension of the product",
            )
        ]
        assert all(
            "@" not in each["Entity"].get("Identifier", "") for each in described["ChangeSet"]
        )
        assert catalog.done()["Status"] == "SUCCEEDED"

    @pytest.mark.parametrize(
        ("missing", "from_release"),
        [
            ("AddDeliveryOptions", "ReleaseProduct"),
            ("UpdateLegalTerms", "ReleaseOffer"),
            ("UpdateSupportTerms", "ReleaseOffer"),
        ],
    )
    def test_nothing_is_released_before_it_is_whole(
        self, catalog: Catalog, missing: str, from_release: str
    ) -> None:
        rest = [each for each in REQUEST["ChangeSet"] if each["ChangeType"] != missing]
        assert errors(catalog.done({**REQUEST, "ChangeSet": rest})) == [
            (from_release, "INVALID_INPUT", f"missing before it is released: {missing}")
        ]

    def test_a_product_is_public_once_each_dimension_was_metered(self, catalog: Catalog) -> None:
        product = entity(catalog.done(), "CreateProductChange")
        visible = {
            "ChangeType": "UpdateVisibility",
            "Entity": {"Type": "SaaSProduct@1.0", "Identifier": product},
            "DetailsDocument": {"TargetVisibility": "Public"},
        }
        request = {**REQUEST, "ChangeSet": [visible]}
        assert errors(catalog.done(request)) == [
            ("UpdateVisibility", "INVALID_INPUT", "usage: no metering record present")
        ]

    @pytest.mark.parametrize("listing", [NEW_ON_AWS])
    def test_a_trial_and_instalments_are_taken(self, catalog: Catalog, listing: Any) -> None:
        assert catalog.done(body(on_aws(TRIAL, listing)))["Status"] == "SUCCEEDED"
        made = catalog.done(body(on_aws(SUBSCRIPTION, listing)))
        product = entity(made, "CreateProductChange")
        private = body(
            on_aws(
                SUBSCRIPTION,
                type(listing)(
                    product_id=product,
                    private=INSTALMENTS,
                    known_dimensions=("api", "platform"),
                ),
            )
        )
        assert catalog.done(private)["Status"] == "SUCCEEDED"
