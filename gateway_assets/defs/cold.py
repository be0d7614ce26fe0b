"""Archives: one partition a UTC day; materializing one moves the day, or says why it stays."""

import re
from typing import TYPE_CHECKING, Any

import dagster as dg

from gateway_assets import clock
from gateway_assets.defs.describe import (
    HOT_POOL,
    OWNERS,
    TABLE_ERRORS,
    archive_name,
    blocking_check,
    daily_partitions,
    field_schema,
    measured,
    table_metadata,
    why,
)
from gateway_assets.defs.statistics import per_row
from gateway_assets.errors import Busy
from gateway_assets.settings import Settings
from gateway_assets.tables import rollups_of
from gateway_assets.tiers.catalog import Declared, open_database, tiered

if TYPE_CHECKING:
    from gateway_assets.archive.check import Checked
    from gateway_assets.archive.engine import ArchiveResult

GROUP, HOT_GROUP = "cold", "hot"
# The rules of archive.check, written again because importing that loads pyarrow.
CHECKS = {
    "counts_equal_manifest": "Every file of the day holds as many rows as the manifest names.",
    "values_equal_hash": "Every value of the day's files is what was archived, by content hash.",
    "no_overlap": "The day's folder holds the manifest's files, no other, and no other day's rows.",
    "no_gap": "No row of the day that should be archived was left behind.",
}
# One archiver runs at a time; each attempt waits a minute itself, so all of them some three hours.
BUSY_RETRIES, BUSY_PAUSE_SECONDS = 120, 30


def pool_of(declared: Declared) -> str:
    """One writer a database: tables of one file share a pool."""
    return HOT_POOL if declared.own else re.sub(r"\W", "_", f"database_{declared.database.stem}")


def application_table(declared: Declared, settings: Settings) -> dg.AssetSpec:
    """A table that another application writes: shown as where its archive comes from."""
    return dg.AssetSpec(
        declared.name,
        group_name=HOT_GROUP,
        kinds={"sqlite"},
        owners=OWNERS,
        description=declared.about
        or f"Table of `{declared.database.name}`, written by its own application.",
        metadata=_metadata(declared, settings, str(declared.database)),
    )


def archive_asset(declared: Declared, settings: Settings) -> dg.AssetsDefinition:
    """Carries out the archive's plan for the days of its partitions."""
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
        check_specs=[blocking_check(rule, name, about) for rule, about in CHECKS.items()],
    )
    def archived(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        days = [clock.parse_day(key) for key in context.partition_keys]
        result = _archive(declared, settings, days)
        result.raise_failures()
        if result.staying:
            raise dg.Failure(
                f"{len(result.staying)} of {len(days)} days stay hot: "
                f"{next(iter(result.staying.values()))}",
                metadata=measured(result),
                allow_retries=False,
            )
        checked = _check(declared, settings, days)
        for day in days:
            count = sum(file.rows for file in checked.files if file.day == day)
            context.add_asset_metadata(
                {"dagster/partition_row_count": count}, partition_key=clock.day_text(day)
            )
        return dg.MaterializeResult(
            metadata={**measured(result), **_figures(declared, settings, checked)},
            check_results=_check_results(checked),
        )

    return archived


def _archive(declared: Declared, settings: Settings, days: list[int]) -> "ArchiveResult":
    from gateway_assets.archive.engine import UniversalArchiver

    try:
        return UniversalArchiver(settings).archive_table(declared, days=days)
    except Busy as error:
        # Of another database, or from the command line: this one's turn comes.
        raise dg.RetryRequested(BUSY_RETRIES, BUSY_PAUSE_SECONDS) from error


def _check(declared: Declared, settings: Settings, days: list[int]) -> "Checked":
    from gateway_assets.archive.check import check_days
    from gateway_assets.archive.source import Source

    with open_database(declared) as connection:
        table = tiered(connection, declared, settings)
        return check_days(Source(connection, table, settings.archive), settings, days)


def _figures(declared: Declared, settings: Settings, checked: "Checked") -> dict[str, float]:
    """Numbers to plot: of these days, and how many times smaller rows of the table became."""
    from gateway_assets.bridge.overview import overview_of

    rows, size = sum(file.rows for file in checked.files), sum(file.size for file in checked.files)
    figures = {"size_bytes": size, "bytes_per_row": round(size / rows, 2) if rows else 0.0}
    hot, cold = per_row(overview_of(declared, settings))
    return {**figures, "ratio": round(hot / cold, 2)} if hot and cold else figures


def _check_results(checked: "Checked") -> list[dg.AssetCheckResult]:
    seen = {"files": len(checked.files), "rows": sum(file.rows for file in checked.files)}
    return [
        dg.AssetCheckResult(
            check_name=rule,
            passed=not failures,
            metadata={**seen, "failures": failures[:100]},
        )
        for rule, failures in checked.failures.items()
    ]


def _metadata(declared: Declared, settings: Settings, place: str) -> dict[str, Any]:
    """What is known of a table before anything runs; its database may not be there yet."""
    if declared.own:
        return table_metadata(declared.own, place)
    known: dict[str, Any] = {"dagster/table_name": declared.name, "dagster/uri": place}
    try:
        with open_database(declared) as connection:
            table = tiered(connection, declared, settings)
    except TABLE_ERRORS as error:
        return {**known, "problem": why(error)}
    return {
        **known,
        "dagster/column_schema": field_schema(table.all_fields),
        "time": f"{table.time} ({table.written.name})",
        "hot_days": table.hot_days,
    }
