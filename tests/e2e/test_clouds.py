"""Azure and Google as the deployed stack meets them: sign-in, secrets, grants, and each one's own rules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from e2e.conftest import Buyer, Deployment, closed_moment, llm_request
from sandbox.demo.seller import DIMENSIONS
from sandbox.local_cloud.cloud import FunctionFailedError
from sandbox.local_cloud.seller_accounts import AZURE_SECRET, GCP_SECRET, service_account_key

CHANNELS = ("azure", "gcp")
STRANGER = "stranger@meterbridge-local.iam.gserviceaccount.com"


def revoke_tokens(deployment: Deployment, channel: str) -> None:
    getattr(deployment.control, channel).revoke_tokens()


def use(deployment: Deployment, buyer: Buyer, count: int) -> None:
    moment = closed_moment()
    events = [llm_request(buyer, n, moment - timedelta(seconds=n)) for n in range(count)]
    assert deployment.send(events) == count


def wait_until_accepted(deployment: Deployment, buyer: Buyer, count: int) -> None:
    """And balanced, recounted from the usage log."""

    def accepted() -> bool:
        return deployment.buckets(buyer, closed_moment())["accepted"] == str(count)

    deployment.wait_for(accepted, channel=buyer.cloud.channel)
    assert deployment.books(buyer, closed_moment())["buckets"]["accepted"] == str(count)


@pytest.mark.parametrize("channel", CHANNELS)
def test_usage_becomes_an_accepted_record_and_a_balanced_statement(
    deployment: Deployment, channel: str
) -> None:
    buyer = deployment.new_buyer(channel)
    use(deployment, buyer, 25)
    wait_until_accepted(deployment, buyer, 25)
    found = deployment.books(buyer, closed_moment())
    assert (found["metered"], found["logged"], found["difference"]) == ("25", "25", "0")
    bill = deployment.control.billed(marketplace=channel, agreement=buyer.reference)
    billed = {each.code: bill.quantity(buyer.reference, each.code) for each in DIMENSIONS}
    assert {code: format(quantity, "f") for code, quantity in billed.items()} == {
        "requests": "25",
        "context_tokens_k": "25.3",
        "generated_tokens_k": "0.3",
        "long_requests_x10": "0",
    }
    records = deployment.records(buyer, closed_moment())
    assert {record["state"] for record in records} == {"accepted"}
    assert {record["attempts"] for record in records} == {1}
    assert {record["receipt"] for record in records} == {each.record_id for each in bill.records}


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_revoked_token_is_replaced_and_costs_no_record_a_try(
    deployment: Deployment, channel: str
) -> None:
    buyer = deployment.new_buyer(channel)
    use(deployment, buyer, 3)
    revoke_tokens(deployment, channel)
    wait_until_accepted(deployment, buyer, 3)
    records = deployment.records(buyer, closed_moment())
    assert {(record["state"], record["attempts"]) for record in records} == {("accepted", 1)}


@pytest.mark.parametrize(
    ("channel", "error"),
    [("azure", "Entra gives no token"), ("gcp", "Service Control refuses us")],
)
def test_with_wrong_credentials_nothing_is_burnt_and_the_right_ones_bill_it(
    deployment: Deployment, channel: str, error: str
) -> None:
    buyer = deployment.new_buyer(channel)
    with wrong_credentials(deployment, channel):
        use(deployment, buyer, 4)
        deployment.wait_for(lambda: settled(deployment, buyer), hurry=False)
        with pytest.raises(FunctionFailedError, match=error):
            deployment.cloud.invoke(buyer.cloud.function, {})
        records = deployment.records(buyer, closed_moment())
        assert {(record["state"], record["attempts"]) for record in records} == {("pending", 0)}
        assert deployment.books(buyer, closed_moment())["buckets"]["in_flight"] == "4"
        assert deployment.control.billed(agreement=buyer.reference).records == ()
    wait_until_accepted(deployment, buyer, 4)
    assert deployment.requests_billed(buyer) == "4"


@contextmanager
def wrong_credentials(deployment: Deployment, channel: str) -> Iterator[None]:
    """Rotated to something that the marketplace does not let in, and back."""
    vault = deployment.cloud.client("secretsmanager")
    name, wrong = {
        "azure": (AZURE_SECRET, "not the app's secret"),
        "gcp": (GCP_SECRET, service_account_key(STRANGER)),
    }[channel]
    right = vault.get_secret_value(SecretId=name)["SecretString"]
    vault.put_secret_value(SecretId=name, SecretString=wrong)
    revoke_tokens(deployment, channel)
    try:
        yield
    finally:
        vault.put_secret_value(SecretId=name, SecretString=right)


def settled(deployment: Deployment, buyer: Buyer) -> bool:
    deployment.cloud.invoke("CloseWindows", {})
    return deployment.buckets(buyer, closed_moment())["in_flight"] == "4"


@pytest.mark.parametrize(
    ("channel", "label"), [("azure", "resource"), ("gcp", "consumer")], ids=CHANNELS
)
def test_an_answer_that_is_lost_is_asked_for_again_and_billed_once(
    deployment: Deployment, channel: str, label: str
) -> None:
    buyer = deployment.new_buyer(channel)
    operation = {"azure": "", "gcp": "report"}[channel]
    deployment.control.inject(
        "lost_acknowledgement", match={label: buyer.reference}, operation=operation
    )
    use(deployment, buyer, 6)
    wait_until_accepted(deployment, buyer, 6)
    assert deployment.requests_billed(buyer) == "6"
    attempts = [record["attempts"] for record in deployment.records(buyer, closed_moment())]
    assert max(attempts) > 1


def test_an_hour_without_usage_is_reported_as_zero_but_never_to_azure(
    deployment: Deployment,
) -> None:
    # Usage first: later it would find the hour taken by its own zero, and wait for the next one.
    buyers = {
        channel: deployment.new_buyer(channel, hours=4, zero_records=True, used_before=1)
        for channel in CHANNELS
    }
    for buyer in buyers.values():
        deployment.seller.call("POST", f"/v1/agreements/{buyer.agreement_id}/settle")
    for buyer in buyers.values():
        wait_until_accepted(deployment, buyer, 1)
    bill = deployment.control.billed(dimension="requests")
    found = {
        channel: [
            format(record.quantity, "f")
            for record in sorted(bill.records, key=lambda record: record.hour)
            if record.agreement == buyer.reference
        ]
        for channel, buyer in buyers.items()
    }
    assert found["azure"] == ["1"]
    # Four hours ago to now: four hours are over (five if one ended meanwhile), one had usage.
    assert sorted(found["gcp"])[-4:] == ["0", "0", "0", "1"]
    assert not [text for text in bill.warnings if buyers["gcp"].reference in text and "gap" in text]
    records = deployment.records(buyers["azure"], closed_moment())
    assert "0" not in {record["quantity"] for record in records}
