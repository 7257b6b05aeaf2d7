"""Tokens, headers, versions, faults and what survives a restart."""

from __future__ import annotations

import re
from http.client import RemoteDisconnected
from pathlib import Path

import pytest

from integration.sandbox.publisher import (
    BATCH,
    METERING,
    NOW,
    ONE,
    SUBSCRIPTION,
    TENANT,
    Publisher,
    usage_event,
)
from sandbox.marketplaces.client import SandboxControlError
from sandbox.marketplaces.http_server import running_sandbox

GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class TestTokens:
    def test_a_token_names_its_life(self, publisher: Publisher) -> None:
        answer = publisher.sign_in()
        assert (answer.status, answer.body["token_type"]) == (200, "Bearer")
        assert answer.body["expires_in"] == 3599

    def test_the_older_endpoint_takes_a_resource(self, publisher: Publisher) -> None:
        answer = publisher.sign_in(path=f"/{TENANT}/oauth2/token", resource=METERING)
        publisher.token = answer.body["access_token"]
        assert publisher.statuses(usage_event()) == ["Accepted"]

    @pytest.mark.parametrize(
        ("form", "status", "number"),
        [
            ({"client_secret": "wrong"}, 401, 7000215),
            ({"client_secret": ""}, 401, 7000215),
            ({"client_id": "nobody"}, 400, 700016),
            ({"scope": METERING}, 400, 1002012),
            ({"grant_type": "password"}, 400, 70003),
            ({"client_assertion": "x", "client_assertion_type": "y"}, 400, 900144),
        ],
    )
    def test_none_is_given_for_wrong_words(
        self, publisher: Publisher, form: dict[str, str], status: int, number: int
    ) -> None:
        answer = publisher.sign_in(**form)
        assert (answer.status, answer.body["error_codes"]) == (status, [number])
        assert "access_token" not in answer.body

    def test_none_is_given_in_another_directory(self, publisher: Publisher) -> None:
        answer = publisher.sign_in(path="/elsewhere/oauth2/v2.0/token")
        assert answer.body["error_codes"] == [90002]

    @pytest.mark.parametrize("status", [401, 403])
    def test_a_token_that_is_wrong_or_for_others_is_refused(
        self, publisher: Publisher, status: int
    ) -> None:
        publisher.control.azure.configure(bad_token_status=status)
        management = publisher.sign_in(scope="https://management.azure.com/.default")
        for text in ("", "Bearer", "Bearer made-up", f"Basic {publisher.token}"):
            assert publisher.send(usage_event(), Authorization=text).status == status
        publisher.token = management.body["access_token"]
        assert publisher.send(usage_event()).status == status
        assert publisher.billed() == []

    def test_a_token_expires(self, publisher: Publisher) -> None:
        publisher.control.azure.configure(token_seconds=0)
        publisher.token = publisher.sign_in().body["access_token"]
        assert publisher.send(usage_event()).status == 401

    def test_a_token_can_be_revoked(self, publisher: Publisher) -> None:
        publisher.control.azure.revoke_tokens()
        assert publisher.send(usage_event()).status == 401


class TestTheWire:
    def test_given_ids_come_back_and_missing_ones_are_made_up(self, publisher: Publisher) -> None:
        ids = {
            "x-ms-requestid": "cccccccc-0000-4000-8000-000000000001",
            "x-ms-correlationid": "cccccccc-0000-4000-8000-000000000002",
        }
        given = publisher.send(usage_event(), **{k.replace("-", "_"): v for k, v in ids.items()})
        assert {name: given.headers[name] for name in ids} == ids
        made = publisher.send(usage_event(), x_ms_requestid="no guid")
        assert all(GUID.fullmatch(made.headers[name]) for name in ids)

    @pytest.mark.parametrize("query", [{}, {"api-version": "2019-01-01"}])
    def test_the_version_is_required(self, publisher: Publisher, query: dict[str, str]) -> None:
        answer = publisher.post(BATCH, {"request": [usage_event()]}, query)
        assert (answer.status, answer.body["target"]) == (400, "api-version")

    def test_only_json_is_read(self, publisher: Publisher) -> None:
        assert publisher.send(usage_event(), Content_Type="text/plain").status == 415

    @pytest.mark.parametrize(("method", "path"), [("GET", BATCH), ("POST", "/api/usageEvents")])
    def test_another_method_is_not_served(
        self, publisher: Publisher, method: str, path: str
    ) -> None:
        assert publisher.call(method, f"{path}?api-version=2018-08-31").status == 404

    def test_a_quota_can_be_set_and_says_how_long_to_wait(self, publisher: Publisher) -> None:
        publisher.control.azure.configure(calls_per_second=1, retry_after_seconds=3)
        assert publisher.send(usage_event()).status == 200
        answer = publisher.send(usage_event())
        assert (answer.status, answer.headers["retry-after"]) == (429, "3")


class TestFaults:
    def test_a_lost_acknowledgement_is_billed_and_found_by_the_resend(
        self, publisher: Publisher
    ) -> None:
        publisher.control.inject("lost_acknowledgement")
        with pytest.raises((ConnectionResetError, RemoteDisconnected)):
            publisher.send(usage_event())
        assert publisher.billed() == [(SUBSCRIPTION, "api_calls", "17")]
        assert publisher.statuses(usage_event()) == ["Duplicate"]

    def test_an_event_can_fail_on_the_other_side(self, publisher: Publisher) -> None:
        publisher.control.inject("unprocessed", match={"dimension": "tokens"})
        events = (usage_event(), usage_event(dimension="tokens"))
        assert publisher.statuses(*events) == ["Accepted", "Error"]
        assert publisher.statuses(events[1]) == ["Accepted"]
        publisher.control.inject("unprocessed")
        assert publisher.post(ONE, usage_event(dimension="tokens")).status == 500

    @pytest.mark.parametrize(
        ("kind", "status"), [("internal_error", 500), ("throttled", 429), ("outage", 503)]
    )
    def test_a_refusing_fault_records_nothing(
        self, publisher: Publisher, kind: str, status: int
    ) -> None:
        until = NOW.replace(hour=13) if kind == "outage" else None
        publisher.control.inject(kind, loss="error", until=until)
        assert publisher.send(usage_event()).status == status
        assert publisher.billed() == []

    def test_a_fault_spares_the_sign_in_unless_it_is_meant(self, publisher: Publisher) -> None:
        publisher.control.inject("internal_error")
        assert publisher.sign_in().status == 200
        assert publisher.send(usage_event()).status == 500
        publisher.control.inject("internal_error", operation="token")
        assert publisher.send(usage_event()).status == 200
        assert publisher.sign_in().status == 500

    def test_every_call_is_logged_with_what_became_of_each_event(
        self, publisher: Publisher
    ) -> None:
        publisher.send(usage_event(), usage_event(0, dimension="tokens"))
        call = publisher.control.calls("azure")[-1]
        assert (call["operation"], call["outcome"]) == ("batchUsageEvent", "Success")
        assert [record["status"] for record in call["records"]] == ["Accepted", "InvalidQuantity"]
        assert call["records"][0]["resource"] == SUBSCRIPTION


class TestControl:
    def test_set_up_and_bill_survive_a_restart_and_tokens_do_not(self, tmp_path: Path) -> None:
        state = tmp_path / "sandbox.jsonl"
        with running_sandbox(state=state) as first:
            publisher = Publisher(first)
            publisher.set_up()
            publisher.send(usage_event())
        with running_sandbox(state=state) as second:
            again = Publisher(second)
            again.token = publisher.token
            assert again.send(usage_event()).status == 401
            again.token = again.sign_in().body["access_token"]
            assert again.statuses(usage_event(18)) == ["Duplicate"]
            assert again.billed() == [(SUBSCRIPTION, "api_calls", "17")]

    def test_a_reset_may_keep_the_set_up(self, publisher: Publisher) -> None:
        publisher.send(usage_event())
        publisher.control.reset(keep_setup=True)
        assert publisher.billed() == []
        assert publisher.statuses(usage_event(18)) == ["Accepted"]

    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("offers", {}),
            ("offers", {"offer_id": "x", "plans": {}}),
            ("offers", {"offer_id": "x", "plans": {"p": []}}),
            ("offers", {"offer_id": "x", "plans": {"p": [{"id": "d", "unit_price": "NaN"}]}}),
            ("subscriptions", {}),
            ("subscriptions", {"resource": SUBSCRIPTION, "offer_id": "x", "plan_id": "p"}),
            ("subscriptions", {"resource": "x", "offer_id": "assistant", "plan_id": "gold"}),
            ("subscriptions/state", {"resource": "nobody", "state": "Suspended"}),
            ("subscriptions/state", {"resource": SUBSCRIPTION, "state": "Happy"}),
            ("apps", {"tenant_id": "t"}),
            ("apps", {"tenant_id": "t", "client_id": "c", "colour": "red"}),
            ("nothing", {}),
        ],
    )
    def test_a_registration_that_makes_no_sense_is_refused(
        self, publisher: Publisher, path: str, body: dict[str, object]
    ) -> None:
        with pytest.raises(SandboxControlError):
            publisher.control.request("POST", f"azure/{path}", body)

    @pytest.mark.parametrize(
        "settings",
        [{"speed": 3}, {"max_events": "25"}, {"bad_token_status": 404}, {"token_seconds": -1}],
    )
    def test_a_setting_that_makes_no_sense_is_refused(
        self, publisher: Publisher, settings: dict[str, int | str]
    ) -> None:
        with pytest.raises(SandboxControlError):
            publisher.control.azure.configure(**settings)
