"""Jobs, the tags of their runs, and which runs are in flight or have finished."""

from collections.abc import Iterable

import dagster as dg

LOAD, ROLLUP, ARCHIVE, ANSWER, REPORT = "load", "rollup", "archive", "answer", "report"
ADVICE, BACKUP = "advice", "daily_backup"
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
PRIORITY = "dagster/priority"
STAGE = "gateway/stage"  # so that the instance's settings can limit archive runs by their tag
IN_FLIGHT = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
FINISHED = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]


def in_flight(instance: dg.DagsterInstance, job: str) -> bool:
    return bool(instance.get_runs(dg.RunsFilter(job_name=job, statuses=IN_FLIGHT), limit=1))


def busy(instance: dg.DagsterInstance, job: str, assets: Iterable[str]) -> set[str]:
    """Those of a job's assets that a run in flight will make, whoever started it."""
    found: set[str] = set()
    for run in instance.get_runs(dg.RunsFilter(statuses=IN_FLIGHT)):
        if run.asset_selection:
            found |= {key.to_user_string() for key in run.asset_selection}
        elif run.job_name == job:
            return set(assets)
    return found & set(assets)
