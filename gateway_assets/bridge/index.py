"""The live files of a table in memory: which of them may hold rows that a question asks for.

Read once per version of the manifest. What is known of a column's values is read when a condition
on that column comes, and kept: a published file never changes.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gateway_assets.archive.manifest import FILES
from gateway_assets.archive.source import schema_fields
from gateway_assets.bridge.ranges import Ranges, meets
from gateway_assets.model import INT64_MAX, INT64_MIN, Kind
from gateway_assets.tiers.catalog import has_table
from gateway_assets.tiers.fields import Field
from gateway_assets.tiers.tiered import Tiered

PRUNING = {Kind.TIME, Kind.INTEGER, Kind.TEXT}


class LiveFile(NamedTuple):
    """What a query needs of one row of the manifest. Times are microseconds."""

    number: int
    day: int
    path: str
    staged: str
    rows: int
    size: int
    first_time: int
    last_time: int
    answers_until: Any
    sha256: str
    schema_version: int

    def below(self, root: Path) -> Path:
        if self.staged and (root / self.staged).exists():
            return root / self.staged
        return root / self.path


class FileIndex:
    """The files that answer for rows of a table, in the order of days."""

    def __init__(self, connection: sqlite3.Connection, table: Tiered) -> None:
        self.files: list[LiveFile] = []
        self.versions: dict[int, tuple[Field, ...]] = {}
        self._known: dict[int, dict[int, tuple[Any, Any]]] = {}  # column id -> number -> ends
        self._table = table
        if not has_table(connection, FILES):
            return
        query = (
            f"SELECT {', '.join(LiveFile._fields)} FROM {FILES} WHERE table_name = ? "
            "AND state IN ('published', 'archived') ORDER BY day, number"
        )
        self.files = list(map(LiveFile._make, connection.execute(query, (table.name,))))
        self._first = np.array([file.first_time for file in self.files], np.int64)
        self._last = np.array([file.last_time for file in self.files], np.int64)
        for number in {file.schema_version for file in self.files}:
            self.versions[number] = schema_fields(connection, table.name, number)

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    def that_meet(
        self, connection: sqlite3.Connection, wanted: Mapping[str, Ranges]
    ) -> list[LiveFile]:
        """The files that may hold rows whose columns are all within the given ranges."""
        found: Sequence[LiveFile] = self.files
        time = wanted.get(self._table.time)
        if time is not None and self._table.time_field.kind is Kind.TIME:
            found = self._of_times(time)
        for field in self._table.fields:
            ranges = wanted.get(field.name)
            if ranges is None or field.name == self._table.time or field.kind not in PRUNING:
                continue
            found = [file for file in found if self._may(connection, file, field, ranges)]
        return list(found)

    def between(self, start: int, end: int) -> list[LiveFile]:
        """The files that may hold moments in ``[start, end)``, by the day of each at least."""
        return self._of_times(((start, end - 1),))

    def _of_times(self, ranges: Ranges) -> list[LiveFile]:
        chosen = np.zeros(len(self.files), np.bool_)
        for low, high in ranges:
            start = INT64_MIN if low is None else low
            end = INT64_MAX if high is None else high
            if self.files:
                chosen |= (self._last >= start) & (self._first <= end)
        return [self.files[place] for place in np.flatnonzero(chosen)]

    def ends(
        self, connection: sqlite3.Connection, file: LiveFile, field: Field
    ) -> tuple[Any, Any] | None:
        """The least and largest value of a column in a file; None where they are not known.

        Times of the table's time column are exact, too. NULLs are not among them.
        """
        if field.id == self._table.time_field.id and field.kind is Kind.TIME:
            return file.first_time, file.last_time
        known = self._known.get(field.id)
        if known is None:
            known = self._known[field.id] = self._read_ends(connection, field)
        return known.get(file.number)

    def _may(
        self, connection: sqlite3.Connection, file: LiveFile, field: Field, ranges: Ranges
    ) -> bool:
        ends = self.ends(connection, file, field)
        if ends is None:
            return True
        low, high = ends
        return low is not None and meets(ranges, low, high)

    def _read_ends(
        self, connection: sqlite3.Connection, field: Field
    ) -> dict[int, tuple[Any, Any]]:
        """By file; (None, None) when all its values are NULL."""
        found = {}
        for version, fields in self.versions.items():
            written = {one.id: one for one in fields}.get(field.id)
            if written is None or written.kind is not field.kind:
                continue
            if not written.name.isidentifier():
                continue  # it would mean something else in a path of JSON
            query = (
                f"SELECT number, json_extract(columns, ?) FROM {FILES} WHERE table_name = ? "
                "AND schema_version = ? AND state IN ('published', 'archived')"
            )
            given = (f'$."{written.name}"', self._table.name, version)
            for number, facts in connection.execute(query, given):
                low, high, *_ = json.loads(facts) if facts else (False, False)
                if low is not False:
                    found[number] = (low, high)
        return found
