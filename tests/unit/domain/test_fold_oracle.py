"""Any events, sent in any batches any number of times, against a plain count one by one."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from meterbridge.domain.event_filters import Filter, FilterOperator
from meterbridge.domain.events import UsageEvent
from meterbridge.domain.meters import Aggregation, GroupBy, Meter
from meterbridge.domain.recount import customer_events, recount
from meterbridge.domain.segments import decode
from plain_count import DECIMAL_TEXTS, check, plainly
from usage_events import folded, meter, segments, usage_event

SUBJECTS = ("acme", "umbrella", "größe")
UUIDS = ("7d444840-9dc0-11d1-b245-5ffdce74fad2", "00000000-0000-4000-8000-000000000001")


scalars = st.one_of(
    st.integers(-(10**31), 10**31),
    st.integers(-5, 5),
    st.decimals("-1e20", "1e20", places=6),
    st.sampled_from([Decimal("1E-18"), Decimal("1E-19"), Decimal("17.0"), Decimal("0.0"), 17, 0]),
    st.sampled_from([*DECIMAL_TEXTS, "eu", "us", ""]),
    st.booleans(),
    st.none(),
)
values = st.one_of(scalars, st.lists(scalars, max_size=2), st.dictionaries(st.just("w"), scalars))
events = st.builds(
    lambda subject, source, name, kind, minute, data: usage_event(
        subject=subject, source=source, id=name, type=kind, minute=minute, **data
    ),
    st.sampled_from(SUBJECTS),
    st.sampled_from(["gateway", "batch"]),
    st.sampled_from(["1", "2", "3", "ä", *UUIDS]),
    st.sampled_from(["llm.request"] * 5 + ["llm.other"]),
    st.integers(0, 59),
    st.dictionaries(st.sampled_from(["v", "w", "r"]), values),
)
filters = st.builds(
    lambda condition, path: Filter(path, *condition),
    st.sampled_from(
        [
            (FilterOperator.EQ, "eu"),
            (FilterOperator.EQ, 17),
            (FilterOperator.NE, True),
            (FilterOperator.EXISTS, True),
            (FilterOperator.EXISTS, False),
            (FilterOperator.GT, Decimal("0.5")),
        ]
    ),
    st.sampled_from(["v", "r", "v.w"]),
)
meters = st.lists(
    st.builds(
        lambda aggregation, path, conditions, groups: meter(
            aggregation,
            **({} if aggregation is Aggregation.COUNT else {"value_path": path}),
            filters=tuple(conditions),
            group_by=tuple(GroupBy(f"g{number}", path) for number, path in enumerate(groups)),
        ),
        st.sampled_from(Aggregation),
        st.sampled_from(["v", "$.v", "v.w", "w"]),
        st.lists(filters, max_size=2),
        st.lists(st.sampled_from(["r", "w", "v.w"]), max_size=2),
    ),
    max_size=4,
).map(lambda found: [replace(each, id=f"mtr_{number}") for number, each in enumerate(found)])


def decoded(body: bytes) -> list[UsageEvent]:
    """The events of a segment, in the order it keeps them in."""
    return [group.event(row) for group in decode(body).groups for row in range(len(group))]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.lists(events, min_size=1, max_size=8), min_size=1, max_size=5),
    st.lists(st.integers(0, 4), max_size=4),
    meters,
    st.sets(st.integers(1, 8)),
)
def test_a_fold_is_the_plain_count_of_what_was_sent(
    batches: list[list[UsageEvent]],
    resent: list[int],
    of_product: list[Meter],
    pauses: set[int],
) -> None:
    sent = batches + [batches[index % len(batches)] for index in resent]
    stored = segments(sent)
    result = folded(stored, *of_product)
    events_in_order = [event for segment in stored for event in decoded(segment.body)]
    check(result, plainly(events_in_order, of_product))
    assert folded(stored, *of_product, resume_at=sorted(pauses)) == result


@settings(max_examples=100, deadline=None)
@given(
    st.lists(events, min_size=1, max_size=12, unique_by=lambda e: (e.subject, e.source, e.id)),
    meters,
    st.data(),
)
def test_the_order_and_batching_of_distinct_events_does_not_matter(
    distinct: list[UsageEvent], of_product: list[Meter], data: st.DataObject
) -> None:
    once = folded(segments([distinct]), *of_product)
    again = data.draw(st.permutations(distinct))
    cut = data.draw(st.integers(0, len(again)))
    batches = [batch for batch in (again[:cut], again[cut:], again[: cut // 2]) if batch]
    other = folded(segments(batches), *of_product)
    assert {(row.subject, repr(sorted(row.meters))) for row in other.rows} == {
        (row.subject, repr(sorted(row.meters))) for row in once.rows
    }
    for left, right in zip(once.rows, other.rows, strict=True):
        assert left.meters == right.meters
    assert other.head.unmatched == once.head.unmatched
    assert (other.head.events, other.head.conflicts) == (len(distinct), 0)


@settings(max_examples=200)
@given(st.lists(st.lists(events, min_size=1, max_size=6), min_size=1, max_size=5), meters)
def test_the_recount_of_a_statement_finds_the_states_of_the_fold(
    batches: list[list[UsageEvent]], catalog: list[Meter]
) -> None:
    stored = segments(batches)
    for row in folded(stored, *catalog).rows:
        own = list(customer_events(stored, row.product_id, row.subject))
        for each in catalog:
            found = {group: hours[row.hour] for group, hours in recount(each, own).items() if hours}
            assert found == row.meters.get(each.id, {})
