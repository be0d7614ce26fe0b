"""Whether every row that was ever loaded is answered exactly once, hot and cold together."""

from __future__ import annotations

from gateway_assets.archive.totals import Totals, owed, stored
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.errors import Busy
from gateway_assets.hot.sql import Fragment, quoted, sql
from gateway_assets.hot.store import reading
from gateway_assets.settings import Settings
from gateway_assets.table import Table
from gateway_assets.tiers.catalog import find, open_database, tiered

TRIES = 5


def difference(table: Table, settings: Settings) -> str:
    """How answer, store and ledger differ; empty when they agree. Raises Busy when the table
    changes all the time, so that no two of them can be compared.
    """
    for _ in range(TRIES):
        before = _known(table, settings)
        answered = _answered(table, settings)
        if before == _known(table, settings):
            return _compared(table, *before, answered)
    raise Busy(f"{table.name} changes all the time", hint="try again when less is being loaded")


def _known(table: Table, settings: Settings) -> tuple[Totals, Totals]:
    """What the ledger says was loaded and not removed on purpose, and what hot table and manifest
    say is stored.
    """
    declared = find(settings, table)
    with open_database(declared) as connection, reading(connection):
        two_tiers = tiered(connection, declared, settings)
        there = stored(connection, two_tiers, settings.archive)
        return (owed(connection, two_tiers) if table.source else there), there


def _answered(table: Table, settings: Settings) -> Totals:
    sums = (f"COALESCE(sum({quoted(name)}), 0) AS {quoted(name)}" for name in table.summed)
    text = sql(
        "SELECT {figures} FROM {table}",
        figures=Fragment(", ".join(["count(*) AS rows", *sums])),
        table=table.name,
    )
    (row,) = UnifiedQueryBridge(settings).rows(text)
    return Totals(row.pop("rows"), row)


def _compared(table: Table, put_in: Totals, there: Totals, answered: Totals) -> str:
    if put_in != there:
        return f"{table.name}: loaded {put_in}, stored {there}"
    if there != answered:
        return f"{table.name}: stored {there}, answered {answered}"
    return ""
