"""All definitions, built from settings: the same function serves Dagster, commands and tests."""

from collections.abc import Sequence

import dagster as dg

from gateway_assets.defs.advice import advice_asset
from gateway_assets.defs.alarms import alarm_defs
from gateway_assets.defs.answers import overview_asset
from gateway_assets.defs.automation import (
    advice_schedule,
    answer_schedule,
    archive_schedule,
    jobs,
    landing_sensor,
    rollup_schedule,
)
from gateway_assets.defs.backup import (
    backup_asset,
    backup_check,
    backup_job,
    backup_schedule,
)
from gateway_assets.defs.checks import daily_checks
from gateway_assets.defs.clusters import cluster_assets
from gateway_assets.defs.cold import application_table, archive_asset
from gateway_assets.defs.collected import COLLECTED, snapshot_asset
from gateway_assets.defs.collected import NAME as SNAPSHOT
from gateway_assets.defs.hot import hot_asset
from gateway_assets.defs.landing import landing_asset
from gateway_assets.defs.partitions import partitions_sensor
from gateway_assets.defs.points import LOADED, frames_asset, is_shown, points_asset
from gateway_assets.defs.points_overview import points_overview
from gateway_assets.defs.points_rollups import ROLLUPS, points_rollups
from gateway_assets.defs.points_runs import (
    frames_sensor,
    points_check_schedule,
    points_jobs,
    points_rollup_schedule,
)
from gateway_assets.defs.registry import NAME as REGISTRY
from gateway_assets.defs.registry import registry_asset, registry_job, registry_schedule
from gateway_assets.defs.report import report_asset, report_sensor
from gateway_assets.defs.retention import retention_job, retention_schedule
from gateway_assets.defs.rollups import rollup_asset
from gateway_assets.settings import Settings
from gateway_assets.table import Table
from gateway_assets.tables import REGISTRY_HISTORY, TABLES, check_settings
from gateway_assets.tiers.catalog import Declared, catalog


def build_defs(settings: Settings) -> dg.Definitions:
    """Every asset, check, job, sensor and schedule for one data directory."""
    check_settings(settings)
    tables = catalog(settings)
    forgetting = retention_job(settings)
    everything = dg.Definitions(
        assets=[
            *_assets(settings, tables),
            snapshot_asset(settings),
            registry_asset(settings),
            overview_asset(settings, tables),
            *cluster_assets(settings),
            advice_asset(settings),
            report_asset(settings, tables),
            backup_asset(settings),
        ],
        asset_checks=[*daily_checks(settings), backup_check(settings)],
        jobs=[*jobs(tables), backup_job(), registry_job(), forgetting],
        sensors=[
            landing_sensor(settings),
            partitions_sensor(settings, tables),
            report_sensor(),
        ],
        schedules=[
            rollup_schedule(settings),
            archive_schedule(settings, tables),
            answer_schedule(),
            advice_schedule(settings),
            backup_schedule(settings),
            registry_schedule(settings),
            retention_schedule(forgetting),
        ],
        # A process per step costs seconds of start-up for steps that take milliseconds.
        executor=dg.in_process_executor,
    )
    if not is_shown(settings):
        return everything
    shown = dg.Definitions.merge(everything, _points(settings))
    return dg.Definitions.merge(shown, alarm_defs(settings)) if settings.has_registry else shown


def _points(settings: Settings) -> dg.Definitions:
    """What a host without points does not show."""
    return dg.Definitions(
        assets=[
            frames_asset(settings),
            points_asset(settings),
            points_rollups(settings),
            points_overview(settings),
        ],
        jobs=points_jobs(),
        sensors=[frames_sensor(settings)],
        schedules=[points_rollup_schedule(settings), points_check_schedule(settings)],
    )


def _landed_by(table: Table) -> list[str]:
    """The assets that land files of a table's source."""
    if table is REGISTRY_HISTORY:
        return [REGISTRY]
    return [SNAPSHOT] if table in COLLECTED else []


def _assets(
    settings: Settings, tables: Sequence[Declared]
) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    assets: list[dg.AssetsDefinition | dg.AssetSpec] = []
    for table in TABLES:
        if table.source:
            assets.append(landing_asset(table.source, settings, _landed_by(table)))
            assets.append(hot_asset(table, table.source, settings))
        if table.below:
            assets.append(rollup_asset(table, settings))
    made = {*LOADED, *ROLLUPS} if is_shown(settings) else set()
    for declared in tables:
        if not declared.own and declared.name not in made:
            assets.append(application_table(declared, settings))
        assets.append(archive_asset(declared, settings))
    return assets
