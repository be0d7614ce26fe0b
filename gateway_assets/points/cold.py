"""What of the tables of points is archived, and bringing a day of it back.

Days are counted from 1970, as everywhere; a table without an archived file costs one question.
"""

from __future__ import annotations

import sqlite3

from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.archive.manifest import FILES
from gateway_assets.errors import ArchiveError
from gateway_assets.settings import Settings
from gateway_assets.tiers.catalog import has_table


def archived_days(connection: sqlite3.Connection, table: str) -> set[int]:
    """The days of which rows are in files, also those whose rows are still hot as well."""
    if not has_table(connection, FILES):
        return set()
    query = (
        f"SELECT DISTINCT day FROM {FILES} "
        "WHERE table_name = ? AND state IN ('published', 'archived')"
    )
    return {day for (day,) in connection.execute(query, (table,))}


def bring_back(
    connection: sqlite3.Connection, settings: Settings, table: str, days: set[int]
) -> None:
    """Restore days to the hot table, until the archiver runs again. Raises ArchiveError."""
    if not days:
        return
    try:
        UniversalArchiver(settings).restore(table, sorted(days), hold_days=0)
    except ArchiveError:
        # Another process may have brought them back meanwhile.
        if days & archived_days(connection, table):
            raise
