"""Terms on the deployed stack: fees without usage, credits granted later, usage in tiers, in cents."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from e2e.conftest import Buyer, Deployment, closed_moment, llm_request, text_of
from sandbox.demo.deals import CENT, CHARGES, OFFERING, PLAN


def charged(deployment: Deployment, buyer: Buyer) -> Decimal:
    """What the marketplace itself has billed, in USD."""
    return deployment.control.billed().quantity(buyer.reference, CHARGES) * CENT


def statement(deployment: Deployment, buyer: Buyer) -> dict[str, Any]:
    """Of the month of the agreement's start, recounted."""
    agreement = deployment.seller.call("GET", f"/v1/agreements/{buyer.agreement_id}")
    month = agreement["starts_at"][:7]
    found = deployment.seller.statement(buyer.agreement_id, month, verify=True)
    assert found["balanced"] is True, found
    return found


@pytest.mark.parametrize("channel", ["aws", "azure", "gcp"])
def test_a_monthly_fee_less_credits_is_billed_though_nothing_is_used(
    deployment: Deployment, channel: str
) -> None:
    buyer = deployment.new_buyer(channel, hours=3, offering=OFFERING, plan=PLAN)
    deployment.wait_for(lambda: charged(deployment, buyer) == 20, channel=channel)
    (line,) = statement(deployment, buyer)["lines"]
    assert (line["metered"], line["taken_off"], line["rated"]) == ("25", "5", "20")
    assert line["buckets"]["accepted"] == "20"


def test_usage_in_tiers_is_billed_in_cents_and_granted_credits_are_in_the_wallet(
    deployment: Deployment,
) -> None:
    buyer = deployment.new_buyer(hours=3, offering=OFFERING, plan=PLAN)
    moment = closed_moment()
    events = [llm_request(buyer, n, moment - timedelta(seconds=n)) for n in range(2000)]
    assert deployment.send(events) == 2000
    # 3,999,000 tokens of context: 1.10 and 2.3992; 1,999,000 generated: 8.7956; 1,500 requests that
    # are not included: 3. That is 15.2948, of which 1 is on trial; and the fee less the credits, 20.
    deployment.wait_for(lambda: charged(deployment, buyer) == Decimal("34.29"))
    (line,) = statement(deployment, buyer)["lines"]
    assert (line["buckets"]["accepted"], line["buckets"]["carried"]) == ("34.29", "0.0048")

    base = f"/v1/agreements/{buyer.agreement_id}"
    grant = {"id": "sorry", "amount": "4", "effective_at": text_of(datetime.now(UTC))}
    deployment.seller.call("POST", f"{base}/grants", grant)
    wallet = deployment.seller.call("GET", f"{base}/wallet")
    assert wallet["balance"] == "4"
    found = {each["id"]: (each["granted"], each["spent"]) for each in wallet["grants"]}
    assert found == {"welcome": ("5", "5"), "sorry": ("4", "0")}
