"""How StarRocks clusters do, and when their disks are full: once a day, with numbers to plot."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from gateway_assets import clock
from gateway_assets.defs.advice import advice_text
from gateway_assets.defs.answers import GROUP
from gateway_assets.defs.describe import OWNERS
from gateway_assets.defs.picture import growth_picture
from gateway_assets.hot.sql import sql
from gateway_assets.hot.store import open_store
from gateway_assets.settings import Settings
from gateway_assets.starrocks.forecast import RECENT_DAYS
from gateway_assets.tables import COLLECTION_TICKS, DAILY_SNAPSHOTS, METRICS_SNAPSHOTS

if TYPE_CHECKING:
    from gateway_assets.bridge.bridge import UnifiedQueryBridge
    from gateway_assets.clusters.capacity import Capacity

OVERVIEW, CAPACITY = "cluster_overview", "cluster_capacity"
WATCHED, LEAST_WATCHED_PCT = "clusters_were_watched", 90
DAYS = DAILY_SNAPSHOTS.name
PLOTTED = (
    "fe_alive", "be_alive", "cn_alive", "qps", "p95", "success_pct", "cpu_avg_pct", "mem_avg_pct",
    "disk_used_pct", "connections",
)  # fmt: skip
OLD_SECONDS = 300


def cluster_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    return [_overview_asset(settings), _capacity_asset(settings)]


def _overview_asset(settings: Settings) -> dg.AssetsDefinition:
    @dg.asset(
        name=OVERVIEW,
        deps=[METRICS_SNAPSHOTS.name, COLLECTION_TICKS.name, DAILY_SNAPSHOTS.name],
        group_name=GROUP,
        kinds={"starrocks", "duckdb"},
        owners=OWNERS,
        description="Nodes, work and resources of every StarRocks cluster as last seen, and what "
        "is wrong with them; `gateway clusters overview` says the same at any time.",
        check_specs=[
            dg.AssetCheckSpec(
                WATCHED,
                asset=OVERVIEW,
                description=f"Every declared cluster answered at {LEAST_WATCHED_PCT} % of "
                "yesterday's ticks at least; of a cluster's first day nothing is said.",
            )
        ],
    )
    def seen() -> dg.MaterializeResult:
        from gateway_assets.bridge.bridge import UnifiedQueryBridge
        from gateway_assets.clusters.advice import findings
        from gateway_assets.clusters.overview import overview

        with UnifiedQueryBridge(settings) as bridge:
            found = overview(bridge)
            wrong = findings(bridge)
        return dg.MaterializeResult(
            metadata={
                "clusters": len(found),
                "findings": len(wrong),
                "overview": dg.MetadataValue.md(_overview_text(found)),
                "advice": dg.MetadataValue.md(advice_text(wrong)),
                **{
                    f"{one['cluster']}/{name}": round(one[name], 2)
                    for one in found
                    for name in PLOTTED
                    if one.get(name) is not None
                },
            },
            check_results=[_watched(settings)],
        )

    return seen


def _watched(settings: Settings) -> dg.AssetCheckResult:
    """Whether yesterday's rows of ``daily_snapshots`` tell of a whole day.

    A check of this asset, not of that one, which is computed so often that Dagster would show what
    is looked at once a day as not evaluated.
    """
    yesterday = (clock.day_of(clock.now()) - 1) * clock.DAY
    rows = sql("SELECT cluster, coverage_pct FROM {table} WHERE time = ?", table=DAYS)
    before = sql("SELECT DISTINCT cluster FROM {table} WHERE time < ?", table=DAYS)
    with open_store(settings.hot_database) as connection:
        covered = dict(connection.execute(rows, (yesterday,)))
        known = {cluster for (cluster,) in connection.execute(before, (yesterday,))}
    watched = {name: covered.get(name) or 0.0 for name in _limits(settings) if name in known}
    return dg.AssetCheckResult(
        check_name=WATCHED,
        passed=all(pct >= LEAST_WATCHED_PCT for pct in watched.values()),
        severity=dg.AssetCheckSeverity.WARN,
        metadata=watched,
    )


def _overview_text(found: Sequence[dict[str, Any]]) -> str:
    if not found:
        return "no cluster"
    # Dagster's page leaves little width: longer lines are cut.
    head = "| cluster | status | FE | BE | CN | qps | p95 | CPU | RAM | disk |"
    rows = [
        f"| {one['cluster']} | {_status(one)} "
        f"| {_alive(one, 'fe')} | {_alive(one, 'be')} | {_alive(one, 'cn')} "
        f"| {_number(one.get('qps'))} | {_number(one.get('p95'))} "
        f"| {_number(one.get('cpu_avg_pct'), '%')} | {_number(one.get('mem_avg_pct'), '%')} "
        f"| {_number(one.get('disk_used_pct'), '%')} |"
        for one in found
    ]
    return "\n".join([head, "|---|---|---|---|---|--:|--:|--:|--:|--:|", *rows])


def _status(one: dict[str, Any]) -> str:
    """Of a cluster that is no longer looked at, what was last seen is not its status."""
    age = clock.now() / clock.SECOND - one["time"].timestamp()
    return str(one["status"]) if age < OLD_SECONDS else f"seen {one['time']:%d. %H:%M}"


def _alive(one: dict[str, Any], kind: str) -> str:
    alive, total = one.get(f"{kind}_alive"), one.get(f"{kind}_total")
    return "" if total is None else f"{'?' if alive is None else alive}/{total}"


def _number(value: float | None, unit: str = "") -> str:
    return "" if value is None else f"{value:,.0f}{unit}"


def _days(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f} days"


def _capacity_asset(settings: Settings) -> dg.AssetsDefinition:
    @dg.asset(
        name=CAPACITY,
        deps=[DAILY_SNAPSHOTS.name],
        group_name=GROUP,
        kinds={"starrocks", "duckdb"},
        owners=OWNERS,
        description="How fast every StarRocks cluster grows, and when its disks are full, with "
        "a range. `off by` is how far forecasts for a week later were from what came; "
        "`first full` the backend whose disks are full before all others.",
    )
    def forecast() -> dg.MaterializeResult:
        from gateway_assets.bridge.bridge import UnifiedQueryBridge

        with UnifiedQueryBridge(settings) as bridge:
            found = _capacities(bridge, settings)
            drawn = {one.cluster: _picture(bridge, one) for one in found}
        numbers: dict[str, float] = {}
        for one in found:
            numbers |= _capacity_numbers(one)
        pictures = {
            f"{cluster}/growth": dg.MetadataValue.md(picture)
            for cluster, picture in drawn.items()
            if picture
        }
        return dg.MaterializeResult(
            metadata={
                "clusters": len(found),
                "forecast": dg.MetadataValue.md(_capacity_text(found)),
                **pictures,
                **numbers,
            }
        )

    return forecast


def _limits(settings: Settings) -> dict[str, float]:
    from gateway_assets.collect.config import clusters_of

    return {cluster.name: cluster.storage_limit_pct for cluster in clusters_of(settings)}


def _capacities(bridge: "UnifiedQueryBridge", settings: Settings) -> "list[Capacity]":
    from gateway_assets.clusters.capacity import LIMIT_PCT, capacity
    from gateway_assets.clusters.known import names

    limits = _limits(settings)
    return [capacity(bridge, name, limits.get(name, LIMIT_PCT)) for name in names(bridge)]


def _picture(bridge: "UnifiedQueryBridge", one: "Capacity") -> str:
    from gateway_assets.clusters.growth import growth

    today = clock.day_of(clock.now()) * clock.DAY
    points = [
        (clock.day_of(int(row["time"].timestamp()) * clock.SECOND), float(row[one.measured]))
        for row in growth(bridge, one.cluster, today - RECENT_DAYS * clock.DAY, today)
        if row[one.measured] is not None
    ]
    return growth_picture(points, one.limit, one.forecast)


def _capacity_numbers(one: "Capacity") -> dict[str, float]:
    """A plot a cluster and figure; what is unknown has no point."""
    days, rate = one.forecast.days, one.forecast.rate
    numbers = {
        "used_bytes": one.used,
        "limit_bytes": one.limit,
        "growth_bytes_a_day": rate.middle if rate else None,
        "days_left": days.middle if days else None,
        "forecast_error_days": one.backtest.error_days,
    }
    return {
        f"{one.cluster}/{name}": round(value, 2)
        for name, value in numbers.items()
        if value is not None
    }


def _capacity_text(found: "Sequence[Capacity]") -> str:
    if not found:
        return "no cluster"
    head = "| cluster | forecast | off by | first full |"
    rows = [
        f"| {one.cluster} | {one.forecast.text} | {_days(one.backtest.error_days)} "
        f"| {one.first[0] if one.first else ''} |"
        for one in found
    ]
    return "\n".join([head, "|---|---|--:|---|", *rows])
