"""A subject's rows leave everywhere: hot, all history, copies; a receipt says what was done.

Archived files are written again without the rows, and swapped. Running it again is safe, and after
a crash it is what to do: rows that are gone already are simply not found.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from gateway_assets import clock
from gateway_assets.archive import manifest
from gateway_assets.archive.columns import encode
from gateway_assets.archive.duck import counts
from gateway_assets.archive.filters import answering_rows, equal, inverted, stored
from gateway_assets.archive.known import forget_rows
from gateway_assets.archive.manifest import ArchiveFile, live_files
from gateway_assets.archive.monthly import drop_months
from gateway_assets.archive.restore import take_back
from gateway_assets.archive.rows import raw_rows
from gateway_assets.archive.source import Source
from gateway_assets.archive.swap import replace_files
from gateway_assets.archive.sweep import orphans, sweep
from gateway_assets.archive.totals import Totals, expected_sums
from gateway_assets.errors import ArchiveError, UsageError
from gateway_assets.files.appear import appearing, make_directory
from gateway_assets.hot.dirty import unmerged
from gateway_assets.hot.sql import Fragment, quoted, sql
from gateway_assets.hot.store import writing
from gateway_assets.model import Kind
from gateway_assets.progress import Progress, silent
from gateway_assets.tables import rollups_of
from gateway_assets.tiers.fields import Field, Misfit


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


def check_match(source: Source, given: Mapping[str, str]) -> None:
    """Raise UsageError when a text of a command cannot be a value of the column it names."""
    if not given:
        raise UsageError("say whose rows: --match COLUMN=VALUE")
    named = {field.name: field for field in source.table.all_fields}
    for name, text in given.items():
        if name not in named:
            raise UsageError(f"there is no column {name!r}", hint=f"columns: {', '.join(named)}")
        try:
            _raw(named[name], text)
        except (ValueError, Misfit):
            kind = named[name].kind
            raise UsageError(f"{text!r} is no {kind} as column {name} holds") from None


def check_not_computed(source: Source, below: Iterable[Source], given: Mapping[str, str]) -> None:
    """Raise UsageError when a summary's rows would come back with the next computation."""
    table = source.table
    keys = table.own.by if table.own else ()
    if not given.keys() <= set(keys):
        raise UsageError(
            f"{table.name} is computed from other tables",
            hint=f"erase from those, then: gateway rollup --again DAY LAST_DAY; "
            f"of what is gone there, erase by {', '.join(keys)}",
        )
    for lower in below:
        if any(found(lower, given)):
            raise UsageError(
                f"such rows of {table.name} would be computed again from {lower.table.name}",
                hint=f"first: gateway archive erase {lower.table.name} with the same --match",
            )


def found(source: Source, given: Mapping[str, str]) -> tuple[int, int]:
    """How many rows match, in hot (hidden copies too) and in archived files."""
    files = live_files(source.connection, source.table)
    return _hot_count(source, given), sum(_counts(source, files, given).values())


def erase(source: Source, given: Mapping[str, str], progress: Progress = silent) -> Receipt:
    """Remove every row whose columns have these values. Holding the archive's lock."""
    connection, table = source.connection, source.table
    receipt = Receipt(table.name, list(given), _fingerprint(given))
    published = [f for f in live_files(connection, table) if f.state == "published"]
    for file in published:
        # Behind a view, hidden copies may by now be described otherwise than the file has them.
        if table.view or _counts(source, [file], given):
            with writing(connection):
                take_back(connection, file.number)
    sweep(source)
    files = live_files(connection, table)
    matching = _counts(source, files, given)
    for number, file in enumerate(files, start=1):
        if file.number in matching:
            rows = matching[file.number]
            receipt.archived_rows += rows
            receipt.files[file.path] = _erase_from(source, file, given, rows)
        progress(number, len(files))
    sweep(source)
    drop_months(source)
    receipt.hot_rows = _erase_hot(source, given)
    receipt.remaining_rows = sum(found(source, given))
    receipt.may_still_hold = _other_copies(source)
    receipt.at = clock.iso(clock.now())
    return _filed(source, receipt)


def _raw(column: Field, text: str) -> Any:
    """A text of a command as a raw value of a column; of kind ANY, as its values are shown."""
    match column.kind:
        case Kind.INTEGER:
            return int(text)
        case Kind.REAL:
            return float(text)
        case Kind.BLOB:
            return bytes.fromhex(text)
        case Kind.TIME:
            raw = int(text) if column.format.startswith("epoch") else text
            encode(column, [raw])
            return raw
        case _:
            return text


def _erase_from(
    source: Source, file: ArchiveFile, given: Mapping[str, str], matching: int
) -> dict[str, Any]:
    fields = source.fields_of(file)
    values = _stored_values(source, fields, given)
    assert values is not None
    mask = equal(fields, values)
    rows = [
        row
        for batch in answering_rows(source, file, fields, mask)
        for row in raw_rows(batch, fields)
    ]
    names = [field.name for field in fields]
    sums = {
        name: sum(row[names.index(name)] or 0 for row in rows)
        for name in source.table.summed
        if name in names
    }

    def also() -> None:
        forget_rows(source, fields, rows)
        manifest.count_removed(source.connection, source.table, file.day, "erased", matching, sums)

    staying = answering_rows(source, file, fields, inverted(mask))
    new = replace_files(source, [file], staying, fields, also)
    return {"rows": matching, "sha256": file.sha256, "now": new.sha256 if new else "removed"}


def _stored_values(
    source: Source, fields: Sequence[Field], given: Mapping[str, str]
) -> dict[int, Any] | None:
    """What to look for in a file, by its columns' ids; None when it cannot hold such a row."""
    ids = {field.name: field.id for field in source.table.all_fields}
    named = {field.id: field for field in fields}
    values = {}
    for name, text in given.items():
        column = named.get(ids[name])
        if column is None:
            return None  # the file is older than the column
        try:
            values[column.id] = stored(column, _raw(column, text))
        except (ValueError, OverflowError, Misfit):
            return None
    return values


def _counts(source: Source, files: list[ArchiveFile], given: Mapping[str, str]) -> dict[int, int]:
    """How many rows of each file match, by the file's number; files without any are left out."""
    alike: dict[int, list[ArchiveFile]] = {}
    matching: dict[int, int] = {}
    for file in files:
        if file.answers_until is None:
            alike.setdefault(file.schema_version, []).append(file)
            continue
        fields = source.fields_of(file)
        values = _stored_values(source, fields, given)
        if values is not None:
            rows = answering_rows(source, file, fields, equal(fields, values))
            matching[file.number] = sum(batch.num_rows for batch in rows)
    for group in alike.values():
        fields = source.fields_of(group[0])
        values = _stored_values(source, fields, given)
        if values is None:
            continue
        named = {field.id: field for field in fields}
        likely = [file for file in group if _may_match(file, named, values)]
        if not likely:
            continue
        numbers = {file.below(source.root): file.number for file in likely}
        where = " AND ".join(f"{quoted(named[number].name)} = ?" for number in values)
        params = [value.as_py() for value in values.values()]
        for path, rows_there in counts(list(numbers), where, params).items():
            matching[numbers[path]] = rows_there
    return {number: rows_there for number, rows_there in matching.items() if rows_there}


def _may_match(file: ArchiveFile, named: dict[int, Field], values: dict[int, Any]) -> bool:
    """Whether the file's smallest and largest values leave room for those looked for."""
    facts = file.columns
    for number, value in values.items():
        if named[number].kind in {Kind.INTEGER, Kind.REAL, Kind.TEXT}:
            low, high = (facts[named[number].name][end] for end in ("min", "max"))
            if low is not None and low is not False and not low <= value.as_py() <= high:
                return False
    return True


def _hot_condition(source: Source, given: Mapping[str, str]) -> tuple[Fragment, list[Any]]:
    now = {field.name: field for field in source.table.fields}
    if not given.keys() <= now.keys():
        return Fragment("0"), []
    parts, params = [], []
    for name, text in given.items():
        column = quoted(name)
        if now[name].kind is Kind.ANY:
            column = (
                f"CASE typeof({column}) WHEN 'blob' THEN lower(hex({column})) "
                f"ELSE CAST({column} AS TEXT) END"
            )
        parts.append(f"{column} = ?")
        params.append(_raw(now[name], text))
    return Fragment(" AND ".join(parts)), params


def _hot_count(source: Source, given: Mapping[str, str]) -> int:
    condition, params = _hot_condition(source, given)
    query = sql("SELECT count(*) FROM {rows} WHERE {c}", rows=source.table.rows, c=condition)
    (rows,) = source.connection.execute(query, params).fetchone()
    return int(rows)


def _erase_hot(source: Source, given: Mapping[str, str]) -> int:
    """Delete in paced chunks; pages are overwritten, and the log is emptied at the end."""
    connection, table = source.connection, source.table
    asked, params = _hot_condition(source, given)
    condition = Fragment(
        sql(
            "({key}) IN (SELECT {key} FROM {rows} WHERE {asked} LIMIT ?)",
            key=table.key,
            rows=table.rows,
            asked=asked,
        )
    )
    connection.execute("PRAGMA secure_delete=ON")
    deleted = 0
    while True:
        limit = source.pace.rows
        bound = [*params, limit]
        with source.writing(limit):
            _count_hot_removed(source, condition, bound)
            delete = sql("DELETE FROM {t} WHERE {c}", t=table.table, c=condition)
            rows = _deleted(source, delete, bound)
        deleted += rows
        if not rows:
            break
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return deleted


def _deleted(source: Source, delete: str, params: list[Any]) -> int:
    try:
        return source.connection.execute(delete, params).rowcount
    except sqlite3.IntegrityError as error:
        children = ", ".join(sorted({one.child for one in source.table.shape.references}))
        raise ArchiveError(
            f"{source.table.name}: {error}: rows of {children} refer to it",
            hint="erase those first; what was archived of this table is erased already",
        ) from None


def _count_hot_removed(source: Source, condition: Fragment, params: list[Any]) -> None:
    """Also as removed from each roll-up that will never see the rows, as it has not merged them."""
    connection, table = source.connection, source.table
    for day, gone in _by_day(source, condition, params):
        manifest.count_removed(connection, table, day, "erased", gone.rows, gone.sums)
    for above in rollups_of(table.name) if table.own else ():
        if above.rollup:
            unseen = Fragment(f"({condition}) AND {unmerged(above)}")
            for day, gone in _by_day(source, unseen, params):
                sums = expected_sums(above, gone)
                reason = "before the roll-up"
                manifest.count_removed(connection, above, day, reason, gone.rows, sums)


def _by_day(source: Source, condition: Fragment, params: list[Any]) -> list[tuple[int, Totals]]:
    """Rows and sums by day where the sums of a table are kept account of, else all together."""
    table = source.table
    day = Fragment(f"{quoted(table.time)} / {clock.DAY}") if table.own else Fragment("0")
    figures = ", ".join(
        ["count(*)", *(f"COALESCE(sum({quoted(name)}), 0)" for name in table.summed)]
    )
    query = sql(
        "SELECT {day}, {figures} FROM {t} WHERE {c} GROUP BY 1",
        day=day,
        figures=Fragment(figures),
        t=table.table,
        c=condition,
    )
    return [
        (number, Totals(rows, dict(zip(table.summed, sums, strict=True))))
        for number, rows, *sums in source.connection.execute(query, params).fetchall()
    ]


def _fingerprint(given: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(sorted(given.items())).encode()).hexdigest()


def _other_copies(source: Source) -> list[str]:
    """Places that are not searched: they were made before, and are left for people to decide."""
    backups = source.root.parent.parent / "backup"
    copies = [
        *backups.glob(f"{source.table.database.stem}-*.db"),
        *(record.parent for record in backups.glob("*/backup.json")),
        *(orphans(source.root) / source.table.name).rglob("*.parquet"),
    ]
    found = sorted(str(copy) for copy in copies)
    table = source.table
    return [*found, f"{table.database}: what {table.view} adds"] if table.view else found


def _filed(source: Source, receipt: Receipt) -> Receipt:
    name = f"{receipt.table}-{clock.compact(clock.now())}.json"
    path = source.root.parent / "receipts" / name
    make_directory(path.parent)
    receipt.path = str(path)
    with appearing(path) as file:
        file.write(json.dumps(asdict(receipt), indent=1).encode() + b"\n")
    return receipt
