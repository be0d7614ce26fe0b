"""What stands where, asked through the bridge, and whether every row answers exactly once."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from gateway_assets import clock
from gateway_assets.defs.describe import (
    OWNERS,
    TABLE_ERRORS,
    archive_name,
    blocking_check,
    why,
)
from gateway_assets.settings import Settings
from gateway_assets.tables import TABLES
from gateway_assets.tiers.catalog import Declared

if TYPE_CHECKING:
    from gateway_assets.bridge.overview import Overview

GROUP = "answers"
NAME = "overview"
CHECK = "every_row_answers_once"


def overview_asset(settings: Settings, tables: Sequence[Declared]) -> dg.AssetsDefinition:
    """Counts every table through the bridge and compares with what was ever loaded."""

    @dg.asset(
        name=NAME,
        deps=[name for declared in tables for name in (declared.name, archive_name(declared.name))],
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
        from gateway_assets.bridge.reconcile import difference

        found, unread = _look(settings, tables)
        differing = [text for table in TABLES if (text := difference(table, settings))]
        return dg.MaterializeResult(
            metadata={
                "tables": dg.MetadataValue.md(_markdown(found)),
                "unread_tables": unread,
                "hot_rows": sum(table.hot_rows for table in found),
                "cold_rows": sum(table.cold_rows for table in found),
                "cold_bytes": sum(table.cold_bytes for table in found),
                "hot_bytes": sum(table.hot_bytes or 0 for table in found),
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name=CHECK, passed=not differing, metadata={"differing": differing}
                )
            ],
        )

    return seen


def _look(settings: Settings, tables: Sequence[Declared]) -> "tuple[list[Overview], list[str]]":
    """Every table that can be read, and why the others cannot."""
    from gateway_assets.bridge.overview import overview_of

    found, unread = [], []
    for declared in tables:
        try:
            found.append(overview_of(declared, settings))
        except TABLE_ERRORS as error:
            if declared.own:
                raise
            unread.append(f"{declared.name}: {why(error)}")
    return found, unread


def _markdown(tables: "list[Overview]") -> str:
    head = "| table | hot rows | cold rows | cold bytes | days | oldest | newest |"
    filled = [table for table in tables if table.days]
    rows = [
        f"| {table.table} | {table.hot_rows:,} | {table.cold_rows:,} | {table.cold_bytes:,} "
        f"| {table.days:,} | {_moment(table.oldest)} | {_moment(table.newest)} |"
        for table in filled
    ]
    return "\n".join([head, "|---|--:|--:|--:|--:|---|---|", *rows])


def _moment(moment: int | None) -> str:
    return "" if moment is None else clock.iso(moment)[:19]
