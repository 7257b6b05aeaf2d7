"""What the Azure adapter makes of answers, refusals and failures, one result per submission always."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from urllib3 import HTTPResponse
from urllib3 import exceptions as urllib3_errors

from builders import at
from fakes.azure_http import (
    RESOURCE,
    Events,
    ScriptedPool,
    accepted,
    answer,
    azure_record,
    marketplace,
    refusal,
    results,
    submissions,
    submit,
)
from meterbridge.adapters.marketplaces.azure import MAX_EVENTS
from meterbridge.adapters.marketplaces.azure_outcomes import (
    STATUSES,
    SURELY_NOT_BOOKED,
    verdict_of_failure,
)
from meterbridge.domain.errors import InvariantError, MarketplaceError
from meterbridge.domain.metering_record import ReportOutcome
from meterbridge.domain.offerings import Channel, QuantityKind
from meterbridge.domain.policy import policy_at
from sandbox.marketplaces.azure.errors import Status

RETRY = ReportOutcome.RETRY


class TestTheTables:
    def test_every_documented_status_is_mapped_to_the_outcome_that_is_meant(self) -> None:
        assert STATUSES == {
            "Accepted": ReportOutcome.ACCEPTED,
            "Duplicate": ReportOutcome.CONFLICT,
            "Expired": ReportOutcome.EXPIRED,
            "Error": RETRY,
            "ResourceNotFound": ReportOutcome.NOT_ENTITLED,
            "ResourceNotAuthorized": ReportOutcome.NOT_AUTHORIZED,
            "ResourceNotActive": ReportOutcome.NOT_ENTITLED,
            "InvalidDimension": ReportOutcome.INVALID,
            "InvalidQuantity": ReportOutcome.INVALID,
            "BadArgument": ReportOutcome.INVALID,
        }
        assert set(STATUSES) == {status.value for status in Status}

    @pytest.mark.parametrize("status", STATUSES)
    def test_only_a_refusal_is_certain_not_to_have_booked(self, status: str) -> None:
        found, _ = submit(lambda events: results({**events[0], "status": status}), "a")
        assert found["a"].outcome is STATUSES[status]
        assert found["a"].reached is (status in {"Accepted", "Duplicate", "Error"})
        assert found["a"].reached is not (status in SURELY_NOT_BOOKED)

    def test_the_batch_limit_is_the_policys(self) -> None:
        assert policy_at(Channel.AZURE, at("2026-11-24T12")).max_batch == MAX_EVENTS

    def test_whatever_the_policy_lets_through_can_be_built(self) -> None:
        policy = policy_at(Channel.AZURE, at("2026-11-24T12"))
        for kind in QuantityKind:
            for quantity in (policy.step(kind), policy.max_quantity[kind]):
                built = marketplace(None).build(azure_record(quantity=quantity))
                assert Decimal(built.entry["quantity"]) == quantity


def duplicate(told: Any) -> Any:
    def respond(events: Events) -> HTTPResponse:
        message = {**events[0], "quantity": told, "usageEventId": "first"}
        error = {"additionalInfo": {"acceptedMessage": message}, "message": "exists"}
        return results({**events[0], "status": "Duplicate", "error": error})

    return respond


class TestAnswersPerEvent:
    def test_acceptance_brings_the_receipt_and_the_ids_of_the_call(self) -> None:
        def respond(events: Events) -> HTTPResponse:
            return answer(
                {"result": [{**events[0], "status": "Accepted", "usageEventId": "id-a"}]},
                x_ms_requestid="r",
                x_ms_correlationid="c",
            )

        found, _ = submit(respond, "a")
        assert (found["a"].outcome, found["a"].receipt, found["a"].request_id) == (
            ReportOutcome.ACCEPTED,
            "id-a",
            "r/c",
        )

    @pytest.mark.parametrize("told", [5, 5.0, 5.000000000000001])
    def test_a_duplicate_with_our_quantity_is_ours(self, told: object) -> None:
        found, _ = submit(duplicate(told), "a")
        assert (found["a"].outcome, found["a"].receipt) == (
            ReportOutcome.ALREADY_ACCEPTED,
            "first",
        )

    @pytest.mark.parametrize(
        ("told", "quantity"), [(4.5, "4.5"), (0.1, "0.1"), (1e-06, "0.000001"), (5.01, "5.01")]
    )
    def test_a_duplicate_with_another_quantity_tells_it(self, told: object, quantity: str) -> None:
        found, _ = submit(duplicate(told), "a")
        assert (found["a"].outcome, found["a"].accepted_quantity) == (
            ReportOutcome.CONFLICT,
            Decimal(quantity),
        )

    def test_the_noise_of_a_double_is_no_difference(self) -> None:
        wire = b'{"result": [{"resourceId": "%s", "dimension": "a", "status": "Duplicate",'
        wire += b'"effectiveStartTime": "2026-11-24T10:00:00Z", "error": {"additionalInfo":'
        wire += b'{"acceptedMessage": {"quantity": 0.10000000000000001}}}}]}'
        pool = ScriptedPool(lambda _: answer(wire % RESOURCE.upper().encode()))
        record = azure_record(code="a", quantity="0.1")
        (result,) = marketplace(pool).submit([marketplace(None).build(record)])
        assert (result.outcome, result.accepted_quantity) == (
            ReportOutcome.ALREADY_ACCEPTED,
            Decimal("0.1"),
        )

    @pytest.mark.parametrize("told", [None, "5", True, {}])
    def test_a_duplicate_that_tells_no_quantity_is_a_conflict(self, told: object) -> None:
        found, _ = submit(duplicate(told), "a")
        assert (found["a"].outcome, found["a"].accepted_quantity) == (ReportOutcome.CONFLICT, None)

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"<html>",
            b"[]",
            b"{}",
            b'{"result": null}',
            b'{"result": [3, {"status": "Accepted"}]}',
            b'{"result": [{"dimension": "b", "status": "Accepted"}]}',
        ],
    )
    def test_an_answer_that_leaves_an_event_out_is_no_success(self, body: bytes) -> None:
        found, _ = submit(lambda _: answer(body), "a")
        assert (found["a"].outcome, found["a"].reached) == (RETRY, True)

    def test_a_status_we_do_not_know_is_no_success(self) -> None:
        found, _ = submit(lambda events: results({**events[0], "status": "Deferred"}), "a")
        assert (found["a"].outcome, found["a"].code, found["a"].reached) == (
            RETRY,
            "Deferred",
            True,
        )

    def test_another_hours_echo_is_not_taken_for_ours(self) -> None:
        def respond(events: Events) -> HTTPResponse:
            return accepted([{**events[0], "effectiveStartTime": "2026-11-24T09:00:00Z"}])

        found, _ = submit(respond, "a")
        assert found["a"].outcome is RETRY


class TestWholeCallFailures:
    def test_a_poisoned_batch_is_halved_until_the_cause_is_alone(self) -> None:
        def respond(events: Events) -> HTTPResponse:
            bad = any(event["dimension"] == "d07" for event in events)
            return refusal(400, "BadArgument")(events) if bad else accepted(events)

        codes = [f"d{number:02d}" for number in range(25)]
        found, pool = submit(respond, *codes)
        assert (found["d07"].outcome, found["d07"].reached) == (ReportOutcome.INVALID, False)
        others = {result.outcome for code, result in found.items() if code != "d07"}
        assert others == {ReportOutcome.ACCEPTED}
        assert len(pool.calls) <= 11

    @pytest.mark.parametrize(
        ("status", "code", "reached"),
        [
            (429, "TooManyRequests", False),
            (500, "InternalServerError", True),
            (503, "", True),
            (408, "", True),
            (400, "SomethingNew", True),
            (409, "Conflict", True),
            (422, "", True),
        ],
    )
    def test_a_call_without_a_verdict_is_repeated_later(
        self, status: int, code: str, reached: bool
    ) -> None:
        found, _ = submit(refusal(status, code), "a", "b")
        assert {(each.outcome, each.reached) for each in found.values()} == {(RETRY, reached)}

    @pytest.mark.parametrize("status", [301, 404, 405, 410])
    def test_an_address_without_the_api_judges_no_record(self, status: int) -> None:
        with pytest.raises(MarketplaceError, match=str(status)):
            submit(refusal(status), "a")

    def test_the_pause_asked_for_is_kept(self) -> None:
        pauses: list[float] = []
        pool = ScriptedPool(refusal(429, "TooManyRequests", Retry_After="7"))
        port = marketplace(pool, pauses)
        port.submit(submissions("a"))
        port.submit(submissions("a"))
        assert pauses == [7.0]

    def test_every_transport_error_of_urllib3_has_a_meaning(self) -> None:
        def descendants(kind: type[Exception]) -> Iterator[type[Exception]]:
            for each in kind.__subclasses__():
                yield each
                yield from descendants(each)

        never_left = set()
        for kind in descendants(urllib3_errors.HTTPError):
            error = kind.__new__(kind)
            Exception.__init__(error, "made up")
            vars(error).update(partial=0, expected=1, length=b"", response=None)
            try:
                verdict = verdict_of_failure(error)
            except MarketplaceError:
                assert issubclass(kind, urllib3_errors.LocationValueError)
                continue
            assert verdict.outcome is RETRY
            if not verdict.reached:
                never_left.add(kind.__name__)
        assert never_left >= {"NewConnectionError", "NameResolutionError", "ConnectTimeoutError"}
        assert not never_left & {"ProtocolError", "ReadTimeoutError", "SSLError"}


class TestTokens:
    @pytest.mark.parametrize("status", [401, 403])
    def test_a_refused_token_is_renewed_once_and_the_call_repeated(self, status: int) -> None:
        answers = [refusal(status, "Unauthorized"), accepted]
        found, pool = submit(lambda events: answers.pop(0)(events), "a")
        assert found["a"].outcome is ReportOutcome.ACCEPTED
        assert [sent["Authorization"] for sent in pool.headers] == [
            "Bearer token-1",
            "Bearer token-2",
        ]

    def test_an_app_that_is_refused_with_a_new_token_judges_no_record(self) -> None:
        pool = ScriptedPool(refusal(403, "Forbidden"))
        with pytest.raises(MarketplaceError, match="Forbidden"):
            marketplace(pool).submit(submissions("a"))
        assert len(pool.calls) == 2

    def test_refused_in_the_middle_keeps_what_was_answered(self) -> None:
        script = [refusal(400, "BadArgument"), accepted, refusal(401), refusal(401)]
        found, _ = submit(lambda events: script.pop(0)(events), "a", "b", "c", "d")
        assert [(each.outcome, each.code) for each in found.values()] == [
            (ReportOutcome.ACCEPTED, "Accepted"),
            (ReportOutcome.ACCEPTED, "Accepted"),
            (RETRY, "NotAsked"),
            (RETRY, "NotAsked"),
        ]


class TestTheWire:
    def test_a_quantity_is_a_json_number_digit_by_digit(self) -> None:
        pool = ScriptedPool(accepted)
        built = marketplace(None).build(azure_record(quantity="999999999.999999"))
        marketplace(pool).submit([built])
        assert b'"quantity":999999999.999999' in pool.bodies[0]

    def test_a_call_has_ids_of_its_own_and_its_halves_one_correlation(self) -> None:
        script = [refusal(400, "BadArgument"), accepted, accepted]
        _, pool = submit(lambda events: script.pop(0)(events), "a", "b")
        assert len({sent["x-ms-requestid"] for sent in pool.headers}) == 3
        assert len({sent["x-ms-correlationid"] for sent in pool.headers}) == 1

    def test_a_managed_application_is_named_by_its_uri(self) -> None:
        buyer = {"resource_uri": "/subscriptions/x", "plan_id": "gold"}
        assert marketplace(None).build(azure_record(buyer=buyer)).entry == {
            "resourceUri": "/subscriptions/x",
            "planId": "gold",
            "dimension": "requests",
            "effectiveStartTime": "2026-11-24T10:00:00Z",
            "quantity": "5",
        }

    @pytest.mark.parametrize(
        "quantity", ["0", "-1", "0.0000001", "1234567890.123456", "1000000000000001"]
    )
    def test_what_a_double_or_azure_cannot_hold_is_never_sent(self, quantity: str) -> None:
        with pytest.raises(InvariantError, match="quantity"):
            marketplace(None).build(azure_record(quantity=quantity))

    @pytest.mark.parametrize(
        "buyer",
        [
            {"plan_id": "gold"},
            {"resource_id": RESOURCE},
            {"resource_id": RESOURCE, "resource_uri": "/x", "plan_id": "gold"},
        ],
    )
    def test_a_buyer_needs_one_resource_and_a_plan(self, buyer: dict[str, str]) -> None:
        with pytest.raises(InvariantError, match="buyer"):
            marketplace(None).build(azure_record(buyer=buyer))
