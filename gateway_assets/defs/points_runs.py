"""The jobs of points, and what starts them: frames that wait, hours that are marked, the clock.

Like all of ``automation`` they look at what is there, not at what they did before. `gateway serve`
loads and rolls up by itself; then hardly anything is left to do here.
"""

import time
from collections.abc import Iterator
from typing import Any

import dagster as dg

from gateway_assets import clock
from gateway_assets.defs.automation import ranges
from gateway_assets.defs.points import FRAMES, LOADED
from gateway_assets.defs.points_overview import NAME as OVERVIEW
from gateway_assets.defs.points_rollups import ONLY_MARKED, ROLLUPS
from gateway_assets.defs.retention import SHORT_LIVED
from gateway_assets.defs.runs import RANGE_END, RANGE_START, in_flight
from gateway_assets.points.dirty import marked_days
from gateway_assets.points.health import last_load
from gateway_assets.points.schema import has_points, open_points
from gateway_assets.points.waiting import held
from gateway_assets.settings import Settings

LOAD, ROLLUP, CHECK = "points_load", "points_rollup", "points_check"
LIVELY_SECONDS = 5  # a loader that loaded within them is at it


def points_jobs() -> list[Any]:  # Dagster does not export the type
    """One job a stage; a run of any of them is safe to repeat."""
    short = {"dagster/max_runtime": "900", **SHORT_LIVED}
    return [
        dg.define_asset_job(LOAD, [FRAMES, *LOADED], tags=short),
        dg.define_asset_job(ROLLUP, list(ROLLUPS)),
        dg.define_asset_job(CHECK, [OVERVIEW], tags=short),
    ]


def frames_sensor(settings: Settings) -> dg.SensorDefinition:
    """Asks for one load run when frames wait and nobody is loading."""

    @dg.sensor(
        name="waiting_frames",
        job_name=LOAD,
        minimum_interval_seconds=settings.load_every_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Loads whatever the frame logs have, all of it in one run.",
    )
    def waiting(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if in_flight(context.instance, LOAD):
            return dg.SkipReason("a load run is queued or running")
        due = [one for one in held(settings) if one.is_due] if has_points(settings) else []
        if not due:
            return dg.SkipReason("every frame is loaded")
        with open_points(settings.points_database) as connection:
            last = last_load(connection)
        if last is not None and time.time_ns() - last < LIVELY_SECONDS * 10**9:
            return dg.SkipReason("another process is loading")
        return dg.RunRequest(tags={"gateway/waiting_bytes": str(sum(one.waiting for one in due))})

    return waiting


def points_rollup_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Brings marked hours up to date: one run for each unbroken range of days."""

    @dg.schedule(
        name=f"{ROLLUP}s",
        job_name=ROLLUP,
        cron_schedule=settings.rollup_cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Computes the roll-ups of hours that got points.",
    )
    def due(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        if in_flight(context.instance, ROLLUP):
            yield dg.SkipReason("a run is queued or running")
            return
        days = _partitions(settings)
        if not days:
            yield dg.SkipReason("no hour is marked")
        for first, last in ranges(days):
            tags = {RANGE_START: clock.day_text(first), RANGE_END: clock.day_text(last)}
            # The time of the tick makes the key new: a run that failed must be asked for again.
            yield dg.RunRequest(
                run_key=f"{context.scheduled_execution_time.isoformat()}/{tags[RANGE_START]}",
                tags={**tags, ONLY_MARKED: "true"},
            )

    return due


def _partitions(settings: Settings) -> list[int]:
    """The partitions that the marked days are taken with."""
    if not has_points(settings):
        return []
    with open_points(settings.points_database) as connection:
        days = marked_days(connection)
    first = clock.parse_day(settings.first_day.isoformat())
    today = clock.day_of(clock.now())
    return sorted({min(max(day, first), today) for day in days})


def points_check_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Looks every 15 minutes how points do."""

    @dg.schedule(
        name=f"{CHECK}s",
        job_name=CHECK,
        cron_schedule="9-59/15 * * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Looks whether points are loaded, rolled up and come in.",
    )
    def due(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if in_flight(context.instance, CHECK):
            return dg.SkipReason("a run is queued or running")
        if not has_points(settings):
            return dg.SkipReason("nothing was ever written")
        return dg.RunRequest()

    return due
