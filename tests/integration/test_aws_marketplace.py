"""What the AWS adapter makes of answers, refusals and failures, one result per submission always."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from botocore import exceptions as botocore_errors
from botocore.parsers import ResponseParserError

from builders import NOON, metering_record
from fakes.metering_client import (
    ScriptedClient,
    client_error,
    marketplace,
    raises,
    refuses,
    submissions,
    submit,
    success,
)
from marketplace_setups import SETUPS, setup_record
from meterbridge.adapters.marketplaces.aws_outcomes import verdict_of
from meterbridge.domain.errors import InvariantError, MarketplaceError
from meterbridge.domain.metering_record import RecordState, ReportOutcome
from reporting_setup import Reporting
from sandbox.marketplaces.http_server import running_sandbox


class TestAnswersPerRecord:
    def test_success_brings_the_receipt(self) -> None:
        results, calls = submit(success, "a", "b")
        assert {code: (r.outcome, r.receipt) for code, r in results.items()} == {
            "a": (ReportOutcome.ACCEPTED, "id-a"),
            "b": (ReportOutcome.ACCEPTED, "id-b"),
        }
        assert len(calls) == 1

    def test_statuses_are_read_per_record_and_in_any_order(self) -> None:
        def respond(records: list[dict[str, Any]]) -> Mapping[str, Any]:
            a, b, c, d = records
            return {
                "Results": [
                    {"UsageRecord": c, "Status": "CustomerNotSubscribed"},
                    {"UsageRecord": b, "Status": "DuplicateRecord"},
                    {"UsageRecord": a, "Status": "Success", "MeteringRecordId": "id-a"},
                ],
                "UnprocessedRecords": [d],
            }

        results, _ = submit(respond, "a", "b", "c", "d")
        assert {code: (r.outcome, r.code, r.reached) for code, r in results.items()} == {
            "a": (ReportOutcome.ACCEPTED, "Success", True),
            "b": (ReportOutcome.CONFLICT, "DuplicateRecord", True),
            "c": (ReportOutcome.NOT_ENTITLED, "CustomerNotSubscribed", False),
            "d": (ReportOutcome.RETRY, "UnprocessedRecords", False),
        }

    @pytest.mark.parametrize(
        "response", [{}, {"Results": []}, {"Results": [{"Status": "Success"}]}]
    )
    def test_an_answer_that_leaves_a_record_out_is_no_success(
        self, response: Mapping[str, Any]
    ) -> None:
        results, _ = submit(lambda _: response, "a")
        assert (results["a"].outcome, results["a"].reached) == (ReportOutcome.RETRY, True)

    def test_a_status_we_do_not_know_is_no_success(self) -> None:
        def respond(records: list[dict[str, Any]]) -> Mapping[str, Any]:
            return {"Results": [{"UsageRecord": records[0], "Status": "Deferred"}]}

        results, _ = submit(respond, "a")
        assert (results["a"].outcome, results["a"].code, results["a"].reached) == (
            ReportOutcome.RETRY,
            "Deferred",
            True,
        )

    def test_another_hours_echo_is_not_taken_for_ours(self) -> None:
        def respond(records: list[dict[str, Any]]) -> Mapping[str, Any]:
            return success([{**records[0], "Timestamp": datetime(2026, 11, 24, 9, tzinfo=UTC)}])

        results, _ = submit(respond, "a")
        assert results["a"].outcome is ReportOutcome.RETRY


class TestPoisonedBatches:
    CODES = tuple(f"d{number:02d}" for number in range(25))

    @pytest.mark.parametrize(
        ("code", "outcome"),
        [
            ("TimestampOutOfBoundsException", ReportOutcome.EXPIRED),
            ("InvalidUsageDimensionException", ReportOutcome.INVALID),
            ("InvalidLicenseException", ReportOutcome.NOT_ENTITLED),
            ("TooManyTagsException", ReportOutcome.INVALID),
            ("ValidationException", ReportOutcome.INVALID),
        ],
    )
    def test_one_bad_record_is_found_and_all_others_are_sent(
        self, code: str, outcome: ReportOutcome
    ) -> None:
        results, calls = submit(refuses(code, "d07"), *self.CODES)
        assert (results["d07"].outcome, results["d07"].reached) == (outcome, False)
        others = {each: result.outcome for each, result in results.items() if each != "d07"}
        assert others == dict.fromkeys(set(self.CODES) - {"d07"}, ReportOutcome.ACCEPTED)
        assert len(calls) <= 11

    def test_bisection_is_bounded_when_every_record_is_bad(self) -> None:
        results, calls = submit(refuses("InvalidTagException", *self.CODES), *self.CODES)
        assert {result.outcome for result in results.values()} == {ReportOutcome.INVALID}
        assert len(calls) == 49

    def test_no_record_is_sent_in_two_calls_that_were_taken(self) -> None:
        _, calls = submit(refuses("InvalidTagException", "d03", "d24"), *self.CODES)
        taken = [
            record["Dimension"]
            for call in calls
            for record in call
            if not {"d03", "d24"} & {other["Dimension"] for other in call}
        ]
        assert sorted(taken) == sorted(set(self.CODES) - {"d03", "d24"})

    def test_an_unknown_refusal_is_isolated_and_burns_nothing(self) -> None:
        results, _ = submit(refuses("BrandNewException", "d01"), *self.CODES[:4])
        assert (results["d01"].outcome, results["d01"].reached) == (ReportOutcome.RETRY, True)
        assert results["d00"].outcome is ReportOutcome.ACCEPTED

    def test_two_submissions_of_one_usage_record_never_share_a_call(self) -> None:
        build = marketplace(None).build
        twins = [build(metering_record(agreement_id=each)) for each in ("agr_1", "agr_2")]
        client = ScriptedClient(success)
        results = marketplace(client).submit(twins)
        assert [len(call) for call in client.calls] == [1, 1]
        assert sorted(result.key.agreement_id for result in results) == ["agr_1", "agr_2"]


class TestWholeCallFailures:
    @pytest.mark.parametrize(
        ("error", "reached"),
        [
            (client_error("ThrottlingException"), False),
            (client_error("TooManyRequests", 429), False),
            (client_error("InternalServiceErrorException", 500), True),
            (client_error("ServiceUnavailable", 503), True),
            (client_error("", 502), True),
            (botocore_errors.ConnectionClosedError(endpoint_url="u"), True),
            (botocore_errors.ReadTimeoutError(endpoint_url="u"), True),
            (botocore_errors.HTTPClientError(error="reset"), True),
            (ResponseParserError("not JSON"), True),
            (botocore_errors.EndpointConnectionError(endpoint_url="u"), False),
            (botocore_errors.ConnectTimeoutError(endpoint_url="u"), False),
        ],
    )
    def test_a_call_without_a_verdict_is_repeated_later(
        self, error: Exception, reached: bool
    ) -> None:
        results, calls = submit(raises(error), "a", "b")
        assert {(r.outcome, r.reached) for r in results.values()} == {
            (ReportOutcome.RETRY, reached)
        }
        assert len(calls) == 1

    @pytest.mark.parametrize(
        "error",
        [
            client_error("AccessDeniedException"),
            client_error("DisabledApiException"),
            client_error("ExpiredTokenException"),
            client_error("InvalidSignatureException"),
            client_error("UnrecognizedClientException"),
            botocore_errors.NoCredentialsError(),
            botocore_errors.NoRegionError(),
        ],
    )
    def test_when_aws_cannot_be_asked_no_record_is_judged(self, error: Exception) -> None:
        with pytest.raises(MarketplaceError):
            submit(raises(error), "a", "b")

    def test_losing_access_in_the_middle_keeps_what_was_answered(self) -> None:
        calls = 0

        def respond(records: list[dict[str, Any]]) -> Mapping[str, Any]:
            nonlocal calls
            calls += 1
            if calls == 1:
                raise client_error("InvalidTagException")
            if calls == 2:
                return success(records)
            raise client_error("ExpiredTokenException")

        results, _ = submit(respond, "a", "b", "c", "d")
        assert {code: (r.outcome, r.code) for code, r in results.items()} == {
            "a": (ReportOutcome.ACCEPTED, "Success"),
            "b": (ReportOutcome.ACCEPTED, "Success"),
            "c": (ReportOutcome.RETRY, "NotAsked"),
            "d": (ReportOutcome.RETRY, "NotAsked"),
        }
        assert not results["c"].reached

    def test_every_transport_error_of_botocore_has_a_meaning(self) -> None:
        def descendants(kind: type[Exception]) -> Iterator[type[Exception]]:
            for each in kind.__subclasses__():
                yield each
                yield from descendants(each)

        for kind in descendants(botocore_errors.BotoCoreError):
            error = kind.__new__(kind)
            Exception.__init__(error, "made up")
            try:
                verdict = verdict_of(error)
            except MarketplaceError:
                continue
            assert verdict.outcome in (ReportOutcome.RETRY, ReportOutcome.INVALID)


class TestWhatCannotBeABatch:
    def test_more_records_than_a_call_takes(self) -> None:
        with pytest.raises(InvariantError, match="26"):
            marketplace(None).submit(submissions(*(f"d{number}" for number in range(26))))

    def test_records_of_two_products(self) -> None:
        build = marketplace(None).build
        mixed = [build(metering_record(code=c, product_id=f"prd_{c}")) for c in "ab"]
        with pytest.raises(InvariantError, match="one product"):
            marketplace(None).submit(mixed)

    def test_a_body_of_a_megabyte(self) -> None:
        with pytest.raises(InvariantError, match="bytes"):
            marketplace(None).submit(submissions("d" * 1_000_000))

    def test_nothing_is_sent_for_nothing(self) -> None:
        assert marketplace(None).submit([]) == []


def test_quantities_never_pass_through_a_float() -> None:
    sent: list[str] = []

    def respond(records: list[dict[str, Any]]) -> Mapping[str, Any]:
        sent.extend(record["QuantityAsDecimal"] for record in records)
        return success(records)

    build = marketplace(None).build
    marketplace(ScriptedClient(respond)).submit([build(metering_record(quantity="0.1"))])
    marketplace(ScriptedClient(respond)).submit(
        [build(metering_record(quantity=Decimal("1234567890.123456")))]
    )
    assert sent == ["0.1", "1234567890.123456"]


@pytest.mark.parametrize("loss", ["drop", "error"])
def test_a_resend_that_aws_answers_as_a_duplicate_is_our_own_after_a_lost_answer(loss: str) -> None:
    """AWS's texts disagree on what an identical resend is answered (contracts.md §1.1.3)."""
    setup, records = SETUPS["aws"], [setup_record(SETUPS["aws"], "d00", "5.25")]
    with running_sandbox() as sandbox, setup.connected(sandbox.url) as adapter:
        sandbox.control.set_clock(NOON)
        setup.register(sandbox.control)
        sandbox.control.aws.configure(identical_resend="DuplicateRecord")
        sandbox.control.inject("lost_acknowledgement", loss=loss)
        reporting = Reporting(marketplace=adapter, terms=setup.terms)
        reporting.add(*records)
        reporting.run(rounds=1)
        assert reporting.later().counts == Counter({RecordState.ACCEPTED: 1})
        assert sandbox.control.billed().calls["statuses"] == {"Success": 1, "DuplicateRecord": 1}
