"""How points do: what waits, what was rejected, whether any come, which series are new.

The checks belong to an asset of their own, as those about clusters do (see ``advice``).
"""

import time
from typing import Any

import dagster as dg

from gateway_assets import clock
from gateway_assets.defs.answers import GROUP
from gateway_assets.defs.describe import OWNERS
from gateway_assets.defs.points import REJECTS
from gateway_assets.defs.points_rollups import ROLLUPS
from gateway_assets.points.dirty import oldest_mark
from gateway_assets.points.health import (
    Newest,
    counts,
    last_load,
    newest_series,
    rejects_since,
)
from gateway_assets.points.levels import DAY, MINUTE
from gateway_assets.points.schema import open_points
from gateway_assets.points.waiting import held
from gateway_assets.settings import Settings

NAME = "points_overview"
LAG, STUCK, REJECTED, FRESH = (
    "roll_ups_are_up_to_date",
    "frames_are_loaded",
    "nothing_is_rejected",
    "points_come_in",
)
FORGOTTEN = 7 * DAY  # after which it is no news that no points come
_ABOUT = {
    LAG: "No hour waits for longer than points_max_lag_minutes to be rolled up; by hand: "
    "`gateway rollup`.",
    STUCK: "No frame is older than a day and not loaded; by hand: `gateway load`.",
    REJECTED: "Nothing that was loaded in the last day was rejected; all rejects: "
    '`gateway query "FROM point_rejects"`.',
    FRESH: "Something was loaded within points_max_lag_minutes, or nothing in the last week.",
}
_WARNINGS = {REJECTED, FRESH}


def points_overview(settings: Settings) -> dg.AssetsDefinition:
    """What is known of points at this moment, and four checks of it."""

    @dg.asset(
        name=NAME,
        deps=[REJECTS, ROLLUPS[-1]],
        group_name=GROUP,
        kinds={"sqlite"},
        owners=OWNERS,
        description="What waits to be loaded and rolled up, what was rejected, the newest series.",
        check_specs=[
            dg.AssetCheckSpec(name, asset=NAME, description=about) for name, about in _ABOUT.items()
        ],
    )
    def seen() -> dg.MaterializeResult:
        segments, now = held(settings), time.time_ns()
        lag = settings.points_max_lag_minutes * MINUTE
        with open_points(settings.points_database) as connection:
            marked, loaded = oldest_mark(connection), last_load(connection)
            rejects, reasons = rejects_since(connection, now - DAY)
            figures, newest = counts(connection), newest_series(connection)
        waits = max((now - one.since for one in segments if one.since is not None), default=0)
        quiet = None if loaded is None else now - loaded
        return dg.MaterializeResult(
            metadata={
                **figures,
                "waiting_bytes": sum(one.waiting for one in segments if one.is_due),
                "rejects": rejects,
                "newest_series": dg.MetadataValue.md(_markdown(newest)),
            },
            check_results=[
                _result(LAG, _age(marked, now) <= lag, lag_minutes=_minutes(_age(marked, now))),
                _result(STUCK, waits <= DAY, waiting_minutes=_minutes(waits)),
                _result(REJECTED, not rejects, rejects=rejects, reasons=reasons),
                _result(FRESH, quiet is None or not lag < quiet < FORGOTTEN, **_quiet(quiet)),
            ],
        )

    return seen


def _age(moment: int | None, now: int) -> int:
    return 0 if moment is None else now - moment


def _minutes(ns: int) -> float:
    return round(ns / MINUTE, 1)


def _quiet(ns: int | None) -> dict[str, float]:
    return {} if ns is None else {"minutes_since_last_load": _minutes(ns)}


def _result(name: str, passed: bool, **figures: Any) -> dg.AssetCheckResult:
    severity = dg.AssetCheckSeverity.WARN if name in _WARNINGS else dg.AssetCheckSeverity.ERROR
    return dg.AssetCheckResult(
        check_name=name, passed=passed, severity=severity, metadata=dict(figures)
    )


def _markdown(newest: list[Newest]) -> str:
    head = ["| metric | device | type | first seen | last point |", "|---|---|---|---|---|"]
    rows = [
        f"| {_cell(one.metric)} | {_cell(one.device or '')} | {one.type} "
        f"| {_time(one.first_seen)} | {_time(one.last_time)} |"
        for one in newest
    ]
    return "\n".join([*head, *rows])


def _cell(text: str) -> str:
    """What clients sent, within one cell of a table."""
    return " ".join(text.split())[:60].replace("|", "\\|")


def _time(ns: int | None) -> str:
    return "" if ns is None else clock.iso(ns // 1000)[:19]
