"""What is sent to Google, and what the adapter makes of answers: one result per submission always."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from builders import NOON, at
from fakes.clock import FakeClock
from gcp_setup import SERVICE, FixedListings, GcpReporting, double_record, gcp_record, gcp_records
from meterbridge.adapters.marketplaces.calls import Verdict
from meterbridge.adapters.marketplaces.gcp import MAX_OPERATIONS, GcpMarketplace
from meterbridge.adapters.marketplaces.gcp_wire import MAX_BODY_BYTES
from meterbridge.application.ports import ReportResult, Submission
from meterbridge.domain.errors import InvariantError, MarketplaceError, StoreUnavailableError
from meterbridge.domain.metering_record import MeteringRecord, ReportOutcome
from meterbridge.domain.offerings import Channel
from meterbridge.domain.policy import policy_at

Responding = Callable[[list[dict[str, Any]]], Verdict | Mapping[str, Any]]
DOUBTFUL = Verdict(ReportOutcome.RETRY, "INTERNAL", "", reached=True)


@dataclass
class ScriptedServiceControl:
    """Answers each report by a function of its operations; remembers bodies."""

    respond: Responding
    bodies: list[tuple[str, bytes]] = field(default_factory=list)
    check: Verdict | Mapping[str, Any] = field(default_factory=dict)
    patience: list[Verdict] = field(default_factory=list)

    def call(self, _service: str, method: str, body: bytes) -> Verdict | Mapping[str, Any]:
        self.bodies.append((method, body))
        if method == "check":
            return self.check
        return self.respond(json.loads(body)["operations"])

    def throttled(self, verdict: Verdict) -> None:
        self.patience.append(verdict)


def marketplace(control: Any = None, listings: Any = None, **options: Any) -> GcpMarketplace:
    return GcpMarketplace(control, listings or FixedListings(), FakeClock(NOON), **options)


def accepting(_: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    return {"serviceConfigId": "2026-11-01r0"}


def failing(code: int, *metrics: str) -> Responding:
    """The operations of some metrics fail, the others land."""

    def respond(operations: list[dict[str, Any]]) -> Mapping[str, Any]:
        return {
            "reportErrors": [
                {"operationId": each["operationId"], "status": {"code": code, "message": "no"}}
                for each in operations
                if metric_of(each) in metrics
            ]
        }

    return respond


def metric_of(operation: Mapping[str, Any]) -> str:
    return str(operation["metricValueSets"][0]["metricName"]).rpartition("/")[2]


def submit(
    respond: Responding, records: Sequence[MeteringRecord]
) -> tuple[dict[str, ReportResult], ScriptedServiceControl]:
    control = ScriptedServiceControl(respond)
    adapter = marketplace(control)
    results = adapter.submit([adapter.build(record) for record in records])
    assert len(results) == len(records)
    return {result.key.dimension: result for result in results}, control


class TestBuild:
    def test_the_entry_of_a_record_is_the_same_for_ever(self) -> None:
        """Golden: with another operationId Google would bill every open record a second time."""
        assert marketplace().build(gcp_record(quantity="17.000")).entry == {
            "serviceName": SERVICE,
            "operationId": "23556f19-22a9-566d-b625-578d45deb427",
            "consumerId": "project_number:100000000001",
            "startTime": "2026-11-24T10:00:00Z",
            "endTime": "2026-11-24T11:00:00Z",
            "metricName": f"{SERVICE}/d00",
            "int64Value": "17",
        }

    def test_every_part_of_the_key_makes_another_operation(self) -> None:
        build = marketplace().build
        ids = {
            build(record).entry["operationId"]
            for record in (
                gcp_record(),
                gcp_record(code="d01"),
                gcp_record("agr_2"),
                gcp_record(hour=at("2026-11-24T09")),
                gcp_record(buyer={"usage_reporting_id": "project_number:7"}),
            )
        }
        assert len(ids) == 5

    def test_the_quantity_makes_none(self) -> None:
        build = marketplace().build
        one, other = build(gcp_record(quantity="1")), build(gcp_record(quantity="2"))
        assert one.entry["operationId"] == other.entry["operationId"]

    def test_the_window_is_clipped_to_the_agreement(self) -> None:
        record = gcp_record(
            reported_hour_start=at("2026-11-24T10:17:03"),
            reported_hour_end=at("2026-11-24T10:40:00"),
        )
        entry = marketplace().build(record).entry
        assert (entry["startTime"], entry["endTime"]) == (
            "2026-11-24T10:17:03Z",
            "2026-11-24T10:40:00Z",
        )

    def test_hours_follow_each_other_without_a_gap(self) -> None:
        hours = [at(f"2026-11-24T{hour:02d}") for hour in range(9, 12)]
        entries = [marketplace().build(gcp_record(hour=hour)).entry for hour in hours]
        assert [e["endTime"] for e in entries[:-1]] == [e["startTime"] for e in entries[1:]]

    @pytest.mark.parametrize("quantity", ["0", "9223372036854775807"])
    def test_integers_go_out_as_strings(self, quantity: str) -> None:
        assert marketplace().build(gcp_record(quantity=quantity)).entry["int64Value"] == quantity

    @pytest.mark.parametrize("quantity", ["0", "5", "0.000001", "999999999.999999"])
    def test_a_double_metric_takes_a_number_whatever_the_quantity(self, quantity: str) -> None:
        entry = marketplace().build(double_record(quantity)).entry
        assert entry["doubleValue"] == quantity
        assert "int64Value" not in entry

    @pytest.mark.parametrize("quantity", ["-1", "0.5", "9223372036854775808"])
    def test_an_integer_that_google_cannot_take_is_a_defect(self, quantity: str) -> None:
        with pytest.raises(InvariantError, match="Google takes no integer"):
            marketplace().build(gcp_record(quantity=quantity))

    @pytest.mark.parametrize("quantity", ["-0.5", "0.0000001", "1234567890.123456"])
    def test_a_decimal_that_a_double_does_not_keep_is_a_defect(self, quantity: str) -> None:
        with pytest.raises(InvariantError, match="Google takes no decimal"):
            marketplace().build(double_record(quantity))

    def test_the_limits_are_the_policys(self) -> None:
        policy = policy_at(Channel.GCP, NOON)
        assert policy.max_batch == MAX_OPERATIONS
        for kind, most in policy.max_quantity.items():
            build = marketplace().build
            assert build(gcp_record(quantity=str(most), quantity_kind=kind)).entry

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"buyer": {}}, "usageReportingId"),
            ({"reported_hour_end": at("2026-11-24T10")}, "covers no time"),
        ],
    )
    def test_what_google_cannot_take_is_a_defect(
        self, changes: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(InvariantError, match=message):
            marketplace().build(gcp_record(**changes))

    def test_a_buyers_billing_export_may_be_told_the_agreement(self) -> None:
        control = ScriptedServiceControl(accepting)
        adapter = marketplace(control, label_agreements=True)
        adapter.submit([adapter.build(gcp_record())])
        (_, check), (_, report) = control.bodies
        assert "userLabels" not in json.loads(check)["operation"]
        assert json.loads(report)["operations"][0]["userLabels"] == {
            "cloudmarketplace.googleapis.com/resource_name": "agr_1"
        }


class TestTheWire:
    def test_a_check_carries_the_operation_of_the_report(self) -> None:
        _, control = submit(accepting, [gcp_record()])
        (first, check), (second, report) = control.bodies
        assert (first, second) == ("check", "report")
        (operation,) = json.loads(report)["operations"]
        assert json.loads(check)["operation"] == operation
        assert operation["operationName"] == "hourly usage"
        assert operation["metricValueSets"] == [
            {"metricName": f"{SERVICE}/d00", "metricValues": [{"int64Value": "5"}]}
        ]

    @pytest.mark.parametrize("quantity", ["0.1", "999999999.999999", "0.000001", "12.500000"])
    def test_quantities_never_pass_through_a_float(self, quantity: str) -> None:
        _, control = submit(accepting, [double_record(quantity)])
        body = json.loads(control.bodies[-1][1], parse_float=str, parse_int=str)
        (value,) = body["operations"][0]["metricValueSets"][0]["metricValues"]
        assert value == {"doubleValue": format(Decimal(quantity).normalize(), "f")}

    def test_calls_are_smaller_than_a_megabyte(self) -> None:
        build = marketplace().build
        longest = "m" * 6_000
        control = ScriptedServiceControl(accepting)
        submissions = [build(gcp_record(code=f"{longest}{number}")) for number in range(200)]
        results = marketplace(control).submit(submissions)
        sizes = [len(body) for method, body in control.bodies if method == "report"]
        assert len(sizes) == 2
        assert max(sizes) < MAX_BODY_BYTES
        assert sum(sizes) > MAX_BODY_BYTES
        assert {result.outcome for result in results} == {ReportOutcome.ACCEPTED}

    def test_a_service_that_was_renamed_has_calls_of_its_own(self) -> None:
        before = marketplace(listings=FixedListings("old.example.com")).build(gcp_record())
        control = ScriptedServiceControl(accepting)
        adapter = marketplace(control)
        adapter.submit([before, adapter.build(gcp_record(code="d01"))])
        assert [method for method, _ in control.bodies].count("report") == 2


class TestAnswers:
    def test_what_a_good_answer_does_not_name_landed(self) -> None:
        results, _ = submit(failing(3, "d01"), gcp_records(3))
        assert {code: (r.outcome, r.code, r.reached) for code, r in results.items()} == {
            "d00": (ReportOutcome.ACCEPTED, "OK", True),
            "d01": (ReportOutcome.INVALID, "INVALID_ARGUMENT", False),
            "d02": (ReportOutcome.ACCEPTED, "OK", True),
        }

    def test_an_error_of_a_stranger_makes_success_uncertain(self) -> None:
        def respond(_: list[dict[str, Any]]) -> Mapping[str, Any]:
            return {"reportErrors": [{"operationId": "?", "status": {"code": 3}}]}

        results, _ = submit(respond, gcp_records(2))
        assert {(r.outcome, r.code, r.reached) for r in results.values()} == {
            (ReportOutcome.RETRY, "Unattributed", True)
        }

    @pytest.mark.parametrize("errors", ["none", {"operationId": "x"}, ["x"]])
    def test_an_answer_that_cannot_be_read_is_no_success(self, errors: Any) -> None:
        results, _ = submit(lambda _: {"reportErrors": errors}, gcp_records(1))
        assert (results["d00"].outcome, results["d00"].reached) == (ReportOutcome.RETRY, True)

    def test_an_operation_over_quota_slows_the_pace(self) -> None:
        results, control = submit(failing(8, "d00"), gcp_records(2))
        assert (results["d00"].outcome, results["d00"].reached) == (ReportOutcome.RETRY, False)
        assert len(control.patience) == 1

    def test_a_failed_call_leaves_all_in_doubt(self) -> None:
        results, control = submit(lambda _: DOUBTFUL, gcp_records(2))
        assert {(r.outcome, r.reached) for r in results.values()} == {(ReportOutcome.RETRY, True)}
        assert len(control.bodies) == 2

    def test_a_check_that_fails_leaves_none_in_doubt(self) -> None:
        control = ScriptedServiceControl(accepting, check=DOUBTFUL)
        adapter = marketplace(control)
        results = adapter.submit([adapter.build(record) for record in gcp_records(2)])
        assert {(r.outcome, r.reached) for r in results} == {(ReportOutcome.RETRY, False)}
        assert [method for method, _ in control.bodies] == ["check"]

    def test_a_configuration_that_is_wrong_is_told_of_every_record_at_once(self) -> None:
        control = ScriptedServiceControl(accepting, check={"checkErrors": [{"code": "NOT_FOUND"}]})
        adapter = marketplace(control)
        hours = [gcp_record(hour=at(f"2026-11-24T{hour:02d}")) for hour in (8, 9, 10)]
        results = adapter.submit([adapter.build(record) for record in hours])
        assert {(r.outcome, r.code) for r in results} == {(ReportOutcome.INVALID, "NOT_FOUND")}
        assert len(control.bodies) == 1

    def test_without_the_registry_nothing_is_sent(self) -> None:
        control = ScriptedServiceControl(accepting)
        adapter = marketplace(control, FixedListings(unavailable=True))
        with pytest.raises(MarketplaceError, match="cannot be read"):
            adapter.submit([adapter.build(gcp_record())])
        assert control.bodies == []


class TestWhatCannotBeABatch:
    def test_more_operations_than_one_run_finishes(self) -> None:
        adapter = marketplace()
        many = [adapter.build(gcp_record(code=f"d{number}")) for number in range(201)]
        with pytest.raises(InvariantError, match="201"):
            adapter.submit(many)

    def test_records_of_two_products(self) -> None:
        adapter = marketplace()
        with pytest.raises(InvariantError, match="one product"):
            adapter.submit([adapter.build(gcp_record(product_id=each)) for each in ("a", "b")])

    def test_nothing_is_sent_for_nothing(self) -> None:
        assert marketplace().submit([]) == []


def test_a_listing_that_cannot_be_read_now_burns_no_record() -> None:
    class Unavailable(FixedListings):
        def service_of(self, _product_id: str) -> str:
            raise StoreUnavailableError("the registry")

    reporting = GcpReporting(marketplace=marketplace(listings=Unavailable()))
    records = gcp_records(2)
    reporting.add(*records)
    summary = reporting.run()
    assert isinstance(summary.error, StoreUnavailableError)
    assert {state.value for state in reporting.states(records)} == {"pending"}


def test_a_resend_is_the_frozen_entry() -> None:
    control = ScriptedServiceControl(lambda _: DOUBTFUL)
    adapter = marketplace(control)
    built = adapter.build(gcp_record())
    adapter.submit([built])
    adapter.submit([Submission(built.key, built.product_id, dict(built.entry))])
    reports = [body for method, body in control.bodies if method == "report"]
    assert reports[0] == reports[1]
