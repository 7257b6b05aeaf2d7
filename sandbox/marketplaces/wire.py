"""JSON as marketplaces send and take it: numbers without floats, labels, and answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NoReturn

from .exchange import Answer
from .journal import Fact


def parse_json(body: bytes) -> Any:
    """Parses JSON with decimals instead of floats.

    Raises:
        ValueError: It is not JSON, or holds what cannot be read; NaN and Infinity are not JSON.
    """
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ArithmeticError, RecursionError) as exc:
        raise ValueError("not readable") from exc


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def labels_of(row: Any, members: Mapping[str, str]) -> dict[str, str]:
    """What faults and the call log tell a usage record by: its members that are texts.

    Args:
        row: As sent, whatever it is.
        members: The member behind each label.
    """
    if not isinstance(row, Mapping):
        return {}
    return {
        label: row[member] for label, member in members.items() if isinstance(row.get(member), str)
    }


def json_answer(
    status: int,
    body: Any,
    outcome: str,
    headers: Mapping[str, str],
    *,
    records: tuple[Mapping[str, str], ...] = (),
    facts: tuple[Fact, ...] = (),
    default: Callable[[Any], str | float] = str,
) -> Answer:
    """An answer with a JSON body.

    Args:
        default: Writes what JSON does not know, such as a decimal.
    """
    return Answer(
        status=status,
        body=json.dumps(body, default=default).encode(),
        headers=headers,
        outcome=outcome,
        records=records,
        facts=facts,
    )
