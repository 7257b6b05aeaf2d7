"""The sandbox's product ingestion: what it takes, what it finds wrong later, and what it answers."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from meterbridge.domain.publishing.listings import AzureTarget
from publishing_setup import ON_AZURE, SUBSCRIPTION, UNITS, on_azure
from sandbox.marketplaces.http_server import RunningSandbox, running_sandbox

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LATER = timedelta(seconds=120)
TENANT, APP = "tenant", "11111111-2222-4333-8444-555555555555"
GRAPH = "https://graph.microsoft.com/.default"
METERING = "20e940b3-4c77-4b0b-9a53-9e16a1b010a7/.default"
REQUEST = json.loads(on_azure(UNITS).documents[0].body)
PREVIEW = json.loads(
    on_azure(UNITS, replace(ON_AZURE, target=AzureTarget.PREVIEW)).documents[0].body
)


class Graph:
    """A client of product ingestion, and the sandbox's clock."""

    def __init__(self, running: RunningSandbox) -> None:
        self.control = running.control
        self._address = urlsplit(running.url).netloc
        self.token = ""

    def set_up(self) -> Graph:
        self.control.reset()
        self.control.set_clock(NOW)
        self.control.azure.register_app(TENANT, APP, client_secret="s3cret")
        self.token = self.sign_in(GRAPH)
        return self

    def sign_in(self, scope: str) -> str:
        form = {
            "grant_type": "client_credentials",
            "client_id": APP,
            "client_secret": "s3cret",
            "scope": scope,
        }
        status, found = self._send(
            "POST", f"/{TENANT}/oauth2/v2.0/token", urlencode(form).encode(), {}
        )
        assert status == 200
        return str(found["access_token"])

    def call(self, method: str, path: str, sent: Any = None, version: str = "preview5") -> Any:
        joint = "&" if "?" in path else "?"
        target = f"/rp/product-ingestion{path}"
        if version:
            target += f"{joint}$version={version}"
        data = json.dumps(sent).encode() if sent is not None else b""
        return self._send(method, target, data, {"Authorization": f"Bearer {self.token}"})

    def _send(self, method: str, path: str, data: bytes, headers: dict[str, str]) -> Any:
        connection = HTTPConnection(self._address)
        connection.request(method, path, data, headers)
        answer = connection.getresponse()
        found = json.loads(answer.read())
        connection.close()
        return answer.status, found

    def done(self, request: Any = REQUEST) -> Any:
        """What became of a job, with its resources."""
        status, job = self.call("POST", "/configure", request)
        assert status == 202, job
        self.control.advance_clock(LATER)
        return self.call("GET", f"/configure/{job['jobId']}")[1]


@pytest.fixture
def graph(running: RunningSandbox) -> Graph:
    return Graph(running).set_up()


def changed(change: Callable[[list[dict[str, Any]]], object], request: Any = REQUEST) -> Any:
    found = copy.deepcopy(request)
    change(found["resources"])
    return found


class TestItsLife:
    def test_a_job_waits_runs_and_is_done(self, graph: Graph) -> None:
        _, job = graph.call("POST", "/configure", REQUEST)
        assert (job["jobStatus"], job["jobResult"], job["errors"]) == ("notStarted", "pending", [])
        found = []
        for _ in range(2):
            graph.control.advance_clock(timedelta(seconds=60))
            status = graph.call("GET", f"/configure/{job['jobId']}/status")[1]
            found.append((status["jobStatus"], status["jobResult"], "resources" in status))
        assert found == [("running", "pending", False), ("completed", "succeeded", False)]

    def test_what_was_made_has_durable_ids_and_is_found_by_external_ones(
        self, graph: Graph
    ) -> None:
        made = [each["id"] for each in graph.done()["resources"]]
        product, plan = made[0], made[2]
        assert product.startswith("product/")
        assert plan.startswith(f"plan/{product.removeprefix('product/')}/")
        _, found = graph.call("GET", "/product?externalID=acme-llm")
        assert [each["id"] for each in found["value"]] == [product]
        _, found = graph.call("GET", f"/plan?product={product}&externalID=std")
        assert [each["id"] for each in found["value"]] == [plan]
        assert graph.call("GET", "/product?externalID=nobody")[1] == {"value": []}
        assert graph.call("GET", f"/{product}")[1]["alias"] == "Acme LLM"
        tree = graph.call("GET", f"/resource-tree/{product}")[1]
        assert [each["id"] for each in tree["resources"]] == made

    def test_an_external_id_is_taken_once_and_changed_by_its_durable_id(self, graph: Graph) -> None:
        made = graph.done()["resources"]
        again = graph.done()
        assert again["jobResult"] == "failed"
        assert again["errors"] == [
            {
                "code": "conflict",
                "message": "the id 'acme-llm' is taken",
                "resourceId": "product",
                "details": [],
            }
        ]

        def by_id(resources: Any) -> None:
            resources[0].update(id=made[0]["id"], alias="New")
            resources[2].update(id=made[2]["id"])

        assert graph.done(changed(by_id))["jobResult"] == "succeeded"
        assert graph.call("GET", f"/{made[0]['id']}")[1]["alias"] == "New"

    def test_one_job_of_a_product_runs_at_a_time(self, graph: Graph) -> None:
        graph.call("POST", "/configure", REQUEST)
        status, refused = graph.call("POST", "/configure", REQUEST)
        assert (status, refused["code"]) == (409, "conflict")
        other = changed(lambda r: r[0].update(identity={"externalId": "other"}))
        assert graph.call("POST", "/configure", other)[0] == 202

    def test_preview_comes_before_live(self, graph: Graph) -> None:
        made = graph.done(PREVIEW)["resources"]
        live = {
            "$schema": "https://schema.mp.microsoft.com/schema/submission/2022-03-01-preview2",
            "product": made[0]["id"],
            "target": {"targetType": "live"},
        }
        wrong = graph.done({**REQUEST, "resources": [{**live, "id": "submission/x/1"}]})
        assert wrong["errors"][0]["message"] == "only the submission that is in preview goes live"
        right = graph.done({**REQUEST, "resources": [{**live, "id": made[-1]["id"]}]})
        assert right["jobResult"] == "succeeded"

    def test_what_is_carried_out_survives_a_restart(self, tmp_path: Path) -> None:
        state = tmp_path / "state.jsonl"
        with running_sandbox(state=state) as first:
            _, job = Graph(first).set_up().call("POST", "/configure", PREVIEW)
        with running_sandbox(state=state) as second:
            again = Graph(second)
            again.token = again.sign_in(GRAPH)
            again.control.advance_clock(LATER)
            found = again.call("GET", f"/configure/{job['jobId']}")[1]
            assert found["jobResult"] == "succeeded"
            assert found["resources"][-1]["id"].endswith("/1")


class TestWhatIsNotTaken:
    def test_a_token_for_metering_is_none_for_ingestion(self, graph: Graph) -> None:
        graph.token = graph.sign_in(METERING)
        assert graph.call("POST", "/configure", REQUEST)[0] == 401
        graph.token = ""
        assert graph.call("GET", "/product?externalID=x")[0] == 401

    def test_every_call_names_a_version(self, graph: Graph) -> None:
        for method, path in (("POST", "/configure"), ("GET", "/product?externalID=x")):
            assert graph.call(method, path, REQUEST if method == "POST" else None, "")[0] == 400

    @pytest.mark.parametrize(
        "request_",
        [
            {},
            {**REQUEST, "$schema": "https://example.com/schema"},
            {**REQUEST, "resources": []},
            {**REQUEST, "resources": [{"$schema": "nothing"}]},
            {**REQUEST, "resources": ["text"]},
            {**REQUEST, "resources": [REQUEST]},
        ],
    )
    def test_what_is_no_configure_request_is_refused_at_once(
        self, graph: Graph, request_: Any
    ) -> None:
        assert graph.call("POST", "/configure", request_)[0] == 400

    @pytest.mark.parametrize("path", ["/configure/none/status", "/configure/none", "/product/none"])
    def test_what_there_is_not_is_not_found(self, graph: Graph, path: str) -> None:
        assert graph.call("GET", path)[0] == 404


class TestWhatFailsLater:
    @pytest.mark.parametrize(
        ("change", "resource", "words"),
        [
            (lambda r: r[0].update(type="azureVirtualMachine"), "product", "softwareAsAService"),
            (lambda r: r[0].update(identity={"externalId": "No!"}), "product", "externalId"),
            (lambda r: r[0].pop("alias"), "product", "alias"),
            (lambda r: r[2].update(product={"resourceName": "nobody"}), "plan", "leads nowhere"),
            (lambda r: r[2].pop("product"), "plan", "needs a product"),
            (lambda r: r[3].update(customMeters={}), "meters", "1 to 30"),
            (lambda r: r[4].update(audience="all"), "prices", "audience"),
            (lambda r: r[4].update(markets=[]), "prices", "markets"),
            (lambda r: r[4]["pricing"]["recurrentPrice"].update(recurrentPriceMode="perUser"), "prices", "no meters"),
            (lambda r: r[3]["customMeters"].pop("tokens_k"), "prices", "no meter 'tokens_k'"),
            (lambda r: r[4]["pricing"]["customMeters"]["meters"]["tokens_k"].update(pricePerPaymentInUsd="0.1"), "prices", "must be a number"),
        ],
    )  # fmt: skip
    def test_nothing_of_a_job_happens_that_cannot_happen_whole(
        self, graph: Graph, change: Any, resource: str, words: str
    ) -> None:
        failed = graph.done(changed(change))
        assert failed["jobResult"] == "failed"
        (error,) = failed["errors"]
        assert error["resourceId"] == resource
        assert words in error["message"]
        assert graph.call("GET", "/product?externalID=acme-llm")[1] == {"value": []}

    def test_an_included_quantity_is_whole(self, graph: Graph) -> None:
        request = json.loads(on_azure(SUBSCRIPTION).documents[0].body)
        assert graph.done(request)["jobResult"] == "succeeded"
        meter = request["resources"][4]["pricing"]["customMeters"]["meters"]["api"]
        meter["includedQuantities"][0]["quantity"] = 1.5
        request["resources"][0]["identity"]["externalId"] = "other"
        assert graph.done(request)["errors"][0]["message"].endswith("whole number")
