"""Run the benchmarks, print their table and write benchmarks/results.json.

python -m benchmarks            all rows
python -m benchmarks ingest     the rows of modules whose name contains a word; nothing is written
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results.json"


def modules(words: Iterable[str]) -> list[str]:
    """The row modules whose names contain one of the words, or all."""
    names = sorted(path.stem for path in (ROOT / "benchmarks").glob("row_*.py"))
    return [name for name in names if not words or any(word in name for word in words)]


def main(words: list[str]) -> int:
    """0 if every target was reached."""
    from benchmarks.row import Row

    rows: list[Row] = []
    for name in modules(words):
        print(f"measuring {name.removeprefix('row_').replace('_', ' ')} …", file=sys.stderr)
        rows += import_module(f"benchmarks.{name}").run()
    print(f"{'':52} {'value':>12} {'yardstick':>12} {'ratio':>8}  target")
    for row in rows:
        mark = "reached" if row.reached else "MISSED"
        print(
            f"{row.name:52.52} {row.value:12,.4g} {row.yardstick:12,.4g} {row.ratio:8.3g}"
            f"  {row.target:9} {mark}  ({row.unit})"
        )
        if row.note:
            print(f"    {row.note}")
    if not words:
        measured = {
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}",
            "rows": [{**asdict(row), "reached": row.reached} for row in rows],
        }
        RESULTS.write_text(json.dumps(measured, indent=2, ensure_ascii=False) + "\n")
    return 0 if all(row.reached for row in rows) else 1


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT / part) for part in ("functions", "layers/common/python", "tests")]
    sys.exit(main(sys.argv[1:]))
