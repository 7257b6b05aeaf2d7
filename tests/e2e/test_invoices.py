"""Invoices on the deployed stack: issued, numbered, explained, credited, and read as files."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pypdfium2

from e2e.conftest import Deployment, llm_request
from sandbox.demo.deals import OFFERING, PLAN


def test_a_month_that_is_over_is_invoiced_once_and_traced_to_its_events(
    deployment: Deployment,
) -> None:
    """The buyer's first month began 36 days ago. Ten requests are included, their tokens on trial;
    the fee of 25 less 5 of credits is left."""
    buyer = deployment.new_buyer(hours=36 * 24, offering=OFFERING, plan=PLAN)
    moment = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=34)
    events = [llm_request(buyer, number, moment) for number in range(10)]
    assert deployment.send(events) == 10
    base = f"/v1/agreements/{buyer.agreement_id}"

    def call(path: str, method: str = "GET", body: Any = None) -> Any:
        return deployment.seller.call(method, path, body)

    def counted() -> bool:
        return any(
            line["code"] == "requests" and line["quantity"] == "10"
            for draft in call(f"{base}/invoices")["drafts"]
            for line in call(f"/v1/invoices/{draft['id']}")["lines"]
        )

    deployment.wait_for(counted)
    first = deployment.cloud.invoke("IssueInvoices", {})
    second = deployment.cloud.invoke("IssueInvoices", {})
    (listed,) = call(f"{base}/invoices")["items"]
    invoice = call(f"/v1/invoices/{listed['id']}")

    assert (first["issues"], first["failing"], first["finished"]) == (True, 0, True)
    assert first["invoices"] >= 1
    assert second["invoices"] == 0
    assert invoice["number"].startswith("MB-0000")
    assert (invoice["state"], invoice["total"]) == ("final", "20")
    assert invoice["seller"]["name"] == "Meterworks GmbH"
    (included,) = (line for line in invoice["lines"] if line["kind"] == "included")
    explained = call(f"/v1/invoices/{listed['id']}/lines/{included['number']}/explain")
    assert {event["id"] for event in explained["events"]} == {event["id"] for event in events}

    pdf = deployment.seller.download(f"/v1/invoices/{listed['id']}?format=pdf")
    with pypdfium2.PdfDocument(io.BytesIO(pdf)) as document:
        text = document[0].get_textpage().get_text_range()
    assert invoice["number"] in text
    page = deployment.seller.download(f"/v1/invoices/{listed['id']}?format=html").decode()
    assert "USD 20.00" in page

    (fee,) = (line for line in invoice["lines"] if line["kind"] == "fee")
    body = {"reason": "Slow answers", "lines": [{"line": fee["number"], "amount": "2.50"}]}
    note = call(f"/v1/invoices/{listed['id']}/credit-notes", "POST", body)
    assert (note["total"], note["refers_to"]["number"]) == ("-2.5", invoice["number"])
    assert call(f"/v1/invoices?number={note['number']}")["items"][0]["id"] == note["id"]
    standing = call("/v1/invoicing")
    assert (standing["failures"], standing["last_run_finished"]) == ([], True)
