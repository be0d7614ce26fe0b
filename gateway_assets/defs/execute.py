"""Run one of the jobs in this process, as a real run that stays in the instance's history."""

from collections.abc import Sequence

import dagster as dg

from gateway_assets import clock
from gateway_assets.defs.runs import RANGE_END, RANGE_START
from gateway_assets.errors import GatewayError

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def execute(
    defs: dg.Definitions, job: str, asset: str = "", days: tuple[int, int] | None = None
) -> str:
    """Run a job, or one asset of it, for a range of days (both included); the run's id.

    Uses the instance that DAGSTER_HOME names. Raises GatewayError with the failed step's words.
    """
    tags = {}
    if days:
        tags = {RANGE_START: clock.day_text(days[0]), RANGE_END: clock.day_text(days[1])}
    with dg.DagsterInstance.get() as instance:
        result = defs.resolve_job_def(job).execute_in_process(
            instance=instance,
            tags=tags,
            asset_selection=[dg.AssetKey(asset)] if asset else None,
            run_config=_QUIET,
            raise_on_error=False,
        )
    if not result.success:
        raise GatewayError(
            f"Dagster run {result.run_id} of job {job!r} failed: {_why(result.all_events)}",
            hint="look at it in the UI: gateway up",
        )
    return str(result.run_id)


def _why(events: Sequence[dg.DagsterEvent]) -> str:
    for event in events:
        if event.is_step_failure and event.step_failure_data.error:
            error = event.step_failure_data.error
            return (error.cause or error).message.strip().splitlines()[0]
    return "see the run's log"
