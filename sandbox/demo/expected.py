"""What the trace adds up to, found by other means: SQL over the CSV, no code of Meterbridge's."""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Iterable
from decimal import Decimal

from sandbox.demo.trace import TRACE, customer_id

METERS = ("requests", "context_tokens", "generated_tokens", "long_requests")

_TOTALS = """
    SELECT CASE WHEN row % 3 = 0 THEN (row / 3) % 5 ELSE row % 20 END AS customer,
           count(*), sum(context), sum(generated), sum(context > 4096)
    FROM trace WHERE row IN (SELECT row FROM wanted) GROUP BY customer ORDER BY customer
"""


def expected_totals(rows: Iterable[int]) -> dict[str, dict[str, Decimal]]:
    """Quantity by customer id and meter, of these rows of the trace."""
    database = sqlite3.connect(":memory:")
    try:
        database.execute("CREATE TABLE trace (row INTEGER, context INTEGER, generated INTEGER)")
        with TRACE.open(newline="") as file:
            lines = csv.reader(file)
            next(lines)
            database.executemany(
                "INSERT INTO trace VALUES (?, ?, ?)",
                ((number, line[1], line[2]) for number, line in enumerate(lines)),
            )
        database.execute("CREATE TABLE wanted (row INTEGER PRIMARY KEY)")
        database.executemany("INSERT INTO wanted VALUES (?)", ((row,) for row in rows))
        found = database.execute(_TOTALS).fetchall()
    finally:
        database.close()
    return {
        customer_id(customer): dict(zip(METERS, map(Decimal, totals), strict=True))
        for customer, *totals in found
    }
