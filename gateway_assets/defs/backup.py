"""Backups of everything: one a day, and once a week the newest is proven by being restored."""

from typing import Any

import dagster as dg

from gateway_assets import clock
from gateway_assets.defs.answers import GROUP
from gateway_assets.defs.describe import OWNERS
from gateway_assets.defs.runs import BACKUP, in_flight
from gateway_assets.settings import Settings

NAME = "backup"
CHECK = "last_backup_is_proven"
PROVEN_DAYS = 8  # after which a proof is too old
# So that a run that failed, or came a moment early, does not let the check fail.
_PROVE_AFTER = 6 * clock.DAY + clock.DAY // 2


def backup_asset(settings: Settings) -> dg.AssetsDefinition:
    """Backs up everything to ``data/backup``; see ``gateway backup``."""

    @dg.asset(
        name=NAME,
        group_name=GROUP,
        kinds={"sqlite"},
        owners=OWNERS,
        description="Every database, what is not loaded yet, settings, and the archive's list, as "
        "one directory; restored once a week to see whether it is good.",
        metadata={"dagster/uri": str(settings.backups)},
    )
    def backed_up(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from gateway_assets.backups.prove import prove
        from gateway_assets.backups.take import take

        done = take(settings)
        for text in done.left_out:
            context.log.warning(f"left out: {text}")
        age = _age_of_proof(settings)
        if age is None or age > _PROVE_AFTER:
            prove(done, settings)
        return dg.MaterializeResult(
            metadata={
                "bytes": done.size,
                "seconds": done.seconds,
                "files": len(done.parts),
                "proven": done.proven is not None,
                "left_out": dg.MetadataValue.json(done.left_out),
                "path": dg.MetadataValue.path(done.path),
            }
        )

    return backed_up


def backup_check(settings: Settings) -> dg.AssetChecksDefinition:
    """Whether a backup was proven good lately."""

    @dg.asset_check(
        name=CHECK,
        asset=NAME,
        description=f"A backup was restored and compared within the last {PROVEN_DAYS} days; by "
        "hand: `gateway restore --check`.",
    )
    def proven() -> dg.AssetCheckResult:
        age = _age_of_proof(settings)
        return dg.AssetCheckResult(
            passed=age is not None and age <= PROVEN_DAYS * clock.DAY,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={} if age is None else {"days": round(age / clock.DAY, 2)},
        )

    return proven


def _age_of_proof(settings: Settings) -> int | None:
    """How long ago, in microseconds, the newest proven backup was proven."""
    from gateway_assets.backups.record import newest_proven, proven_at

    path = newest_proven(settings.backups)
    moment = proven_at(path) if path else None
    return None if moment is None else clock.now() - moment


def backup_job() -> Any:  # Dagster does not export the type
    return dg.define_asset_job(BACKUP, [NAME], tags={"dagster/max_runtime": "7200"})


def backup_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Backs up everything once a day."""

    @dg.schedule(
        name=f"{BACKUP}s",
        job_name=BACKUP,
        cron_schedule=settings.backup_cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Backs up everything; once a week proves that it can be restored.",
    )
    def due(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if in_flight(context.instance, BACKUP):
            return dg.SkipReason("a run is queued or running")
        return dg.RunRequest()

    return due
