"""What stands where, asked through the bridge, and whether every row answers exactly once."""

from typing import TYPE_CHECKING

import dagster as dg

from gateway_assets import clock
from gateway_assets.defs.cold import archive_name
from gateway_assets.defs.describe import OWNERS, blocking_check
from gateway_assets.settings import Settings
from gateway_assets.tables import TABLES
from gateway_assets.tiers.catalog import catalog

if TYPE_CHECKING:
    from gateway_assets.bridge.overview import Overview

GROUP = "answers"
NAME = "overview"
CHECK = "every_row_answers_once"


def overview_asset(settings: Settings) -> dg.AssetsDefinition:
    """Counts every table through the bridge and compares with what was ever loaded."""

    @dg.asset(
        name=NAME,
        deps=[
            name
            for declared in catalog(settings)
            for name in (declared.name, archive_name(declared.name))
        ],
        group_name=GROUP,
        kinds={"duckdb"},
        owners=OWNERS,
        description="Rows, bytes and days of every table, hot and cold.",
        check_specs=[
            blocking_check(
                CHECK,
                NAME,
                "The bridge counts, hot and cold together, the rows and sums that "
                "were loaded: none lost, none twice.",
            )
        ],
    )
    def seen() -> dg.MaterializeResult:
        from gateway_assets.bridge.overview import overview
        from gateway_assets.bridge.reconcile import difference

        tables = overview(settings)
        differing = [text for table in TABLES if (text := difference(table, settings))]
        return dg.MaterializeResult(
            metadata={
                "tables": dg.MetadataValue.md(_markdown(tables)),
                "hot_rows": sum(table.hot_rows for table in tables),
                "cold_rows": sum(table.cold_rows for table in tables),
                "cold_bytes": sum(table.cold_bytes for table in tables),
                "hot_bytes": sum(table.hot_bytes or 0 for table in tables),
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name=CHECK, passed=not differing, metadata={"differing": differing}
                )
            ],
        )

    return seen


def _markdown(tables: "list[Overview]") -> str:
    head = "| table | hot rows | cold rows | cold bytes | days | oldest | newest |"
    rows = [
        f"| {table.table} | {table.hot_rows:,} | {table.cold_rows:,} | {table.cold_bytes:,} "
        f"| {table.days:,} | {_moment(table.oldest)} | {_moment(table.newest)} |"
        for table in tables
    ]
    return "\n".join([head, "|---|--:|--:|--:|--:|---|---|", *rows])


def _moment(moment: int | None) -> str:
    return "" if moment is None else clock.iso(moment)[:19]
