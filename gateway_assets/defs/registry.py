"""Snapshots of the registry: one an hour, where there is a registry; what changed is shown.

With them the logs of a registry in PostgreSQL are copied to where they are archived.
"""

from typing import TYPE_CHECKING, Any

import dagster as dg

from gateway_assets.defs.describe import HOT_POOL, OWNERS
from gateway_assets.defs.landing import GROUP, raw_name
from gateway_assets.defs.retention import SHORT_LIVED
from gateway_assets.defs.runs import in_flight
from gateway_assets.errors import Busy
from gateway_assets.settings import Settings
from gateway_assets.sources.registry_history import SOURCE

if TYPE_CHECKING:
    from gateway_assets.history.take import Taken

NAME = "raw_registry_snapshot"
JOB = "registry_snapshot"
NO_REGISTRY = "there is no registry yet"


def registry_asset(settings: Settings) -> dg.AssetsDefinition:
    """Takes a snapshot and lands what changed since the one before."""

    @dg.asset(
        name=NAME,
        group_name=GROUP,
        kinds={"postgres" if settings.registry_url else "sqlite", "file"},
        owners=OWNERS,
        pool=HOT_POOL,  # what has landed before is loaded first
        description="The registry of devices, rules and users, read at one instant; what changed "
        "since the last snapshot lands. The state of any moment: `gateway registry as-of`.",
        metadata={"dagster/uri": str(settings.landing / SOURCE.name)},
    )
    def taken(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from gateway_assets.history.take import take

        if not settings.has_registry:
            context.log.info(NO_REGISTRY)
            return dg.MaterializeResult(metadata={"status": f"not taken: {NO_REGISTRY}"})
        figures = _figures(take(settings))
        if settings.registry_url:
            figures |= _mirrored(settings)
        return dg.MaterializeResult(metadata=figures)

    return taken


def registry_job() -> Any:  # Dagster does not export the type
    """A snapshot, and what it lands becomes rows; safe to repeat."""
    return dg.define_asset_job(
        JOB,
        dg.AssetSelection.assets(NAME, raw_name(SOURCE), SOURCE.name),
        tags={"dagster/max_runtime": "900", **SHORT_LIVED},
    )


def registry_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Takes a snapshot every hour, or as ``registry_snapshot_cron`` says."""

    @dg.schedule(
        name=f"{JOB}s",
        job_name=JOB,
        cron_schedule=settings.registry_snapshot_cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Keeps what changed in the registry.",
    )
    def due(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:

        if not settings.has_registry:
            return dg.SkipReason(NO_REGISTRY)
        if in_flight(context.instance, JOB):
            return dg.SkipReason("a run is queued or running")
        return dg.RunRequest()

    return due


def _mirrored(settings: Settings) -> dict[str, Any]:
    from gateway_assets.history.mirror import mirror

    try:
        done = mirror(settings)
    except Busy as error:  # the snapshot has landed; the next run copies what is missing
        return {"copied": f"not now: {error.message}"}
    return {
        "copied_rows": sum(one.added + one.changed for one in done),
        "copied": dg.MetadataValue.json({one.table: one._asdict() for one in done}),
    }


def _figures(taken: "Taken") -> dict[str, Any]:
    changes = sum(sum(counts.values()) for counts in taken.changes.values())
    figures: dict[str, Any] = {
        "status": "changed" if taken.number else "as before",
        "changes": changes,
        "rows": sum(taken.rows.values()),
        "rows_by_table": dg.MetadataValue.json(taken.rows),
        "changes_by_table": dg.MetadataValue.json(taken.changes),
        "seconds": round(taken.seconds, 3),
    }
    if taken.number:
        figures["snapshot"] = taken.number
        figures["what_changed"] = dg.MetadataValue.md(_markdown(taken, changes))
    return figures


def _markdown(taken: "Taken", changes: int) -> str:
    rows = [f"| {change} | {entity} | {_cell(name)} |" for change, entity, name in taken.first]
    more = [f"\n… and {changes - len(rows)} more"] if changes > len(rows) else []
    return "\n".join(["| change | table | name |", "|---|---|---|", *rows, *more])


def _cell(text: str) -> str:
    """A name, which may hold what ends a cell or a row."""
    return text.replace("|", "\\|").replace("\n", " ")
