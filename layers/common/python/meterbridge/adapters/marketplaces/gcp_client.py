"""Calls of Service Control: the token, the pace, and what a call without a good answer means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from urllib3 import BaseHTTPResponse, PoolManager
from urllib3.exceptions import HTTPError

from meterbridge.adapters.marketplaces.bearer_tokens import Tokens
from meterbridge.adapters.marketplaces.calls import Verdict
from meterbridge.adapters.marketplaces.gcp_outcomes import (
    UNREADABLE,
    verdict_of_call,
    verdict_of_failure,
)
from meterbridge.adapters.marketplaces.pacing import CallPacer

PUBLIC_ENDPOINT = "https://servicecontrol.googleapis.com"

_REFUSED_TOKEN = frozenset({401, 403})
"""A 403 too: the token may be another account's, of a key that was replaced since."""


class ServiceControl:
    """services.check and services.report.

    The pool must not retry by itself: what a failed call means is decided here.
    """

    def __init__(
        self,
        pool: PoolManager,
        tokens: Tokens,
        pacer: CallPacer,
        *,
        endpoint: str = PUBLIC_ENDPOINT,
    ) -> None:
        """Call through a pool of connections, at the pace of a pacer."""
        self._pool = pool
        self._tokens = tokens
        self._pacer = pacer
        self._endpoint = endpoint.rstrip("/")

    def call(self, service: str, method: str, body: bytes) -> Verdict | Mapping[str, Any]:
        """One call: the body of a good answer, or what its failure means.

        Args:
            service: its name; the path holds it as it is, so it was checked when it was frozen.
            method: `check` or `report`.

        Raises:
            MarketplaceError: Google could not be asked and nothing was booked.
        """
        url = f"{self._endpoint}/v1/services/{service}:{method}"
        token = self._tokens.bearer()
        try:
            response = self._post(url, body, token)
            if response.status in _REFUSED_TOKEN:
                response = self._post(url, body, self._tokens.renewed(token))
        except HTTPError as exc:
            return verdict_of_failure(exc)
        answer = _read(response)
        if response.status == 200:
            self._pacer.answered()
            return UNREADABLE if answer is None else answer
        error = (answer or {}).get("error")
        verdict = verdict_of_call(
            response.status, error if isinstance(error, dict) else {}, response.headers
        )
        if verdict.throttled:
            self.throttled(verdict)
        return verdict

    def throttled(self, verdict: Verdict) -> None:
        """Google asks for patience."""
        self._pacer.throttled(verdict.retry_after)

    def _post(self, url: str, body: bytes, token: str) -> BaseHTTPResponse:
        self._pacer.wait()
        return self._pool.request(
            "POST",
            url,
            body=body,
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            redirect=False,
        )


def _read(response: BaseHTTPResponse) -> Mapping[str, Any] | None:
    """The body, None where it is not a JSON object."""
    try:
        body = msgspec.json.decode(response.data)
    except msgspec.DecodeError:
        return None
    return body if isinstance(body, dict) else None
