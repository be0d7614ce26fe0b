"""Hidden rows leave the hot table, after they were compared with the file once more.

Rows go in the order of their times, in short transactions with pauses between, so that other
writers wait milliseconds and the write-ahead log stays small. Each transaction moves the file's
``hidden_from`` and deletes what lies before it: a crash in between leaves fewer hidden rows, and a
change of a row that is still hidden finds it whole (see ``guard``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from gateway_assets import clock
from gateway_assets.archive import manifest
from gateway_assets.archive.chunks import by_count, by_spans, is_spanned
from gateway_assets.archive.facts import hashed
from gateway_assets.archive.guard import check_guarded
from gateway_assets.archive.known import remember
from gateway_assets.archive.manifest import ArchiveFile
from gateway_assets.archive.parquet import read_batches
from gateway_assets.archive.reading import UndecodableText, batches, tolerate
from gateway_assets.archive.rows import arrow_schema, raw_rows
from gateway_assets.archive.source import Source
from gateway_assets.archive.verify import damage
from gateway_assets.errors import ArchiveDamaged, ArchiveError
from gateway_assets.hot.sql import Fragment, quoted, sql
from gateway_assets.hot.store import reading
from gateway_assets.tiers.fields import Misfit
from gateway_assets.tiers.tiered import Tiered

TAKEN_BACK = "its rows changed meanwhile; it is archived again by the next run"


class Pruned(NamedTuple):
    """How many rows went, and why no more of them can (empty when they can, or all have gone)."""

    rows: int
    stopped: str = ""


def prune(source: Source, file: ArchiveFile) -> Iterator[Pruned]:
    """Delete the hot copies of a published file's rows, a chunk each time it is advanced.

    A file that this very run has read back is not read a third time: the guard would have taken
    its publication back had a row changed since.

    Raises ArchiveDamaged when the file does not hold what the manifest says, ArchiveError when a
    hot copy differs from it; nothing is deleted then.
    """
    if file.number not in source.fresh:
        try:
            found = damage(file, source.fields_of(file), source.root)
            if found:
                raise ArchiveDamaged(found, hint="nothing was deleted; see: gateway archive verify")
            _compare(source, file)
        except ArchiveError:
            if _is_published(source, file.number):
                raise
            # Taken back while it was compared: its rows are hot again.
            yield Pruned(0, TAKEN_BACK)
            return
    more = True
    while more:
        more, pruned = _prune_chunk(source, file.number)
        yield pruned


def _is_published(source: Source, number: int) -> bool:
    file = manifest.file_numbered(source.connection, number)
    return file is not None and file.state == "published"


def _hidden_query(
    table: Tiered, file: ArchiveFile, columns: Sequence[str]
) -> tuple[str, tuple[Any, ...]]:
    """The hot copies of a file's rows, in the file's order."""
    condition, params = _hidden(table, file)
    query = sql(
        "SELECT {columns} FROM {table} WHERE {condition} ORDER BY {order}",
        columns=columns,
        table=table.table,
        condition=condition,
        order=table.named(json.loads(file.row_order)),
    )
    return query, params


def _hidden(table: Tiered, file: ArchiveFile) -> tuple[Fragment, tuple[Any, ...]]:
    name = quoted(table.time)
    eligible = table.eligible_by(file.time_format, file.let_go)
    text = f"{name} >= ? AND {name} < ? AND {eligible}"
    if not table.written.is_exact:
        text += f" AND {table.day_of(name)} = {file.day}"
    return Fragment(text), (file.hidden_from, file.hidden_until)


def _compare(source: Source, file: ArchiveFile) -> None:
    """What is about to be deleted must be in the file, value by value."""
    try:
        with reading(source.connection):
            same = _is_same(source, file)
    except UndecodableText:
        tolerate(source.connection)
        return _compare(source, file)
    except Misfit:
        same = False
    if not same:
        raise ArchiveError(
            f"{file.path}: a hot row differs from its archived copy",
            hint="nothing was deleted and the archived copy answers; to take the hot rows instead: "
            f"gateway archive restore {source.table.name} {clock.day_text(file.day)}",
        )
    return None


def _is_same(source: Source, file: ArchiveFile) -> bool:
    fields = source.fields_of(file)
    # What a view adds may have changed since; the file keeps what it was.
    now = {field.id: field.name for field in source.table.table_fields}
    there = [place for place, field in enumerate(fields) if field.id in now]
    kept = [fields[place] for place in there]
    query = _hidden_query(source.table, file, [now[field.id] for field in kept])
    hot = batches(source.connection.execute(*query), kept, source.batch_size, source.memory)
    cold = read_batches(file.below(source.root), fields)
    if file.hidden_from == file.day_from:
        if len(kept) == len(fields):
            return hashed(hot, fields) == (file.rows, file.content_hash)
        names = arrow_schema(kept).names
        return hashed(hot, kept) == hashed((batch.select(names) for batch in cold), kept)
    return _is_subsequence(
        (row for batch in hot for row in raw_rows(batch, kept)),
        (tuple(row[place] for place in there) for batch in cold for row in raw_rows(batch, fields)),
    )


def _prune_chunk(source: Source, number: int) -> tuple[bool, Pruned]:
    """Delete one chunk; whether there may be more."""
    connection, table = source.connection, source.table
    source.check_in_place()
    # Lost with the power, a chunk is hidden again: its file is on disk since it was published.
    with source.writing(source.pace.rows, lightly=True):
        file = manifest.file_numbered(connection, number)
        if file is None or file.state != "published":
            return False, Pruned(0, TAKEN_BACK)
        check_guarded(connection, table)
        bound = _boundary(source, file)
        chunk = file.hidden_until if bound is None else bound
        condition, params = _hidden(table, file)
        params = (params[0], chunk)
        needed = _still_needed(source, condition, params)
        if needed:
            return False, Pruned(0, needed)
        last = bound is None
        manifest.update(
            connection, number, hidden_from=chunk, state="archived" if last else "published"
        )
        remember(source, file.day, condition, params)
        delete = sql(
            "DELETE FROM {table} WHERE {condition}", table=table.table, condition=condition
        )
        pruned = Pruned(connection.execute(delete, params).rowcount)
    return not last, pruned


def _boundary(source: Source, file: ArchiveFile) -> Any:
    """The raw time before which the next chunk lies; None when the rest is one chunk."""
    find = by_spans if is_spanned(source.connection, source.table) else by_count
    return find(source, file.hidden_from, file.hidden_until)


def _still_needed(source: Source, condition: Fragment, params: tuple[Any, ...]) -> str:
    """Why rows may not be deleted yet although their copies are safe."""
    table, shape = source.table, source.table.shape
    if shape.reuses_ids:
        largest = sql("SELECT max({key}) FROM {table}", table=table.table, key=shape.integer_key)
        query = sql(
            "SELECT 1 FROM {table} WHERE {key} = ? AND {condition}",
            table=table.table,
            condition=condition,
            key=shape.integer_key,
        )
        held = source.connection.execute(largest).fetchone()
        if source.connection.execute(query, (*held, *params)).fetchone():
            return "holds the largest id: without its row SQLite would give that id again"
    for reference in shape.references:
        # A table that refers to itself: rows that leave together need not wait for each other.
        itself = reference.child.lower() == table.table.lower()
        leaving = _child_leaves(table, condition) if itself else Fragment("0")
        same = " AND ".join(
            f"gateway_archive_child.{quoted(column)} = {quoted(table.table)}.{quoted(parent)}"
            for column, parent in zip(reference.columns, reference.parents, strict=True)
        )
        query = sql(
            "SELECT 1 FROM {table} WHERE {condition} AND EXISTS "
            "(SELECT 1 FROM {child} AS gateway_archive_child WHERE {same} AND NOT {leaving}) "
            "LIMIT 1",
            table=table.table,
            condition=condition,
            child=reference.child,
            same=Fragment(same),
            leaving=leaving,
        )
        given = (*params, *params) if itself else params
        if source.connection.execute(query, given).fetchone():
            return f"rows of {reference.child} still refer to it; archive that table first"
    return ""


def _child_leaves(table: Tiered, condition: Fragment) -> Fragment:
    """Whether a referring row of the same table is among those that leave."""
    key = [table.shape.rowid] if table.shape.rowid else list(table.shape.primary_key)
    return Fragment(
        sql(
            "({child}) IN (SELECT {key} FROM {table} WHERE {condition})",
            child=Fragment(", ".join(f"gateway_archive_child.{quoted(name)}" for name in key)),
            key=key,
            table=table.table,
            condition=condition,
        )
    )


def _is_subsequence(part: Iterator[Any], whole: Iterator[Any]) -> bool:
    """Whether ``part`` is ``whole`` with nothing but omissions; ``in`` consumes the iterator."""
    return all(row in whole for row in part)
