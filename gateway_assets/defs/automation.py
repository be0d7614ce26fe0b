"""What starts runs: a sensor on landing files and schedules for roll-ups and archives.

All three look at what is there, not at what they did before: the ledger, the dirty buckets, the
archive's plan. So nothing is skipped after a failed run and nothing is requested twice.
"""

import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import Any

import dagster as dg

from gateway_assets import clock
from gateway_assets.archive.plan import Keep, Step, look, plan, rules_for
from gateway_assets.defs.answers import NAME as OVERVIEW
from gateway_assets.defs.cold import archive_name
from gateway_assets.defs.landing import raw_name
from gateway_assets.defs.retention import SHORT_LIVED
from gateway_assets.errors import GatewayError
from gateway_assets.hot.dirty import waiting_days
from gateway_assets.hot.load import pending
from gateway_assets.hot.store import open_store
from gateway_assets.settings import Settings
from gateway_assets.tables import TABLES
from gateway_assets.tiers.catalog import Declared, catalog, open_database, tiered

LOAD, ROLLUP, ARCHIVE, ANSWER = "load", "rollup", "archive", "answer"
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
_IN_FLIGHT = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]
SOURCES = tuple(table for table in TABLES if table.source)
ROLLUPS = tuple(table for table in TABLES if table.rollup)


def jobs(settings: Settings) -> list[Any]:  # Dagster does not export the type
    """One job a stage; a run of any of them is safe to repeat."""
    loading = [
        name for table in SOURCES if table.source for name in (raw_name(table.source), table.name)
    ]
    short = {"dagster/max_runtime": "900"}
    return [
        dg.define_asset_job(LOAD, loading, tags={**short, **SHORT_LIVED}),
        dg.define_asset_job(ROLLUP, [table.name for table in ROLLUPS], tags=short),
        dg.define_asset_job(ARCHIVE, [archive_name(one.name) for one in catalog(settings)]),
        dg.define_asset_job(ANSWER, [OVERVIEW], tags=short),
    ]


def landing_sensor(settings: Settings) -> dg.SensorDefinition:
    """Asks for one load run when files wait that the ledger does not know."""

    @dg.sensor(
        name="landing_files",
        job_name=LOAD,
        minimum_interval_seconds=settings.load_every_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Loads whatever has landed, all of it in one run.",
    )
    def landed(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if _in_flight(context.instance, LOAD):
            return dg.SkipReason("a load run is queued or running")
        with open_store(settings.hot_database) as connection:
            waiting = sum(
                len(pending(connection, table.source, settings.landing))
                for table in SOURCES
                if table.source
            )
        if not waiting:
            return dg.SkipReason("the ledger knows every landing file")
        return dg.RunRequest(tags={"gateway/waiting_files": str(waiting)})

    return landed


def rollup_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Brings dirty days up to date."""

    def dirty(connection: sqlite3.Connection) -> dict[str, list[int]]:
        return {table.name: waiting_days(connection, table) for table in ROLLUPS}

    about = "Merges rows that the roll-ups have not seen."
    return _schedule(ROLLUP, settings.rollup_cron, about, settings, dirty)


def archive_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Archives what may leave, and prunes what has been archived long enough."""

    def acting(connection: sqlite3.Connection) -> dict[str, list[int]]:
        del connection  # each table is in a database of its own
        due = {}
        for declared in sorted(catalog(settings), key=lambda one: one.priority):
            try:
                steps = _steps(declared, settings)
            except GatewayError as error:
                # One database that is not there must not keep the others from being archived.
                logging.getLogger(__name__).warning("%s: %s", declared.name, error)
                continue
            days = {step.day for step in steps if not isinstance(step, Keep)}
            due[archive_name(declared.name)] = sorted(days)
        return due

    about = "Moves closed days to Parquet, oldest first."
    return _schedule(ARCHIVE, settings.archive_crons, about, settings, acting)


def _steps(declared: Declared, settings: Settings) -> list[Step]:
    with open_database(declared) as connection:
        table = tiered(connection, declared, settings)
        return plan(look(connection, table), rules_for(table, settings))


def _schedule(
    job: str,
    cron: str | list[str],
    about: str,
    settings: Settings,
    days_due: Callable[[sqlite3.Connection], dict[str, list[int]]],
) -> dg.ScheduleDefinition:
    """A schedule that asks for the days, by asset, that the hot database says are due."""

    @dg.schedule(
        name=f"{job}s",
        job_name=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=about,
    )
    def due(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        if _in_flight(context.instance, job):
            yield dg.SkipReason(f"a run of {job} is queued or running")
            return
        with open_store(settings.hot_database) as connection:
            days = days_due(connection)
        yield from _requests(context, days, settings.first_day)

    return due


def _requests(
    context: dg.ScheduleEvaluationContext,
    days: dict[str, list[int]],
    first_day: date,
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """One run per asset and unbroken range of days."""
    known = {
        asset: _partitioned(context, asset, wanted, first_day) for asset, wanted in days.items()
    }
    if not any(known.values()):
        yield dg.SkipReason("no day is due")
    for asset, wanted in known.items():
        for first, last in ranges(wanted):
            tags = {RANGE_START: clock.day_text(first), RANGE_END: clock.day_text(last)}
            # Dagster demands a key of every run when there are several. The time of the tick
            # makes it new each time: a run that failed must be asked for again.
            key = f"{context.scheduled_execution_time.isoformat()}/{asset}/{tags[RANGE_START]}"
            yield dg.RunRequest(run_key=key, asset_selection=[dg.AssetKey(asset)], tags=tags)


def _partitioned(
    context: dg.ScheduleEvaluationContext, asset: str, days: list[int], first_day: date
) -> list[int]:
    """The days that have a partition: a clock that was wrong must not fail the other days."""
    first, today = clock.parse_day(first_day.isoformat()), clock.day_of(clock.now())
    early = [clock.day_text(day) for day in days if day < first]
    if early:
        context.log.warning(
            f"{asset}: {len(early)} days before first_day, the first is {early[0]}; they are "
            "left to `gateway rollup` and `gateway archive run`"
        )
    return [day for day in days if first <= day <= today]


def ranges(days: Iterable[int]) -> list[tuple[int, int]]:
    """Sorted days as unbroken ranges, both ends included."""
    found: list[tuple[int, int]] = []
    for day in days:
        if found and found[-1][1] == day - 1:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def _in_flight(instance: dg.DagsterInstance, job: str) -> bool:
    return bool(instance.get_runs(dg.RunsFilter(job_name=job, statuses=_IN_FLIGHT), limit=1))
