"""A person decides about a record through the deployed API: two tables, one transaction, IAM enforced."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import boto3

from e2e.conftest import Buyer, Deployment, closed_moment, llm_request, text_of


def meter_elsewhere(deployment: Deployment, buyer: Buyer, hour: datetime, quantity: int) -> None:
    """Another program of the seller reports requests of an hour, past us."""
    agreement = deployment.seller.call("GET", f"/v1/agreements/{buyer.agreement_id}")
    client = boto3.client(
        "meteringmarketplace",
        endpoint_url=deployment.marketplace_url,
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )
    answer = client.batch_meter_usage(
        UsageRecords=[
            {
                "Timestamp": hour,
                "Dimension": "requests",
                "Quantity": quantity,
                "CustomerAWSAccountId": agreement["aws"]["customer_aws_account_id"],
                "LicenseArn": buyer.reference,
            }
        ]
    )
    assert [each["Status"] for each in answer["Results"]] == ["Success"]


def waiting(deployment: Deployment, buyer: Buyer) -> list[dict[str, Any]]:
    """The buyer's records that wait for a person."""
    found = deployment.seller.call("GET", "/v1/records?awaiting=decision")["items"]
    return [each for each in found if each["agreement_id"] == buyer.agreement_id]


def test_what_the_marketplace_booked_is_confirmed_and_only_the_difference_is_left_to_bill(
    deployment: Deployment,
) -> None:
    buyer, moment = deployment.new_buyer(), closed_moment()
    meter_elsewhere(deployment, buyer, moment.replace(minute=0), 2)
    deployment.send([llm_request(buyer, n, moment) for n in range(5)])
    deployment.wait_for(lambda: bool(waiting(deployment, buyer)))
    (record,) = waiting(deployment, buyer)
    assert (record["state"], record["quantity"]) == ("conflicted", "5")
    assert deployment.books(buyer, moment)["buckets"]["conflicted"] == "5"

    base = f"/v1/agreements/{buyer.agreement_id}"
    path = f"{base}/records/{text_of(moment.replace(minute=0))}/requests/decisions"
    order = {"action": "confirm", "reason": "metered by hand", "accepted_quantity": "2"}
    decision = deployment.seller.call("POST", path, order)

    assert decision["state_before"] == "conflicted"
    assert deployment.seller.call("GET", f"{base}/decisions")["items"] == [decision]
    assert waiting(deployment, buyer) == []
    buckets = deployment.books(buyer, moment)["buckets"]
    assert (buckets["accepted"], buckets["carried"], buckets["conflicted"]) == ("2", "3", "0")
