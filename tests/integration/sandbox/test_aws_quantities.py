from __future__ import annotations

import json
from decimal import Decimal

import pytest

from integration.sandbox.seller import BUYER, LICENSE, Seller, usage

SECONDS = 1795172400


def body_with(members: str) -> bytes:
    return (
        f'{{"UsageRecords": [{{"Timestamp": {SECONDS}, "Dimension": "api_calls", '
        f'"CustomerAWSAccountId": "{BUYER}", "LicenseArn": "{LICENSE}", {members}}}]}}'
    ).encode()


@pytest.mark.parametrize(
    "quantity", ["0", "0.000001", "17.42", "9999999999", "9999999999.999999", "10.500000"]
)
def test_a_decimal_quantity_is_billed_exactly(seller: Seller, quantity: str) -> None:
    assert seller.statuses(usage(quantity)) == ["Success"]
    assert seller.control.billed().records[0].quantity == Decimal(quantity)


@pytest.mark.parametrize(
    "quantity",
    [
        "-1",
        "+1",
        "1e3",
        "01",
        "00",
        ".5",
        "5.",
        "1.0000001",
        "10000000000",
        "1,5",
        " 1",
        "1\n",
        "NaN",
        "\N{ARABIC-INDIC DIGIT ONE}",
    ],
)
def test_a_decimal_quantity_outside_the_pattern_fails_whole(seller: Seller, quantity: str) -> None:
    good = usage(Dimension="tokens")
    assert seller.refused(good, usage(quantity)) == "ValidationException"


def test_both_quantity_fields_in_one_record_fail_whole(seller: Seller) -> None:
    both = usage("17", Quantity=17)
    assert seller.refused(usage(Dimension="tokens"), both) == "ValidationException"


def test_a_whole_quantity_has_the_range_of_a_32_bit_number(seller: Seller) -> None:
    assert seller.refused(usage(None, Quantity=2147483648)) == "ValidationException"
    assert seller.statuses(usage(None, Quantity=2147483647)) == ["Success"]


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ('"Quantity": -1', "ValidationException"),
        ('"Quantity": 1.5', "SerializationException"),
        ('"Quantity": "1"', "SerializationException"),
        ('"Quantity": true', "SerializationException"),
        ('"Quantity": NaN', "SerializationException"),
        ('"QuantityAsDecimal": 1.5', "SerializationException"),
        ('"QuantityAsDecimal": ""', "ValidationException"),
    ],
)
def test_what_boto3_would_not_send_is_refused_too(seller: Seller, members: str, code: str) -> None:
    status, _, answer = seller.post(body_with(members))
    assert (status, json.loads(answer)["__type"]) == (400, code)
    assert seller.billed() == []


def test_a_null_member_counts_as_absent(seller: Seller) -> None:
    status, _, _ = seller.post(body_with('"Quantity": null, "QuantityAsDecimal": "3"'))
    assert status == 200
    assert seller.billed()[0][3] == "3"


def test_a_whole_number_dimension_refuses_a_fraction_and_takes_a_whole_decimal(
    seller: Seller,
) -> None:
    assert seller.refused(usage("1.5", Dimension="seats")) == "ValidationException"
    assert seller.statuses(usage("2.0", Dimension="seats")) == ["Success"]


def test_the_charge_is_quantity_times_price_without_rounding(seller: Seller) -> None:
    seller.send(usage("0.000001"), usage("3", Dimension="seats"), usage("7", Dimension="tokens"))
    charges = {total.dimension: total.charge for total in seller.control.billed().totals}
    assert charges == {"api_calls": Decimal("0.0000000025"), "seats": Decimal(36), "tokens": None}
