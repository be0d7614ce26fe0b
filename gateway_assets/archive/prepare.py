"""What a database needs before anything is archived from it, and what forbids to begin."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from gateway_assets import clock
from gateway_assets.archive import manifest
from gateway_assets.archive.backup import backup, check_space
from gateway_assets.archive.guard import guard
from gateway_assets.archive.hops import is_sought
from gateway_assets.archive.source import Source
from gateway_assets.archive.sweep import begin_run, set_aside_unknown
from gateway_assets.errors import ArchiveError
from gateway_assets.hot.sql import sql
from gateway_assets.hot.store import writing
from gateway_assets.settings import Settings
from gateway_assets.tiers.reflect import OURS, has_index_on, row_estimate

SMALL_TABLE = 10_000  # rows; up to here a table is read faster than an index would pay


@dataclass(slots=True)
class Prepared:
    """What preparing brought about."""

    backup: str = ""
    set_aside: list[Path] = field(default_factory=list)


def prepare(source: Source, settings: Settings) -> Prepared:
    """Back up once, then add manifest, triggers and, if wanted, the time index.

    Raises ArchiveError, with nothing changed, for tables that cannot be archived safely.
    """
    connection, table = source.connection, source.table
    _refuse(source)
    prepared = Prepared()
    if settings.archive_backup and not manifest.fact(connection, "backup"):
        size = table.database.stat().st_size
        check_space(settings.backups, size, f"the backup of {table.database}")
        prepared.backup = str(backup(connection, table.database, settings.backups))
    with writing(connection):
        manifest.create_manifest(connection)
        if prepared.backup:
            manifest.set_fact(connection, "backup", f"{prepared.backup} {clock.iso(clock.now())}")
        guard(connection, table)
    if not has_index_on(connection, table.table, table.time) and table.create_index:
        create = sql(
            "CREATE INDEX IF NOT EXISTS {index} ON {table} ({time})",
            index=f"{OURS}{table.name}_time",
            table=table.table,
            time=table.time,
        )
        with writing(connection):
            connection.execute(create)
    if begin_run(source):
        prepared.set_aside = set_aside_unknown(source)
    return prepared


def obstacle(source: Source) -> tuple[str, str]:
    """Why a table cannot be archived, and what to do about it; two empty texts when it can."""
    table, shape = source.table, source.table.shape
    firing = [name for event, name in shape.triggers if event == "DELETE"]
    if firing and not table.fire_triggers:
        names = ", ".join(firing)
        return (
            f"{table.name}: deleting archived rows would fire its trigger {names}",
            f'if that is right, add triggers = "fire" to the line of {table.name}',
        )
    indexed = table.create_index or is_sought(source.connection, table)
    if not indexed and row_estimate(source.connection, table.table, SMALL_TABLE + 1) > SMALL_TABLE:
        return (
            f"{table.name} has no index on {table.time}: every day would read the whole table",
            f"add create_index = true to the line of {table.name}, or create one yourself",
        )
    return "", ""


def _refuse(source: Source) -> None:
    what, hint = obstacle(source)
    if what:
        raise ArchiveError(what, hint=hint)
