"""Rows of the copy that are archived: are they as they were, and if not, their day comes back."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import Table

from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.archive.known import known_keys
from gateway_assets.archive.manifest import live_files
from gateway_assets.archive.parquet import read_batches
from gateway_assets.archive.rows import raw_rows
from gateway_assets.archive.source import Source
from gateway_assets.history.copied import Raw, key_of, keys
from gateway_assets.hot.sql import quoted
from gateway_assets.settings import Settings
from gateway_assets.tiers.catalog import declared_log, has_table, open_database, tiered
from gateway_assets.tiers.tiered import Tiered


class Archived:
    """Tells on which day a key of a table was archived."""

    def __init__(self, connection: sqlite3.Connection, settings: Settings, table: Table) -> None:
        self._connection = connection
        two_tiers = tiered(connection, declared_log(settings, table.name), settings)
        remembering = next(
            key
            for key in known_keys(two_tiers)
            if [field.name for field in key.fields] == key_of(table)
        )
        same = remembering.same(["?"] * len(remembering.fields))
        self._query = f"SELECT gateway_day FROM {quoted(remembering.table)} WHERE {same}"
        self._name, self._is_there = remembering.table, False

    def day(self, key: Raw) -> int | None:
        # The first archive run may come at any time.
        self._is_there = self._is_there or has_table(self._connection, self._name)
        if not self._is_there:
            return None
        row = self._connection.execute(self._query, key).fetchone()
        return row[0] if row else None


def bring_back(settings: Settings, table: Table, rows: Iterable[tuple[int, Raw]]) -> list[Raw]:
    """Of archived rows, given with their days, those that differ from what is archived; their days
    are in the copy again. Raises Busy when the archive is at work, ArchiveError and ArchiveDamaged.
    """
    by_day: dict[int, list[Raw]] = defaultdict(list)
    for day, row in rows:
        by_day[day].append(row)
    changed: list[Raw] = []
    for day, group in by_day.items():
        there = _archived_rows(settings, table, day)
        pairs = zip(keys(table, group), group, strict=True)
        differing = [row for key, row in pairs if there.get(key) != row]
        if differing:
            name = declared_log(settings, table.name).name
            UniversalArchiver(settings).restore(name, {day}, hold_days=0)
            changed += differing
    return changed


def _archived_rows(settings: Settings, table: Table, day: int) -> dict[Raw, Raw]:
    declared = declared_log(settings, table.name)
    found: dict[Raw, Raw] = {}
    with open_database(declared) as connection:
        two_tiers = tiered(connection, declared, settings)
        source = Source(connection, two_tiers, settings.archive)
        for file in live_files(connection, two_tiers, day):
            fields = source.fields_of(file)
            places = _places(table, two_tiers, [field.id for field in fields])
            for batch in read_batches(file.below(settings.archive), fields):
                rows = [
                    tuple(None if place is None else row[place] for place in places)
                    for row in raw_rows(batch, fields)
                ]
                found.update(zip(keys(table, rows), rows, strict=True))
    return found


def _places(table: Table, two_tiers: Tiered, ids: list[int]) -> list[int | None]:
    """Where a file has the columns of the model; None for one that is younger than the file."""
    named = {field.name: field.id for field in two_tiers.fields}
    wanted = [named[column.name] for column in table.columns]
    return [ids.index(number) if number in ids else None for number in wanted]
