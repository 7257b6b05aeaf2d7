"""Whatever is sent to POST /v1/events, the answer is never an error of ours."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_setup import Ingest, cloud_event, request

EXPECTED = {202, 400, 413, 415, 422}
HOSTILE = [
    "1e400", "-1e-400", "1e99999999999999999999", "9" * 4_000, "9" * 5_000, "-0.0", "NaN",
    "[" * 60 + "]" * 60, "[" * 2_000 + "]" * 2_000, '{"a":' * 900 + "1" + "}" * 900,
    '"\\ud800"', '"\\u0000"', '"\\udc00\\ud800"', "tru", "", "[]", "{}", '{"":{"":[]}}',
    '"' + "x" * 70_000 + '"', '{"a":1,"a":"2"}', "1.", "01", "-", "\x00", '"\x7f"', "null",
]  # fmt: skip
TIMES = [
    "2026-11-24T11:59:00Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59.9999999-23:59", "2026-11-24T11:59:59.99999999999999999999Z",
    "1969-12-31T23:59:59Z", "2026-11-24T11:59:60Z", "now", "",
]  # fmt: skip

texts = st.text(max_size=20)


def mostly(common: st.SearchStrategy[Any], rare: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One in eight is a rare one."""
    return st.integers(0, 7).flatmap(lambda dice: common if dice else rare)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
attribute = (
    json_values | st.sampled_from(TIMES) | st.text(st.characters(max_codepoint=200), max_size=300)
)
members = st.dictionaries(
    st.sampled_from([*cloud_event(), "productid", "data_base64", "x"]), attribute, max_size=3
)
events = mostly(
    st.just(cloud_event()) | st.builds(lambda changes: cloud_event(**changes), members), json_values
)
batches = st.lists(events, min_size=1, max_size=4) | events


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """JSON of events, in which places are replaced by what parsers fear, or that is cut."""
    batch = draw(batches)
    encoding = draw(st.sampled_from([True, False]))
    body = json.dumps(batch, ensure_ascii=encoding).encode("utf-8", "surrogatepass")
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.sampled_from([b"17", b'"acme"', b'"call"', b'{"tokens": 17}', b"}"]))
        text = draw(st.sampled_from(HOSTILE) | texts)
        body = body.replace(place, text.encode("utf-8", "surrogatepass"), 1)
    if draw(st.integers(0, 9)) == 9:
        body = body[: draw(st.integers(0, len(body)))]
    if draw(st.integers(0, 9)) == 9:
        place_at = draw(st.integers(0, len(body)))
        body = body[:place_at] + draw(st.binary(max_size=4)) + body[place_at:]
    return body


headers = st.dictionaries(
    st.sampled_from(
        ["content-encoding", "ce-specversion", "ce-id", "ce-source", "ce-type", "ce-subject",
         "ce-time", "ce-productid", "Content-Encoding", "x"]
    ),
    st.sampled_from(["gzip", "identity", "1.0", "%41", "%ff", '"', '"a\\"', "2026-11-24T11:00:00Z"])
    | texts,
    max_size=8,
)  # fmt: skip
content_types = st.sampled_from(
    ["application/json", "application/cloudevents+json", "application/cloudevents-batch+json",
     "application/json;charset", ";", "application/vnd.x+json", None]
) | texts  # fmt: skip


@settings(max_examples=2_500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    body=mostly(bodies(), st.binary(max_size=40)),
    sent=mostly(st.just({}), headers),
    content_type=mostly(st.just("application/json"), content_types),
    way=st.sampled_from(["text", "base64", "gzip"]),
    products=mostly(st.just("prd_a"), st.sampled_from(["*", "prd_a prd_b", ""])),
)
def test_no_body_and_no_header_causes_a_server_error(
    body: bytes, sent: dict[str, str], content_type: str | None, way: str, products: str
) -> None:
    ingest = Ingest()
    fields: dict[str, Any] = {"headers": sent, "content_type": content_type, "products": products}
    if way == "text":
        asked = request(body.decode("utf-8", "surrogateescape"), **fields)
    elif way == "base64":
        asked = request(b64encode(body).decode(), base64=True, **fields)
    else:
        fields["headers"] = {**sent, "content-encoding": "gzip"}
        asked = request(b64encode(gzip.compress(body)).decode(), base64=True, **fields)
    answer = ingest.post(asked)
    assert answer["statusCode"] in EXPECTED
    answered = json.loads(answer["body"])
    accepted = answered.get("accepted", 0)
    assert len(ingest.stored()) == accepted
    assert (answer["statusCode"] == 202) == (accepted > 0)
    answer["body"].encode()
