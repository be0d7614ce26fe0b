"""What starts runs: a sensor on landing files and schedules for roll-ups and archives.

All three look at what is there, not at what they did before: the ledger, the dirty buckets, the
archive's plan. So nothing is skipped after a failed run and nothing is requested twice.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import dagster as dg

from gateway_assets import clock
from gateway_assets.archive.plan import Keep, Step, look, plan, rules_for
from gateway_assets.defs import report
from gateway_assets.defs.advice import NAME as RULES
from gateway_assets.defs.advice import is_collected
from gateway_assets.defs.answers import NAME as OVERVIEW
from gateway_assets.defs.backup import CHECK as PROVEN
from gateway_assets.defs.backup import NAME as BACKUP
from gateway_assets.defs.checks import checks_of
from gateway_assets.defs.clusters import CAPACITY
from gateway_assets.defs.clusters import OVERVIEW as CLUSTERS
from gateway_assets.defs.describe import TABLE_ERRORS, archive_name, why
from gateway_assets.defs.hot import CHECK as FOOTERS
from gateway_assets.defs.landing import raw_name
from gateway_assets.defs.retention import SHORT_LIVED
from gateway_assets.defs.runs import (
    ADVICE,
    ANSWER,
    ARCHIVE,
    LOAD,
    PRIORITY,
    RANGE_END,
    RANGE_START,
    REPORT,
    ROLLUP,
    STAGE,
    busy,
    in_flight,
)
from gateway_assets.hot.dirty import waiting_days
from gateway_assets.hot.load import pending
from gateway_assets.hot.store import open_store
from gateway_assets.settings import Settings
from gateway_assets.table import Table
from gateway_assets.tables import TABLES
from gateway_assets.tiers.catalog import Declared, open_database, tiered

SOURCES = tuple(table for table in TABLES if table.source)
ROLLUPS = tuple(table for table in TABLES if table.below)


@dataclass(frozen=True, slots=True)
class Due:
    """The days of one asset that a run is wanted for, in order, and tags of the run."""

    asset: str
    days: list[int]
    tags: Mapping[str, str] = field(default_factory=dict)


def jobs(tables: Sequence[Declared]) -> list[Any]:  # Dagster does not export the type
    """One job a stage; a run of any of them is safe to repeat."""
    loading = [name for table in SOURCES for name in _loading(table)]
    short = {"dagster/max_runtime": "900"}
    archives = [archive_name(declared.name) for declared in tables]
    once_a_day = dg.AssetSelection.checks(
        *(check for table in SOURCES for check in checks_of(table)),
        # Here, too: when backups fail, their own run does not come to it.
        dg.AssetCheckKey(dg.AssetKey(BACKUP), PROVEN),
    )
    answers = dg.AssetSelection.assets(OVERVIEW, CLUSTERS, CAPACITY)
    return [
        dg.define_asset_job(
            LOAD,
            dg.AssetSelection.assets(*loading) - once_a_day,
            tags={**short, **SHORT_LIVED},
        ),
        dg.define_asset_job(ROLLUP, [table.name for table in ROLLUPS], tags=short),
        dg.define_asset_job(ARCHIVE, archives, tags={STAGE: ARCHIVE}),
        dg.define_asset_job(ANSWER, answers | once_a_day, tags=short),
        dg.define_asset_job(ADVICE, [RULES], tags={**short, **SHORT_LIVED}),
        dg.define_asset_job(REPORT, [report.NAME], tags=short),
    ]


def landing_sensor(settings: Settings) -> dg.SensorDefinition:
    """Asks for one load run when files wait that the ledger does not know.

    It loads only sources of which files wait: those of a host without clusters never do.
    """

    @dg.sensor(
        name="landing_files",
        job_name=LOAD,
        minimum_interval_seconds=settings.load_every_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Loads whatever has landed, all of it in one run.",
    )
    def landed(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if in_flight(context.instance, LOAD):
            return dg.SkipReason("a load run is queued or running")
        with open_store(settings.hot_database) as connection:
            waiting = {
                table: len(files)
                for table in SOURCES
                if table.source and (files := pending(connection, table.source, settings.landing))
            }
        if not waiting:
            return dg.SkipReason("the ledger knows every landing file")
        return dg.RunRequest(
            asset_selection=[dg.AssetKey(name) for table in waiting for name in _loading(table)],
            # Of selected assets Dagster takes all checks, also those that the job has not.
            asset_check_keys=[
                dg.AssetCheckKey(dg.AssetKey(table.name), FOOTERS) for table in waiting
            ],
            tags={"gateway/waiting_files": str(sum(waiting.values()))},
        )

    return landed


def _loading(table: Table) -> tuple[str, str]:
    """The assets that take a source's files to its table."""
    assert table.source
    return raw_name(table.source), table.name


def rollup_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Brings dirty days up to date."""

    def dirty(context: dg.ScheduleEvaluationContext) -> list[Due]:
        if in_flight(context.instance, ROLLUP):
            return []
        with open_store(settings.hot_database) as connection:
            return [Due(table.name, waiting_days(connection, table)) for table in ROLLUPS]

    about = "Merges rows that the roll-ups have not seen."
    return _schedule(ROLLUP, settings.rollup_cron, about, settings, dirty)


def archive_schedule(settings: Settings, tables: Sequence[Declared]) -> dg.ScheduleDefinition:
    """Archives what may leave, and prunes what has been archived long enough.

    The tables are those that Dagster has loaded: a run of one declared since would be refused,
    and with it all others of the tick.
    """
    in_order = sorted(tables, key=lambda declared: declared.priority)

    def acting(context: dg.ScheduleEvaluationContext) -> list[Due]:
        found = []
        in_flight_already = busy(
            context.instance, ARCHIVE, [archive_name(declared.name) for declared in tables]
        )
        for declared in in_order:
            asset = archive_name(declared.name)
            if asset in in_flight_already:
                context.log.info(f"{asset}: a run is queued or running")
                continue
            try:
                days = _acting_days(declared, settings)
            except TABLE_ERRORS as error:
                # One database that is not there must not keep the others from being archived.
                context.log.warning(f"{asset} is left out: {why(error)}")
                continue
            # Dagster takes larger numbers first, the registry smaller ones.
            found.append(Due(asset, days, {PRIORITY: str(-declared.priority)}))
        return found

    about = "Moves closed days to Parquet, oldest first."
    return _schedule(ARCHIVE, settings.archive_crons, about, settings, acting)


def answer_schedule() -> dg.ScheduleDefinition:
    """Looks once a day whether every row is answered, and whether capture is complete."""
    return dg.ScheduleDefinition(
        name=f"{ANSWER}s",
        job_name=ANSWER,
        cron_schedule="45 4 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Compares files, rows and answers, and counts incomplete files.",
    )


def advice_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Evaluates the rules every five minutes, where there are clusters.

    In a run of its own: 33 checks take 0.5 MB of history and 1.2 s, the start of a run 3 s. In the
    load runs, once a minute, they would take 0.7 GB a day instead of 0.15, and 29 minutes of a
    processor instead of 20.
    """

    @dg.schedule(
        name=ADVICE,
        job_name=ADVICE,
        cron_schedule="2-59/5 * * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Looks which rules about StarRocks clusters hold.",
    )
    def due(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if in_flight(context.instance, ADVICE):
            return dg.SkipReason("a run is queued or running")
        if not is_collected(settings):
            return dg.SkipReason("no cluster was looked at in the last week")
        return dg.RunRequest()

    return due


def _acting_days(declared: Declared, settings: Settings) -> list[int]:
    return sorted({step.day for step in _steps(declared, settings) if not isinstance(step, Keep)})


def _steps(declared: Declared, settings: Settings) -> list[Step]:
    with open_database(declared) as connection:
        table = tiered(connection, declared, settings)
        return plan(look(connection, table), rules_for(table, settings))


def _schedule(
    job: str,
    cron: str | list[str],
    about: str,
    settings: Settings,
    due_now: Callable[[dg.ScheduleEvaluationContext], list[Due]],
) -> dg.ScheduleDefinition:
    """A schedule that asks for the days, by asset, that the databases say are due."""

    @dg.schedule(
        name=f"{job}s",
        job_name=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=about,
    )
    def due(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        yield from _requests(context, due_now(context), settings.first_day)

    return due


def _requests(
    context: dg.ScheduleEvaluationContext, wanted: Iterable[Due], first_day: date
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """One run per asset and unbroken range of days."""
    asked = 0
    for due in wanted:
        for first, last in ranges(_partitioned(context, due, first_day)):
            asked += 1
            tags = {RANGE_START: clock.day_text(first), RANGE_END: clock.day_text(last)}
            # Dagster demands a key of every run when there are several. The time of the tick
            # makes it new each time: a run that failed must be asked for again.
            time = context.scheduled_execution_time.isoformat()
            yield dg.RunRequest(
                run_key=f"{time}/{due.asset}/{tags[RANGE_START]}",
                asset_selection=[dg.AssetKey(due.asset)],
                tags={**due.tags, **tags},
            )
    if not asked:
        yield dg.SkipReason("no day is due, or its run is queued or running")


def _partitioned(context: dg.ScheduleEvaluationContext, due: Due, first_day: date) -> list[int]:
    """The days that have a partition: a clock that was wrong must not fail the other days."""
    first, today = clock.parse_day(first_day.isoformat()), clock.day_of(clock.now())
    early = [clock.day_text(day) for day in due.days if day < first]
    if early:
        context.log.warning(
            f"{due.asset}: {len(early)} days before first_day, the first is {early[0]}; they are "
            "left to `gateway rollup` and `gateway archive run`"
        )
    return [day for day in due.days if first <= day <= today]


def ranges(days: Iterable[int]) -> list[tuple[int, int]]:
    """Sorted days as unbroken ranges, both ends included."""
    found: list[tuple[int, int]] = []
    for day in days:
        if found and found[-1][1] == day - 1:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found
