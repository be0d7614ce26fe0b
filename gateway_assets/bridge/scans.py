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
from gateway_assets.table import Table

TYPES = {
    Kind.TIME: "TIMESTAMPTZ",
    Kind.INTEGER: "BIGINT",
    Kind.REAL: "DOUBLE",
    Kind.TEXT: "VARCHAR",
}
# These would conclude something from the tables being empty, or add filters of their own making.
_DISABLED = (
    "statistics_propagation,empty_result_pullup,column_lifetime,late_materialization,"
    "join_filter_pushdown"
)
_BOUND = r"\(time (>=|>|<=|<|=) '(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?)\+00'::[A-Z ]+\)"
_PIECE = rf"(?:optional: )?{_BOUND}"
_BOUNDS = re.compile(rf"\(?{_PIECE}(?: AND {_PIECE})*\)?")


class Need(NamedTuple):
    """Columns, and moments in the half-open range ``[start, end)``."""

    columns: frozenset[str]
    start: int = INT64_MIN
    end: int = INT64_MAX


def everything(table: Table) -> Need:
    return Need(frozenset(column.name for column in table.stored))


def needs(
    session: duckdb.DuckDBPyConnection,
    text: str,
    params: Sequence[Any],
    tables: Collection[Table],
) -> dict[str, Need]:
    """What a statement needs of each table; everything where DuckDB does not tell."""
    for table in tables:
        columns = ", ".join(f"{quoted(c.name)} {TYPES[c.kind]}" for c in table.stored)
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


def _need(table: Table, scans: list[dict[str, Any]]) -> Need:
    found = [
        _scan_need(table, scan)
        for scan in scans
        if str(scan["Table"]).rpartition(".")[2].strip('"') == table.name
    ]
    if not found:
        return everything(table)
    columns = frozenset(name for need in found for name in need.columns)
    return Need(columns, min(need.start for need in found), max(need.end for need in found))


def _scan_need(table: Table, scan: dict[str, Any]) -> Need:
    filters = _texts(scan.get("Filters"))
    mentioned = {word for text in filters for word in re.findall(r"\w+", text)}
    projected = {name.strip('"') for name in _texts(scan.get("Projections"))}
    known = {column.name for column in table.stored}
    if not projected <= known:
        return everything(table)
    start, end = INT64_MIN, INT64_MAX
    for text in filters:
        if _BOUNDS.fullmatch(text):
            for operator, moment in re.findall(_BOUND, text):
                low, high = _range(operator, clock.parse_moment(moment))
                start, end = max(start, low), min(end, high)
    # now() has moved on until the statement runs; what is recent is never cut off.
    if end > clock.now() - clock.DAY:
        end = INT64_MAX
    return Need(frozenset(projected | (mentioned & known)), start, end)


def _texts(value: str | list[str] | None) -> list[str]:
    if not value:
        return []
    return [value] if isinstance(value, str) else value


def _range(operator: str, moment: int) -> tuple[int, int]:
    return {
        ">=": (moment, INT64_MAX),
        ">": (moment, INT64_MAX),
        "<=": (INT64_MIN, moment + 1),
        "<": (INT64_MIN, moment + 1),
        "=": (moment, moment + 1),
    }[operator]
