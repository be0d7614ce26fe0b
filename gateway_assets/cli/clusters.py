"""``gateway clusters``: what the collected rows say about StarRocks clusters."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from gateway_assets import clock
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.cli.cluster_overview import print_overview
from gateway_assets.cli.pictures import sparkline
from gateway_assets.cli.show import as_json, print_grid, print_json, size
from gateway_assets.cli.spans import span
from gateway_assets.clusters.advice import as_record, findings
from gateway_assets.clusters.capacity import LIMIT_PCT, Capacity, capacity
from gateway_assets.clusters.growth import growth
from gateway_assets.clusters.history import COUNTERS, history, step_for
from gateway_assets.clusters.jobs import jobs, slow_queries
from gateway_assets.clusters.known import chosen
from gateway_assets.clusters.latency import latency
from gateway_assets.clusters.nodes import nodes
from gateway_assets.clusters.overview import overview
from gateway_assets.clusters.rules import RULES
from gateway_assets.clusters.running import declared, running
from gateway_assets.clusters.trend import USUAL, trend
from gateway_assets.collect.config import clusters_of
from gateway_assets.errors import UsageError
from gateway_assets.settings import Settings
from gateway_assets.starrocks.forecast import HORIZON_DAYS, Forecast

_cluster = click.option("--cluster", default="", help="Its name; needed when there are several.")


def _last(default: str) -> Callable[[Any], Any]:
    return click.option(
        "--last", type=span, default=default, show_default=True, help="How far back."
    )


_NO_DAYS = "days are computed by: gateway rollup (or by Dagster); a longer time: --last 1w"
_step = click.option("--step", type=span, default=None, help="Length of one row's time.")


@click.group()
def clusters() -> None:
    """What has been collected of StarRocks clusters; see also gateway collect.

    Rows are asked for wherever they are, hot or archived. All times are UTC, days are UTC days.
    What is not known is left empty, or null in JSON: it is never 0.

    \b
    Examples:
      gateway clusters overview                     the newest of everything
      gateway clusters advice                       what is wrong, since when, what to do
      gateway clusters history qps --last 7d
      gateway clusters forecast                     when the disks will be full
    """


@clusters.command("overview")
@click.option("--cluster", default="", help="One of them; all when not given.")
@as_json
@click.pass_obj
def overview_(settings: Settings, cluster: str, as_json: bool) -> None:
    """Nodes, resources, queries and what is wrong, as last seen.

    \b
    Examples:
      gateway clusters overview
      gateway clusters overview --json | jq '.[0].overview.qps'
    """
    with UnifiedQueryBridge(settings) as bridge:
        found = [
            {
                "overview": one,
                "nodes": nodes(bridge, one["cluster"]),
                "findings": [as_record(each) for each in findings(bridge, one["cluster"])],
            }
            for one in overview(bridge, cluster)
        ]
        if not found:
            chosen(bridge, cluster)
    if as_json:
        print_json(found)
        return
    for one in found:
        print_overview(one)


@clusters.command("history")
@click.argument("metric")
@_cluster
@_last("6h")
@_step
@as_json
@click.pass_obj
def history_(
    settings: Settings, metric: str, cluster: str, last: int, step: int | None, as_json: bool
) -> None:
    """One number over a time.

    \b
    Examples:
      gateway clusters history qps
      gateway clusters history disk_used_pct --last 30d --step 1d
    """
    end = clock.now()
    with UnifiedQueryBridge(settings) as bridge:
        name = chosen(bridge, cluster)
        rows = history(bridge, name, metric, end - last * clock.SECOND, end, step or 0)
    if as_json:
        print_json(rows)
        return
    _need(rows, f"{metric} of {name}")
    shown = "a_second" if metric in COUNTERS else "mean"
    click.echo(f"{metric} of {name}  {sparkline([row[shown] for row in rows])}")
    print_grid([{key: _rounded(value) for key, value in row.items()} for row in rows])


def _rounded(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value


@clusters.command("latency")
@_cluster
@_last("1d")
@_step
@as_json
@click.pass_obj
def latency_(settings: Settings, cluster: str, last: int, step: int | None, as_json: bool) -> None:
    """True percentiles of latency, from the cluster's audit log.

    \b
    Examples:
      gateway clusters latency --last 7d --step 1d
    """
    end = clock.now()
    start = end - last * clock.SECOND
    with UnifiedQueryBridge(settings) as bridge:
        name = chosen(bridge, cluster)
        rows = latency(bridge, name, start, end, max(step or step_for(start, end), 300))
    if as_json:
        print_json(rows)
        return
    _need(rows, f"audit log of {name}", "it needs the audit log plugin; p95 and p99 of "
          "metrics_snapshots are there without it")  # fmt: skip
    click.echo(f"p95 of {name}  {sparkline([row['p95'] for row in rows])}")
    print_grid(rows)


@clusters.command("trend")
@click.argument("metrics", nargs=-1)
@_cluster
@_last("1h")
@as_json
@click.pass_obj
def trend_(
    settings: Settings, metrics: tuple[str, ...], cluster: str, last: int, as_json: bool
) -> None:
    """Numbers of the last hour beside the hour before, yesterday's and last week's.

    Gauges by their mean, counters by what they grew a second.

    \b
    Examples:
      gateway clusters trend
      gateway clusters trend qps p95 --last 1d
    """
    end = clock.now()
    with UnifiedQueryBridge(settings) as bridge:
        name = chosen(bridge, cluster)
        rows = trend(bridge, name, end - last * clock.SECOND, end, metrics or USUAL)
    if as_json:
        print_json(rows)
        return
    _need([row for row in rows if row["now"] is not None], f"value of {name} in this time")
    print_grid([_trend_line(row) for row in rows])


def _trend_line(row: dict[str, Any]) -> dict[str, Any]:
    """Numbers with the change since then behind those of earlier windows."""
    line = {"metric": row["metric"], "now": _number(row["now"], row["unit"])}
    for name, title in (("before", "before"), ("yesterday", "yesterday"),
                        ("last_week", "a week ago")):  # fmt: skip
        then, change = _number(row[name], row["unit"]), row[f"{name}_pct"]
        line[title] = then if change is None else f"{then} ({change:+,.1f} %)"
    return line


def _number(value: float | None, unit: str = "") -> str | None:
    if value is None:
        return None
    if unit.startswith("bytes"):
        return f"{size(round(value))}{unit.removeprefix('bytes')}"
    shown = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{shown}/s" if unit in {"/s", "1/s"} else f"{shown} {unit}".rstrip()


@clusters.command("growth")
@_cluster
@_last("30d")
@as_json
@click.pass_obj
def growth_(settings: Settings, cluster: str, last: int, as_json: bool) -> None:
    """Sizes at the end of each UTC day, and what they grew a day.

    Growth is that since the last day that is known, so many days ago; today's row is as of now.

    \b
    Examples:
      gateway clusters growth
      gateway clusters growth --last 52w --json | jq '.[-1].table_bytes'
    """
    end = clock.now()
    with UnifiedQueryBridge(settings) as bridge:
        name = chosen(bridge, cluster)
        rows = growth(bridge, name, end - last * clock.SECOND, end)
    if as_json:
        print_json(rows)
        return
    _need(rows, f"day of {name}", _NO_DAYS)
    for column in ("disk_used_bytes", "table_bytes", "storage_bytes"):
        if any(row[column] is not None for row in rows):
            click.echo(f"{column} of {name}  {sparkline([row[column] for row in rows])}")
    lines = [_growth_line(row) for row in rows]
    known = [title for title in lines[0] if any(line[title] is not None for line in lines)]
    print_grid([{title: line[title] for title in known} for line in lines])


def _growth_line(row: dict[str, Any]) -> dict[str, Any]:
    line: dict[str, Any] = {"day (UTC)": f"{row['time']:%Y-%m-%d}"}
    for name, column, title in (
        ("used", "disk_used_bytes", "disks"),
        ("table", "table_bytes", "tables"),
        ("storage", "storage_bytes", "storage"),
    ):
        grown, days = row[f"{name}_growth_bytes"], row[f"{name}_growth_days"]
        gap = f" (of {days} days)" if days and days > 1 else ""
        line[title] = _size(row[column])
        line[f"{title} grew a day"] = None if grown is None else f"{_size(grown)}{gap}"
    watched = row["coverage_pct"]
    return {**line, "watched": None if watched is None else f"{watched:.1f} %"}


def _size(value: int | None) -> str | None:
    if value is None:
        return None
    return f"-{size(-value)}" if value < 0 else size(value)


@clusters.command("forecast")
@_cluster
@click.option(
    "--limit-pct",
    type=click.FloatRange(0, 100, min_open=True),
    help="Where the cluster stops loading; the declared storage_limit_pct if not given.",
)
@as_json
@click.pass_obj
def forecast_(settings: Settings, cluster: str, limit_pct: float | None, as_json: bool) -> None:
    """When the disks will be full: a date with a range, and how good such forecasts were.

    From sizes at the end of the last 60 days; a week is the least. A cluster that keeps its data in
    object storage grows, but is never full.

    \b
    Examples:
      gateway clusters forecast
      gateway clusters forecast --limit-pct 80 --json | jq .forecast.date
    """
    with UnifiedQueryBridge(settings) as bridge:
        name = chosen(bridge, cluster)
        found = capacity(bridge, name, limit_pct or _declared_limit(settings, name))
    if as_json:
        print_json(_as_json(found))
    else:
        _print_forecast(found)


def _declared_limit(settings: Settings, name: str) -> float:
    limits = {each.name: each.storage_limit_pct for each in clusters_of(settings)}
    return limits.get(name, LIMIT_PCT)


def _as_json(found: Capacity) -> dict[str, Any]:
    first = found.first
    return {
        **found._asdict(),
        "forecast": _forecast_json(found.forecast),
        "backtest": {**found.backtest._asdict(), "horizon_days": HORIZON_DAYS},
        "first": None if first is None else {"node": first[0], **_forecast_json(first[1])},
    }


def _forecast_json(found: Forecast) -> dict[str, Any]:
    return {
        **found._asdict(),
        "rate": found.rate._asdict() if found.rate else None,
        "days": found.days._asdict() if found.days else None,
    }


def _print_forecast(found: Capacity) -> None:
    click.echo(f"{found.cluster} ({found.mode}): {found.forecast.text}")
    if found.used is not None:
        stops = "" if found.limit is None else f"; loading stops at {size(round(found.limit))}"
        used = size(round(found.used))
        click.echo(f"  {found.measured} at the end of {found.day}: {used}{stops}")
    if found.mode == "shared-data":
        click.echo("  Object storage has no capacity, and disks of the nodes are a cache.")
    if found.first:
        node, its = found.first
        click.echo(f"  first to be full: {node}: {its.text}")
    past = found.backtest
    if past.error_bytes is not None:
        days = "" if past.error_days is None else f", {past.error_days:.1f} days of growth"
        click.echo(
            f"  {past.forecasts} earlier forecasts for {HORIZON_DAYS} days later were off by "
            f"{size(round(past.error_bytes))}{days} (median)"
        )


@clusters.command("running")
@_cluster
@as_json
@click.pass_obj
def running_(settings: Settings, cluster: str, as_json: bool) -> None:
    """Queries that run at this moment, longest first, asked of the cluster itself.

    \b
    Examples:
      gateway clusters running
      gateway clusters running --json | jq '.queries[] | select(.seconds > 60)'
    """
    found = running(declared(settings, cluster), settings.collect_call_seconds)
    if as_json:
        print_json(found._asdict())
        return
    if not found.is_whole:
        click.echo(
            f"This version tells only those of the frontend that was asked: {found.frontend}"
        )
    if not found.queries:
        click.echo("No query runs.")
        return
    print_grid(
        [
            {
                "seconds": None if one["seconds"] is None else round(one["seconds"], 1),
                **{name: one[name] for name in ("user", "database", "state", "scan_rows")},
                "scanned": _size(one["scan_bytes"]),
                "memory": _size(one["memory_bytes"]),
                **{name: one[name] for name in ("frontend", "query_id")},
            }
            for one in found.queries
        ]
    )


@clusters.command("slow")
@_cluster
@_last("1d")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@as_json
@click.pass_obj
def slow_(settings: Settings, cluster: str, last: int, limit: int, as_json: bool) -> None:
    """The slowest statements of each five minutes, longest first.

    \b
    Examples:
      gateway clusters slow --last 1h
      gateway clusters slow --json | jq -r '.[].statement'
    """
    end = clock.now()
    with UnifiedQueryBridge(settings) as bridge:
        name = chosen(bridge, cluster)
        rows = slow_queries(bridge, name, end - last * clock.SECOND, end, limit)
    if as_json:
        print_json(rows)
        return
    _need(rows, f"slow query of {name}")
    print_grid([{k: row[k] for k in
                 ("time", "milliseconds", "queries", "user", "database", "scan_rows", "statement")}
                for row in rows])  # fmt: skip


def _jobs(kind: str, columns: Sequence[str]) -> Callable[..., None]:
    def shown(settings: Settings, cluster: str, as_json: bool) -> None:
        with UnifiedQueryBridge(settings) as bridge:
            name = chosen(bridge, cluster)
            rows = jobs(bridge, name, kind)
        if as_json:
            print_json(rows)
            return
        _need(rows, f"{kind.replace('_', ' ')} of {name} in the last half hour")
        print_grid([{column: row[column] for column in columns} for row in rows])

    return shown


@clusters.command("views")
@_cluster
@as_json
@click.pass_obj
def views(settings: Settings, cluster: str, as_json: bool) -> None:
    """Materialized views: state, last refresh, why one failed.

    \b
    Examples:
      gateway clusters views
    """
    _jobs("materialized_view", ("name", "state", "is_active", "rows", "seconds", "error"))(
        settings, cluster, as_json
    )


@clusters.command("loads")
@_cluster
@as_json
@click.pass_obj
def loads(settings: Settings, cluster: str, as_json: bool) -> None:
    """Routine loads: state, lag, why one stopped.

    \b
    Examples:
      gateway clusters loads
    """
    _jobs("routine_load", ("name", "state", "lag", "rows", "error_rows", "error"))(
        settings, cluster, as_json
    )


@clusters.command("advice")
@click.option("--cluster", default="", help="One of them; all when not given.")
@click.option("--at", default="", help="As of a moment in ISO 8601; now when not given.")
@click.option("--rules", is_flag=True, help="List the rules instead.")
@as_json
@click.pass_obj
def advice_(settings: Settings, cluster: str, at: str, rules: bool, as_json: bool) -> None:
    """What is wrong, since when, and what to do about it. Ends with 1 when a rule holds.

    \b
    Examples:
      gateway clusters advice
      gateway clusters advice --at 2026-11-20T03:00 --json
    """
    if rules:
        _print_rules(as_json)
        return
    with UnifiedQueryBridge(settings) as bridge:
        if cluster:
            chosen(bridge, cluster)
        found = [as_record(one) for one in findings(bridge, cluster, _moment(at))]
    if as_json:
        print_json(found)
    elif found:
        print_grid(found)
    else:
        click.echo("Nothing is wrong that a rule knows of.")
    if found:
        sys.exit(1)


def _print_rules(as_json: bool) -> None:
    rows = [
        {"rule": rule.name, "severity": rule.severity, "above": rule.fires, "until": rule.clears,
         "for_seconds": rule.seconds, "about": rule.about}
        for rule in RULES
    ]  # fmt: skip
    if as_json:
        print_json(rows)
    else:
        print_grid(rows)


def _moment(text: str) -> int | None:
    try:
        return clock.parse_moment(text) if text else None
    except ValueError as error:
        raise UsageError(f"--at {text!r}: {error}", hint="such as 2026-11-20T03:00") from None


def _need(rows: Sequence[Any], what: str, hint: str = "a longer time: --last 7d") -> None:
    if not rows:
        raise UsageError(f"there is no {what}", hint=hint)
