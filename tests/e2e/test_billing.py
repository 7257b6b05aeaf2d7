"""Usage in over HTTP, exact records out at the marketplace, through the deployed stack."""

from __future__ import annotations

from datetime import timedelta

from e2e.conftest import Deployment, closed_moment, llm_request
from sandbox.demo.seller import DIMENSIONS


def test_usage_sent_twice_and_out_of_order_is_billed_once(deployment: Deployment) -> None:
    buyer, moment = deployment.new_buyer(), closed_moment()
    events = [llm_request(buyer, n, moment - timedelta(seconds=n)) for n in range(40)]
    assert deployment.send(events[::-1]) == 40
    assert deployment.send(events[:25]) == 25
    # The schedules alone bring it about.
    deployment.wait_for(lambda: deployment.requests_billed(buyer) == "40", hurry=False)
    deployment.wait_for(lambda: deployment.buckets(buyer, moment)["accepted"] == "40")
    books = deployment.books(buyer, moment)
    assert (books["metered"], books["logged"], books["difference"]) == ("40", "40", "0")
    bill = deployment.control.billed()
    billed = {each.code: bill.quantity(buyer.reference, each.code) for each in DIMENSIONS}
    assert {code: format(amount, "f") for code, amount in billed.items()} == {
        "requests": "40",
        "context_tokens_k": "40.78",
        "generated_tokens_k": "0.78",
        "long_requests_x10": "0",
    }


def test_late_usage_goes_into_an_hour_that_is_still_open(deployment: Deployment) -> None:
    buyer, moment = deployment.new_buyer(), closed_moment() - timedelta(hours=3)
    deployment.send([llm_request(buyer, n, moment) for n in range(3)])
    deployment.wait_for(lambda: deployment.requests_billed(buyer) == "3")
    deployment.send([llm_request(buyer, n, moment) for n in range(3, 5)])
    deployment.wait_for(lambda: deployment.requests_billed(buyer) == "5")
    records = [
        record
        for record in deployment.control.billed(agreement=buyer.reference).records
        if record.dimension == "requests"
    ]
    assert [format(record.quantity, "f") for record in records] == ["3", "2"]
    assert records[0].hour < records[1].hour


def test_what_the_stream_missed_the_sweep_finds(deployment: Deployment) -> None:
    buyer, moment = deployment.new_buyer(), closed_moment()
    cloud = deployment.cloud
    mapping = cloud.outputs["UsageLogMapping"]
    cloud.client("lambda").update_event_source_mapping(UUID=mapping, Enabled=False)
    try:
        deployment.send([llm_request(buyer, n, moment) for n in range(7)])
        deployment.wait_for(lambda: deployment.requests_billed(buyer) == "7")
    finally:
        cloud.client("lambda").update_event_source_mapping(UUID=mapping, Enabled=True)


def test_a_lost_acknowledgement_is_resent_and_billed_once(deployment: Deployment) -> None:
    buyer, moment = deployment.new_buyer(), closed_moment()
    deployment.control.inject("lost_acknowledgement", match={"license_arn": buyer.reference})
    deployment.send([llm_request(buyer, n, moment) for n in range(6)])
    deployment.wait_for(lambda: deployment.buckets(buyer, moment)["accepted"] == "6")
    assert deployment.requests_billed(buyer) == "6"
    records = deployment.records(buyer, moment)
    assert {record["state"] for record in records} == {"accepted"}
    assert max(record["attempts"] for record in records) > 1


def test_usage_for_a_customer_nobody_knows_is_kept_and_billed_once_known(
    deployment: Deployment,
) -> None:
    buyer, moment = deployment.new_buyer(), closed_moment()
    stranger = f"{buyer.id}-stranger"
    event = {**llm_request(buyer, 1, moment), "subject": stranger}
    deployment.send([event])
    found = list(
        deployment.seller.unmatched(moment - timedelta(hours=1), moment + timedelta(hours=1))
    )
    mine = [one for one in found if one["subject"] == stranger]
    assert [one["reason"] for one in mine] == ["unknown_customer"]
    starts_at = (moment - timedelta(days=1)).replace(microsecond=0)
    bought = buyer.cloud.admit(next(deployment.numbers), starts_at)
    deployment.seller.add_customer(
        stranger, channel="aws", buyer=bought.fields, starts_at=starts_at
    )
    deployment.wait_for(
        lambda: deployment.control.billed().quantity(bought.reference, "requests") == 1
    )
