from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from integration.sandbox.seller import BUYER, HOUR, NOW, PRODUCT, STARTED, Seller, usage

IDENTIFIER = "ifAPi5AcF3"


@pytest.fixture
def legacy(seller: Seller) -> Seller:
    """The same seller, with a product from before agreements had licences."""
    seller.control.aws.register_product("oldproduct", ["api_calls", "tokens"])
    seller.control.aws.register_agreement(
        product_code="oldproduct",
        account_id=BUYER,
        customer_identifier=IDENTIFIER,
        start=STARTED,
    )
    return seller


def old(quantity: str = "17", **members: Any) -> dict[str, Any]:
    return usage(
        quantity,
        **{
            "LicenseArn": None,
            "CustomerAWSAccountId": None,
            "CustomerIdentifier": IDENTIFIER,
            **members,
        },
    )


def test_the_legacy_style_names_the_product_and_the_customer_identifier(legacy: Seller) -> None:
    assert legacy.statuses(old(), ProductCode="oldproduct") == ["Success"]
    assert legacy.statuses(old("18"), ProductCode="oldproduct") == ["DuplicateRecord"]
    assert legacy.billed() == [("oldproduct", "api_calls", HOUR.isoformat(), "17")]


def test_identifier_and_account_id_name_the_same_legacy_buyer(legacy: Seller) -> None:
    by_account = old("18", CustomerIdentifier=None, CustomerAWSAccountId=BUYER)
    assert legacy.statuses(old(), ProductCode="oldproduct") == ["Success"]
    assert legacy.statuses(by_account, ProductCode="oldproduct") == ["DuplicateRecord"]


def test_identifier_and_account_id_together_fail_whole(legacy: Seller) -> None:
    both = old(CustomerAWSAccountId=BUYER)
    assert legacy.refused(both, ProductCode="oldproduct") == "ValidationException"


def test_an_unknown_identifier_fails_whole(legacy: Seller) -> None:
    unknown = old(CustomerIdentifier="nobody")
    code = legacy.refused(old(), unknown, ProductCode="oldproduct")
    assert code == "InvalidCustomerIdentifierException"


def test_a_missing_customer_fails_whole(legacy: Seller) -> None:
    nobody = old(CustomerIdentifier=None)
    assert legacy.refused(nobody, ProductCode="oldproduct") == "ValidationException"


def test_an_account_without_an_agreement_is_not_subscribed(legacy: Seller) -> None:
    stranger = old(CustomerIdentifier=None, CustomerAWSAccountId="999900001111")
    statuses = legacy.statuses(stranger, old(), ProductCode="oldproduct")
    assert statuses == ["CustomerNotSubscribed", "Success"]


def test_an_unknown_or_missing_product_code_fails_whole(legacy: Seller) -> None:
    assert legacy.refused(old(), ProductCode="nothing") == "InvalidProductCodeException"
    assert legacy.refused(old()) == "InvalidProductCodeException"


def test_usage_before_the_subscription_fails_whole(legacy: Seller) -> None:
    legacy.control.aws.register_agreement(
        product_code="oldproduct", account_id=BUYER, customer_identifier=IDENTIFIER, start=NOW
    )
    assert legacy.refused(old(), ProductCode="oldproduct") == "TimestampOutOfBoundsException"


def test_an_ended_subscription_takes_usage_for_one_more_hour(legacy: Seller) -> None:
    legacy.control.request(
        "POST", "aws/agreements/end", {"product_code": "oldproduct", "account_id": BUYER}
    )
    legacy.control.advance_clock(timedelta(minutes=59))
    assert legacy.statuses(old(), ProductCode="oldproduct") == ["Success"]
    legacy.control.advance_clock(timedelta(minutes=1))
    tokens = old(Dimension="tokens")
    assert legacy.statuses(tokens, ProductCode="oldproduct") == ["CustomerNotSubscribed"]


def test_a_product_code_with_a_licence_in_one_call_fails_whole(seller: Seller) -> None:
    assert seller.refused(usage(), ProductCode=PRODUCT) == "ValidationException"


def test_a_product_code_with_a_licence_can_be_let_through(seller: Seller) -> None:
    seller.control.aws.configure(mixed_styles="accept")
    assert seller.statuses(usage(), ProductCode=PRODUCT) == ["Success"]


def test_both_styles_for_one_buyer_and_hour_bill_twice_and_the_bill_warns(
    seller: Seller,
) -> None:
    by_product = usage("17", LicenseArn=None)
    assert seller.statuses(usage("17")) == ["Success"]
    assert seller.statuses(by_product, ProductCode=PRODUCT) == ["Success"]
    bill = seller.control.billed()
    assert sum(total.quantity for total in bill.totals) == 34
    (warning,) = bill.warnings
    assert warning.startswith(f"billed twice, by LicenseArn and by ProductCode: {PRODUCT} {BUYER}")
