"""Microsoft's ingestion API: what each answer means, and what is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from urllib3 import HTTPResponse
from urllib3.exceptions import LocationParseError, NewConnectionError, ProtocolError

from fakes.azure_http import NumberedTokens, answer
from meterbridge.adapters.marketplaces.azure_ingestion import AzureIngestion
from meterbridge.application.publication_ports import (
    CatalogBusyError,
    CatalogClosedError,
    CatalogRefusedError,
    CatalogUnknownError,
    Progress,
    ProgressState,
)
from meterbridge.domain.errors import MarketplaceError
from publishing_setup import UNITS, on_azure

from .registry.test_publications import publication

BASE = "https://graph.microsoft.com/rp/product-ingestion"
VERSION = "$version=2022-03-01-preview5"
STARTED = answer({"jobId": "job-1", "jobStatus": "notStarted", "jobResult": "pending"}, 202)


@dataclass
class Graph:
    """Answers by method and path; remembers what was asked and sent."""

    answers: Mapping[str, Any]
    asked: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    def request(
        self, method: str, url: str, *, body: bytes | None, headers: Mapping[str, str], **_: Any
    ) -> HTTPResponse:
        path = url.removeprefix(BASE)
        self.asked.append(f"{method} {path}")
        self.tokens.append(headers["Authorization"])
        if body is not None:
            self.bodies.append(body)
        for wanted, given in self.answers.items():
            if f"{method} {path}".startswith(wanted):
                found = given.pop(0) if isinstance(given, list) else given
                if isinstance(found, Exception):
                    raise found
                return found  # type: ignore[no-any-return]
        return answer({"value": []})


def catalog(**answers: Any) -> tuple[AzureIngestion, Graph]:
    named = {
        name.replace("_", " ").replace(" configure", " /configure"): each
        for name, each in answers.items()
    }
    graph = Graph(named)
    return AzureIngestion(graph, NumberedTokens()), graph  # type: ignore[arg-type]


PUBLICATION = publication(documents=on_azure(UNITS).documents)


class TestStarting:
    def test_a_new_offer_is_sent_as_it_was_shown(self) -> None:
        ingestion, graph = catalog(POST_configure=STARTED)
        assert ingestion.start(PUBLICATION) == "job-1"
        assert graph.asked == [
            f"GET /product?externalID=acme-llm&{VERSION}",
            f"POST /configure?{VERSION}",
        ]
        assert graph.bodies == [PUBLICATION.documents[0].body.encode()]

    def test_what_is_there_is_changed_by_its_durable_id(self) -> None:
        graph = Graph(
            {
                "GET /product": answer({"value": [{"id": "product/1"}]}),
                "GET /plan": answer({"id": "plan/1/2"}),
                "POST": answer({"jobID": "job-7"}, 200),
            }
        )
        ingestion = AzureIngestion(graph, NumberedTokens())  # type: ignore[arg-type]
        assert ingestion.start(PUBLICATION) == "job-7"
        assert graph.asked[1] == f"GET /plan?externalID=std&product=product%2F1&{VERSION}"
        ids = [each.get("id") for each in json.loads(graph.bodies[0])["resources"]]
        assert ids == ["product/1", None, "plan/1/2", None, None]
        assert b'"gib_hours":{"pricePerPaymentInUsd":0.00013}' in graph.bodies[0]

    def test_a_refused_token_is_renewed_once(self) -> None:
        ingestion, graph = catalog(POST_configure=[answer({}, 401), STARTED])
        assert ingestion.start(PUBLICATION) == "job-1"
        assert graph.tokens == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]

    @pytest.mark.parametrize(
        ("status", "meaning"),
        [
            (400, CatalogRefusedError),
            (422, CatalogRefusedError),
            (401, CatalogClosedError),
            (403, CatalogClosedError),
            (404, CatalogClosedError),
            (429, CatalogClosedError),
            (409, CatalogBusyError),
            (423, CatalogBusyError),
            (408, CatalogUnknownError),
            (500, CatalogUnknownError),
            (503, CatalogUnknownError),
            (302, CatalogUnknownError),
        ],
    )
    def test_a_status_means_what_it_says(self, status: int, meaning: Any) -> None:
        ingestion, _ = catalog(POST_configure=[answer({}, status), answer({}, status)])
        with pytest.raises(meaning, match=f"HTTP {status}"):
            ingestion.start(PUBLICATION)

    @pytest.mark.parametrize(
        ("failure", "meaning"),
        [
            (NewConnectionError(None, "refused"), CatalogClosedError),  # type: ignore[arg-type]
            (LocationParseError("nowhere"), CatalogClosedError),
            (ProtocolError("reset"), CatalogUnknownError),
        ],
    )
    def test_without_an_answer_it_matters_whether_it_left(
        self, failure: Exception, meaning: Any
    ) -> None:
        ingestion, _ = catalog(POST_configure=failure)
        with pytest.raises(meaning):
            ingestion.start(PUBLICATION)

    def test_nothing_is_sent_where_it_cannot_be_looked_up(self) -> None:
        for trouble in (answer({}, 500), ProtocolError("reset")):
            graph = Graph({"GET": trouble})
            with pytest.raises(CatalogClosedError):
                AzureIngestion(graph, NumberedTokens()).start(PUBLICATION)  # type: ignore[arg-type]
            assert [each for each in graph.asked if each.startswith("POST")] == []

    def test_no_token_is_no_call(self) -> None:
        class NoTokens:
            def bearer(self) -> str:
                raise MarketplaceError("Entra gives no token")

            def renewed(self, _: str) -> str:
                raise MarketplaceError("Entra gives no token")

        graph = Graph({})
        with pytest.raises(CatalogClosedError, match="no token"):
            AzureIngestion(graph, NoTokens()).start(PUBLICATION)  # type: ignore[arg-type]
        assert graph.asked == []

    def test_a_taken_job_without_a_name_is_not_known(self) -> None:
        ingestion, _ = catalog(POST_configure=answer({}, 202))
        with pytest.raises(CatalogUnknownError, match="names no job"):
            ingestion.start(PUBLICATION)

    def test_a_refusal_is_told_in_microsofts_words_to_the_last_detail(self) -> None:
        error = {
            "code": "badRequest",
            "message": "2 errors",
            "details": [{"target": "prices", "code": "invalid", "message": "no market"}],
        }
        ingestion, _ = catalog(POST_configure=answer({"error": error}, 400))
        with pytest.raises(CatalogRefusedError) as refused:
            ingestion.start(PUBLICATION)
        assert refused.value.words == (
            "HTTP 400",
            "badRequest: 2 errors",
            "prices: invalid: no market",
        )


class TestProgress:
    @pytest.mark.parametrize(
        ("status", "result", "expected"),
        [
            ("notStarted", "pending", Progress(ProgressState.RUNNING)),
            ("running", "pending", Progress(ProgressState.RUNNING)),
            ("completed", "succeeded", Progress(ProgressState.SUCCEEDED)),
            ("completed", "cancelled", Progress(ProgressState.FAILED, ("the job cancelled",))),
            ("completed", "", Progress(ProgressState.FAILED, ("the job ",))),
        ],
    )
    def test_status_and_result_tell_how_far_it_is(
        self, status: str, result: str, expected: Progress
    ) -> None:
        told = {"jobStatus": status, "jobResult": result}
        graph = Graph(
            {
                "GET /configure/job%2F1/status": answer(told),
                "GET /configure/job%2F1": answer({"resources": []}),
            }
        )
        ingestion = AzureIngestion(graph, NumberedTokens())  # type: ignore[arg-type]
        assert ingestion.progress("job/1") == expected

    def test_the_errors_of_a_failed_job_are_its_words(self) -> None:
        errors = [{"code": "conflict", "message": "taken", "resourceId": "plan"}, "odd", {}]
        told = {"jobStatus": "completed", "jobResult": "failed", "errors": errors}
        ingestion, _ = catalog(GET_configure=answer(told))
        assert ingestion.progress("job-1").words == ("the job failed", "plan: conflict: taken")

    def test_ids_of_what_was_made_are_durable(self) -> None:
        made = ["product/1", "plan/1/2", "submission/1/7", "price-and-availability-plan/1/2"]
        resources = [{"id": each} for each in made]
        graph = Graph(
            {
                "GET /configure/job-1/status": answer(
                    {"jobStatus": "completed", "jobResult": "succeeded"}
                ),
                "GET /configure/job-1": answer({"resources": [*resources, "odd", {}]}),
            }
        )
        ingestion = AzureIngestion(graph, NumberedTokens())  # type: ignore[arg-type]
        assert ingestion.progress("job-1").entities == {
            "product": "product/1",
            "plan": "plan/1/2",
            "submission": "submission/1/7",
        }

    @pytest.mark.parametrize("trouble", [answer({}, 404), answer(b"no json"), ProtocolError("x")])
    def test_what_is_not_told_is_not_guessed(self, trouble: Any) -> None:
        ingestion, _ = catalog(GET_configure=trouble)
        if isinstance(trouble, HTTPResponse) and trouble.status == 200:
            assert ingestion.progress("job-1") == Progress(ProgressState.RUNNING)
            return
        with pytest.raises(MarketplaceError):
            ingestion.progress("job-1")
