"""AWS's catalog as its service model has it: every error and status means something."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)
from botocore.session import get_session
from botocore.stub import ANY, Stubber

from meterbridge.adapters.marketplaces.aws_catalog import (
    ERRORS,
    STATUSES,
    AwsCatalog,
    request_token,
)
from meterbridge.adapters.marketplaces.aws_catalog_model import change_set_faults
from meterbridge.adapters.marketplaces.aws_seller_account import catalog_client
from meterbridge.application.publication_ports import (
    CatalogBusyError,
    CatalogClosedError,
    CatalogRefusedError,
    CatalogUnknownError,
    ProgressState,
)
from meterbridge.domain.errors import MarketplaceError
from meterbridge.domain.publishing.compiled import Compiled
from pricing_setup import faults_at
from publishing_setup import NEW_ON_AWS, TIERED, TRIAL, body, on_aws

from .registry.test_publications import publication

MODEL = get_session().get_service_model("marketplace-catalog")
MEANINGS = {
    "refused": CatalogRefusedError,
    "busy": CatalogBusyError,
    "closed": CatalogClosedError,
    "unknown": CatalogUnknownError,
}


def published(compiled: Compiled) -> Any:
    return publication(documents=compiled.documents)


class RaisingClient:
    """Fails every call in one way."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def start_change_set(self, **_: Any) -> Any:
        raise self._error

    def describe_change_set(self, **_: Any) -> Any:
        raise self._error


@pytest.fixture
def stubbed() -> Iterator[tuple[Any, Stubber]]:
    client = boto3.client(
        "marketplace-catalog",
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="s",
        config=Config(retries={"total_max_attempts": 1}),
    )
    with Stubber(client) as stubber:
        yield client, stubber
    client.close()


def client_error(code: str, status: int) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": "about it"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, "StartChangeSet")


class TestTheServiceModel:
    def test_every_error_of_start_change_set_has_a_meaning(self) -> None:
        errors = {each.name for each in MODEL.operation_model("StartChangeSet").error_shapes}
        assert errors <= ERRORS.keys()

    def test_every_status_has_a_meaning(self) -> None:
        assert set(MODEL.shape_for("ChangeStatus").enum) == STATUSES.keys()

    @pytest.mark.parametrize("code", sorted(ERRORS))
    def test_an_error_means_what_the_table_says(self, code: str) -> None:
        catalog = AwsCatalog(RaisingClient(client_error(code, 400)))
        with pytest.raises(MEANINGS[ERRORS[code]], match=code):
            catalog.start(published(on_aws(TIERED)))

    def test_a_request_passes_botocores_own_validation(self, stubbed: tuple[Any, Stubber]) -> None:
        client, stubber = stubbed
        compiled = on_aws(TRIAL, NEW_ON_AWS)
        expected = {**body(compiled), "ClientRequestToken": request_token("pub_1")}
        stubber.add_response("start_change_set", {"ChangeSetId": "cs1"}, expected)
        assert AwsCatalog(client).start(published(compiled)) == "cs1"


class TestErrors:
    @pytest.mark.parametrize(
        ("error", "meaning"),
        [
            (client_error("UnrecognizedClientException", 403), CatalogClosedError),
            (client_error("ExpiredTokenException", 400), CatalogClosedError),
            (client_error("ServiceUnavailable", 503), CatalogUnknownError),
            (EndpointConnectionError(endpoint_url="x"), CatalogClosedError),
            (NoCredentialsError(), CatalogClosedError),
            (ReadTimeoutError(endpoint_url="x"), CatalogUnknownError),
            (ParamValidationError(report="no such member"), CatalogRefusedError),
            (MarketplaceError("the role cannot be assumed"), CatalogClosedError),
        ],
    )
    def test_what_is_no_error_of_the_model_is_judged_by_how_far_it_came(
        self, error: Exception, meaning: Any
    ) -> None:
        with pytest.raises(meaning):
            AwsCatalog(RaisingClient(error)).start(published(on_aws(TIERED)))

    def test_each_field_that_aws_names_is_told(self, stubbed: tuple[Any, Stubber]) -> None:
        client, stubber = stubbed
        stubber.add_client_error(
            "start_change_set",
            "ValidationException",
            "2 errors",
            422,
            response_meta={},
            modeled_fields={
                "ValidationExceptionFieldList": [
                    {"ChangeType": "AddDimensions", "Field": "Key", "Message": "is taken"},
                    {"Field": "Unit"},
                ]
            },
        )
        with pytest.raises(CatalogRefusedError) as refused:
            AwsCatalog(client).start(published(on_aws(TIERED)))
        assert refused.value.words == (
            "ValidationException: 2 errors",
            "AddDimensions: Key: is taken",
            "Unit",
        )

    def test_progress_that_cannot_be_asked_says_so(self) -> None:
        catalog = AwsCatalog(RaisingClient(client_error("ThrottlingException", 429)))
        with pytest.raises(MarketplaceError, match="how far cs1 is"):
            catalog.progress("cs1")


class TestProgress:
    def test_ids_of_what_was_made_come_without_their_revision(
        self, stubbed: tuple[Any, Stubber]
    ) -> None:
        client, stubber = stubbed
        made = [
            ("CreateProduct", "CreateProductChange", "prod-1@1"),
            ("UpdateInformation", "", "prod-1@1"),
            ("CreateOffer", "CreateOfferChange", "offer-1@2"),
        ]
        change_set = [
            {
                "ChangeType": kind,
                "Entity": {"Type": "x", "Identifier": identifier},
                **({"ChangeName": name} if name else {}),
            }
            for kind, name, identifier in made
        ]
        stubber.add_response(
            "describe_change_set",
            {"Status": "SUCCEEDED", "ChangeSet": change_set},
            {"Catalog": "AWSMarketplace", "ChangeSetId": ANY},
        )
        found = AwsCatalog(client).progress("cs1")
        assert found.state is ProgressState.SUCCEEDED
        assert found.entities == {"product": "prod-1", "offer": "offer-1"}

    def test_a_cancelled_change_set_failed(self, stubbed: tuple[Any, Stubber]) -> None:
        client, stubber = stubbed
        stubber.add_response("describe_change_set", {"Status": "CANCELLED"})
        found = AwsCatalog(client).progress("cs1")
        assert (found.state, found.words) == (ProgressState.FAILED, ("CANCELLED",))


class TestChecksBeforeAnybodyIsAsked:
    def faults(self, **changes: Any) -> set[tuple[str, str]]:
        request = {**body(on_aws(TIERED)), **changes}
        return faults_at(change_set_faults(json.dumps(request)))

    def test_what_is_too_long_for_the_model_is_told_where(self) -> None:
        change = body(on_aws(TIERED))["ChangeSet"][0]
        assert self.faults(ChangeSetName="x" * 101, ChangeSet=[change] * 21) == {
            ("/ChangeSet", "not_in_service_model"),
            ("/ChangeSetName", "not_in_service_model"),
        }

    @pytest.mark.parametrize(
        ("changes", "pointer"),
        [
            ({"Catalog": "AWS Marketplace"}, "/Catalog"),
            ({"Intent": "TRY"}, "/Intent"),
            ({"ChangeSetName": "a/b"}, "/ChangeSetName"),
            ({"ChangeSet": [{"ChangeType": "lower", "Entity": {"Type": "x"}}]}, "/ChangeSet/0/ChangeType"),
            ({"ChangeSet": [{"ChangeType": "A", "Entity": {"Type": "x", "Identifier": "a b"}}]}, "/ChangeSet/0/Entity/Identifier"),
            ({"ChangeSet": "no list"}, ""),
            ({"ChangeSet": [{"ChangeType": "A"}]}, ""),
            ({"Surplus": 1}, ""),
        ],
    )  # fmt: skip
    def test_what_is_not_in_the_model_is_told_where(
        self, changes: dict[str, Any], pointer: str
    ) -> None:
        assert self.faults(**changes) == {(pointer, "not_in_service_model")}

    def test_a_reference_to_a_change_that_is_not_before_it_is_told(self) -> None:
        entity = {"Type": "Offer@1.0", "Identifier": "$CreateOfferChange.Entity.Identifier"}
        change_set = [{"ChangeType": "ReleaseOffer", "Entity": entity, "DetailsDocument": {}}]
        assert self.faults(ChangeSet=change_set) == {
            ("/ChangeSet/0/Entity/Identifier", "unknown_change")
        }


def test_the_catalog_is_asked_in_virginia_once_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "OWN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "own")
    client = catalog_client()
    assert client.meta.region_name == "us-east-1"
    assert client.meta.endpoint_url == "https://catalog.marketplace.us-east-1.amazonaws.com"
    assert client.meta.config.retries["total_max_attempts"] == 1
    client.close()
