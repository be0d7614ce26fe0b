"""Roll-ups and summaries: one partition a UTC day; materializing one merges the rows a roll-up has
not seen, and computes a day of a summary again.
"""

import dagster as dg

from gateway_assets import clock
from gateway_assets.defs.describe import (
    HOT_POOL,
    OWNERS,
    blocking_check,
    daily_partitions,
    measured,
    table_metadata,
)
from gateway_assets.hot.dirty import days_below, mark_days, waiting_days
from gateway_assets.hot.store import open_store, reading, writing
from gateway_assets.settings import Settings
from gateway_assets.table import Table
from gateway_assets.tiers.catalog import find, tiered

GROUP = "rollups"
CHECK = "sums_equal_rows_below"


def rollup_asset(table: Table, settings: Settings) -> dg.AssetsDefinition:
    """Brings the days of its partitions up to date."""

    @dg.asset(
        name=table.name,
        deps=table.below,
        group_name=GROUP,
        kinds={"sqlite"},
        owners=OWNERS,
        pool=HOT_POOL,
        partitions_def=daily_partitions(settings),
        backfill_policy=dg.BackfillPolicy.single_run(),
        description=table.about,
        metadata=table_metadata(table, settings.hot_database),
        check_specs=[
            blocking_check(
                CHECK, table.name, "Every sum of the day equals the sum over the rows below it."
            )
        ],
    )
    def rolled_up(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from gateway_assets.archive.totals import stored, unlike_below
        from gateway_assets.rollups.drain import drain

        days = [clock.parse_day(key) for key in context.partition_keys]
        with open_store(settings.hot_database) as connection:
            if table.summary:
                with writing(connection):
                    mark_days(connection, table, {*days} & {*days_below(connection, table)})
            result = drain(connection, table, settings, days)
            upper = tiered(connection, find(settings, table), settings)
            below = tiered(connection, find(settings, table.below[0]), settings)
            with reading(connection):
                # A day that got more rows since is checked by the run that merges them.
                settled = set(days) - set(waiting_days(connection, table))
                counts = {
                    day: stored(connection, upper, settings.archive, day).rows
                    for day in sorted(settled)
                }
                differing = [
                    clock.day_text(day)
                    for day in counts
                    if unlike_below(connection, upper, below, settings.archive, day)
                ]
        result.raise_failures()
        for day, rows in counts.items():
            context.add_asset_metadata(
                {"dagster/partition_row_count": rows}, partition_key=clock.day_text(day)
            )
        return dg.MaterializeResult(
            metadata=measured(result),
            check_results=[
                dg.AssetCheckResult(
                    check_name=CHECK, passed=not differing, metadata={"differing": differing}
                )
            ],
        )

    return rolled_up
