"""CloudEvents over HTTP: the request of an HTTP API → JSON of one event or an array of them.

Structured and batched mode carry whole events in the body; binary mode carries the attributes in
ce-* headers and the data in the body (CloudEvents HTTP binding 1.0 §3). Bodies may be gzip.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

from meterbridge.domain.errors import InvalidInputError

MAX_BODY_BYTES = 6 * 1024 * 1024

_WHOLE_EVENTS = frozenset(
    {
        "application/cloudevents+json",
        "application/cloudevents-batch+json",
        "application/json",
    }
)
_ATTRIBUTES = ("id", "source", "specversion", "type", "subject", "time", "productid")
_GZIP = 16 + zlib.MAX_WBITS
_ESCAPED = re.compile(r"\\(.)")

_raw = msgspec.json.Decoder(msgspec.Raw)


def events_of(request: Mapping[str, Any]) -> bytes:
    """JSON text of the events in a request (payload format 2.0).

    Raises:
        InvalidInputError: `unsupported_media_type`, `unsupported_encoding`, `body_too_large`,
            `malformed_body`, `malformed_json`, `malformed_header`.
    """
    headers = {name.lower(): value for name, value in (request.get("headers") or {}).items()}
    media_type, charset = _media_type(headers.get("content-type") or "")
    binary = "ce-specversion" in headers and not media_type.startswith("application/cloudevents")
    known = media_type.endswith("+json") if binary else False
    if not (known or media_type in _WHOLE_EVENTS) or charset not in ("", "utf-8", "us-ascii"):
        raise InvalidInputError(
            "unsupported_media_type",
            f"send {', '.join(sorted(_WHOLE_EVENTS))}, in UTF-8",
            "Content-Type",
        )
    body = _decompressed(_body(request), headers.get("content-encoding") or "")
    return _from_headers(headers, body) if binary else body


def _media_type(value: str) -> tuple[str, str]:
    media_type, *parameters = value.lower().split(";")
    charset = ""
    for parameter in parameters:
        name, _, setting = parameter.strip().partition("=")
        if name == "charset":
            charset = setting.strip('"')
    return media_type.strip(), charset


def _body(request: Mapping[str, Any]) -> bytes:
    text = request.get("body") or ""
    if not request.get("isBase64Encoded"):
        body = text.encode("utf-8", "surrogatepass")
    else:
        try:
            body = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as exc:
            raise InvalidInputError("malformed_body", f"not base64: {exc}") from exc
    return _within_limit(body)


def _within_limit(body: bytes) -> bytes:
    if len(body) > MAX_BODY_BYTES:
        raise InvalidInputError("body_too_large", f"a body takes at most {MAX_BODY_BYTES} bytes")
    return body


def _decompressed(body: bytes, encoding: str) -> bytes:
    match encoding.strip().lower():
        case "" | "identity":
            return body
        case "gzip" | "x-gzip":
            return _gunzipped(body)
    raise InvalidInputError("unsupported_encoding", "send gzip or none", "Content-Encoding")


def _gunzipped(body: bytes) -> bytes:
    """Never more than the limit in memory, however small the body is."""
    pieces: list[bytes] = []
    room = MAX_BODY_BYTES + 1
    while body:  # a gzip file may have several members
        member = zlib.decompressobj(_GZIP)
        try:
            pieces.append(member.decompress(body, room))
        except zlib.error as exc:
            raise InvalidInputError("malformed_body", f"not gzip: {exc}") from exc
        room -= len(pieces[-1])
        if room <= 0:
            break
        if not member.eof:
            raise InvalidInputError("malformed_body", "the gzip body ends too early")
        body = member.unused_data
    return _within_limit(b"".join(pieces))


def _from_headers(headers: Mapping[str, str], body: bytes) -> bytes:
    event: dict[str, Any] = {
        name: _header_text(f"ce-{name}", headers[f"ce-{name}"])
        for name in _ATTRIBUTES
        if f"ce-{name}" in headers
    }
    if body:
        # Checked as a value of its own: pasted into the event unread, it could end it early.
        try:
            event["data"] = _raw.decode(body)
        except (msgspec.DecodeError, RecursionError) as exc:
            raise InvalidInputError("malformed_json", str(exc)) from exc
    return msgspec.json.encode(event)


def _header_text(name: str, value: str) -> str:
    """A header's value, unquoted and percent-decoded (HTTP binding §3.1.3.2)."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = _ESCAPED.sub(r"\1", value[1:-1])
    try:
        text = unquote(value, errors="strict")
        text.encode()
    except UnicodeError as exc:
        raise InvalidInputError("malformed_header", "not percent-encoded UTF-8", name) from exc
    return text
