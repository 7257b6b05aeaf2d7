"""What AWS does not let a seller do to the prices of an offer that buyers are on already."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from meterbridge.domain.publishing.compiled import Gap, LastApplied

BETWEEN_INCREASES = timedelta(days=120)
"""A price may be raised once in so many days (contracts.md §1.3.4)."""

_PREFIX = "/prices/"


@dataclass(frozen=True, slots=True)
class PriceMoves:
    """Keys of dimensions by what becomes of their price."""

    raised: tuple[str, ...] = ()
    lowered: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


def price_moves(before: LastApplied | None, prices: Mapping[str, Decimal]) -> PriceMoves:
    """How prices differ from those applied last; nothing moves where nothing was applied."""
    if before is None:
        return PriceMoves()
    old = {
        pointer.removeprefix(_PREFIX).replace("~1", "/").replace("~0", "~"): Decimal(
            json.loads(text)
        )
        for pointer, text in before.content.items()
        if pointer.startswith(_PREFIX)
    }
    return PriceMoves(
        raised=tuple(sorted(key for key in prices if key in old and prices[key] > old[key])),
        lowered=tuple(sorted(key for key in prices if key in old and prices[key] < old[key])),
        added=tuple(sorted(prices.keys() - old.keys())),
    )


def price_move_gaps(before: LastApplied | None, moves: PriceMoves, now: datetime) -> Iterator[Gap]:
    """Increases come alone, and once in 120 days (contracts.md §1.3.4)."""
    if not moves.raised:
        return
    raised = ", ".join(moves.raised)
    if moves.lowered or moves.added:
        others = ", ".join((*moves.lowered, *moves.added))
        detail = f"AWS takes an increase ({raised}) without a decrease or anything new ({others})"
        yield Gap("/dimensions", "mixed_price_changes", detail, blocks=True)
    last = before.prices_raised_at if before is not None else None
    if last is not None and now < last + BETWEEN_INCREASES:
        detail = (
            f"AWS takes the next increase ({raised}) from {last + BETWEEN_INCREASES:%Y-%m-%d} on"
        )
        yield Gap("/dimensions", "increase_too_soon", detail, blocks=True)
