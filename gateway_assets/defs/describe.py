"""How declarations and results become what Dagster's UI shows. Numbers become plots over time."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from gateway_assets.errors import GatewayError
from gateway_assets.model import Column
from gateway_assets.settings import Settings
from gateway_assets.table import Table
from gateway_assets.tiers.fields import Field

OWNERS = ["team:gateway"]
HOT_POOL = "hot_database"
# What one table, or its database, can be the reason of, and must not keep the others waiting.
TABLE_ERRORS = (GatewayError, sqlite3.Error, OSError)


def archive_name(name: str) -> str:
    """The asset that archives a table."""
    return f"{name}_archive"


def why(error: BaseException) -> str:
    return error.message if isinstance(error, GatewayError) else str(error)


def daily_partitions(settings: Settings) -> dg.DailyPartitionsDefinition:
    """UTC days from the first day to today, today included."""
    return dg.DailyPartitionsDefinition(
        start_date=settings.first_day.isoformat(), timezone="UTC", end_offset=1
    )


def column_schema(columns: tuple[Column, ...]) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                type=column.kind.value,
                description=f"{column.about} [{column.unit}]" if column.unit else column.about,
                constraints=dg.TableColumnConstraints(nullable=column.nullable),
            )
            for column in columns
        ]
    )


def field_schema(fields: tuple[Field, ...]) -> dg.TableSchema:
    """The columns of a table that another application declared."""
    return dg.TableSchema(
        columns=[dg.TableColumn(field.name, type=field.kind.value) for field in fields]
    )


def table_metadata(table: Table, place: Path | str) -> dict[str, Any]:
    """What is known of a table before anything runs."""
    return {
        "dagster/column_schema": column_schema(table.stored),
        "dagster/table_name": table.name,
        "dagster/uri": str(place),
    }


def blocking_check(name: str, asset: str, about: str) -> dg.AssetCheckSpec:
    """A check that fails the run, and whatever would be built on the asset in it."""
    return dg.AssetCheckSpec(name, asset=asset, blocking=True, description=about)


def measured(result: Any) -> dict[str, Any]:
    """A stage's result as metadata: numbers as they are, lists and mappings as JSON."""
    assert is_dataclass(result) and not isinstance(result, type)
    return {name: _shown(value) for name, value in asdict(result).items()}


def _shown(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dg.MetadataValue.json(dict(value))
    if isinstance(value, list):
        return dg.MetadataValue.json(value[-100:])
    return value
