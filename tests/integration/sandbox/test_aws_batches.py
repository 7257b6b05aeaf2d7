from __future__ import annotations

from integration.sandbox.seller import (
    BUYER,
    HOUR,
    LICENSE,
    NOW,
    OTHER_BUYER,
    OTHER_PRODUCT_LICENSE,
    PRODUCT,
    SECOND_LICENSE,
    Seller,
    usage,
)


def test_an_accepted_record_is_billed_and_echoed(seller: Seller) -> None:
    answer = seller.send(usage("12.500000"))
    (result,) = answer["Results"]
    assert result["Status"] == "Success"
    assert result["UsageRecord"] == usage("12.500000")
    assert answer["UnprocessedRecords"] == []
    (billed,) = seller.control.billed().records
    assert billed.record_id == result["MeteringRecordId"]
    assert (billed.received_at, billed.product, billed.buyer) == (NOW, PRODUCT, BUYER)
    assert seller.billed() == [(LICENSE, "api_calls", HOUR.isoformat(), "12.5")]


def test_an_identical_resend_succeeds_with_the_same_record_id_and_bills_once(
    seller: Seller,
) -> None:
    first = seller.send(usage("17"))["Results"][0]["MeteringRecordId"]
    for quantity in ("17", "17.0", "17.000000"):
        (again,) = seller.send(usage(quantity))["Results"]
        assert (again["Status"], again["MeteringRecordId"]) == ("Success", first)
    (whole,) = seller.send(usage(None, Quantity=17))["Results"]
    assert (whole["Status"], whole["MeteringRecordId"]) == ("Success", first)
    assert seller.billed() == [(LICENSE, "api_calls", HOUR.isoformat(), "17")]
    assert seller.control.billed().records[0].answers == {"Success": 5}


def test_an_identical_resend_can_be_answered_as_a_duplicate_instead(seller: Seller) -> None:
    seller.control.aws.configure(identical_resend="DuplicateRecord")
    assert seller.statuses(usage("17")) == ["Success"]
    assert seller.statuses(usage("17.0")) == ["DuplicateRecord"]
    assert seller.billed() == [(LICENSE, "api_calls", HOUR.isoformat(), "17")]
    assert seller.control.billed().records[0].refused_quantities == ()


def test_another_quantity_for_the_same_hour_is_a_duplicate_and_the_first_stays(
    seller: Seller,
) -> None:
    seller.send(usage("17"))
    (result,) = seller.send(usage("18"))["Results"]
    assert result["Status"] == "DuplicateRecord"
    assert "MeteringRecordId" not in result
    assert seller.billed() == [(LICENSE, "api_calls", HOUR.isoformat(), "17")]
    (billed,) = seller.control.billed().records
    assert [str(quantity) for quantity in billed.refused_quantities] == ["18"]
    assert billed.answers == {"Success": 1, "DuplicateRecord": 1}


def test_any_time_within_the_hour_is_the_same_record(seller: Seller) -> None:
    assert seller.statuses(usage("17")) == ["Success"]
    last_second = HOUR.replace(minute=59, second=59)
    assert seller.statuses(usage("3", Timestamp=last_second)) == ["DuplicateRecord"]
    assert seller.statuses(usage("3", Timestamp=HOUR.replace(hour=12))) == ["Success"]


def test_records_for_one_key_in_one_batch_are_never_added_together(seller: Seller) -> None:
    assert seller.statuses(usage("5"), usage("6"), usage("5.0")) == [
        "Success",
        "DuplicateRecord",
        "Success",
    ]
    assert seller.billed() == [(LICENSE, "api_calls", HOUR.isoformat(), "5")]


def test_dimensions_licences_and_hours_are_billed_apart(seller: Seller) -> None:
    seller.send(
        usage("1"),
        usage("2", Dimension="tokens"),
        usage("3", LicenseArn=SECOND_LICENSE, CustomerAWSAccountId=OTHER_BUYER),
        usage("4", Timestamp=HOUR.replace(hour=10)),
    )
    assert [row[3] for row in seller.billed()] == ["1", "2", "3", "4"]
    bill = seller.control.billed()
    assert str(bill.quantity(LICENSE, "api_calls")) == "5"
    assert str(bill.quantity(SECOND_LICENSE, "api_calls")) == "3"


def test_duplicates_are_detected_per_region_so_two_regions_bill_twice(seller: Seller) -> None:
    assert seller.statuses(usage("17"), region="us-east-1") == ["Success"]
    assert seller.statuses(usage("17"), region="eu-west-1") == ["Success"]
    bill = seller.control.billed()
    assert [record.region for record in bill.records] == ["us-east-1", "eu-west-1"]
    assert str(bill.quantity(LICENSE, "api_calls")) == "34"


def test_a_zero_quantity_is_accepted_and_occupies_the_hour(seller: Seller) -> None:
    assert seller.statuses(usage("0")) == ["Success"]
    assert seller.statuses(usage("1")) == ["DuplicateRecord"]


def test_a_record_without_a_quantity_means_zero(seller: Seller) -> None:
    assert seller.statuses(usage(None)) == ["Success"]
    assert seller.billed() == [(LICENSE, "api_calls", HOUR.isoformat(), "0")]


def test_an_empty_batch_is_answered_empty(seller: Seller) -> None:
    answer = seller.send()
    assert (answer["Results"], answer["UnprocessedRecords"]) == ([], [])


def test_twenty_five_records_pass_and_twenty_six_fail_whole(seller: Seller) -> None:
    hours = [HOUR.replace(hour=hour) for hour in range(12)]
    records = [
        usage("1", Timestamp=hour, Dimension=dimension)
        for hour in hours
        for dimension in ("api_calls", "tokens", "seats")
    ]
    assert seller.refused(*records[:26]) == "ValidationException"
    assert seller.statuses(*records[:25]) == ["Success"] * 25


def test_two_products_in_one_call_fail_whole(seller: Seller) -> None:
    other = usage(LicenseArn=OTHER_PRODUCT_LICENSE)
    assert seller.refused(usage(), other) == "InvalidLicenseException"
    assert seller.statuses(other) == ["Success"]


def test_an_unknown_licence_fails_whole(seller: Seller) -> None:
    unknown = usage(LicenseArn=LICENSE[:-3] + "000")
    assert seller.refused(usage(Dimension="tokens"), unknown) == "InvalidLicenseException"


def test_a_malformed_licence_fails_whole(seller: Seller) -> None:
    for malformed in ("l-0aaa1bbb", LICENSE.removeprefix("arn:"), LICENSE + "\n", ""):
        assert seller.refused(usage(LicenseArn=malformed)) == "InvalidLicenseException"


def test_a_licence_of_another_buyer_fails_whole(seller: Seller) -> None:
    assert seller.refused(usage(CustomerAWSAccountId=OTHER_BUYER)) == "InvalidLicenseException"


def test_a_licence_needs_an_account_id(seller: Seller) -> None:
    assert seller.refused(usage(CustomerAWSAccountId=None)) == "ValidationException"


def test_an_unknown_dimension_fails_whole_and_case_matters(seller: Seller) -> None:
    for dimension in ("calls", "API_CALLS", "api_calls "):
        bad = usage(Dimension=dimension)
        assert seller.refused(usage(), bad) == "InvalidUsageDimensionException"


def test_a_suspended_buyer_is_not_subscribed_and_only_that_record_fails(seller: Seller) -> None:
    seller.control.aws.suspend_agreement(LICENSE)
    other = usage(LicenseArn=SECOND_LICENSE, CustomerAWSAccountId=OTHER_BUYER)
    assert seller.statuses(usage(), other) == ["CustomerNotSubscribed", "Success"]
    assert [row[0] for row in seller.billed()] == [SECOND_LICENSE]
    seller.control.aws.resume_agreement(LICENSE)
    assert seller.statuses(usage()) == ["Success"]


def test_a_dimension_newer_than_a_private_offer_succeeds_and_is_charged_nothing(
    seller: Seller,
) -> None:
    seller.control.aws.register_agreement(
        product_code=PRODUCT,
        account_id=BUYER,
        license_arn=LICENSE,
        start=HOUR.replace(day=1),
        unpriced_dimensions=["api_calls"],
    )
    assert seller.statuses(usage("9")) == ["Success"]
    (total,) = seller.control.billed().totals
    assert (str(total.quantity), str(total.unbillable_quantity)) == ("0", "9")
    assert str(total.charge) == "0"
