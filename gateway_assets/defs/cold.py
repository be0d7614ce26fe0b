"""Archives: one partition a UTC day; materializing one moves the day, or says why it stays."""

from typing import Any

import dagster as dg

from gateway_assets import clock
from gateway_assets.defs.describe import (
    HOT_POOL,
    OWNERS,
    blocking_check,
    daily_partitions,
    field_schema,
    measured,
    table_metadata,
)
from gateway_assets.errors import GatewayError
from gateway_assets.settings import Settings
from gateway_assets.tables import rollups_of
from gateway_assets.tiers.catalog import Declared, open_database, tiered

GROUP, HOT_GROUP = "cold", "hot"


def archive_name(name: str) -> str:
    return f"{name}_archive"


def pool_of(declared: Declared) -> str:
    """One writer a database: tables of one file share a pool."""
    return HOT_POOL if declared.own else f"database_{declared.database.stem}".replace(".", "_")


def application_table(declared: Declared, settings: Settings) -> dg.AssetSpec:
    """A table that another application writes: shown as where its archive comes from."""
    return dg.AssetSpec(
        declared.name,
        group_name=HOT_GROUP,
        kinds={"sqlite"},
        owners=OWNERS,
        description=f"Table of `{declared.database.name}`, written by its own application.",
        metadata=_metadata(declared, settings, str(declared.database)),
    )


def archive_asset(declared: Declared, settings: Settings) -> dg.AssetsDefinition:
    """Carries out the archive's plan for the days of its partitions."""
    from gateway_assets.archive.check import RULES

    name = archive_name(declared.name)
    rollups = rollups_of(declared.name) if declared.own else ()

    @dg.asset(
        name=name,
        deps=[declared.name, *(rollup.name for rollup in rollups)],
        group_name=GROUP,
        kinds={"parquet"},
        owners=OWNERS,
        pool=pool_of(declared),
        partitions_def=daily_partitions(settings),
        backfill_policy=dg.BackfillPolicy.single_run(),
        description=f"Closed days of `{declared.name}` as Parquet, verified, one folder a day.",
        metadata=_metadata(declared, settings, str(settings.archive / declared.name)),
        check_specs=[blocking_check(rule, name, about) for rule, about in RULES.items()],
    )
    def archived(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from gateway_assets.archive.check import check_days
        from gateway_assets.archive.engine import UniversalArchiver
        from gateway_assets.archive.source import Source

        days = [clock.parse_day(key) for key in context.partition_keys]
        result = UniversalArchiver(settings).archive_table(declared, days=days)
        result.raise_failures()
        if result.staying:
            raise dg.Failure(
                f"{len(result.staying)} of {len(days)} days stay hot: "
                f"{next(iter(result.staying.values()))}",
                metadata=measured(result),
                allow_retries=False,
            )
        with open_database(declared) as connection:
            table = tiered(connection, declared, settings)
            checked = check_days(Source(connection, table, settings.archive), settings, days)
        for day in days:
            count = sum(file.rows for file in checked.files if file.day == day)
            context.add_asset_metadata(
                {"dagster/partition_row_count": count}, partition_key=clock.day_text(day)
            )
        rows = sum(file.rows for file in checked.files)
        size = sum(file.size for file in checked.files)
        return dg.MaterializeResult(
            metadata={
                **measured(result),
                "size_bytes": size,
                "bytes_per_row": round(size / rows, 2) if rows else 0.0,
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name=rule,
                    passed=not failures,
                    metadata={
                        "files": len(checked.files),
                        "rows": rows,
                        "failures": failures[:100],
                    },
                )
                for rule, failures in checked.failures.items()
            ],
        )

    return archived


def _metadata(declared: Declared, settings: Settings, place: str) -> dict[str, Any]:
    """What is known of a table before anything runs; its database may not be there yet."""
    if declared.own:
        return table_metadata(declared.own, place)
    known: dict[str, Any] = {"dagster/table_name": declared.name, "dagster/uri": place}
    try:
        with open_database(declared) as connection:
            table = tiered(connection, declared, settings)
    except GatewayError as error:
        return {**known, "problem": error.message}
    return {
        **known,
        "dagster/column_schema": field_schema(table.all_fields),
        "time": f"{table.time} ({table.written.name})",
        "hot_days": table.hot_days,
    }
