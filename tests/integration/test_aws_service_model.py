"""What is sent to AWS, and the tables of answers, against botocore's own service model."""

from __future__ import annotations

from datetime import UTC, datetime

import boto3
import pytest
from botocore.config import Config
from botocore.session import get_session
from botocore.stub import Stubber

from builders import LICENSE_ARN, at, metering_record
from fakes.metering_client import client_error, marketplace, success
from meterbridge.adapters.marketplaces.aws import MAX_RECORDS
from meterbridge.adapters.marketplaces.aws_outcomes import KNOWN_CODES, STATUSES, verdict_of
from meterbridge.domain.errors import InvariantError
from meterbridge.domain.metering_record import ReportOutcome
from meterbridge.domain.offerings import Channel
from meterbridge.domain.policy import policy_at

SERVICE = get_session().get_service_model("meteringmarketplace")
OPERATION = SERVICE.operation_model("BatchMeterUsage")


class TestTheServiceModel:
    def test_every_status_is_mapped(self) -> None:
        assert set(SERVICE.shape_for("UsageRecordResultStatus").enum) == set(STATUSES)

    def test_every_error_of_the_operation_is_mapped(self) -> None:
        assert {shape.error_code for shape in OPERATION.error_shapes} <= KNOWN_CODES

    def test_every_outcome_of_the_tables_is_the_one_meant(self) -> None:
        assert {
            shape.error_code: verdict_of(client_error(shape.error_code)).outcome
            for shape in OPERATION.error_shapes
            if shape.error_code != "DisabledApiException"
        } == {
            "InternalServiceErrorException": ReportOutcome.RETRY,
            "InvalidCustomerIdentifierException": ReportOutcome.NOT_ENTITLED,
            "InvalidLicenseException": ReportOutcome.NOT_ENTITLED,
            "InvalidProductCodeException": ReportOutcome.INVALID,
            "InvalidTagException": ReportOutcome.INVALID,
            "InvalidUsageAllocationsException": ReportOutcome.INVALID,
            "InvalidUsageDimensionException": ReportOutcome.INVALID,
            "ThrottlingException": ReportOutcome.RETRY,
            "TimestampOutOfBoundsException": ReportOutcome.EXPIRED,
        }

    def test_the_batch_limit_is_the_models_and_the_policys(self) -> None:
        limit = SERVICE.shape_for("UsageRecordList").metadata["max"]
        policy = policy_at(Channel.AWS, at("2026-11-24T12"))
        assert limit == MAX_RECORDS == policy.max_batch

    def test_a_built_record_passes_botocores_validation_and_its_wire_form(self) -> None:
        client = boto3.client(
            "meteringmarketplace",
            region_name="us-east-1",
            aws_access_key_id="a",
            aws_secret_access_key="s",
            config=Config(retries={"total_max_attempts": 1}),
        )
        expected = {
            "UsageRecords": [
                {
                    "Timestamp": datetime(2026, 11, 24, 10, tzinfo=UTC),
                    "Dimension": "requests",
                    "CustomerAWSAccountId": "111122223333",
                    "LicenseArn": LICENSE_ARN,
                    "QuantityAsDecimal": "12.5",
                }
            ]
        }
        with Stubber(client) as stubber:
            stubber.add_response("batch_meter_usage", success(expected["UsageRecords"]), expected)
            results = marketplace(client).submit(
                [marketplace(client).build(metering_record(quantity="12.50"))]
            )
        client.close()
        assert [result.outcome for result in results] == [ReportOutcome.ACCEPTED]


class TestBuild:
    def test_the_same_record_always_builds_the_same_entry(self) -> None:
        built = marketplace(None).build(metering_record(quantity="17.000"))
        assert built == marketplace(None).build(metering_record(quantity="17"))
        assert built.entry == {
            "Timestamp": "2026-11-24T10:00:00Z",
            "Dimension": "requests",
            "CustomerAWSAccountId": "111122223333",
            "LicenseArn": LICENSE_ARN,
            "QuantityAsDecimal": "17",
        }

    @pytest.mark.parametrize(
        ("moment", "sent"),
        [
            ("2026-11-24T10:17:03", "2026-11-24T10:17:03Z"),
            ("2026-11-24T10:17:03.000001", "2026-11-24T10:17:04Z"),
            ("2026-11-24T10:59:59.5", "2026-11-24T10:59:59Z"),
        ],
    )
    def test_time_goes_out_in_whole_seconds_not_before_the_start_and_within_the_hour(
        self, moment: str, sent: str
    ) -> None:
        record = metering_record(reported_hour_start=at(moment))
        assert marketplace(None).build(record).entry["Timestamp"] == sent

    @pytest.mark.parametrize("quantity", ["0", "0.000001", "9999999999.999999"])
    def test_quantities_at_the_limits_are_sent(self, quantity: str) -> None:
        entry = marketplace(None).build(metering_record(quantity=quantity)).entry
        assert entry["QuantityAsDecimal"] == quantity

    @pytest.mark.parametrize("quantity", ["-1", "0.0000001", "10000000000"])
    def test_a_quantity_that_aws_cannot_take_is_a_defect(self, quantity: str) -> None:
        with pytest.raises(InvariantError, match="quantity"):
            marketplace(None).build(metering_record(quantity=quantity))

    @pytest.mark.parametrize("missing", ["customer_aws_account_id", "license_arn"])
    def test_a_buyer_that_cannot_be_named_is_a_defect(self, missing: str) -> None:
        buyer = {"customer_aws_account_id": "111122223333", "license_arn": LICENSE_ARN, missing: ""}
        with pytest.raises(InvariantError, match="licence"):
            marketplace(None).build(metering_record(buyer=buyer))
