"""Triggers that notice changes of rows which are archived already, or just being archived.

Any application may go on writing. What happens to a row of a day that is

    being written   calls the file off; the day is exported again by the next run
    published       takes the publication back: all hot copies are still there and show again
    being pruned    the file answers for what has been pruned only; the rest shows again

A DELETE of a hidden copy does nothing: the row is archived, its copy leaves by itself. Only
``erase`` removes archived rows. Keys that a UNIQUE constraint watched over stay known after their
rows have left: the same key cannot come a second time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from gateway_assets.archive import known
from gateway_assets.archive.manifest import FILES
from gateway_assets.errors import ArchiveError
from gateway_assets.hot.sql import literal, quoted
from gateway_assets.tiers.reflect import OURS
from gateway_assets.tiers.tiered import Tiered

_TAKE_BACK = f"""
    UPDATE {FILES} SET
        answers_until = CASE WHEN state = 'published' AND hidden_from > day_from
            THEN hidden_from ELSE answers_until END,
        state = CASE WHEN state = 'published' AND hidden_from > day_from
            THEN 'archived' ELSE 'retired' END
    WHERE """


def guard(connection: sqlite3.Connection, table: Tiered) -> None:
    """Create the triggers of a table, or bring them up to date, in the caller's transaction.

    Publications that stood unguarded are taken back: rows may have changed unnoticed.
    """
    wanted = dict(_triggers(connection, table))
    for statement in known.tables(table):
        connection.execute(statement)
    present = _present(connection, table)
    if not present:
        connection.execute(f"{_TAKE_BACK} table_name = ? AND state = 'published'", (table.name,))
    for name, text in present.items():
        if wanted.get(name) != text:
            connection.execute(f"DROP TRIGGER {quoted(name)}")
    present = _present(connection, table)
    for name, text in wanted.items():
        if name not in present:
            connection.execute(text)


def check_guarded(connection: sqlite3.Connection, table: Tiered) -> None:
    """Raise ArchiveError when a trigger is missing: then changes may have gone unnoticed."""
    missing = dict(_triggers(connection, table)).keys() - _present(connection, table).keys()
    if missing:
        raise ArchiveError(
            f"trigger {min(missing)} has gone, so changes may have gone unnoticed",
            hint="nothing was moved; the next run creates it again",
        )


def _present(connection: sqlite3.Connection, table: Tiered) -> dict[str, str]:
    query = """
        SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?
        AND name LIKE ? ESCAPE '~'
    """
    pattern = f"{OURS}{table.name}.".replace("_", "~_") + "%"
    return dict(connection.execute(query, (table.table, pattern)).fetchall())


def _triggers(connection: sqlite3.Connection, table: Tiered) -> Iterator[tuple[str, str]]:
    name, time = quoted(table.table), quoted(table.time)
    let_go = _let_go(connection, table)

    def concerned(row: str) -> str:
        """Whether a row stands in an open file's range and is one of those that were let go."""
        itself = _same_row(table, row)
        return (
            f"EXISTS ({_open(_in_open_file(table, f'{row}.{time}'))}) AND EXISTS "
            f"(SELECT 1 FROM {name} WHERE {itself} AND ({let_go}))"
        )

    new, old = _in_open_file(table, f"NEW.{time}"), _in_open_file(table, f"OLD.{time}")
    yield _trigger(table, "insert", "AFTER INSERT", concerned("NEW"), _TAKE_BACK + new)
    yield _trigger(table, "changing", "BEFORE UPDATE", concerned("OLD"), _TAKE_BACK + old)
    yield _trigger(table, "changed", "AFTER UPDATE", concerned("NEW"), _TAKE_BACK + new)
    writing = f"state = 'writing' AND {old}"
    yield _trigger(
        table, "delete", "AFTER DELETE", f"EXISTS ({_open(writing)})", _TAKE_BACK + writing
    )
    hidden = f"state = 'published' AND {old}"
    if not table.written.is_exact:
        hidden += f" AND day = {table.day_of(f'OLD.{time}')}"
    yield _trigger(
        table,
        "hidden",
        "BEFORE DELETE",
        f"EXISTS ({_open(hidden)}) AND EXISTS "
        f"(SELECT 1 FROM {name} WHERE {_same_row(table, 'OLD')} AND ({let_go}))",
        "SELECT RAISE(IGNORE)",
    )
    for number, key in enumerate(table.shape.unique, start=1):
        yield from _replacing(table, number, key.columns)
    for number, known_key in enumerate(known.known_keys(table), start=1):
        yield from _refusing(table, number, known_key)


def _refusing(table: Tiered, number: int, key: known.KnownKey) -> Iterator[tuple[str, str]]:
    """A key that is archived is refused as if its row were there."""
    names = [quoted(field.name) for field in key.fields]
    same = key.same([f"NEW.{name}" for name in names])
    is_known = f"EXISTS (SELECT 1 FROM {quoted(key.table)} WHERE {same})"
    # INSERT OR IGNORE passes over the refusal and ignores the row, any other statement fails:
    # https://www.sqlite.org/lang_createtrigger.html (conflict handling of the outer statement)
    refuse = f"INSERT INTO {known.REFUSAL} VALUES (NULL); SELECT RAISE(IGNORE)"
    yield _trigger(table, f"known_{number}", "BEFORE INSERT", is_known, refuse)
    changed = " OR ".join(f"NEW.{name} IS NOT OLD.{name}" for name in names)
    when = f"({changed}) AND {is_known}"
    yield _trigger(table, f"takes_{number}", "BEFORE UPDATE", when, refuse)


def _trigger(table: Tiered, ending: str, event: str, when: str, body: str) -> tuple[str, str]:
    own = f"{OURS}{table.name}.{ending}"
    on = quoted(table.table)
    return own, f"CREATE TRIGGER {quoted(own)} {event} ON {on} WHEN {when} BEGIN {body}; END"


def _replacing(table: Tiered, number: int, key: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """INSERT OR REPLACE removes the row in its way without firing any DELETE trigger."""
    name, time = quoted(table.table), quoted(table.time)
    there, file = "gateway_archive_there", "gateway_archive_file"
    same = " AND ".join(f"{there}.{quoted(column)} = NEW.{quoted(column)}" for column in key)
    replaced = (
        f"number IN (SELECT {file}.number FROM {name} AS {there}, {FILES} AS {file} WHERE {same} "
        f"AND {file}.table_name = {literal(table.name)} "
        f"AND {file}.state IN ('writing', 'published') "
        f"AND {there}.{time} >= {file}.hidden_from AND {there}.{time} < {file}.hidden_until)"
    )
    exists = f"EXISTS (SELECT 1 FROM {FILES} WHERE {replaced})"
    body = _TAKE_BACK + replaced
    yield _trigger(table, f"replace_{number}", "BEFORE INSERT", exists, body)
    changed = " OR ".join(f"NEW.{quoted(column)} IS NOT OLD.{quoted(column)}" for column in key)
    yield _trigger(table, f"replaces_{number}", "BEFORE UPDATE", f"({changed}) AND {exists}", body)


def _in_open_file(table: Tiered, moment: str) -> str:
    return (
        f"table_name = {literal(table.name)} AND state IN ('writing', 'published') "
        f"AND {moment} >= hidden_from AND {moment} < hidden_until"
    )


def _open(condition: str) -> str:
    return f"SELECT 1 FROM {FILES} WHERE {condition}"


def _same_row(table: Tiered, alias: str) -> str:
    if table.shape.rowid:
        return f"{table.shape.rowid} = {alias}.{table.shape.rowid}"
    key = table.shape.primary_key
    return " AND ".join(f"{quoted(column)} = {alias}.{quoted(column)}" for column in key)


def _let_go(connection: sqlite3.Connection, table: Tiered) -> str:
    """True for rows that may leave, by the rules of now or by those that an open file was made by;
    what happens to all others concerns no file.
    """
    query = f"""
        SELECT DISTINCT time_format, let_go FROM {FILES}
        WHERE table_name = ? AND state IN ('writing', 'published') ORDER BY 1, 2
    """
    found = [str(table.eligible_by(*row)) for row in connection.execute(query, (table.name,))]
    return " OR ".join(dict.fromkeys([*found, str(table.eligible)]))
