"""What a marketplace is asked for a correction, and the evidence that goes with it. Pure.

AWS takes a billing adjustment by API (contracts.md §1.4.5); Azure and Google have none, so there it is
a request to their support, ready to be pasted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from meterbridge.domain.agreements import Agreement
from meterbridge.domain.channels import Channel
from meterbridge.domain.corrections import Correction
from meterbridge.domain.metering_record import MeteringRecord
from meterbridge.domain.money import Rounding, plain, to_increment
from meterbridge.domain.over_reported import is_booked

ADJUSTMENT_STEP = Decimal("1E-8")
"""AWS takes amounts of at most eight decimal places."""

MAX_DESCRIPTION = 500
REASON_CODE = "INCORRECT_METERING"


@dataclass(frozen=True, slots=True)
class AcceptedRecord:
    """A metering record that the marketplace accepted, as evidence.

    Attributes:
        reported_hour_start: the moment that it carries on the wire.
        quantity: what the marketplace accepted, in its units.
        of_period: how much of it is usage of the correction's period, in metered quantity.
        receipt: the marketplace's id for the record.
        request_id: the marketplace's id of the call.
    """

    hour: datetime
    reported_hour_start: datetime
    quantity: Decimal
    of_period: Decimal
    receipt: str
    request_id: str


def accepted_records(
    correction: Correction, records: Iterable[MeteringRecord]
) -> list[AcceptedRecord]:
    """The records that make up what was accepted of a correction's period, oldest first."""
    key = correction.key
    found = []
    for record in records:
        of_period = record.counted(absorbed=record.absorbed).get(key.period)
        if record.key.dimension == key.dimension and is_booked(record) and of_period:
            told = record.accepted_quantity
            found.append(
                AcceptedRecord(
                    hour=record.key.hour,
                    reported_hour_start=record.reported_hour_start,
                    quantity=record.quantity if told is None else told,
                    of_period=of_period,
                    receipt=record.receipt,
                    request_id=record.request_id,
                )
            )
    return sorted(found, key=lambda each: each.hour)


def adjustment_amount(correction: Correction) -> Decimal:
    """What AWS is asked to give back: the amount to eight decimal places, half away from zero."""
    return to_increment(correction.amount.amount, ADJUSTMENT_STEP, Rounding.ROUND)


def aws_adjustment(
    correction: Correction, *, agreement_id: str = "", invoice_id: str = ""
) -> dict[str, str]:
    """An entry of BatchCreateBillingAdjustmentRequest; empty where an id is not known yet.

    Args:
        agreement_id: AWS's id of the agreement, where the correction does not know it.
        invoice_id: AWS's id of the invoice to adjust, likewise.
    """
    if correction.request:
        return dict(correction.request)
    return {
        "agreementId": correction.marketplace_agreement_id or agreement_id,
        "originalInvoiceId": correction.invoice_id or invoice_id,
        "adjustmentAmount": plain(adjustment_amount(correction)),
        "currencyCode": correction.amount.currency,
        "adjustmentReasonCode": REASON_CODE,
        "description": _description(correction),
        "clientToken": correction.key.client_token,
    }


def _description(correction: Correction) -> str:
    key, figures = correction.key, correction.figures
    text = (
        f"Usage of dimension {key.dimension} in {key.period} was over-reported: "
        f"{_amounts(correction)}. {plain(figures.accepted)} accepted, "
        f"{plain(figures.metered)} due. Reference {key}"
    )
    return text[:MAX_DESCRIPTION]


def _amounts(correction: Correction) -> str:
    charged = correction.amount.rounded()
    return f"{plain(correction.units)} units, {plain(charged.amount)} {charged.currency}"


_TO = {
    Channel.AZURE: "Microsoft Partner Center support, commercial marketplace, metered billing",
    Channel.GCP: "Google Cloud Marketplace partner support, usage reporting",
}


def support_request(
    correction: Correction,
    agreement: Agreement,
    listing: str,
    records: Sequence[AcceptedRecord],
) -> str:
    """A text for the marketplace's support, with the evidence.

    Args:
        listing: the product's identity there; "" where it is not known.
        records: those the marketplace accepted.
    """
    key, figures = correction.key, correction.figures
    charged = correction.amount.rounded()
    buyer = "; ".join(f"{name} {value}" for name, value in agreement.buyer_reference().items())
    lines = [
        f"To: {_TO.get(correction.channel, f'support of {correction.channel}')}",
        f"Subject: Over-reported usage of {key.period}, please credit the buyer "
        f"{plain(charged.amount)} {charged.currency}",
        "",
        f"We reported more usage than there was, and ask you to credit {plain(charged.amount)} "
        f"{charged.currency} (before tax) to this buyer.",
        "",
        f"Product: {listing or correction.product_id}",
        f"Buyer: {buyer or agreement.customer_id}",
        f"Dimension: {key.dimension}",
        f"Billing period: {key.period} (UTC)",
        f"Accepted: {plain(figures.accepted)}",
        f"Used: {plain(figures.metered)}",
        f"Credited before: {plain(figures.corrected)}",
        f"Made up for by later usage: {plain(figures.made_up)}",
        f"Over-reported: {plain(correction.quantity)} ({plain(correction.units)} billed units)",
        f"Our reference: {key}",
        "",
        "Accepted usage reports of the period (hour UTC, quantity, your id):",
        *[
            f"{each.reported_hour_start:%Y-%m-%dT%H:%M:%SZ}  {plain(each.quantity)}  "
            f"{each.receipt or each.request_id or '-'}"
            for each in records
        ],
    ]
    return "\n".join(lines) + "\n"
