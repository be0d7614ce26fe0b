"""The live files of a table in memory: which of them may hold rows that a question asks for.

Read once per version of the manifest. What is known of a column's values is read when a condition
on that column comes, and kept: a published file never changes.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gateway_assets.archive.manifest import FILES
from gateway_assets.archive.months import months
from gateway_assets.archive.source import schema_fields
from gateway_assets.bridge.ranges import Ranges, meets
from gateway_assets.model import INT64_MAX, INT64_MIN, Kind
from gateway_assets.tiers.catalog import has_table
from gateway_assets.tiers.fields import Field
from gateway_assets.tiers.tiered import Tiered

PRUNING = {Kind.TIME, Kind.INTEGER, Kind.TEXT}
Positions = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]


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


class _Ends(NamedTuple):
    """The least and largest value of a column in every file. ``known`` is false where they are
    not known, ``empty`` true where all values are NULL, ``full`` where none is.
    """

    low: np.ndarray[Any, Any]
    high: np.ndarray[Any, Any]
    known: Mask
    empty: Mask
    full: Mask


class FileIndex:
    """The files that answer for rows of a table, in the order of days."""

    def __init__(self, connection: sqlite3.Connection, table: Tiered) -> None:
        self.files: list[LiveFile] = []
        self.versions: dict[int, tuple[Field, ...]] = {}
        self.months = months(connection, table)
        self._table = table
        self._known: dict[int, _Ends] = {}  # by column id
        self._ranked: dict[tuple[int, bool], tuple[Positions, Positions]] = {}
        if has_table(connection, FILES):
            query = (
                f"SELECT {', '.join(LiveFile._fields)} FROM {FILES} WHERE table_name = ? "
                "AND state IN ('published', 'archived') ORDER BY day, number"
            )
            self.files = list(map(LiveFile._make, connection.execute(query, (table.name,))))
        for number in {file.schema_version for file in self.files}:
            self.versions[number] = schema_fields(connection, table.name, number)
        self._all = np.arange(len(self.files))
        self._rows = np.array([file.rows for file in self.files], np.int64)
        self._is_whole = np.array([file.answers_until is None for file in self.files], np.bool_)
        self._times = _Ends(
            np.array([file.first_time for file in self.files], np.int64),
            np.array([file.last_time for file in self.files], np.int64),
            np.ones(len(self.files), np.bool_),
            np.zeros(len(self.files), np.bool_),
            np.ones(len(self.files), np.bool_),
        )

    def that_meet(self, connection: sqlite3.Connection, wanted: Mapping[str, Ranges]) -> Positions:
        """The files that may hold rows whose columns are all within the given ranges."""
        if not wanted:
            return self._all
        chosen = np.ones(len(self.files), np.bool_)
        for field in self._table.fields:
            if field.name in wanted and field.kind in PRUNING:
                self._narrow(chosen, self._ends(connection, field), wanted[field.name])
        return np.flatnonzero(chosen)

    def within(self, positions: Positions, ranges: Ranges | None) -> Mask:
        """Which of these files hold only rows with times in the ranges, and answer for all."""
        whole = self._is_whole[positions]
        if ranges is None:
            return whole
        inside = np.zeros(len(positions), np.bool_)
        first, last = self._times.low[positions], self._times.high[positions]
        for low, high in ranges:
            start = INT64_MIN if low is None else low
            end = INT64_MAX if high is None else high
            inside |= (first >= start) & (last <= end)
        return whole & inside

    def rows_of(self, positions: Positions) -> int:
        return int(self._rows[positions].sum())

    def some(self, positions: Iterable[int]) -> list[LiveFile]:
        return [self.files[position] for position in positions]

    def ranked(
        self, connection: sqlite3.Connection, positions: Positions, field: Field, *, falls: bool
    ) -> Iterator[tuple[Any, LiveFile]]:
        """Files with the best value that each may hold, the best first; None: not known.

        The best is the largest when the order ``falls``, else the least; NULL is less than any.
        """
        if field.kind not in PRUNING:
            yield from ((None, self.files[position]) for position in reversed(positions))
            return
        ends = self._ends(connection, field)
        best = ends.high if falls else ends.low
        unknown, sorted_ones = self._by_best(positions, field, ends, best, falls=falls)
        for position in unknown:
            yield None, self.files[position]
        for position in sorted_ones:
            yield best[position], self.files[position]

    def _by_best(
        self,
        positions: Positions,
        field: Field,
        ends: _Ends,
        best: np.ndarray[Any, Any],
        *,
        falls: bool,
    ) -> tuple[Positions, Positions]:
        """Positions of unknown, and in the order of their best values those of known ends;
        remembered for all files together.
        """
        key = (field.id, falls)
        if positions is self._all and key in self._ranked:
            return self._ranked[key]
        # NULL is the least value: a rising order begins with it, wherever it is.
        is_known = (ends.known & ~ends.empty & (ends.full | falls))[positions]
        known = positions[is_known]
        order = np.argsort(best[known], kind="stable")
        found = positions[~is_known], known[order[::-1] if falls else order]
        if positions is self._all:
            self._ranked[key] = found
        return found

    def _narrow(self, chosen: Mask, ends: _Ends, ranges: Ranges) -> None:
        if ends.low.dtype == object:
            for position in np.flatnonzero(chosen & ends.known & ~ends.empty):
                chosen[position] = meets(ranges, ends.low[position], ends.high[position])
        else:
            meeting = np.zeros(len(self.files), np.bool_)
            for low, high in ranges:
                start = INT64_MIN if low is None else max(low, INT64_MIN)
                end = INT64_MAX if high is None else min(high, INT64_MAX)
                if start <= end:
                    meeting |= (ends.high >= start) & (ends.low <= end)
            chosen &= meeting | ~ends.known
        chosen &= ~ends.empty

    def _ends(self, connection: sqlite3.Connection, field: Field) -> _Ends:
        if field.id == self._table.time_field.id and field.kind is Kind.TIME:
            return self._times
        if field.id not in self._known:
            self._known[field.id] = self._read_ends(connection, field)
        return self._known[field.id]

    def _read_ends(self, connection: sqlite3.Connection, field: Field) -> _Ends:
        found: dict[int, tuple[Any, Any, int]] = {}
        for version, fields in self.versions.items():
            written = {one.id: one for one in fields}.get(field.id)
            if written is None or written.kind is not field.kind:
                continue
            if not written.name.isidentifier():
                continue  # it would mean something else in a path of JSON
            query = (
                f"SELECT number, CASE WHEN json_valid(columns) THEN json_extract(columns, ?) END "
                f"FROM {FILES} WHERE table_name = ? "
                "AND schema_version = ? AND state IN ('published', 'archived')"
            )
            given = (f'$."{written.name}"', self._table.name, version)
            for number, facts in connection.execute(query, given):
                low, high, nulls, *_ = json.loads(facts) if facts else _UNKNOWN
                if low is not False:
                    found[number] = (low, high, nulls)
        known_ends = [found.get(file.number, _UNKNOWN) for file in self.files]
        empty = np.array([low is None for low, _, _ in known_ends], np.bool_)
        known = np.array([ends is not _UNKNOWN for ends in known_ends], np.bool_)
        full = np.array([nulls == 0 for _, _, nulls in known_ends], np.bool_)
        kind = object if field.kind is Kind.TEXT else np.int64
        nothing = "" if field.kind is Kind.TEXT else 0
        lows, highs = (
            np.array([nothing if end is None else end for end in ends], kind)
            for ends in ([ends[0] for ends in known_ends], [ends[1] for ends in known_ends])
        )
        return _Ends(lows, highs, known, empty, full)


_UNKNOWN = (False, False, -1)
