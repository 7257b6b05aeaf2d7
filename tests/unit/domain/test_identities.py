"""Repeats are found wherever they are, however many, and with whatever ids."""

from __future__ import annotations

from array import array
from random import Random
from uuid import UUID

import pytest

from meterbridge.domain import fold as fold_module
from meterbridge.domain.events import UsageEvent
from meterbridge.domain.fingerprints import fingerprints
from meterbridge.domain.identities import Identities
from meterbridge.domain.meters import Aggregation
from meterbridge.domain.segments import decode
from usage_events import folded, meter, segments, state_of, usage_event


def name(kind: str, number: int) -> str:
    if kind == "number":
        return str(number)
    if kind == "random":
        return str(UUID(int=Random(number).getrandbits(128), version=4))
    return str(UUID(int=number))


def scattered(kind: str, random: Random) -> tuple[list[list[UsageEvent]], int, int]:
    """60 batches of 20 new events, each with up to 5 repeats of any earlier ones."""
    batches: list[list[UsageEvent]] = []
    earlier: list[UsageEvent] = []
    duplicates = conflicts = 0
    for batch in range(60):
        new = [usage_event(id=name(kind, batch * 20 + row), v=row, minute=row) for row in range(20)]
        repeats = random.sample(earlier, min(len(earlier), random.randrange(6)))
        wrong = [usage_event(id=event.id, v="other") for event in repeats[:1]]
        duplicates += len(repeats)
        conflicts += len(wrong)
        batches.append([*new[:10], *repeats, *new[10:], *wrong])
        earlier += new
    return batches, duplicates, conflicts


@pytest.mark.parametrize("kind", ["number", "random", "counted"])
@pytest.mark.parametrize("seed", range(3))
def test_scattered_repeats_are_all_found(kind: str, seed: int) -> None:
    batches, duplicates, conflicts = scattered(kind, Random(seed))
    result = folded(segments(batches), meter(Aggregation.COUNT))
    assert state_of(result).quantity == 1200
    head = result.head
    assert (head.events, head.duplicates, head.conflicts) == (1200, duplicates, conflicts)


def test_repeats_are_compared_before_too_many_are_put_aside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batches, duplicates, conflicts = scattered("random", Random(9))
    stored = segments(batches)
    expected = folded(stored, meter())
    monkeypatch.setattr(fold_module, "MAX_SUSPECTS", 7)
    assert folded(stored, meter()) == expected
    assert (expected.head.duplicates, expected.head.conflicts) == (duplicates, conflicts)


def test_everything_sent_again_in_another_order_adds_nothing() -> None:
    events = [usage_event(id=name("random", number), v=1) for number in range(400)]
    batches = [events[start : start + 40] for start in range(0, 400, 40)]
    again = Random(4).sample(events, 400)
    batches += [again[start : start + 25] for start in range(0, 400, 25)]
    result = folded(segments(batches), meter())
    assert state_of(result).quantity == 400
    assert (result.head.events, result.head.duplicates) == (400, 400)


def of_group(events: list[UsageEvent]) -> array[int]:
    (stored,) = segments([events])
    (group,) = decode(stored.body).groups
    return fingerprints(group)


def test_an_id_has_one_fingerprint_in_a_column_of_uuids_and_among_other_ids() -> None:
    ids = [name("random", number) for number in range(50)]
    only = of_group([usage_event(id=each) for each in ids])
    mixed = of_group([usage_event(id=each) for each in [*ids, "x"]])
    assert mixed[:50] == only
    assert len(set(mixed)) == 51


def test_short_ids_are_told_apart_by_subject_and_source_in_their_fingerprints() -> None:
    events = [
        usage_event(id="1"),
        usage_event(id="1", subject="umbrella"),
        usage_event(id="1", source="batch"),
    ]
    assert len(set(of_group(events))) == 3


def test_a_segment_that_came_before_is_not_read_again() -> None:
    (stored,) = segments([[usage_event(v=1)]])
    identities = Identities()
    assert len(identities.take(stored.body)) == 1
    assert identities.take(stored.body) == []
    assert identities.counts() == (1, 1, 0)
