"""Rows of a PostgreSQL table in order of time, as of one moment, however long the table is.

A named cursor of a read-only transaction hands rows over in batches. The server is asked to stop a
batch that takes too long; from a server that does not even do that, the connection is taken.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from gateway_assets import clock
from gateway_assets.collect.deadline import shut_down_at
from gateway_assets.errors import ConfigError, PullError, PullUnavailable
from gateway_assets.points.pull_rows import Row
from gateway_assets.points.pulls import Pull

_YEAR_ONE = -62_135_596_800 * clock.SECOND
_PATIENCE = 2.0  # seconds in which a server that was asked to stop a statement may say so
_NUMBERS = {"int2", "int4", "int8", "float4", "float8", "numeric", "bool"}
_WHOLE = {"int2", "int4", "int8"}
_JSON = {"json", "jsonb"}
_TEXTS = {"text", "varchar", "bpchar", "name", "citext", "uuid", "inet", *_JSON}
_TIMES = {"timestamptz", "timestamp"}

# Of a domain, the type below it. Enumerations are texts.
_COLUMNS = """
SELECT a.attname, CASE WHEN t.typtype = 'e' THEN 'text' ELSE t.typname END
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_type d ON d.oid = a.atttypid
JOIN pg_catalog.pg_type t ON t.oid = coalesce(nullif(d.typbasetype, 0), d.oid)
WHERE a.attrelid = {} AND a.attnum > 0 AND NOT a.attisdropped
"""


_BOUND = "SELECT (extract(epoch FROM now() - make_interval(secs => {})) * 1000000)::bigint"


class Query(NamedTuple):
    """``rows`` is how many the server believes to find."""

    select: sql.Composed
    rows: int


class Source:
    """One table, through one connection and one transaction."""

    def __init__(
        self, connection: psycopg.Connection[Any], cursor: psycopg.ServerCursor[Any], pull: Pull
    ) -> None:
        self._connection = connection
        self._cursor = cursor
        self._pull = pull
        with self._in_time():
            self._ask(
                sql.SQL("SET LOCAL statement_timeout = {}").format(int(pull.timeout_seconds * 1000))
            )
            self._ask(sql.SQL("SET LOCAL TimeZone = 'UTC'"))
            self._table, self._types = self._reflected()
        self._check()

    @property
    def spread(self) -> frozenset[str]:
        """Tags that come from columns of JSON."""
        columns = self._pull.tag_columns
        return frozenset(tag for tag, column in columns if self._types[column] in _JSON)

    def query(self, since: int | None) -> Query:
        """Rows from ``since`` (microseconds, included) on, but for those younger than the lag.

        Raises PullError and PullUnavailable.
        """
        moment = sql.Identifier(self._pull.time)
        with self._in_time():
            bound = self._ask(sql.SQL(_BOUND).format(float(self._pull.lag_seconds)))[0][0]
            select = sql.SQL("SELECT {} FROM {} WHERE {} < {} AND {} >= {} ORDER BY {}").format(
                sql.SQL(", ").join(self._columns(moment)),
                self._table,
                moment,
                self._constant(clock.iso(bound)),
                moment,
                self._constant(_beginning(since)),
                moment,
            )
            plan = self._ask(sql.SQL("EXPLAIN (FORMAT JSON) {}").format(select))[0][0]
        return Query(select, int(plan[0]["Plan"]["Plan Rows"]))

    def batches(self, query: Query) -> Iterator[list[Row]]:
        """Raises PullError and PullUnavailable."""
        with self._in_time():
            self._cursor.execute(query.select)
        while True:
            with self._in_time():
                rows = self._cursor.fetchmany(self._pull.batch_rows)
            if not rows:
                return
            yield rows

    def _ask(self, statement: sql.SQL | sql.Composed) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(statement)
        return cursor.fetchall() if cursor.description else []

    def _reflected(self) -> tuple[sql.Composable, dict[str, str]]:
        """The table as the server spells it, and the types of its columns."""
        name = sql.Literal(self._pull.table)
        ((found, number),) = self._ask(
            sql.SQL("SELECT to_regclass({0})::text, to_regclass({0})::oid").format(name)
        )
        if found is None:
            raise PullError(
                f"pull {self._pull.name}: there is no table {self._pull.table!r}",
                hint="table: its name as SQL has it, with the schema, and quotes where needed",
            )
        rows = self._ask(sql.SQL(_COLUMNS).format(int(number)))
        return sql.SQL(found), dict(rows)

    def _check(self) -> None:
        """Raise ConfigError for columns that are not there or cannot be what they are named for."""
        pull = self._pull
        for _, column in pull.tag_columns:
            self._must_be(column, None)
        for _, column in pull.field_columns:
            self._must_be(column, _NUMBERS | _TEXTS)
        self._must_be(pull.time, _TIMES)
        if pull.unit:
            self._must_be(pull.unit, _TEXTS - _JSON)
        if pull.quality:
            self._must_be(pull.quality, _WHOLE)

    def _must_be(self, column: str, types: set[str] | None) -> None:
        found = self._types.get(column)
        if found is None:
            raise ConfigError(
                f"pull {self._pull.name}: {self._pull.table} has no column {column!r}",
                hint=f"columns: {', '.join(self._types)}",
            )
        if types is not None and found not in types:
            raise ConfigError(
                f"pull {self._pull.name}: column {column!r} is of type {found}, not one of "
                f"{', '.join(sorted(types))}",
                hint="a view can have it as one of them",
            )

    def _columns(self, moment: sql.Identifier) -> list[sql.Composable]:
        pull = self._pull
        time = "CASE WHEN isfinite({0}) THEN (extract(epoch FROM {0}) * 1000000)::bigint END"
        tags = [_as_text(column) for _, column in pull.tag_columns]
        fields = [
            _as_text(column) if self._types[column] in _TEXTS else sql.Identifier(column)
            for _, column in pull.field_columns
        ]
        return [sql.SQL(time).format(moment), *tags, *fields]

    def _constant(self, moment: str) -> sql.Composed:
        """A moment as a constant of the column's own type, so that indexes and chunks are used."""
        kind = sql.SQL(self._types[self._pull.time])
        # Without its zone: the transaction's is UTC, and a timestamp has none.
        return sql.SQL("{}::{}").format(sql.Literal(moment.removesuffix("Z")), kind)

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        pull = self._pull
        deadline = time.monotonic() + pull.timeout_seconds + _PATIENCE
        handle = socket.socket(fileno=os.dup(self._connection.fileno()))
        with closing(handle), shut_down_at(handle, deadline) as watch:
            try:
                yield
            except psycopg.errors.QueryCanceled:
                raise PullError(
                    f"pull {pull.name}: no batch came within {pull.timeout_seconds:g} s",
                    hint=f"an index on {pull.time!r}, a smaller batch_rows or more timeout_seconds",
                ) from None
            except psycopg.Error as error:
                if watch.fired:
                    raise PullUnavailable(
                        f"pull {pull.name}: the server has said nothing for "
                        f"{pull.timeout_seconds + _PATIENCE:g} s",
                        hint=_AGAIN,
                    ) from None
                raise _explained(pull, error) from None


@contextmanager
def opened(pull: Pull) -> Iterator[Source]:
    """Connect, and begin the transaction. Raises ConfigError, PullError and PullUnavailable."""
    try:
        conninfo_to_dict(pull.url)
    except psycopg.Error:
        # The library's words would repeat parts of the URL, the password maybe.
        raise ConfigError(
            f"pull {pull.name}: what {pull.url_env or pull.url_file} holds is no PostgreSQL URL",
            hint="postgresql://user:password@host:5432/database",
        ) from None
    try:
        connection = psycopg.connect(
            pull.url,
            connect_timeout=max(2, min(10, round(pull.timeout_seconds))),
            fallback_application_name="gateway pull",
            client_encoding="UTF8",
        )
    except psycopg.Error as error:
        raise _explained(pull, error) from None
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    cursor = connection.cursor(name="gateway_pull")
    with closing(cursor), closing(connection):  # the connection first: a hung server is not asked
        yield Source(connection, cursor, pull)


_AGAIN = "nothing is lost: gateway pull goes on where it was"


def _explained(pull: Pull, error: psycopg.Error) -> PullError:
    what = f"pull {pull.name}: {'; '.join(str(error).strip().splitlines()[:2])}"
    if isinstance(error, psycopg.OperationalError):
        return PullUnavailable(what, hint=_AGAIN)
    hints = {
        psycopg.errors.InsufficientPrivilege: "its user needs USAGE of the schema and SELECT",
        psycopg.DataError: "a view can leave out, or convert, what cannot be read",
    }
    hint = next((hint for kind, hint in hints.items() if isinstance(error, kind)), "")
    return PullError(what, hint=hint)


def _beginning(since: int | None) -> str:
    return "-infinity" if since is None or since < _YEAR_ONE else clock.iso(since)


def _as_text(column: str) -> sql.Composed:
    return sql.SQL("{}::text").format(sql.Identifier(column))
