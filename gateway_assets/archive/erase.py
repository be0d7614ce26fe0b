"""A subject's rows leave everywhere: hot, all history, copies; a receipt says what was done.

Archived files are written again without the rows, and swapped. Running it again is safe, and after
a crash it is what to do: rows that are gone already are simply not found.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa

from gateway_assets import clock
from gateway_assets.archive import manifest
from gateway_assets.archive.columns import encode
from gateway_assets.archive.duck import counts, scan
from gateway_assets.archive.guard import known_table
from gateway_assets.archive.manifest import ArchiveFile, live_files
from gateway_assets.archive.months import drop_months
from gateway_assets.archive.parquet import raw_rows
from gateway_assets.archive.restore import take_back
from gateway_assets.archive.source import Source
from gateway_assets.archive.swap import replace_files
from gateway_assets.archive.sweep import orphans, sweep
from gateway_assets.errors import UsageError
from gateway_assets.files.appear import appearing, make_directory
from gateway_assets.hot.sql import Fragment, quoted, sql
from gateway_assets.hot.store import writing
from gateway_assets.model import Kind
from gateway_assets.progress import Progress, silent
from gateway_assets.tiers.fields import Field


@dataclass(slots=True)
class Receipt:
    """What was erased. The values looked for are kept as SHA-256 only."""

    table: str
    columns: list[str]
    value_sha256: str
    hot_rows: int = 0
    archived_rows: int = 0
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    remaining_rows: int = 0
    may_still_hold: list[str] = field(default_factory=list)
    at: str = ""
    path: str = ""


def matches(source: Source, given: Mapping[str, str]) -> dict[str, Any]:
    """Texts of a command as values of the columns they name. Raises UsageError."""
    if not given:
        raise UsageError("say whose rows: --match COLUMN=VALUE")
    named = {field.name: field for field in source.table.all_fields}
    values = {}
    for name, text in given.items():
        if name not in named:
            raise UsageError(f"there is no column {name!r}", hint=f"columns: {', '.join(named)}")
        try:
            values[name] = _value(named[name], text)
        except ValueError:
            kind = named[name].kind
            raise UsageError(f"{text!r} is no {kind} as column {name} holds") from None
    return values


def found(source: Source, values: Mapping[str, Any]) -> tuple[int, int]:
    """How many rows match, in hot (hidden copies too) and in archived files."""
    files = live_files(source.connection, source.table)
    return _hot_count(source, values), sum(_counts(source, files, values).values())


def erase(source: Source, values: Mapping[str, Any], progress: Progress = silent) -> Receipt:
    """Remove every row whose columns have these values. Holding the archive's lock."""
    connection, table = source.connection, source.table
    receipt = Receipt(table.name, list(values), _fingerprint(values))
    published = [f for f in live_files(connection, table) if f.state == "published"]
    for file in published:
        if _counts(source, [file], values):
            with writing(connection):
                take_back(connection, file.number)
    sweep(source)
    files = live_files(connection, table)
    matching = _counts(source, files, values)
    for number, file in enumerate(files, start=1):
        if file.number in matching:
            rows = matching[file.number]
            receipt.archived_rows += rows
            receipt.files[file.path] = _erase_from(source, file, values, rows)
        progress(number, len(files))
    sweep(source)
    drop_months(source)
    receipt.hot_rows = _erase_hot(source, values)
    receipt.remaining_rows = sum(found(source, values))
    receipt.may_still_hold = _other_copies(source)
    receipt.at = clock.iso(clock.now())
    return _filed(source, receipt)


def _value(column: Field, text: str) -> Any:
    match column.kind:
        case Kind.INTEGER:
            return int(text)
        case Kind.REAL:
            return float(text)
        case Kind.BLOB:
            return bytes.fromhex(text)
        case Kind.TIME:
            return int(text) if column.format.startswith("epoch") else text
        case _:
            return text


def _erase_from(
    source: Source, file: ArchiveFile, values: Mapping[str, Any], matching: int
) -> dict[str, Any]:
    fields = source.fields_of(file)
    where, params = _condition(source, fields, values)
    path = file.below(source.root)
    cut, cut_params = answered(source, file, fields)
    leaving = scan([path], fields, where=f"{where} AND {cut}", params=[*params, *cut_params])
    keys, sums = _keys_and_sums(source, fields, leaving)
    staying = scan(
        [path], fields, where=f"({where}) IS NOT TRUE AND {cut}", params=[*params, *cut_params]
    )

    def also() -> None:
        _forget_keys(source, keys)
        manifest.count_removed(source.connection, source.table, file.day, "erased", matching, sums)

    new = replace_files(source, [file], staying, fields, also)
    return {"rows": matching, "sha256": file.sha256, "now": new.sha256 if new else "removed"}


def answered(source: Source, file: ArchiveFile, fields: tuple[Field, ...]) -> tuple[str, list[Any]]:
    """A condition for DuckDB: the rows that a file answers for."""
    if file.answers_until is None:
        return "TRUE", []
    time = next(field for field in fields if field.id == source.table.time_field.id)
    return f"{quoted(time.name)} < ?", [_as_stored(time, file.answers_until)]


def _as_stored(column: Field, raw: Any) -> Any:
    """A raw value as it stands in Parquet."""
    if column.kind is not Kind.TIME:
        return str(raw) if column.kind is Kind.ANY else raw
    (array,) = encode(column, [raw])
    return array.to_pylist()[0]


def _condition(
    source: Source, fields: tuple[Field, ...], values: Mapping[str, Any]
) -> tuple[str, list[Any]]:
    ids = {field.name: field.id for field in source.table.all_fields}
    named = {field.id: field for field in fields}
    parts, params = [], []
    for name, value in values.items():
        column = named.get(ids[name])
        if column is None:
            return "FALSE", []  # the file is older than the column
        parts.append(f"{quoted(column.name)} = ?")
        params.append(_as_stored(column, value))
    return " AND ".join(parts), params


def _counts(source: Source, files: list[ArchiveFile], values: Mapping[str, Any]) -> dict[int, int]:
    """How many rows of each file match, by the file's number; files without any are left out."""
    alike: dict[tuple[int, Any], list[ArchiveFile]] = {}
    for file in files:
        if _may_match(source, file, values):
            alike.setdefault((file.schema_version, file.answers_until), []).append(file)
    matching: dict[int, int] = {}
    for group in alike.values():
        fields = source.fields_of(group[0])
        where, params = _condition(source, fields, values)
        cut, cut_params = answered(source, group[0], fields)
        numbers = {file.below(source.root): file.number for file in group}
        rows = counts(list(numbers), f"{where} AND {cut}", [*params, *cut_params])
        matching |= {numbers[path]: count for path, count in rows.items()}
    return matching


def _may_match(source: Source, file: ArchiveFile, values: Mapping[str, Any]) -> bool:
    """Whether the file's smallest and largest values leave room for those looked for."""
    facts = file.columns
    ids = {field.name: field.id for field in source.table.all_fields}
    for column in source.fields_of(file):
        for name, value in values.items():
            if ids[name] == column.id and column.kind in {Kind.INTEGER, Kind.REAL, Kind.TEXT}:
                low, high = facts[column.name]["min"], facts[column.name]["max"]
                if low is not None and low is not False and not low <= value <= high:
                    return False
    return True


def _hot_condition(source: Source, values: Mapping[str, Any]) -> tuple[Fragment, list[Any]]:
    now = {field.name for field in source.table.fields}
    if not values.keys() <= now:
        return Fragment("0"), []
    return Fragment(" AND ".join(f"{quoted(name)} = ?" for name in values)), list(values.values())


def _hot_count(source: Source, values: Mapping[str, Any]) -> int:
    condition, params = _hot_condition(source, values)
    query = sql("SELECT count(*) FROM {t} WHERE {c}", t=source.table.table, c=condition)
    (rows,) = source.connection.execute(query, params).fetchone()
    return int(rows)


def _erase_hot(source: Source, values: Mapping[str, Any]) -> int:
    """Delete in paced chunks; pages are overwritten, and the log is emptied at the end."""
    connection, table = source.connection, source.table
    condition, params = _hot_condition(source, values)
    chosen = sql("SELECT {t}.* FROM {t} WHERE {c}", t=table.table, c=condition)
    if table.shape.has_rowid:
        chosen = sql("SELECT rowid FROM {t} WHERE {c} LIMIT ?", t=table.table, c=condition)
        condition = Fragment(f"rowid IN ({chosen})")
    connection.execute("PRAGMA secure_delete=ON")
    deleted = 0
    while True:
        limit = source.pace.rows
        given = [*params, limit] if table.shape.has_rowid else params
        with source.pace.locking(limit), writing(connection):
            _count_hot_removed(source, condition, given)
            delete = sql("DELETE FROM {t} WHERE {c}", t=table.table, c=condition)
            rows = connection.execute(delete, given).rowcount
        deleted += rows
        if not rows:
            break
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return deleted


def _count_hot_removed(source: Source, condition: Fragment, params: list[Any]) -> None:
    """By day where the sums of a table are kept account of, else all together."""
    table = source.table
    day = Fragment(f"{quoted(table.time)} / {clock.DAY}") if table.own else Fragment("0")
    figures = ", ".join(["count(*)", *(f"sum({quoted(name)})" for name in table.summed)])
    query = sql(
        "SELECT {day}, {figures} FROM {t} WHERE {c} GROUP BY 1",
        day=day,
        figures=Fragment(figures),
        t=table.table,
        c=condition,
    )
    for number, rows, *sums in source.connection.execute(query, params).fetchall():
        named = dict(zip(table.summed, sums, strict=True))
        manifest.count_removed(source.connection, table, number, "erased", rows, named)


def _keys_and_sums(
    source: Source, fields: tuple[Field, ...], batches: Iterator[pa.RecordBatch]
) -> tuple[list[list[list[Any]]], dict[str, int]]:
    """Of the rows that are erased: the values of every key that stays known, and their sums."""
    names = [field.name for field in fields]
    keys: list[list[list[Any]]] = [[] for _ in source.table.dedup]
    sums = dict.fromkeys(source.table.summed, 0)
    for row in (row for batch in batches for row in raw_rows(batch, fields)):
        for place, key in enumerate(source.table.dedup):
            keys[place].append([row[names.index(name)] for name in key])
        for name in sums:
            sums[name] += row[names.index(name)]
    return keys, sums


def _forget_keys(source: Source, keys: list[list[list[Any]]]) -> None:
    for number, (key, values) in enumerate(zip(source.table.dedup, keys, strict=True), start=1):
        same = Fragment(" AND ".join(f"{quoted(name)} = ?" for name in key))
        known = known_table(source.table, number)
        source.connection.executemany(
            sql("DELETE FROM {known} WHERE {same}", known=known, same=same), values
        )


def _fingerprint(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(sorted(values.items()), default=str).encode()).hexdigest()


def _other_copies(source: Source) -> list[str]:
    """Places that are not searched: they were made before, and are left for people to decide."""
    backups = source.root.parent.parent / "backup"
    copies = [
        *backups.glob(f"{source.table.database.stem}-*.db"),
        *(orphans(source.root) / source.table.name).rglob("*.parquet"),
    ]
    return sorted(str(copy) for copy in copies)


def _filed(source: Source, receipt: Receipt) -> Receipt:
    name = f"{receipt.table}-{clock.compact(clock.now())}.json"
    path = source.root.parent / "receipts" / name
    make_directory(path.parent)
    receipt.path = str(path)
    with appearing(path) as file:
        file.write(json.dumps(asdict(receipt), indent=1).encode() + b"\n")
    return receipt
