"""Which days Dagster shows as archived: those that the manifest names, whoever archived them.

Days also move without Dagster: by ``gateway archive run``, ``restore`` and ``erase``, and when a
database is replaced. And Dagster's own run marks every day of its range, those that expired in it
too. So this is the one place that compares what Dagster shows with the manifest and puts it right.
"""

import json
import logging
import math
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

import dagster as dg

# Dagster has no public way to forget a partition that is kept in SQLite; its version is pinned.
from dagster._core.storage.event_log import AssetKeyTable, SqlEventLogStorage
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable as EventTable

from gateway_assets import clock
from gateway_assets.archive.manifest import FILES
from gateway_assets.defs.describe import TABLE_ERRORS, archive_name, why
from gateway_assets.defs.runs import ARCHIVE, busy
from gateway_assets.hot.store import reading
from gateway_assets.settings import Settings
from gateway_assets.tiers.catalog import Declared, catalog, has_table, open_database

SENSOR = "archive_partitions"
TICK_SECONDS = 300
# Dagster stops a sensor after 60 s. Some 80 days a second are reported; the next tick goes on.
PATIENCE_SECONDS = 20.0
_SLICE = 500
_log = logging.getLogger(__name__)
_LIVE = "state IN ('published', 'archived')"


def match_partitions(
    instance: dg.DagsterInstance,
    settings: Settings,
    tables: Sequence[Declared] | None = None,
    until: float = math.inf,
) -> dict[str, tuple[int, int]]:
    """Show exactly the archived days as materialized; by asset, how many came and how many went.

    Safe to repeat and to stop; stops by itself at ``until`` (of ``time.monotonic``). The
    partitions of a table that cannot be read stay as they are, and it is not in the answer.
    """
    matched = {}
    for declared in catalog(settings) if tables is None else tables:
        try:
            matched[archive_name(declared.name)] = _match(instance, declared, settings, until)
        except TABLE_ERRORS as error:
            _log.warning("%s: partitions stay as they are: %s", declared.name, why(error))
    return matched


def _match(
    instance: dg.DagsterInstance, declared: Declared, settings: Settings, until: float
) -> tuple[int, int]:
    asset, first = dg.AssetKey(archive_name(declared.name)), settings.first_day.isoformat()
    # In this order, because a run may be archiving: what it reports later is not taken for gone.
    shown = {day for day in instance.get_materialized_partitions(asset) if day >= first}
    days = {day: facts for day, facts in _archived_days(declared).items() if day >= first}
    gone = shown - days.keys()
    if gone and time.monotonic() < until:
        _forget(instance, asset, gone, days)
    added = 0
    for day in sorted(days.keys() - shown):
        if time.monotonic() >= until:
            break
        _report(instance, asset, day, days[day])
        added += 1
    return added, len(gone)


def _archived_days(declared: Declared) -> dict[str, dict[str, int]]:
    """Every archived day with its figures; needs the manifest only, not the table's columns."""
    query = f"""
        SELECT day, count(*), sum(size), CASE WHEN count(answers_until) = 0 THEN sum(rows) END
        FROM {FILES} WHERE table_name = ? AND {_LIVE} GROUP BY day
    """
    with open_database(declared) as connection, reading(connection):
        if not has_table(connection, FILES):
            return {}
        found = connection.execute(query, (declared.name,)).fetchall()
    days = {}
    for day, files, size, rows in found:
        figures = {"files": files, "size_bytes": size}
        if rows is not None:  # a file that answers for a part of its rows does not tell how many
            figures |= {"dagster/partition_row_count": rows, "bytes_per_row": round(size / rows, 2)}
        days[clock.day_text(day)] = figures
    return days


def _report(
    instance: dg.DagsterInstance, asset: dg.AssetKey, day: str, figures: Mapping[str, Any]
) -> None:
    instance.report_runless_asset_event(
        dg.AssetMaterialization(asset, partition=day, metadata=figures)
    )


def _forget(
    instance: dg.DagsterInstance,
    asset: dg.AssetKey,
    gone: Collection[str],
    days: Mapping[str, Mapping[str, Any]],
) -> None:
    """Make days count as not materialized; the other days keep their history and checks."""
    if not days:
        instance.wipe_assets([asset])
        return
    try:
        instance.wipe_asset_partitions(asset, sorted(gone))
    except NotImplementedError:
        # What is the latest must not go, or the next event would be given its number, and
        # Dagster, which only looks at larger numbers, would miss it.
        newest = max(days)
        _report(instance, asset, newest, days[newest])
        _delete_events(instance, asset, sorted(gone))


def _delete_events(instance: dg.DagsterInstance, asset: dg.AssetKey, days: Sequence[str]) -> None:
    """What Dagster's own wipe of an asset does, for some of its partitions, in one transaction.

    The other way, to wipe the asset and report all its days again, takes half a minute for ten
    years of days, shows none of them meanwhile, and loses the checks and the plots.
    """
    storage = cast(SqlEventLogStorage, instance.event_log_storage)
    key = asset.to_string()
    with storage.index_connection() as connection:
        for start in range(0, len(days), _SLICE):
            connection.execute(
                EventTable.delete().where(
                    EventTable.c.asset_key == key,
                    EventTable.c.partition.in_(days[start : start + _SLICE]),
                )
            )
        connection.execute(
            AssetKeyTable.update()
            .values(cached_status_data=None)
            .where(AssetKeyTable.c.asset_key == key)
        )


def partitions_sensor(settings: Settings, tables: Sequence[Declared]) -> dg.SensorDefinition:
    """Matches the partitions when a manifest, or what Dagster noted, has changed."""
    names = [archive_name(declared.name) for declared in tables]

    @dg.sensor(
        name=SENSOR,
        minimum_interval_seconds=TICK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Shows as archived what the manifest names, also what the command line did.",
    )
    def matching(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        instance = context.instance
        in_flight = busy(instance, ARCHIVE, names)
        if in_flight:
            return dg.SkipReason(f"being archived: {', '.join(sorted(in_flight))}")
        manifests = _manifests(settings, tables)
        if context.cursor == _cursor(manifests, instance, names):
            return dg.SkipReason("nothing was archived or brought back since the last look")
        until = time.monotonic() + PATIENCE_SECONDS
        matched = match_partitions(instance, settings, tables, until)
        if time.monotonic() < until:
            context.update_cursor(_cursor(manifests, instance, names))
        return dg.SkipReason(_told(matched))

    return matching


def _manifests(settings: Settings, tables: Sequence[Declared]) -> dict[str, Any]:
    """Figures that change with every change of a manifest, by database, and the first day."""
    figures: dict[str, Any] = {"first_day": settings.first_day.isoformat()}
    for declared in {declared.database: declared for declared in tables}.values():
        try:
            with open_database(declared) as connection:
                figures[str(declared.database)] = (
                    connection.execute(
                        f"SELECT count(*), max(number), max(changed_at) FROM {FILES}"
                    ).fetchone()
                    if has_table(connection, FILES)
                    else None
                )
        except TABLE_ERRORS as error:
            figures[str(declared.database)] = why(error)
    return figures


def _cursor(
    manifests: Mapping[str, Any], instance: dg.DagsterInstance, names: Sequence[str]
) -> str:
    """The manifests' figures and the number of the last event of each asset."""
    records = instance.get_asset_records([dg.AssetKey(name) for name in names])
    last = {
        record.asset_entry.asset_key.to_user_string(): (
            record.asset_entry.last_materialization_storage_id
        )
        for record in records
    }
    return json.dumps([manifests, last], sort_keys=True)


def _told(matched: Mapping[str, tuple[int, int]]) -> str:
    changed = [
        f"{asset}: {added} days archived, {removed} no longer"
        for asset, (added, removed) in matched.items()
        if added or removed
    ]
    return "; ".join(changed) or "every day was shown as it is"
