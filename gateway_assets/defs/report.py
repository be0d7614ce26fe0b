"""After archive runs: what every table takes, hot and cold, kept as a file and sent if wished."""

import json
import socket
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import dagster as dg

from gateway_assets import clock
from gateway_assets.defs.describe import OWNERS, archive_name
from gateway_assets.defs.notify import notify, shown
from gateway_assets.defs.partitions import match_partitions
from gateway_assets.defs.runs import ARCHIVE, FINISHED, REPORT, in_flight
from gateway_assets.defs.statistics import Statistics, markdown, overall_ratio, statistics
from gateway_assets.files.appear import appearing
from gateway_assets.settings import Settings
from gateway_assets.tiers.catalog import Declared

GROUP = "answers"
NAME = "archive_report"
SENSOR = "archive_finished"
KEEP_FILES = 30
MOST_RUNS = 100


def report_asset(settings: Settings, tables: Sequence[Declared]) -> dg.AssetsDefinition:
    """Writes the statistics of all tables to ``data/reports`` and POSTs them to ``notify_url``."""

    @dg.asset(
        name=NAME,
        deps=[archive_name(declared.name) for declared in tables],
        group_name=GROUP,
        kinds={"json"},
        owners=OWNERS,
        description="Rows, bytes and problems of every table after archive runs; can be sent.",
        metadata={"dagster/uri": str(settings.reports)},
    )
    def reported(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        matched = match_partitions(context.instance, settings, tables)
        found = statistics(tables, settings)
        summary = _summary(found, _runs(context.instance, _newest_report(context.instance)))
        body = json.dumps(summary, indent=1).encode()
        file = _write(settings.reports, body)
        for problem in (problem for one in found for problem in one.problems):
            context.log.warning(problem)
        filled = [one for one in found if one.days or one.problems]
        sent = _send(context, settings.notify_url, body)
        return dg.MaterializeResult(
            metadata={
                "tables": dg.MetadataValue.md(markdown(filled)),
                "file": dg.MetadataValue.path(file),
                "notification": sent,
                "partitions_matched": sum(map(sum, matched.values())),
                "failed_runs": len(summary["runs"]["failed"]),
                "problems": len(summary["problems"]),
                **summary["totals"],
                **_plotted(filled),
            }
        )

    return reported


def report_sensor() -> dg.SensorDefinition:
    """Asks for one report when the archive's runs of a tick are all over."""

    @dg.sensor(
        name=SENSOR,
        job_name=REPORT,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Reports once after archive runs, when none of them is left.",
    )
    def finished(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        instance = context.instance
        if in_flight(instance, ARCHIVE):
            return dg.SkipReason("an archive run is queued or running")
        runs = _finished(instance, limit=1)
        if not runs or (runs[0].end_time or 0) <= _newest_report(instance):
            return dg.SkipReason("no archive run has finished since the last report")
        # By its key it is asked for once, also when the report itself fails.
        return dg.RunRequest(run_key=runs[0].dagster_run.run_id)

    return finished


def _newest_report(instance: dg.DagsterInstance) -> float:
    event = instance.get_latest_materialization_event(dg.AssetKey(NAME))
    return event.timestamp if event else 0.0


def _finished(instance: dg.DagsterInstance, limit: int) -> Sequence[dg.RunRecord]:
    """Finished runs of the archive, the newest first."""
    wanted = dg.RunsFilter(job_name=ARCHIVE, statuses=FINISHED)
    return instance.get_run_records(wanted, limit=limit, order_by="update_timestamp")


def _runs(instance: dg.DagsterInstance, since: float) -> dict[str, Any]:
    """How the archive's runs since a moment ended; of those that failed, which and why."""
    runs = [
        record.dagster_run
        for record in _finished(instance, MOST_RUNS)
        if (record.end_time or 0) > since
    ]
    failed = [run for run in runs if run.status is not dg.DagsterRunStatus.SUCCESS]
    return {
        "succeeded": len(runs) - len(failed),
        "failed": [
            {
                "run": run.run_id,
                "assets": sorted(key.to_user_string() for key in run.asset_selection or ()),
                "why": _why(instance, run.run_id) or run.status.value.lower(),
            }
            for run in failed
        ],
    }


def _why(instance: dg.DagsterInstance, run: str) -> str:
    for entry in instance.all_logs(run, of_type=dg.DagsterEventType.STEP_FAILURE):
        event = entry.dagster_event
        if event and event.step_failure_data.error:
            error = event.step_failure_data.error
            return (error.cause or error).message.strip().splitlines()[0]
    return ""


def _summary(found: Sequence[Statistics], runs: dict[str, Any]) -> dict[str, Any]:
    problems = [problem for one in found for problem in one.problems]
    totals: dict[str, Any] = {
        name: sum(getattr(one, name) or 0 for one in found)
        for name in ("hot_rows", "hot_bytes", "cold_rows", "cold_bytes")
    }
    ratio = overall_ratio(found)
    if ratio is not None:
        totals["ratio"] = ratio
    return {
        "time": clock.iso(clock.now()),
        "host": socket.gethostname(),
        "text": (
            f"{socket.gethostname()}: {totals['cold_rows']:,} rows archived in "
            f"{totals['cold_bytes']:,} bytes, {totals['hot_rows']:,} rows hot; "
            f"failed runs: {len(runs['failed'])}, problems: {len(problems)}"
        ),
        "totals": totals,
        "runs": runs,
        "problems": problems,
        "tables": [asdict(one) for one in found],
    }


def _plotted(found: Sequence[Statistics]) -> dict[str, float]:
    """A plot a table and figure."""
    return {
        f"{one.table}/{name}": value
        for one in found
        for name in ("hot_rows", "cold_rows", "hot_bytes", "cold_bytes", "ratio")
        if (value := getattr(one, name)) is not None
    }


def _write(folder: Path, body: bytes) -> Path:
    """Keep a report, and the newest of those before it."""
    target = folder / f"archive-{clock.compact(clock.now())}.json"
    with appearing(target) as file:
        file.write(body)
    for old in sorted(folder.glob("archive-*.json"))[:-KEEP_FILES]:
        old.unlink(missing_ok=True)
    return target


def _send(context: dg.AssetExecutionContext, url: str, body: bytes) -> str:
    if not url:
        return "not sent: notify_url is not set"
    wrong = notify(url, body)
    if wrong:
        context.log.warning(f"the notification was not sent: {wrong}")
        return f"warning: not sent: {wrong}"
    return f"sent to {shown(url)}"
