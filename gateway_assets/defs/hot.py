"""Hot tables: what has landed becomes rows, once, and is compared with the files' footers."""

from typing import Any

import dagster as dg

from gateway_assets.archive.visible import visible
from gateway_assets.defs.describe import HOT_POOL, OWNERS, blocking_check, measured, table_metadata
from gateway_assets.defs.landing import raw_name
from gateway_assets.hot.load import LoadResult, load
from gateway_assets.hot.sql import sql
from gateway_assets.hot.store import open_store, reading
from gateway_assets.settings import Settings
from gateway_assets.source import Source
from gateway_assets.table import Table
from gateway_assets.tiers.catalog import find, tiered

GROUP = "hot"
CHECK = "rows_equal_footers"


def hot_asset(table: Table, source: Source, settings: Settings) -> dg.AssetsDefinition:
    """Loads every landing file that the ledger does not know."""

    @dg.asset(
        name=table.name,
        deps=[raw_name(source)],
        group_name=GROUP,
        kinds={"sqlite"},
        owners=OWNERS,
        pool=HOT_POOL,
        description=table.about,
        metadata=table_metadata(table, settings.hot_database),
        check_specs=[
            blocking_check(
                CHECK, table.name, "The rows of every file loaded now add up to the file's footer."
            )
        ],
    )
    def loaded() -> dg.MaterializeResult:
        from gateway_assets.archive.totals import files_that_differ

        with open_store(settings.hot_database) as connection:
            two_tiers = tiered(connection, find(settings, table), settings)
            result = load(connection, table, settings)
            with reading(connection):
                differing = files_that_differ(connection, table, result.files)
                query = "SELECT count(*) FROM {table} WHERE {visible}"
                count = sql(query, table=table.name, visible=visible(connection, two_tiers))
                (rows,) = connection.execute(count).fetchone()
        return dg.MaterializeResult(
            metadata={"dagster/row_count": rows, **_figures(result)},
            check_results=[
                dg.AssetCheckResult(
                    check_name=CHECK,
                    passed=not differing,
                    metadata={"files": len(result.files), "differing": differing[:100]},
                )
            ],
        )

    return loaded


def _figures(result: LoadResult) -> dict[str, Any]:
    figures = measured(result)
    return {**figures, "files": len(result.files), "quarantined_files": len(result.quarantined)}
