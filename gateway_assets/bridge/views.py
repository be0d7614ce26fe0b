"""A table's two tiers as DuckDB views: every file with the columns it was written with.

Columns are matched by their ids, so a renamed column is one, an added one is NULL in older files,
and one whose kind widened is shown as the wider kind everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping

import duckdb
import pyarrow as pa

from gateway_assets.archive.columns import encode
from gateway_assets.bridge.engine import exact
from gateway_assets.bridge.scans import TYPES, columns_of
from gateway_assets.bridge.tiers import Cold, ColdFile, Tiers, check_files
from gateway_assets.hot.sql import Fragment, literal, quoted, sql
from gateway_assets.model import Kind
from gateway_assets.tiers.fields import WHOLE_END, Field
from gateway_assets.tiers.tiered import Tiered
from gateway_assets.tiers.times import Epoch, Spelled


def show(
    session: duckdb.DuckDBPyConnection, tiers: Tiers, views: Mapping[str, tuple[bool, bool]]
) -> None:
    """Make views by name, each with the hot part, the cold part, or both.

    Raises ArchiveDamaged for a file that is missing, cut, or holds other bytes.
    """
    check_files(tiers)
    _add_hot(session, tiers)
    hot, cold = hot_parts(tiers), cold_parts(tiers)
    for name, (with_hot, with_cold) in views.items():
        parts = (hot if with_hot else []) + (cold if with_cold else [])
        query = Fragment(_union(tiers, parts))
        session.execute(sql("CREATE TEMP VIEW {view} AS {query}", view=name, query=query))


def all_rows(session: duckdb.DuckDBPyConnection, tiers: Tiers) -> str:
    """The query of both tiers, where a view is not worth its time. Raises as ``show`` does."""
    check_files(tiers)
    _add_hot(session, tiers)
    return _union(tiers, hot_parts(tiers) + cold_parts(tiers))


def _add_hot(session: duckdb.DuckDBPyConnection, tiers: Tiers) -> None:
    if tiers.hot is not None and tiers.hot_rows:
        session.register(_hot_name(tiers.table.name), tiers.hot)


def _union(tiers: Tiers, parts: list[str]) -> str:
    """What nobody asked for was not read: it is there for its columns."""
    return " UNION ALL ".join(parts or [_rows_of_nulls(tiers.table, 0)])


def hot_parts(tiers: Tiers) -> list[str]:
    if tiers.hot is None:
        return [_rows_of_nulls(tiers.table, tiers.hot_rows)] if tiers.hot_rows else []
    return [_hot_part(tiers.table, tiers.hot)] if tiers.hot_rows else []


def cold_parts(tiers: Tiers) -> list[str]:
    parts = [_rows_of_nulls(tiers.table, tiers.counted)] if tiers.counted else []
    for cold in tiers.cold:
        parts += _cold_parts(tiers.table, cold)
    return parts


def _rows_of_nulls(table: Tiered, rows: int) -> str:
    columns = ", ".join(_null(field) for field in columns_of(table))
    return f"SELECT {columns} FROM range({rows})"


def _hot_part(table: Tiered, hot: pa.Table) -> str:
    """Columns that nobody looks at are NULL: they must exist, because what ``*`` and NATURAL JOIN
    mean depends on them.
    """
    present = set(hot.schema.names)
    columns = ", ".join(
        quoted(field.name) if field.name in present else _null(field) for field in columns_of(table)
    )
    return f"SELECT {columns} FROM {quoted(_hot_name(table.name))}"


def _hot_name(table: str) -> str:
    return f"gateway hot rows of {table}"  # no table can be called so


def _cold_parts(table: Tiered, cold: Cold) -> list[str]:
    written = {field.id: field for field in cold.fields}
    columns = ", ".join(
        _cold_column(written[field.id], field) if field.id in written else _default(field)
        for field in columns_of(table)
    )
    whole = [file for file in cold.files if file.answers_until is None]
    parts = [f"SELECT {columns} FROM {_files(whole)}"] if whole else []
    time = written[table.time_field.id]
    for file in cold.files:
        if file.answers_until is not None:
            bound = _constant(time, file.answers_until)
            parts.append(
                f"SELECT {columns} FROM {_files([file])} WHERE {quoted(time.name)} < {bound}"
            )
    return parts


def _files(files: list[ColdFile]) -> str:
    paths = ", ".join(literal(exact(str(file.path))) for file in files)
    return f"read_parquet([{paths}], hive_partitioning = false)"


def _null(field: Field) -> str:
    return f"NULL::{TYPES[field.kind]} AS {quoted(field.name)}"


def _default(field: Field) -> str:
    """What rows have that are older than the column."""
    if field.default is None:
        return _null(field)
    value = _constant(field, field.default)
    return f"{value}::{TYPES[field.kind]} AS {quoted(field.name)}"


def _cold_column(written: Field, now: Field) -> str:
    value = quoted(written.name)
    if written.kind is not now.kind:
        value = _widened(written)
    return f"{value} AS {quoted(now.name)}"


def _widened(written: Field) -> str:
    """The value of an older kind as one of kind ANY shows it."""
    name = quoted(written.name)
    if written.kind is Kind.REAL and written.makes_integers:
        # There, SQLite itself holds whole numbers as integers.
        whole = f"{name} = trunc({name}) AND abs({name}) < {WHOLE_END}"
        return f"CASE WHEN {whole} THEN {name}::BIGINT::VARCHAR ELSE {name}::VARCHAR END"
    if written.kind is Kind.BLOB:
        return f"lower(hex({name}))"
    if written.kind is not Kind.TIME:
        return f"{name}::VARCHAR"
    codec = written.codec
    if isinstance(codec, Epoch):
        return f"(epoch_us({name}) // {1_000_000 // codec.per_second})::VARCHAR"
    text = f"strftime({name}, {literal(codec.duckdb_pattern)})"
    if isinstance(codec, Spelled) and codec.fraction == "[.SSSSSS]":
        return f"replace({text}, '.000000', '')"
    return text


def _constant(time: Field, raw: object) -> str:
    """A raw time as a constant of the column's type in Parquet."""
    if time.kind is Kind.TIME:
        (array,) = encode(time, [raw])
        (moment,) = array.view("int64").to_pylist()
        return f"make_timestamptz({moment})"
    if isinstance(raw, str) or time.kind is Kind.ANY:
        return literal(str(raw))
    return str(raw)
