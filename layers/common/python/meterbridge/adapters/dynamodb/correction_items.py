"""Corrections as items of the ledger table, and back. Its other keys: ledger_items.py.

pk          sk                                         also
agreement   correction#<month>#<dimension>#<number>    pending_pk, pending_sk by state
"""

from __future__ import annotations

import msgspec
from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.models import Model

from meterbridge.domain.corrections import Correction, CorrectionKey, CorrectionState

CORRECTIONS = "correction#"
AFTER_CORRECTIONS = "correction$"

_CORRECTION = msgspec.json.Decoder(Correction)


class StateIndex(GlobalSecondaryIndex["CorrectionItem"]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "pending"
        projection = AllProjection()

    pending_pk = UnicodeAttribute(hash_key=True)
    pending_sk = UnicodeAttribute(range_key=True)


class CorrectionItem(Model):
    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    version = NumberAttribute()
    body = UnicodeAttribute()
    pending_pk = UnicodeAttribute()
    pending_sk = UnicodeAttribute()
    by_state = StateIndex()


def correction_sort_key(key: CorrectionKey) -> str:
    """Where a correction is among the items of its agreement."""
    return f"{CORRECTIONS}{key.period}#{key.dimension}#{key.number:06d}"


def state_partition(state: CorrectionState) -> str:
    """Where the corrections in a state are listed."""
    return f"{CORRECTIONS}{state.value}"


def state_sort_key(key: CorrectionKey) -> str:
    """Where a correction is among those in its state."""
    return f"{key.agreement_id}#{correction_sort_key(key)}"


def correction_to_item(correction: Correction, model: type[CorrectionItem]) -> CorrectionItem:
    """A correction as an item of a bound model; decimals are texts."""
    key = correction.key
    return model(
        key.agreement_id,
        correction_sort_key(key),
        version=correction.version,
        body=msgspec.json.encode(correction).decode(),
        pending_pk=state_partition(correction.state),
        pending_sk=state_sort_key(key),
    )


def correction_from_item(item: CorrectionItem) -> Correction:
    """The reverse of correction_to_item."""
    return _CORRECTION.decode(item.body)
