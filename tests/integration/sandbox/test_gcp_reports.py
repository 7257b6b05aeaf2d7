"""Google's sandbox: what is added up, what is not added twice, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from integration.sandbox.google_seller import (
    CONSUMER,
    NOW,
    OTHER_CONSUMER,
    OTHER_SERVICE,
    SERVICE,
    STARTED,
    GoogleSeller,
    operation,
)
from sandbox.marketplaces.client import SandboxControlError
from sandbox.marketplaces.http_server import RunningSandbox, running_sandbox

INVALID, NOT_FOUND, EXISTS, PRECONDITION, RANGE = 3, 5, 6, 9, 11


@pytest.fixture
def google(running: RunningSandbox) -> GoogleSeller:
    seller = GoogleSeller(running)
    seller.set_up()
    return seller


class TestAddingUp:
    def test_every_operation_is_added(self, google: GoogleSeller) -> None:
        many = [
            operation("5"),
            operation("7", consumerId=OTHER_CONSUMER),
            operation(metric=f"{SERVICE}/gib_hours", double=0.1),
        ]
        assert google.errors(*many) == {}
        bill = google.control.billed()
        assert bill.quantity(CONSUMER, "api_calls") == Decimal(5)
        assert bill.quantity(OTHER_CONSUMER, "api_calls") == Decimal(7)
        assert bill.quantity(CONSUMER, "gib_hours") == Decimal("0.1")
        assert [t.charge for t in bill.totals if t.dimension == "api_calls"] == [
            Decimal("0.0125"),
            Decimal("0.0175"),
        ]

    def test_the_same_operation_again_is_counted_once(self, google: GoogleSeller) -> None:
        once = operation("5")
        for _ in range(3):
            assert google.errors(once) == {}
        (record,) = google.control.billed().records
        assert (record.quantity, record.record_id) == (Decimal(5), once["operationId"])
        assert record.answers == {"OK": 3}

    def test_under_a_new_id_the_same_usage_is_added_again_and_a_warning_says_so(
        self, google: GoogleSeller
    ) -> None:
        google.report(operation("5"))
        google.report(operation("5"))
        bill = google.control.billed()
        assert bill.quantity(CONSUMER, "api_calls") == Decimal(10)
        assert any("overlaps" in warning for warning in bill.warnings)

    def test_without_deduplication_a_resend_bills_twice(self, google: GoogleSeller) -> None:
        google.control.gcp.configure(deduplicates=False)
        once = operation("5")
        google.report(once)
        google.report(once)
        bill = google.control.billed()
        assert bill.quantity(CONSUMER, "api_calls") == Decimal(10)
        assert f"operation {once['operationId']} was added 2 times" in bill.warnings

    def test_a_forgotten_id_bills_twice(self, google: GoogleSeller) -> None:
        google.control.gcp.configure(memory_seconds=3600)
        once = operation("5")
        google.report(once)
        google.control.advance_clock(timedelta(minutes=59))
        google.report(once)
        assert len(google.billed()) == 1
        google.control.advance_clock(timedelta(minutes=60))
        google.report(once)
        assert len(google.billed()) == 2

    @pytest.mark.parametrize(
        ("choice", "error", "billed"),
        [("refuse", EXISTS, ["5"]), ("ignore", None, ["5"]), ("add", None, ["5", "6"])],
    )
    def test_a_known_id_with_other_content(
        self, google: GoogleSeller, choice: str, error: int | None, billed: list[str]
    ) -> None:
        google.control.gcp.configure(changed_resend=choice)
        google.report(operation("5", operationId="op"))
        assert google.errors(operation("6", operationId="op")) == ({"op": error} if error else {})
        assert [quantity for _, _, quantity in google.billed()] == billed

    def test_services_do_not_share_ids(self, google: GoogleSeller) -> None:
        google.report(operation(operationId="op"))
        other = operation(operationId="op", metric=f"{OTHER_SERVICE}/api_calls")
        assert google.errors(other, service=OTHER_SERVICE) == {}
        assert len(google.billed()) == 2

    def test_one_bad_operation_fails_alone(self, google: GoogleSeller) -> None:
        good, bad = operation(), operation(metric=f"{SERVICE}/nothing", operationId="bad")
        assert google.errors(good, bad) == {"bad": INVALID}
        assert len(google.billed()) == 1


class TestOneOperation:
    @pytest.mark.parametrize(
        ("members", "code"),
        [
            ({"quantity": "-1"}, INVALID),
            ({"quantity": "9223372036854775808"}, INVALID),
            ({"quantity": "1.5"}, INVALID),
            ({"double": 1.5}, INVALID),
            ({"metric": f"{SERVICE}/gib_hours"}, INVALID),
            ({"metric": f"{SERVICE}/Api_calls"}, INVALID),
            ({"metric": f"{OTHER_SERVICE}/api_calls"}, INVALID),
            ({"metric": "api_calls"}, INVALID),
            ({"operationName": None}, INVALID),
            ({"consumerId": None}, INVALID),
            ({"consumerId": "123456789012"}, INVALID),
            ({"consumerId": "project_number:1"}, NOT_FOUND),
            ({"startTime": None}, INVALID),
            ({"startTime": "2026-11-20T11:00:00+00:00"}, INVALID),
            ({"startTime": "2026-11-20T12:00:00Z"}, INVALID),
            ({"startTime": "2026-08-31T23:00:00Z"}, INVALID),
            ({"endTime": "2026-11-20T12:32:00Z"}, INVALID),
            ({"metricValueSets": []}, INVALID),
            ({"userLabels": {"Upper": "x"}}, INVALID),
            ({"userLabels": {"team": "X Y"}}, INVALID),
        ],
    )
    def test_what_is_wrong_is_refused(
        self, google: GoogleSeller, members: dict[str, Any], code: int
    ) -> None:
        assert google.errors(operation(operationId="op", **members)) == {"op": code}
        assert google.billed() == []

    @pytest.mark.parametrize(
        "members",
        [
            {"quantity": "0"},
            {"quantity": "9223372036854775807"},
            {"quantity": 17},
            {"userLabels": {"cloudmarketplace.googleapis.com/resource_name": "agr_7"}},
            {"startTime": "2026-09-01T00:00:00Z", "endTime": "2026-09-01T01:00:00Z"},
        ],
    )
    def test_what_is_unusual_and_right_is_taken(
        self, google: GoogleSeller, members: dict[str, Any]
    ) -> None:
        assert google.errors(operation(**members)) == {}

    def test_a_limit_for_late_usage_can_be_set(self, google: GoogleSeller) -> None:
        google.control.gcp.configure(late_limit_seconds=1800)
        assert google.errors(operation(operationId="op")) == {"op": RANGE}


class TestWholeCalls:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"[]",
            b"{",
            {"operations": []},
            {"operation": operation()},
            {"operations": [operation(operationId=None)]},
            {"operations": [operation(surprise=1)]},
            {
                "operations": [
                    operation(
                        metricValueSets=[
                            {
                                "metricName": f"{SERVICE}/tokens",
                                "metricValues": [{"int64Value": "1"}, {"int64Value": "2"}],
                            }
                        ]
                    ),
                    operation(),
                ]
            },
        ],
    )
    def test_what_cannot_be_read_is_refused_whole(self, google: GoogleSeller, body: Any) -> None:
        assert google.refused(body) == "INVALID_ARGUMENT"

    def test_a_request_is_less_than_a_megabyte(self, google: GoogleSeller) -> None:
        body = json.dumps({"operations": [operation(operationName="x" * 1_000_000)]}).encode()
        assert google.refused(body) == "INVALID_ARGUMENT"

    def test_labels_of_users_do_not_belong_in_a_check(self, google: GoogleSeller) -> None:
        body = {"operation": operation(userLabels={"team": "x"})}
        assert google.refused(body, "check") == "INVALID_ARGUMENT"

    def test_a_service_nobody_registered(self, google: GoogleSeller) -> None:
        status, answer = google.report(operation(), service="other.example")
        assert (status, answer["error"]["status"]) == (404, "NOT_FOUND")

    def test_a_quota_under_a_frozen_clock(self, google: GoogleSeller) -> None:
        google.control.gcp.configure(calls_per_second=1)
        assert google.errors(operation()) == {}
        assert google.refused({"operations": [operation()]}) == "RESOURCE_EXHAUSTED"


class TestEndsAndSuspensions:
    def test_after_a_cancellation_only_usage_from_before_is_taken_for_an_hour(
        self, google: GoogleSeller
    ) -> None:
        google.control.gcp.register_entitlement(
            service=SERVICE, usage_reporting_id=OTHER_CONSUMER, start=STARTED, end=NOW
        )
        before = operation(
            operationId="b", consumerId=OTHER_CONSUMER, endTime="2026-11-20T12:30:00Z"
        )
        after = {**before, "operationId": "a", "endTime": "2026-11-20T12:30:01Z"}
        assert google.check_errors(before) == ["SERVICE_NOT_ACTIVATED"]
        assert google.errors(before, after) == {"a": PRECONDITION}
        google.control.advance_clock(timedelta(hours=1))
        late = {**before, "operationId": "late"}
        assert google.errors(late) == {"late": PRECONDITION}

    def test_a_cancellation_by_the_consumer_of_two_services_names_the_service(
        self, google: GoogleSeller
    ) -> None:
        with pytest.raises(SandboxControlError, match="2 entitlements"):
            google.control.gcp.cancel_entitlement(CONSUMER)

    @pytest.mark.parametrize("code", ["BILLING_DISABLED", "PROJECT_DELETED", "VISIBILITY_DENIED"])
    def test_a_service_that_is_off_refuses_usage_from_then_on(
        self, google: GoogleSeller, code: str
    ) -> None:
        before = operation(operationId="b", consumerId=OTHER_CONSUMER)
        google.control.gcp.suspend_entitlement(OTHER_CONSUMER, code)
        google.control.advance_clock(timedelta(hours=1))
        after = operation(
            operationId="a",
            consumerId=OTHER_CONSUMER,
            startTime="2026-11-20T12:30:00Z",
            endTime="2026-11-20T13:00:00Z",
        )
        assert (google.check_errors(before), google.check_errors(after)) == ([], [code])
        assert google.errors(before, after) == {"a": PRECONDITION}
        google.control.gcp.resume_entitlement(OTHER_CONSUMER)
        assert (google.check_errors(after), google.errors(after)) == ([], {})

    def test_check_knows_consumers(self, google: GoogleSeller) -> None:
        assert google.check_errors(operation()) == []
        assert google.check_errors(operation(consumerId="x")) == ["CONSUMER_INVALID"]
        assert google.check_errors(operation(consumerId="project_number:1")) == ["NOT_FOUND"]


class TestWarnings:
    def test_a_gap_between_windows(self, google: GoogleSeller) -> None:
        google.report(operation(startTime="2026-11-20T09:00:00Z", endTime="2026-11-20T10:00:00Z"))
        google.report(operation(endTime="2026-11-20T12:00:00Z"))
        assert any("leaves a gap" in each for each in google.control.billed().warnings)

    def test_contiguous_windows_in_time_earn_none(self, google: GoogleSeller) -> None:
        google.control.set_clock(NOW - timedelta(hours=1))
        google.report(operation(startTime="2026-11-20T10:00:00Z", endTime="2026-11-20T11:00:00Z"))
        google.control.set_clock(NOW)
        google.report(operation(startTime="2026-11-20T11:00:00Z"))
        assert google.control.billed().warnings == ()

    def test_the_duty_of_one_hour(self, google: GoogleSeller) -> None:
        google.control.advance_clock(timedelta(minutes=31))
        google.report(operation())
        (warning,) = google.control.billed().warnings
        assert "more than 1:00:00 later" in warning

    @pytest.mark.parametrize(("hour", "late"), [(8, False), (9, True)])
    def test_the_pacific_month_end_decides_on_the_invoice(
        self, google: GoogleSeller, hour: int, late: bool
    ) -> None:
        google.control.gcp.configure(duty_seconds=100_000)
        google.control.set_clock(NOW.replace(month=12, day=1, hour=hour, minute=0))
        google.report(operation(startTime="2026-12-01T07:00:00Z", endTime="2026-12-01T08:00:00Z"))
        warnings = google.control.billed().warnings
        assert [("2026-11" in each and "2026-12" in each) for each in warnings] == [True] * late


class TestFaultsAndMemory:
    def test_what_is_left_undone_is_named_in_a_good_answer(self, google: GoogleSeller) -> None:
        google.control.inject("unprocessed", operation="report", match={"operation_id": "b"})
        assert google.errors(operation(operationId="a"), operation(operationId="b")) == {"b": 14}
        assert len(google.billed()) == 1

    def test_a_lost_acknowledgement_is_on_the_bill(self, google: GoogleSeller) -> None:
        google.control.inject("lost_acknowledgement", operation="report", loss="error")
        status, answer = google.report(operation())
        assert (status, answer["error"]["status"]) == (500, "INTERNAL")
        assert len(google.billed()) == 1

    def test_any_refusal_of_googles_can_be_ordered(self, google: GoogleSeller) -> None:
        google.control.inject("error", code="ABORTED")
        assert google.refused({"operations": [operation()]}) == "ABORTED"

    def test_bill_ids_and_registrations_outlive_a_restart(self, tmp_path: Path) -> None:
        state = tmp_path / "state.jsonl"
        once = operation("5")
        with running_sandbox(state=state) as first:
            seller = GoogleSeller(first)
            seller.set_up()
            seller.report(once)
        for seller in restarted(state):
            seller.token = seller.sign_in()
            assert seller.errors(once) == {}
            (record,) = seller.control.billed().records
            assert (record.quantity, record.answers) == (Decimal(5), {"OK": 2})

    def test_a_reset_may_keep_the_set_up(self, google: GoogleSeller) -> None:
        google.report(operation())
        google.control.reset(keep_setup=True)
        assert google.billed() == []
        assert google.errors(operation()) == {}


def restarted(state: Path) -> Iterator[GoogleSeller]:
    with running_sandbox(state=state) as again:
        yield GoogleSeller(again)
