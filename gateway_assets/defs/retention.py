"""Old runs go: loading once a minute would keep a hundred thousand files and 80 GB a year.

Dagster keeps runs for ever, and deleting one leaves its files behind. Only runs tagged short-lived
are touched: those that hold materializations of partitions must stay, or the partitions would
count as missing. Dagster also leaves what checks said in such a run, 60 kB for one that looks at
the rules about clusters; of that the newest of each check stays.
"""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster._core.storage.event_log import SqlEventLogStorage
from sqlalchemy import bindparam, text

from gateway_assets.settings import Settings

JOB = "forget_old_runs"
SHORT_LIVED = {"gateway/retention": "short"}
KEEP_NEWEST = 100
MOST_AT_ONCE = 1000
_OLD_CHECKS = text("""
    DELETE FROM asset_check_executions WHERE run_id IN :runs AND id NOT IN (
        SELECT max(id) FROM asset_check_executions GROUP BY asset_key, check_name
    )
""").bindparams(bindparam("runs", expanding=True))
_FINISHED = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]


def forget_old_runs(instance: dg.DagsterInstance, before: datetime, keep_newest: int) -> int:
    """Delete short-lived, finished runs created before a moment, with their files; how many."""
    finished = dg.RunsFilter(tags=SHORT_LIVED, statuses=_FINISHED)
    newest = {record.dagster_run.run_id for record in _records(instance, finished, keep_newest)}
    old = dg.RunsFilter(tags=SHORT_LIVED, statuses=_FINISHED, created_before=before)
    runs = [record.dagster_run.run_id for record in _records(instance, old, None)]
    forgotten = [run for run in runs if run not in newest]
    _forget_checks(instance, forgotten)
    for run in forgotten:
        instance.delete_run(run)
        _remove_files(Path(instance.root_directory), run)
    return len(forgotten)


def _records(
    instance: dg.DagsterInstance, wanted: dg.RunsFilter, limit: int | None
) -> "list[dg.RunRecord]":
    return list(instance.get_run_records(wanted, limit=limit, order_by="create_timestamp"))


def _forget_checks(instance: dg.DagsterInstance, runs: list[str]) -> None:
    """Remove what the checks of some runs said, but what no later run said again."""
    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage)
    with storage.index_connection() as connection:
        for first in range(0, len(runs), MOST_AT_ONCE):
            connection.execute(_OLD_CHECKS, {"runs": runs[first : first + MOST_AT_ONCE]})


def _remove_files(home: Path, run: str) -> None:
    for path in (home / "history" / "runs").glob(f"{run}.db*"):
        path.unlink(missing_ok=True)
    shutil.rmtree(home / "storage" / run, ignore_errors=True)


def retention_job(settings: Settings) -> dg.JobDefinition:
    """Forgets runs older than ``run_keep_days``."""

    @dg.op
    def forget(context: dg.OpExecutionContext) -> None:
        before = datetime.now(UTC) - timedelta(days=settings.run_keep_days)
        count = forget_old_runs(context.instance, before, KEEP_NEWEST)
        context.log.info(f"{count} runs older than {settings.run_keep_days} days forgotten")

    @dg.job(
        name=JOB,
        tags=SHORT_LIVED,
        description="Deletes old runs of the load job, and of the rules about clusters.",
    )
    def forget_job() -> None:
        forget()

    return forget_job


def retention_schedule(job: dg.JobDefinition) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=JOB,
        job=job,
        cron_schedule="15 4 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
