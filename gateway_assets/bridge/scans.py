"""What a statement needs of each table: which columns, and which range of time.

DuckDB itself is asked, by EXPLAIN on empty tables of the same columns: its optimizer has pushed
filters and projections down to the scans by then. Only conditions that are fully understood
narrow anything; all others are left to the engine, which filters again in any case. So what is
read is never less than what the answer needs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import duckdb

from gateway_assets import clock
from gateway_assets.hot.sql import Fragment, quoted, sql
from gateway_assets.model import INT64_MAX, INT64_MIN, Kind
from gateway_assets.tiers.fields import Field
from gateway_assets.tiers.tiered import Tiered
from gateway_assets.tiers.times import Epoch

TYPES = {
    Kind.TIME: "TIMESTAMPTZ",
    Kind.INTEGER: "BIGINT",
    Kind.REAL: "DOUBLE",
    Kind.TEXT: "VARCHAR",
    Kind.BLOB: "BLOB",
    Kind.ANY: "VARCHAR",
}
# These would conclude something from the tables being empty, or add filters of their own making.
_DISABLED = (
    "statistics_propagation,empty_result_pullup,column_lifetime,late_materialization,"
    "join_filter_pushdown"
)
_MOMENT = r"'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?\+00'::[A-Z ]+"
_WRITTEN = {
    Kind.TIME: _MOMENT,
    Kind.INTEGER: r"\d+",
    Kind.TEXT: r"'\d{4}-\d\d-\d\d[^']*'",
}


class Need(NamedTuple):
    """Columns, and moments in the half-open range ``[start, end)``."""

    columns: frozenset[str]
    start: int = INT64_MIN
    end: int = INT64_MAX


def everything(table: Tiered) -> Need:
    return Need(frozenset(field.name for field in columns_of(table)))


def columns_of(table: Tiered) -> list[Field]:
    """The columns that a query sees: those of the table now, then those that it once had."""
    taken = {field.name.lower() for field in table.fields}
    columns = list(table.fields)
    for field in table.dropped:
        name = field.name
        while name.lower() in taken:
            name = f"{name}_{field.id}"
        taken.add(name.lower())
        columns.append(field._replace(name=name))
    return columns


def needs(
    session: duckdb.DuckDBPyConnection,
    text: str,
    params: Sequence[Any],
    tables: Collection[Tiered],
) -> dict[str, Need]:
    """What a statement needs of each table; everything where DuckDB does not tell."""
    for table in tables:
        columns = ", ".join(f"{quoted(c.name)} {TYPES[c.kind]}" for c in columns_of(table))
        create = "CREATE TABLE {table} ({columns})"
        session.execute(sql(create, table=table.name, columns=Fragment(columns)))
    session.execute(f"SET disabled_optimizers = '{_DISABLED}'")
    try:
        explained = session.execute(f"EXPLAIN (FORMAT JSON) {text}", list(params) or None)
        plan = json.loads(explained.fetchall()[0][1])
    except (duckdb.Error, ValueError, IndexError):
        plan = []  # the statement itself will tell what is wrong with it
    finally:
        session.execute("RESET disabled_optimizers")
        for table in tables:
            session.execute(sql("DROP TABLE {table}", table=table.name))
    scans = [scan for root in plan for scan in _scans(root)]
    return {table.name: _need(table, scans) for table in tables}


def _scans(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "Table" in node.get("extra_info", {}):
        yield node["extra_info"]
    for child in node.get("children", []):
        yield from _scans(child)


def _need(table: Tiered, scans: list[dict[str, Any]]) -> Need:
    found = [
        _scan_need(table, scan)
        for scan in scans
        if str(scan["Table"]).rpartition(".")[2].strip('"') == table.name
    ]
    if not found:
        return everything(table)
    columns = frozenset(name for need in found for name in need.columns)
    return Need(columns, min(need.start for need in found), max(need.end for need in found))


def _scan_need(table: Tiered, scan: dict[str, Any]) -> Need:
    filters = _texts(scan.get("Filters"))
    projected = {_unquoted(name) for name in _texts(scan.get("Projections"))}
    known = {field.name for field in columns_of(table)}
    # A name that is no word counts as mentioned wherever its letters stand.
    said = "\n".join(filters).lower()
    words = set(re.findall(r"\w+", said))
    mentioned = {name for name in known if _is_said(name.lower(), said, words)}
    if not projected <= known:
        return everything(table)
    start, end = INT64_MIN, INT64_MAX
    for low, high in _bounds(table, filters):
        start, end = max(start, low), min(end, high)
    # now() has moved on until the statement runs; what is recent is never cut off.
    if end > clock.now() - clock.DAY:
        end = INT64_MAX
    return Need(frozenset(projected | mentioned), start, end)


def _is_said(name: str, said: str, words: set[str]) -> bool:
    if re.fullmatch(r"\w+", name):
        return name in words
    return name in said or name.replace('"', '""') in said


def _unquoted(name: str) -> str:
    if len(name) > 1 and name[0] == name[-1] == '"':
        return name[1:-1].replace('""', '"')
    return name


def _texts(value: str | list[str] | None) -> list[str]:
    if not value:
        return []
    return [value] if isinstance(value, str) else value


def _bounds(table: Tiered, filters: list[str]) -> Iterator[tuple[int, int]]:
    """What conditions on the time column say about moments."""
    written = _WRITTEN.get(table.time_field.kind)
    if written is None:
        return
    name = re.escape(table.time)
    bound = rf'"?{name}"? (>=|>|<=|<|=) ({written})'
    piece = rf"(?:optional: )?\({bound}\)"
    pieces = re.compile(rf"\(?{piece}(?: AND {piece})*\)?")
    for text in filters:
        if pieces.fullmatch(text):
            for operator, constant in re.findall(bound, text):
                yield _range(operator, *_moments(table, constant))


def _moments(table: Tiered, constant: str) -> tuple[int, int]:
    """The first and the last moment that a constant of the time column may mean."""
    text = constant.partition("::")[0].strip("'")
    if table.time_field.kind is Kind.TIME:
        moment = clock.parse_moment(text)
        return moment, moment
    if isinstance(table.written, Epoch):
        moment = int(text) * clock.SECOND // table.written.per_second
        return moment, moment + 1
    # Zone offsets reach fourteen hours: a day more on each side.
    day = table.written.day(text)
    if day is None:
        return INT64_MIN, INT64_MAX
    return clock.day_range(day - 1)[0], clock.day_range(day + 1)[1]


def _range(operator: str, first: int, last: int) -> tuple[int, int]:
    """Half-open, and never narrower than the condition."""
    return {
        ">=": (first, INT64_MAX),
        ">": (first, INT64_MAX),
        "<=": (INT64_MIN, min(last, INT64_MAX - 1) + 1),
        "<": (INT64_MIN, min(last, INT64_MAX - 1) + 1),
        "=": (first, min(last, INT64_MAX - 1) + 1),
    }[operator]
