"""Google's sandbox: who gets a token, and what it opens."""

from __future__ import annotations

import base64
import json

import pytest

from integration.sandbox.google_seller import (
    ACCOUNT,
    SERVICE,
    GoogleSeller,
    exchange_form,
    operation,
)
from sandbox.marketplaces.http_server import RunningSandbox


@pytest.fixture
def google(running: RunningSandbox) -> GoogleSeller:
    seller = GoogleSeller(running)
    seller.set_up()
    return seller


@pytest.mark.parametrize(
    "changes",
    [
        {"grant_type": "password"},
        {"audience": "//iam.googleapis.com/projects/42"},
        {"subject_token_type": "urn:ietf:params:oauth:token-type:jwt"},
        {"subject_token": "no request"},
        {
            "audience": "//iam.googleapis.com/projects/43/locations/global/"
            "workloadIdentityPools/aws/providers/lambda"
        },
    ],
)
def test_a_wrong_exchange_gives_no_token(google: GoogleSeller, changes: dict[str, str]) -> None:
    status, answer = google.post_form("/v1/token", exchange_form(**changes))
    assert (status, sorted(answer)) == (400, ["error", "error_description"])


@pytest.mark.parametrize(("found", "put"), [("GetCallerIdentity", "GetUser"), ("/sts/", "/iam/")])
def test_aws_must_be_asked_who_we_are_and_signed(
    google: GoogleSeller, found: str, put: str
) -> None:
    token = exchange_form()["subject_token"].replace(found, put)
    status, answer = google.post_form("/v1/token", exchange_form(subject_token=token))
    assert (status, answer["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("token", ["", "ya29.made-up"])
def test_without_a_token_nothing_is_answered(google: GoogleSeller, token: str) -> None:
    assert google.refused({"operations": [operation()]}, token=token or "none") == (
        "UNAUTHENTICATED"
    )


def test_revoked_tokens_are_worth_nothing(google: GoogleSeller) -> None:
    google.control.gcp.revoke_tokens()
    assert google.refused({"operations": [operation()]}) == "UNAUTHENTICATED"
    google.token = google.sign_in()
    assert google.errors(operation()) == {}


def test_tokens_end(google: GoogleSeller) -> None:
    google.control.gcp.configure(token_seconds=0)
    status, _ = google.post_form("/v1/token", exchange_form())
    assert status == 200
    with pytest.raises(AssertionError, match="UNAUTHENTICATED"):
        google.sign_in()


def test_a_token_for_something_else_is_not_enough(google: GoogleSeller) -> None:
    google.token = google.sign_in("https://www.googleapis.com/auth/devstorage.read_only")
    assert google.refused({"operations": [operation()]}) == "PERMISSION_DENIED"


def test_only_linked_service_accounts_report(google: GoogleSeller) -> None:
    google.control.gcp.register_service(SERVICE, ["api_calls"], reporters=["other@acme.example"])
    assert google.refused({"operations": [operation()]}) == "PERMISSION_DENIED"
    google.control.gcp.register_service(SERVICE, ["api_calls"], reporters=[ACCOUNT])
    assert google.errors(operation()) == {}


def test_a_service_accounts_own_assertion(google: GoogleSeller) -> None:
    claims = {
        "iss": ACCOUNT,
        "aud": f"{google.url}/token",
        "scope": "https://www.googleapis.com/auth/cloud-platform",
    }
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": f"e30.{part}.c2ln",
    }
    status, answer = google.post_form("/token", form)
    assert (status, answer["token_type"]) == (200, "Bearer")
    google.token = answer["access_token"]
    assert google.errors(operation()) == {}
    status, answer = google.post_form("/token", {**form, "assertion": "nonsense"})
    assert (status, answer["error"]) == (400, "invalid_grant")
