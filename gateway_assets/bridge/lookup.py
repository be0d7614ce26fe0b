"""One table asked by conditions, order and limit: hot rows first, then no more files than needed.

SQLite answers for the hot rows by its indexes. Of the files, those are read that may hold rows the
question asks for; with a limit, one group after another, the most promising first, until no file
that is left can hold a row that belongs among the first ones. NULL is the smallest value.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Hashable, Iterator
from functools import partial
from typing import Any, TypeVar

import duckdb
import numpy as np
import pyarrow as pa

from gateway_assets.archive.reading import UndecodableText
from gateway_assets.archive.visible import visible
from gateway_assets.bridge.answer import Answer, Row, decoded, encode_cursor, plain_rows
from gateway_assets.bridge.cache import AnswerCache
from gateway_assets.bridge.databases import Databases, Look, Snapshot
from gateway_assets.bridge.dialects import DuckDialect, SqliteDialect, raw_name, said
from gateway_assets.bridge.engine import Engine
from gateway_assets.bridge.explain import Explained, TableUse
from gateway_assets.bridge.failures import Failures
from gateway_assets.bridge.index import LiveFile, Positions
from gateway_assets.bridge.nearest import Range, nearest
from gateway_assets.bridge.patience import patiently
from gateway_assets.bridge.question import (
    MOST_ROWS,
    Bound,
    Question,
    bind,
    cold_ranges,
    finder,
    named_order,
)
from gateway_assets.bridge.scans import Need
from gateway_assets.bridge.tiers import Cold, Tiers, check_files, grouped, read_tiers
from gateway_assets.bridge.views import all_rows, cold_parts
from gateway_assets.bridge.where import Condition, names_in
from gateway_assets.hot.sql import Fragment, quoted, sql
from gateway_assets.model import Kind
from gateway_assets.settings import Settings
from gateway_assets.tiers.catalog import Declared
from gateway_assets.tiers.fields import Field, Misfit
from gateway_assets.tiers.tiered import Tiered
from gateway_assets.tiers.times import Epoch

Found = TypeVar("Found")
FEW = 10_000  # rows that are quicker put together here than by DuckDB
CELL_BYTES = 64  # of a value in memory, about
MORE = 4  # times as many files in each further group


class Lookups:
    """Answers questions about one table at a time."""

    def __init__(
        self,
        settings: Settings,
        databases: Databases,
        engine: Callable[[], Engine],
        cache: AnswerCache,
    ) -> None:
        self._root = settings.archive
        self._databases = databases
        self._engine = engine  # called when DuckDB is needed
        self._cache = cache
        self._failures = Failures(settings, databases)

    def ask(self, declared: Declared, question: Question) -> Answer:
        return self._patiently(declared, lambda snapshot, look: self._ask(snapshot, look, question))

    def count(self, declared: Declared, asked: Condition) -> int:
        return self._patiently(declared, lambda snapshot, look: self._count(snapshot, look, asked))

    def _patiently(self, declared: Declared, ask: Callable[[Snapshot, Look], Found]) -> Found:
        database = self._databases.of(declared)

        def attempt() -> Found:
            with database.reading(declared) as snapshot:
                return ask(snapshot, snapshot.look(declared))

        return patiently(attempt, lambda: database.version(declared))

    def _ask(self, snapshot: Snapshot, look: Look, question: Question) -> Answer:
        started = time.perf_counter()
        key = (look.table.name, look.version, repr(question))
        while True:
            bound = bind(look, question)
            files = look.files.that_meet(snapshot.connection, cold_ranges(look.table, bound))
            try:
                found, tiers, cache = self._found(snapshot, look, bound, files, key)
                break
            except Misfit as misfit:
                look = look._replace(table=look.table.wider(misfit))
        explained = Explained.since(started, [TableUse.of(tiers)], cache)
        rows = found[bound.offset :] if bound.offset and not isinstance(found, pa.Table) else found
        return Answer(
            bound.fields[: bound.shown], _shown(rows, bound), _cursor(rows, bound), explained
        )

    def _found(
        self, snapshot: Snapshot, look: Look, bound: Bound, files: Positions, key: Hashable
    ) -> tuple[list[Row] | pa.Table, Tiers, str]:
        hot = partial(self._hot_rows, snapshot.connection, look.table, bound)
        first = partial(self._first_rows, snapshot, look, bound, files, key)
        if bound.in_sqlite and (bound.limit is not None or not len(files)):
            return first(hot(bound.wanted))
        if bound.in_sqlite and look.files.rows_of(files) <= FEW:
            rows = hot(FEW + 1)
            if len(rows) <= FEW:
                return first(rows)
        return self._all_rows(snapshot, look, bound, key)

    def _first_rows(
        self,
        snapshot: Snapshot,
        look: Look,
        bound: Bound,
        files: Positions,
        key: Hashable,
        best: list[Row],
    ) -> tuple[list[Row], Tiers, str]:
        """The first rows in order, all of them without a limit; ``best`` are the hot ones."""
        hot_rows, wanted = len(best), MOST_ROWS if bound.wanted is None else bound.wanted
        kept = None if hot_rows else self._cache.get(key)
        if kept is not None:
            return kept, Tiers(look.table, None, 0, [], 0, [], len(look.files.files)), "hit"
        opened: list[Cold] = []
        waiting = _promising(snapshot.connection, look, bound, files)
        promise, file = next(waiting)
        size, poor = 1, 0
        while file and not _is_complete(best, wanted, bound, promise):
            rows = 0
            group: list[LiveFile] = []
            while file and (len(group) < size or rows < wanted - len(best)):
                group.append(file)
                rows += file.rows
                promise, file = next(waiting)
            cold = grouped(look, group, self._root)
            opened += cold
            found = self._cold_rows(look.table, cold, bound)
            best = _merged(best + found, bound)[:wanted]
            poor = poor + 1 if bound.chooses and len(found) * 2 < min(rows, wanted) else 0
            if poor > 1:
                size *= MORE  # rows like these are rare
        tiers = Tiers(look.table, None, hot_rows, opened, 0, [], len(look.files.files))
        if hot_rows or not opened:
            return best, tiers, "off"
        return best, tiers, self._cache.put(key, best, len(best) * len(bound.fields) * CELL_BYTES)

    def _hot_rows(
        self, connection: sqlite3.Connection, table: Tiered, bound: Bound, most: int | None
    ) -> list[Row]:
        if most is not None:
            for range_ in nearest(connection, table, bound):
                rows = self._hot_rows_in(connection, table, bound, most, range_)
                if len(rows) == most:
                    return rows
        return self._hot_rows_in(connection, table, bound, most, (Fragment("1"), ()))

    def _hot_rows_in(
        self,
        connection: sqlite3.Connection,
        table: Tiered,
        bound: Bound,
        most: int | None,
        range_: Range,
    ) -> list[Row]:
        where = SqliteDialect(finder(table)).where(bound.asked)
        order = ", ".join(
            f"{raw_name(field)}{' DESC' if falls else ''}" for field, falls in bound.order
        )
        now = set(table.fields)
        columns = (quoted(field.name) if field in now else "NULL" for field in bound.fields)
        # The range first: of two bounds SQLite seeks by the first.
        query = sql(
            "SELECT {columns} FROM {table} WHERE {range_} AND ({where}) AND {visible}",
            columns=Fragment(", ".join(columns)),
            table=table.rows,
            where=Fragment(where.text),
            visible=visible(connection, table),
            range_=range_[0],
        )
        query += f" ORDER BY {order}" if order else ""
        params = [*range_[1], *where.params]
        if most is not None:
            query += " LIMIT ?"
            params.append(most)
        try:
            rows = connection.execute(query, params).fetchall()
        except sqlite3.OperationalError as error:
            if "decode" in str(error):
                raise UndecodableText from error
            raise
        return decoded(bound.fields, rows)

    def _cold_rows(self, table: Tiered, cold: list[Cold], bound: Bound) -> list[Row]:
        tiers = Tiers(table, None, 0, cold, 0, [], 0)
        check_files(tiers)
        union = " UNION ALL ".join(cold_parts(tiers))
        query, params = _select(bound, f"({union})", table, plain=True)
        with self._engine().session() as session:
            try:
                found: list[Row] = session.execute(query, params or None).fetchall()
            except duckdb.Error as error:
                raise self._failures.explained(error, [tiers]) from error
        return found

    def _all_rows(
        self,
        snapshot: Snapshot,
        look: Look,
        bound: Bound,
        key: Hashable,
    ) -> tuple[pa.Table, Tiers, str]:
        """Both tiers at once, put together and in order by DuckDB."""
        names = {field.name for field in bound.fields} | names_in(bound.asked)
        hot = Need(frozenset(names), said(bound.asked, finder(look.table)).ranges)
        cold = hot._replace(ranges=cold_ranges(look.table, bound))
        tiers = read_tiers(snapshot, look, hot, cold, self._root)
        if tiers.table is not look.table:
            misfits = (
                now
                for now, then in zip(tiers.table.fields, look.table.fields, strict=True)
                if now.kind is not then.kind
            )
            raise Misfit(next(misfits))
        kept = None if tiers.hot_rows else self._cache.get(key)
        if kept is not None:
            return kept, tiers._replace(cold=[]), "hit"
        with self._engine().session() as session:
            rows = all_rows(session, tiers)
            query, params = _select(bound, f"({rows})", tiers.table, bound.offset)
            try:
                found = session.sql(query, params=params or None).to_arrow_table()
            except duckdb.Error as error:
                raise self._failures.explained(error, [tiers]) from error
        return found, tiers, "off" if tiers.hot_rows else self._cache.put(key, found, found.nbytes)

    def _count(self, snapshot: Snapshot, look: Look, asked: Condition) -> int:
        table, connection = look.table, snapshot.connection
        bound = bind(look, Question(asked))
        found = said(asked, finder(table), {table.time})
        files = look.files.that_meet(connection, found.ranges)
        by_time = table.time_field.kind is Kind.TIME and not found.ranges.keys() - {table.time}
        known = np.zeros(len(files), np.bool_)
        if found.is_all and by_time:
            known = look.files.within(files, found.ranges.get(table.time))
        counted, rest = look.files.rows_of(files[known]), look.files.some(files[~known])
        if not bound.in_sqlite:
            return len(self._ask(snapshot, look, Question(asked, columns=(table.time,))))
        where = SqliteDialect(finder(table)).where(asked)
        compared = [field for field in table.fields if field.name in names_in(asked)]
        odd_ones = "".join(f", sum({_is_odd(field)})" for field in compared)
        query = sql(
            "SELECT count(*){odd_ones} FROM {table} WHERE ({where}) AND {visible}",
            odd_ones=Fragment(odd_ones),
            table=table.rows,
            where=Fragment(where.text),
            visible=visible(connection, table),
        )
        hot, *odd = connection.execute(query, where.params).fetchone()
        for field, number in zip(compared, odd, strict=True):
            if number:  # values of another type are compared as they are shown
                wider = look._replace(table=table.wider(Misfit(field)))
                return self._count(snapshot, wider, asked)
        return int(hot) + counted + self._count_cold(look, rest, asked)

    def _count_cold(self, look: Look, files: list[LiveFile], asked: Condition) -> int:
        if not files:
            return 0
        cold = grouped(look, files, self._root)
        tiers = Tiers(look.table, None, 0, cold, 0, [], 0)
        check_files(tiers)
        where = DuckDialect(finder(look.table)).where(asked)
        union = " UNION ALL ".join(cold_parts(tiers))
        with self._engine().session() as session:
            query = f"SELECT count(*) FROM ({union}) WHERE {where.text}"
            try:
                (count,) = session.execute(query, list(where.params)).fetchall()[0]
            except duckdb.Error as error:
                raise self._failures.explained(error, [tiers]) from error
        return int(count)


_TYPEOF = {
    Kind.INTEGER: "'integer', 'null'",
    Kind.REAL: "'real', 'integer', 'null'",
    Kind.TEXT: "'text', 'null'",
    Kind.BLOB: "'blob', 'null'",
}


def _is_odd(field: Field) -> str:
    """SQL that is 1 for a value that the column's kind does not hold."""
    kind = field.kind
    if kind is Kind.TIME:
        kind = Kind.INTEGER if isinstance(field.codec, Epoch) else Kind.TEXT
    return f"typeof({quoted(field.name)}) NOT IN ({_TYPEOF[kind]})"


def _select(
    bound: Bound, source: str, table: Tiered, offset: int = 0, *, plain: bool = False
) -> tuple[str, list[Any]]:
    """``plain`` values have times as microseconds."""
    where = DuckDialect(finder(table)).where(bound.asked)
    columns = ", ".join(
        f"epoch_us({quoted(field.name)})"
        if plain and field.kind is Kind.TIME
        else quoted(field.name)
        for field in bound.fields
    )
    query = f"SELECT {columns} FROM {source} WHERE {where.text}"
    if bound.order:
        query += " ORDER BY " + ", ".join(
            f"{quoted(field.name)} {'DESC NULLS LAST' if falls else 'ASC NULLS FIRST'}"
            for field, falls in bound.order
        )
    params = list(where.params)
    if bound.limit is not None:
        query += " LIMIT ?"
        params.append(bound.limit if offset else bound.wanted)
    if offset:
        query += " OFFSET ?"
        params.append(offset)
    return query, params


def _promising(
    connection: sqlite3.Connection, look: Look, bound: Bound, files: Positions
) -> Iterator[tuple[Any, LiveFile | None]]:
    """Files, those that may hold the first rows first, each with the best value it may hold.

    Without an order the newest come first. The last is no file.
    """
    if bound.order:
        field, falls = bound.order[0]
        yield from look.files.ranked(connection, files, field, falls=falls)
    else:
        yield from ((None, look.files.files[position]) for position in files[::-1])
    yield None, None


def _is_complete(best: list[Row], wanted: int, bound: Bound, promise: Any) -> bool:
    """Whether no file that promises at best this can hold a row that belongs among the first."""
    if len(best) < wanted:
        return False
    if not bound.order or not wanted:
        return True
    field, falls = bound.order[0]
    last = best[wanted - 1][bound.fields.index(field)]
    if promise is None:
        return False
    if last is None:
        return not falls
    return bool(promise < last if falls else promise > last)


def _merged(rows: list[Row], bound: Bound) -> list[Row]:
    for field, falls in reversed(bound.order):
        place = bound.fields.index(field)

        def key(row: Row, place: int = place) -> tuple[bool, Any]:
            return row[place] is not None, row[place]

        rows = sorted(rows, key=key, reverse=falls)
    return rows


def _shown(rows: list[Row] | pa.Table, bound: Bound) -> list[Row] | pa.Table:
    if bound.shown == len(bound.fields):
        return rows
    if isinstance(rows, pa.Table):
        return rows.select(range(bound.shown))
    return [row[: bound.shown] for row in rows]


def _cursor(rows: list[Row] | pa.Table, bound: Bound) -> str:
    """Where the next page begins; empty when this one is the last, or there is no order."""
    if not bound.order or bound.limit is None or len(rows) < bound.limit or not len(rows):
        return ""
    last = (
        plain_rows(rows.slice(len(rows) - 1), bound.fields)[0]
        if isinstance(rows, pa.Table)
        else rows[-1]
    )
    values = [last[bound.fields.index(field)] for field, _ in bound.order]
    return encode_cursor(named_order(bound.order), values)
