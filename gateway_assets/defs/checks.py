"""What is looked at once a day, apart from any run of a stage, because it reads the whole ledger.

Whether capture missed something is a warning: what it did count is right, and nothing is to wait
for it. A row that stands nowhere, or twice, is an error.
"""

import sqlite3
from collections.abc import Callable, Mapping

import dagster as dg

from gateway_assets import clock
from gateway_assets.defs.landing import raw_name
from gateway_assets.hot.counters import counters_that_differ
from gateway_assets.hot.ledger import has_loaded, least_coverage, loaded_since
from gateway_assets.hot.store import open_store, reading
from gateway_assets.settings import Settings
from gateway_assets.source import Source
from gateway_assets.table import Table
from gateway_assets.tables import IP_TRAFFIC, TABLES
from gateway_assets.tiers.catalog import find, tiered

COMPLETE, EVERYWHERE = "capture_is_complete", "files_equal_both_tiers"
COVERED, COUNTED = "capture_covers_the_interface", "counters_equal_files"
CAPTURED = (IP_TRAFFIC,)  # what gateway-capture lands

Found = tuple[bool, Mapping[str, int | float | str]]  # whether all is well, and the figures


def daily_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """The checks of every source; those of captures where there is one."""
    checks = [_files_equal_both_tiers(table, settings) for table in TABLES if table.source]
    for table in CAPTURED:
        assert table.source
        checks += [
            _capture_is_complete(table, table.source, settings),
            _capture_covers(table, table.source, settings),
            _counters_equal_files(table, table.source, settings),
        ]
    return checks


def checks_of(table: Table) -> list[dg.AssetCheckKey]:
    """The checks of a source's table, by asset and name."""
    assert table.source
    raw = dg.AssetKey(raw_name(table.source))
    names = (COMPLETE, COVERED, COUNTED) if table in CAPTURED else ()
    everywhere = dg.AssetCheckKey(dg.AssetKey(table.name), EVERYWHERE)
    return [*(dg.AssetCheckKey(raw, name) for name in names), everywhere]


def _capture_is_complete(
    table: Table, source: Source, settings: Settings
) -> dg.AssetChecksDefinition:
    def look(connection: sqlite3.Connection) -> Found:
        if not has_loaded(connection, table):
            return True, {"files": 0}  # this host has no capture
        files, incomplete = loaded_since(connection, table, clock.now() - clock.DAY)
        share = round(incomplete / files, 6) if files else 0.0
        figures = {"files": files, "incomplete_files": incomplete, "incomplete_share": share}
        return files > 0 and not incomplete, figures

    about = (
        "Files came in during the last 24 hours, if ever any did, and all of them are complete: "
        "no capture was interrupted and no event was lost before it was counted."
    )
    return _warning(COMPLETE, source, settings, about, look)


def _capture_covers(table: Table, source: Source, settings: Settings) -> dg.AssetChecksDefinition:
    def look(connection: sqlite3.Connection) -> Found:
        least = least_coverage(connection, table, clock.now() - clock.DAY)
        if least is None:
            return True, {}
        coverage, file = least
        is_enough = coverage >= settings.capture_min_coverage
        return is_enough, {"least_coverage": coverage, "file": file}

    about = (
        "Of what the kernel counted on an interface during the last 24 hours, capture counted at "
        "least capture_min_coverage."
    )
    return _warning(COVERED, source, settings, about, look)


def _counters_equal_files(
    table: Table, source: Source, settings: Settings
) -> dg.AssetChecksDefinition:
    def look(connection: sqlite3.Connection) -> Found:
        missing = counters_that_differ(connection, table)
        return not missing, missing

    about = (
        "The counters that capture serves as metrics and the files that were loaded tell of the "
        "same bytes; a file that was lost or quarantined makes the difference."
    )
    return _warning(COUNTED, source, settings, about, look)


def _warning(
    name: str,
    source: Source,
    settings: Settings,
    about: str,
    look: Callable[[sqlite3.Connection], Found],
) -> dg.AssetChecksDefinition:
    """A check of a source's files that stops nothing."""

    @dg.asset_check(name=name, asset=raw_name(source), description=about)
    def check() -> dg.AssetCheckResult:
        with open_store(settings.hot_database) as connection:
            passed, figures = look(connection)
        return dg.AssetCheckResult(
            passed=passed, severity=dg.AssetCheckSeverity.WARN, metadata=dict(figures)
        )

    return check


def _files_equal_both_tiers(table: Table, settings: Settings) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        name=EVERYWHERE,
        asset=table.name,
        blocking=True,
        description="The footers of all files ever loaded, less what was removed on purpose, add "
        "up to the rows and sums in the hot table and the archive.",
    )
    def equal() -> dg.AssetCheckResult:
        from gateway_assets.archive.totals import owed, stored

        with open_store(settings.hot_database) as connection, reading(connection):
            two_tiers = tiered(connection, find(settings, table), settings)
            wanted = owed(connection, two_tiers)
            there = stored(connection, two_tiers, settings.archive)
        figures = {"rows": there.rows, **there.sums}
        missing = {"missing_rows": wanted.rows - there.rows}
        for name, value in wanted.sums.items():
            missing[f"missing_{name}"] = value - there.sums[name]
        return dg.AssetCheckResult(passed=wanted == there, metadata={**figures, **missing})

    return equal
