"""Judging CloudEvents one by one: every rule, each with the code and words of its fault.

Rules: CloudEvents 1.0 §3.1 (attributes) and its JSON format §2 and §4; RFC 3339 §5.6 (times).
Of an object with a repeated key the last one counts. Attributes that are not named here are not
kept.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, NoReturn

import msgspec

from meterbridge.domain.columns import MAX_DEPTH, check_value
from meterbridge.domain.errors import InvalidInputError
from meterbridge.domain.events import EPOCH, MAX_AGE, MAX_AHEAD, MICROSECOND, EventColumns
from meterbridge.domain.usage_log import MAX_KEYS

MAX_EVENTS = 10_000
MAX_NAME = 256
MAX_DATA_BYTES = 65_536

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
ProductId = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}\Z")]
Time = Annotated[datetime, msgspec.Meta(tz=True)]

_ROUNDED_UP = re.compile(r"(?<=\.999999)\d+")
_NAMES = ("id", "source", "type", "subject")
_REQUIRED = ("specversion", *_NAMES, "time", "data")

_raw_one = msgspec.json.Decoder(msgspec.Raw)
_raw_many = msgspec.json.Decoder(list[msgspec.Raw])
_attributes = msgspec.json.Decoder(dict[str, msgspec.Raw])
_texts = msgspec.json.Decoder(str | None)
_data = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


@dataclass(frozen=True, slots=True)
class Rejection:
    """An event that was not taken.

    Attributes:
        index: where it is in the batch, from 0.
        id: its id, "" when it has none that can be read.
        code: stable snake_case code, part of the API.
        detail: what is wrong, for a person.
    """

    index: int
    id: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class JudgedBatch:
    """The events of a batch that can be kept, and the others."""

    events: EventColumns
    rejected: tuple[Rejection, ...] = ()


def is_object(body: bytes) -> bool:
    """Whether JSON text, if it is any, is an object."""
    return body.lstrip(b" \t\r\n")[:1] == b"{"


def judge_one_by_one(body: bytes, products: Collection[str] | None, now: datetime) -> JudgedBatch:
    """`judge`, slower, and strict about data as well: what is accepted can be packed."""
    accepted: list[tuple[str, str, str, str, str, int, dict[str, Any]]] = []
    rejected = []
    for index, raw in enumerate(_split(body)):
        attributes: Mapping[str, Any] = {}
        try:
            attributes = _attributes_of(raw)
            accepted.append(_judged(attributes, products, now))
        except InvalidInputError as exc:
            rejected.append(Rejection(index, _readable_id(attributes), exc.code, exc.detail))
    columns = zip(*accepted, strict=True) if accepted else [()] * 7
    return JudgedBatch(EventColumns(*map(list, columns)), tuple(rejected))


def _split(body: bytes) -> list[msgspec.Raw]:
    try:
        body.decode()
        raws = [_raw_one.decode(body)] if is_object(body) else _raw_many.decode(body)
    except msgspec.ValidationError as exc:
        raise InvalidInputError("not_an_event", "expected an event or an array of events") from exc
    except msgspec.DecodeError as exc:
        raise InvalidInputError("malformed_json", str(exc)) from exc
    except UnicodeDecodeError as exc:
        raise InvalidInputError("malformed_json", f"not UTF-8 (byte {exc.start})") from exc
    except RecursionError as exc:
        raise InvalidInputError("malformed_json", "nested too deeply") from exc
    if len(raws) > MAX_EVENTS:
        raise InvalidInputError(
            "too_many_events", f"{len(raws)} events; a request takes at most {MAX_EVENTS}"
        )
    return raws


def _attributes_of(raw: msgspec.Raw) -> dict[str, Any]:
    """The attributes of an event that are strings or None, and `data` as it was sent."""
    try:
        sent = _attributes.decode(raw)
    except msgspec.ValidationError as exc:
        raise InvalidInputError("not_an_event", "an event is a JSON object") from exc
    return {
        name: sent[name] if name == "data" else _text(sent[name])
        for name in (*_REQUIRED, "productid")
        if name in sent
    }


def _text(raw: msgspec.Raw) -> Any:
    """A string or None; what is neither stays as it was sent, to be refused by name."""
    try:
        return _texts.decode(raw)
    except msgspec.ValidationError:
        return raw


def _readable_id(attributes: Mapping[str, Any]) -> str:
    event_id = attributes.get("id")
    return event_id[:MAX_NAME] if isinstance(event_id, str) else ""


def _judged(
    attributes: Mapping[str, Any], products: Collection[str] | None, now: datetime
) -> tuple[str, str, str, str, str, int, dict[str, Any]]:
    """The columns of one event, in the order of EventColumns."""
    _require(attributes, _REQUIRED)
    if attributes["specversion"] != "1.0":
        _reject("unsupported_specversion", "specversion must be 1.0", "specversion")
    for name in _NAMES:
        _check_name(name, attributes[name])
    product_id = _product_id(attributes.get("productid"), products)
    time = _time(attributes["time"], now)
    return (
        product_id,
        attributes["source"],
        attributes["id"],
        attributes["type"],
        attributes["subject"],
        (time - EPOCH) // MICROSECOND,
        _values(attributes["data"]),
    )


def _require(attributes: Mapping[str, Any], names: Iterable[str]) -> None:
    for name in names:
        if attributes.get(name) is None:
            _reject("missing_attribute", f"{name} is required", name)


def _check_name(name: str, value: Any) -> None:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_NAME:
        _reject("invalid_attribute", f"{name} must be a string of 1 to {MAX_NAME} characters", name)
    if CONTROL.search(value):
        _reject("invalid_attribute", f"{name} must not have control characters", name)


def _product_id(named: Any, products: Collection[str] | None) -> str:
    if named is None:
        if products is None or len(products) != 1:
            _reject(
                "product_required",
                "this key is for more than one product: name it in the attribute productid",
                "productid",
            )
        (only,) = products
        return only
    try:
        product_id = msgspec.convert(named, ProductId)
    except msgspec.ValidationError:
        _reject("invalid_attribute", "productid is not the id of a product", "productid")
    if products is not None and product_id not in products:
        _reject("product_not_allowed", "this key is not for that product", "productid")
    return product_id


def _time(text: Any, now: datetime) -> datetime:
    if not isinstance(text, str):
        _reject("invalid_time", "time must be a string", "time")
    try:
        # The parser rounds to microseconds; never up into another second, which may be another hour.
        time = msgspec.convert(_ROUNDED_UP.sub("", text), Time)
    except msgspec.ValidationError:
        _reject("invalid_time", "time must be RFC 3339 with an offset", "time")
    if time < now - MAX_AGE:
        _reject("too_old", f"time is more than {MAX_AGE.days} days ago", "time")
    if time > now + MAX_AHEAD:
        _reject(
            "too_far_ahead", f"time is more than {MAX_AHEAD.seconds // 60} minutes ahead", "time"
        )
    return time


def _values(raw: msgspec.Raw) -> dict[str, Any]:
    if len(raw) > MAX_DATA_BYTES:
        _reject("event_too_large", f"data is larger than {MAX_DATA_BYTES} bytes", "data")
    try:
        data = _data.decode(raw)
    except (msgspec.ValidationError, InvalidOperation) as exc:
        if bytes(raw).lstrip()[:1] == b"{":
            _reject("number_out_of_range", f"a number in data is too large: {exc}", "data")
        _reject("invalid_data", "data must be a JSON object", "data")
    except RecursionError:
        _reject("data_too_deep", f"data is nested deeper than {MAX_DEPTH}", "data")
    if len(data) > MAX_KEYS:
        _reject("event_too_large", f"data has more than {MAX_KEYS} keys", "data")
    for value in data.values():
        check_value(value)
    return data


def _reject(code: str, detail: str, attribute: str) -> NoReturn:
    raise InvalidInputError(code, detail, f"/{attribute}")
