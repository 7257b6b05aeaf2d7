"""Writes Parquet files with DuckDB, on local disk and in bounded memory.

Rows are loaded in chunks into a database file, and written from there a row group at a time. What
does not fit into DuckDB's memory limit goes to its temporary folder.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import duckdb
import msgspec

from meterbridge.domain.archive_rows import EventRow, UsageRow, repeat_standing
from meterbridge.domain.events import Standing

_CHUNK_ROWS = 20_000
_ROW_GROUP_ROWS = 100_000
_FETCHED_ROWS = 1_000

_EVENTS = """
    position BIGINT, segment VARCHAR, segment_row INTEGER, product_id VARCHAR, subject VARCHAR,
    source VARCHAR, id VARCHAR, type VARCHAR, occurred_at BIGINT, received_at BIGINT, data VARCHAR,
    numbers MAP(VARCHAR, VARCHAR)
"""
_USAGE = """
    product_id VARCHAR, subject VARCHAR, meter_id VARCHAR, group_values VARCHAR[],
    aggregation VARCHAR, quantity VARCHAR, state VARCHAR, segments BIGINT, catalog_version BIGINT,
    fresh_through BIGINT, folded_at BIGINT
"""
# Only identities that came more than once: of most partitions, none.
_FIND_REPEATS = """
    CREATE TABLE repeats AS
    SELECT product_id, subject, source, id, min(position) AS first_position
    FROM loaded GROUP BY ALL HAVING count(*) > 1
"""
_COMPARE_REPEATS = """
    SELECT loaded.position, loaded.type, loaded.occurred_at, loaded.data,
           original.type, original.occurred_at, original.data
    FROM repeats
    JOIN loaded USING (product_id, subject, source, id)
    JOIN loaded AS original ON original.position = repeats.first_position
    WHERE loaded.position > repeats.first_position
      AND (loaded.type, loaded.occurred_at, loaded.data)
          <> (original.type, original.occurred_at, original.data)
"""
_SELECT_EVENTS = """
    SELECT loaded.product_id, loaded.subject, loaded.source, loaded.id, loaded.type,
           make_timestamp(loaded.occurred_at) AS occurred_at,
           make_timestamp(loaded.received_at) AS received_at,
           loaded.data, loaded.numbers,
           CASE WHEN coalesce(repeats.first_position, loaded.position) = loaded.position
                THEN 'first'
                WHEN conflicts.position IS NOT NULL THEN 'conflict'
                ELSE 'duplicate' END AS standing,
           loaded.segment, loaded.segment_row
    FROM loaded
    LEFT JOIN repeats USING (product_id, subject, source, id)
    LEFT JOIN conflicts ON conflicts.position = loaded.position
    WHERE loaded.received_at >= $start
    ORDER BY loaded.position
"""
_SELECT_USAGE = """
    SELECT product_id, subject, meter_id, group_values, aggregation, quantity, state, segments,
           catalog_version, make_timestamp(fresh_through) AS fresh_through,
           make_timestamp(folded_at) AS folded_at
    FROM loaded ORDER BY product_id, subject, meter_id, group_values
"""


class ParquetWriter:
    """Makes Parquet files in a folder of its own, which is empty again afterwards."""

    def __init__(self, memory_limit: str = "600MB", folder: Path | None = None) -> None:
        """Nothing is written yet.

        Args:
            memory_limit: the most that DuckDB may take, in its own words.
            folder: where to put files; by default the system's folder for temporary ones.
        """
        self._memory_limit = memory_limit
        self._folder = folder

    @contextmanager
    def events(self, rows: Iterable[EventRow], start: int) -> Iterator[tuple[Path, int]]:
        """A file of events, each with its standing, and how many there are.

        Args:
            rows: all events of a partition up to now, in order.
            start: only those received at this moment or later are written; in microseconds since
                the epoch. The earlier ones tell what is a repeat.
        """
        with self._database() as (database, folder):
            self._load(database, folder, _EVENTS, rows)
            database.execute(_FIND_REPEATS)
            database.execute("CREATE TABLE conflicts (position BIGINT)")
            self._find_conflicts(database)
            yield self._write(database, folder, _SELECT_EVENTS, {"start": start})

    @contextmanager
    def usage(self, rows: Iterable[UsageRow]) -> Iterator[tuple[Path, int]]:
        """A file of quantities, and how many there are."""
        with self._database() as (database, folder):
            self._load(database, folder, _USAGE, rows)
            yield self._write(database, folder, _SELECT_USAGE, {})

    @contextmanager
    def _database(self) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
        folder = Path(tempfile.mkdtemp(prefix="archive-", dir=self._folder))
        try:
            with duckdb.connect(
                str(folder / "rows.duckdb"),
                config={
                    "threads": 1,
                    "memory_limit": self._memory_limit,
                    "temp_directory": str(folder / "spilled"),
                    "autoinstall_known_extensions": False,
                    "autoload_known_extensions": False,
                },
            ) as database:
                yield database, folder
        finally:
            shutil.rmtree(folder)

    def _load(
        self,
        database: duckdb.DuckDBPyConnection,
        folder: Path,
        columns: str,
        rows: Iterable[msgspec.Struct],
    ) -> None:
        chunk_file = folder / "chunk.ndjson"
        database.execute(f"CREATE TABLE loaded ({columns})")
        types = ", ".join(
            f"{name}: '{kind}'"
            for name, kind in database.execute(
                "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'loaded' "
                "ORDER BY column_index"
            ).fetchall()
        )
        load = f"INSERT INTO loaded SELECT * FROM read_ndjson($file, columns = {{{types}}})"  # noqa: S608
        encoder, waiting = msgspec.json.Encoder(), iter(rows)
        while chunk := list(islice(waiting, _CHUNK_ROWS)):
            chunk_file.write_bytes(encoder.encode_lines(chunk))
            database.execute(load, {"file": str(chunk_file)})
        chunk_file.unlink(missing_ok=True)

    def _find_conflicts(self, database: duckdb.DuckDBPyConnection) -> None:
        """Texts that differ may still be equal data: 1 and 1.0, or keys in another order."""
        compared = database.cursor().execute(_COMPARE_REPEATS)
        while pairs := compared.fetchmany(_FETCHED_ROWS):
            conflicts = [
                [position]
                for position, type_, time, data, *first in pairs
                if repeat_standing(type_, time, data, tuple(first)) is Standing.CONFLICT
            ]
            if conflicts:
                database.executemany("INSERT INTO conflicts VALUES (?)", conflicts)

    def _write(
        self,
        database: duckdb.DuckDBPyConnection,
        folder: Path,
        query: str,
        parameters: dict[str, int],
    ) -> tuple[Path, int]:
        file = folder / "rows.parquet"
        (written,) = database.execute(
            f"COPY ({query}) TO '{file}' "
            f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP_ROWS})",
            parameters,
        ).fetchall()
        return file, int(written[0])
