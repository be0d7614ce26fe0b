"""Alarms, where there is a registry and points: evaluated, and how many people can handle.

`gateway serve` evaluates all the time; then a run finds its engine at work and leaves it to that.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from gateway_assets.defs.answers import GROUP
from gateway_assets.defs.describe import OWNERS
from gateway_assets.defs.hot import GROUP as HOT
from gateway_assets.defs.points import POINTS
from gateway_assets.defs.retention import SHORT_LIVED
from gateway_assets.defs.runs import in_flight
from gateway_assets.errors import Busy
from gateway_assets.settings import Settings

if TYPE_CHECKING:
    from gateway_assets.alarms.kpi import Report

ALARMS, KPIS = "alarms", "alarm_kpis"
EVALUATE, MEASURE = "alarms_evaluate", "alarms_measure"
RULES, URGENT, LIMITS = "every_rule_is_evaluated", "nothing_urgent_waits", "alarms_are_few_enough"
URGENT_MINUTES = 10
KPI_DAYS = 7
_ABOUT = {
    RULES: "No rule is wrong; see `gateway rules list`.",
    URGENT: f"No CRITICAL or FATAL alarm is unacknowledged for more than {URGENT_MINUTES} minutes; "
    "see `gateway alerts list`.",
}


def alarm_defs(settings: Settings) -> dg.Definitions:
    short = {"dagster/max_runtime": "900", **SHORT_LIVED}
    return dg.Definitions(
        assets=[alarms_asset(settings), kpis_asset(settings)],
        jobs=[
            dg.define_asset_job(EVALUATE, [ALARMS], tags=short),
            dg.define_asset_job(MEASURE, [KPIS], tags=short),
        ],
        schedules=[
            _schedule(EVALUATE, "3-59/5 * * * *", "Evaluates points by the alert rules."),
            _schedule(MEASURE, "50 4 * * *", "Counts alarms, beside what people can handle."),
        ],
    )


def alarms_asset(settings: Settings) -> dg.AssetsDefinition:
    """Evaluates every point that is there, and says what stands."""

    @dg.asset(
        name=ALARMS,
        deps=[POINTS],
        group_name=HOT,
        kinds={"python"},
        owners=OWNERS,
        description="Points evaluated by the alert rules of the registry: what stands in alarm.",
        check_specs=[
            dg.AssetCheckSpec(name, asset=ALARMS, description=about)
            for name, about in _ABOUT.items()
        ],
    )
    def evaluated(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from gateway_assets.alarms.run import evaluate
        from gateway_assets.alarms.standing import standing, wrong_rules
        from gateway_assets.registry.opened import opened_registry

        begun = time.monotonic()
        figures: dict[str, Any] = {}
        try:
            figures = evaluate(settings)._asdict()
        except Busy as error:
            context.log.info(f"left to the other process: {error.message}")
        with opened_registry(settings) as registry, registry.reading() as session:
            wrong = wrong_rules(session)
            found = standing(session)
        late = datetime.now(UTC) - timedelta(minutes=URGENT_MINUTES)
        urgent = [one for one in found if one.is_urgent and one.since < late]
        return dg.MaterializeResult(
            metadata={
                **figures,
                "seconds": round(time.monotonic() - begun, 3),
                "standing": len(found),
                "alarms": dg.MetadataValue.md(_table(("since", "level", "what"), (
                    (one.since.strftime("%Y-%m-%d %H:%M:%S"), one.level, one.message)
                    for one in found[:50]
                ))),
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name=RULES,
                    passed=not wrong,
                    severity=dg.AssetCheckSeverity.ERROR,
                    metadata={"wrong": dg.MetadataValue.json(wrong)},
                ),
                dg.AssetCheckResult(
                    check_name=URGENT,
                    passed=not urgent,
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata={"alarms": len(urgent)},
                ),
            ],
        )  # fmt: skip

    return evaluated


def kpis_asset(settings: Settings) -> dg.AssetsDefinition:
    """How many alarms the last days had, beside the limits of EEMUA 191 and ISA-18.2."""

    @dg.asset(
        name=KPIS,
        deps=[ALARMS],
        group_name=GROUP,
        kinds={"python"},
        owners=OWNERS,
        description=f"Alarms of the last {KPI_DAYS} days beside what people can handle "
        "(EEMUA 191, ISA-18.2); by hand: `gateway alerts kpi`.",
        check_specs=[
            dg.AssetCheckSpec(LIMITS, asset=KPIS, description="Every limit is met.")
        ],
    )  # fmt: skip
    def measured() -> dg.MaterializeResult:
        from gateway_assets.alarms.activations import recorded
        from gateway_assets.alarms.kpi import report
        from gateway_assets.alarms.scope import nanoseconds
        from gateway_assets.alarms.tidy import tidy
        from gateway_assets.registry.opened import opened_registry

        end = datetime.now(UTC)
        start = end - timedelta(days=KPI_DAYS)
        with opened_registry(settings) as registry:
            with registry.reading() as session:
                found = recorded(session, start, end)
            tidied = tidy(registry, settings)
        told = report(found, nanoseconds(start), nanoseconds(end))
        missed = [one.name for one in told.kpis if one.met is False]
        return dg.MaterializeResult(
            metadata={
                "activations": len(found),
                "removed_notifications": tidied.notices,
                **{one.name: float(one.value) for one in told.kpis},
                "limits": dg.MetadataValue.md(_limits(told)),
                "top_ten": dg.MetadataValue.md(_table(("series", "times", "share, %"), (
                    (one.series, one.count, round(one.share, 1)) for one in told.top
                ))),
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name=LIMITS,
                    passed=not missed,
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata={"missed": dg.MetadataValue.json(missed)},
                )
            ],
        )  # fmt: skip

    return measured


def _schedule(job: str, cron: str, about: str) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"{job}_schedule",
        job_name=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=about,
    )
    def due(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if in_flight(context.instance, job):
            return dg.SkipReason("a run is queued or running")
        return dg.RunRequest()

    return due


def _limits(told: "Report") -> str:
    words = {True: "met", False: "**not met**", None: ""}
    return _table(("", "value", "limit", "unit", ""), (
        (one.name, round(one.value, 2), "" if one.limit is None else one.limit, one.unit,
         words[one.met])
        for one in told.kpis
    ))  # fmt: skip


def _table(head: tuple[str, ...], rows: Any) -> str:
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    lines += [" | ".join(" ".join(str(cell).split()).replace("|", "\\|") for cell in row)
              for row in rows]  # fmt: skip
    return "\n".join(f"| {line} |" for line in lines)
