"""Limited pools: trials, amounts off, credits and caps all take from charges until they are used up.

What a pool has taken is a function of all that it was offered so far. So it does not matter in
how many steps that came, and a charge that is taken back gives the pool back its share.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from meterbridge.domain.errors import InvariantError
from meterbridge.domain.money import ZERO, add, exact_sum, subtract


def taken(offered: Decimal, limit: Decimal) -> Decimal:
    """What a pool takes of all that it was offered; never less than nothing, nor over its limit."""
    return min(max(offered, ZERO), limit)


def newly_taken(before: Decimal, change: Decimal, limit: Decimal) -> Decimal:
    """What a change of the offered amount makes a pool take more, or give back if negative."""
    return subtract(taken(add(before, change), limit), taken(before, limit))


def spread(amount: Decimal, over: Sequence[Decimal]) -> list[Decimal]:
    """Spread what a pool newly took over the changes it was offered, in their order.

    A share never exceeds its change, and has its sign.

    Raises:
        InvariantError: the changes cannot hold the amount, a defect.
    """
    if amount == 0:
        return [ZERO] * len(over)
    if amount == exact_sum(over):
        return list(over)
    shares, rest = [], amount
    for change in over:
        share = min(max(change, ZERO), rest) if rest > 0 else max(min(change, ZERO), rest)
        shares.append(share)
        rest = subtract(rest, share)
    if rest != 0:
        raise InvariantError(f"{amount} does not fit into the charges it is spread over")
    return shares
