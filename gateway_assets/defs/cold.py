"""Archives: one partition a UTC day; materializing one moves the day, or says why it stays."""

import dagster as dg

from gateway_assets import clock
from gateway_assets.archive.manifest import live_files
from gateway_assets.defs.describe import (
    HOT_POOL,
    OWNERS,
    blocking_check,
    daily_partitions,
    measured,
    table_metadata,
)
from gateway_assets.hot.store import open_store
from gateway_assets.settings import Settings
from gateway_assets.table import Table
from gateway_assets.tables import rollups_of

GROUP = "cold"
CHECK = "parquet_equals_source"


def archive_name(table: Table) -> str:
    return f"{table.name}_archive"


def archive_asset(table: Table, settings: Settings) -> dg.AssetsDefinition:
    """Carries out the archive's plan for the days of its partitions."""

    @dg.asset(
        name=archive_name(table),
        deps=[table.name, *(rollup.name for rollup in rollups_of(table.name))],
        group_name=GROUP,
        kinds={"parquet"},
        owners=OWNERS,
        pool=HOT_POOL,
        partitions_def=daily_partitions(settings),
        backfill_policy=dg.BackfillPolicy.single_run(),
        description=f"Closed days of `{table.name}` as Parquet, verified, one folder a day.",
        metadata=table_metadata(table, settings.archive / table.name),
        check_specs=[
            blocking_check(
                CHECK,
                archive_name(table),
                "The day's files hold the rows and values that the manifest names.",
            )
        ],
    )
    def archived(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from gateway_assets.archive.engine import UniversalArchiver
        from gateway_assets.archive.verify import damage

        days = [clock.parse_day(key) for key in context.partition_keys]
        with open_store(settings.hot_database) as connection:
            result = UniversalArchiver(connection, settings).run(table, days)
            files = [file for day in days for file in live_files(connection, table, day)]
        result.raise_failures()
        if result.staying:
            raise dg.Failure(
                f"{len(result.staying)} of {len(days)} days stay hot: "
                f"{next(iter(result.staying.values()))}",
                metadata=measured(result),
                allow_retries=False,
            )
        damaged = [found for file in files if (found := damage(file, table, settings.archive))]
        for day in days:
            count = sum(file.rows for file in files if file.day == day)
            context.add_asset_metadata(
                {"dagster/partition_row_count": count}, partition_key=clock.day_text(day)
            )
        rows = sum(file.rows for file in files)
        size = sum(file.size for file in files)
        return dg.MaterializeResult(
            metadata={
                **measured(result),
                "size_bytes": size,
                "bytes_per_row": round(size / rows, 2) if rows else 0.0,
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name=CHECK,
                    passed=not damaged,
                    metadata={"files": len(files), "rows": rows, "damaged": damaged},
                )
            ],
        )

    return archived
