"""``gateway clusters``: what the collected rows say about StarRocks clusters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from gateway_assets import clock
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.cli.pictures import sparkline
from gateway_assets.cli.show import as_json, print_grid, print_json, size
from gateway_assets.clusters.advice import as_record, findings
from gateway_assets.clusters.history import COUNTERS, history, step_for
from gateway_assets.clusters.jobs import jobs, slow_queries
from gateway_assets.clusters.known import chosen
from gateway_assets.clusters.latency import latency
from gateway_assets.clusters.nodes import nodes
from gateway_assets.clusters.overview import overview
from gateway_assets.errors import UsageError
from gateway_assets.settings import Settings

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


class Span(click.ParamType):
    """A length of time such as 90s, 30m, 6h, 7d or 2w, as seconds."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d{1,6})([smhdw])", value)
        if not found or not int(found[1]):
            self.fail("a length of time is written as 90s, 30m, 6h, 7d or 2w", param, ctx)
        return int(found[1]) * _UNITS[found[2]]


_cluster = click.option("--cluster", default="", help="Its name; needed when there are several.")


def _last(default: str) -> Callable[[Any], Any]:
    return click.option(
        "--last", type=Span(), default=default, show_default=True, help="How far back."
    )


_step = click.option("--step", type=Span(), default=None, help="Length of one row's time.")


@click.group()
def clusters() -> None:
    """StarRocks clusters: overview, history, growth, advice.

    \b
    Examples:
      gateway clusters overview
      gateway clusters history qps --last 7d
      gateway clusters advice --json
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
    with _bridge(settings) as bridge:
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
        _print_overview(**one)


def _print_overview(
    overview: dict[str, Any], nodes: Sequence[dict[str, Any]], findings: Sequence[dict[str, Any]]
) -> None:
    status = str(overview["status"])
    color = {"ok": "green", "partial": "yellow"}.get(status, "red")
    name, time = overview["cluster"], f"{overview['time']:%Y-%m-%d %H:%M:%S} UTC"
    click.echo(f"{click.style(name, bold=True)}  {click.style(status, fg=color)}  {time}")
    if overview["errors"]:
        click.echo(f"  {overview['errors'].splitlines()[0]}")
    print_grid([{"what": what, "value": value} for what, value in _lines(overview)])
    click.echo()
    print_grid([_node_line(node) for node in nodes])
    click.echo()
    if findings:
        print_grid([{k: one[k] for k in ("severity", "subject", "since", "about", "advice")}
                    for one in findings])  # fmt: skip
    else:
        click.echo("Nothing is wrong that a rule knows of: gateway clusters advice --rules")


def _lines(one: dict[str, Any]) -> Iterator[tuple[str, str]]:
    known = one.get
    yield (
        "frontends, backends, compute nodes alive",
        ", ".join(
            f"{_or_unknown(known(f'{kind}_alive'))} of {_or_unknown(known(f'{kind}_total'))}"
            for kind in ("fe", "be", "cn")
        ),
    )
    yield (
        "queries a second, running",
        f"{_number(known('qps'))}, {_number(known('running_queries'))}",
    )
    yield (
        "succeeded, by the cluster's own fault not",
        (f"{_percent(known('success_pct'))}, {_percent(_rest(known('service_success_pct')))}"),
    )
    yield "slowest frontend's p95, p99", f"{_number(known('p95'))} ms, {_number(known('p99'))} ms"
    for kind in ("cpu", "mem"):
        yield (
            f"{kind} mean, highest",
            (f"{_percent(known(f'{kind}_avg_pct'))}, {_percent(known(f'{kind}_max_pct'))}"),
        )
    yield (
        "disks",
        (
            f"{size(known('disk_used_bytes'))} of {size(known('disk_total_bytes'))}, "
            f"fullest {_percent(known('disk_max_pct'))}"
        ),
    )
    if known("is_shared_data"):
        yield "objects in storage", size(known("storage_bytes"))
    yield (
        "tables, tablets, replicas",
        ", ".join(_number(known(name)) for name in ("tables", "tablets", "replicas")),
    )
    yield "compaction score", _number(known("compaction_score"))
    yield (
        "loads: routine running, stopped, waiting",
        ", ".join(
            _number(known(f"routine_loads_{state}")) for state in ("running", "stopped", "waiting")
        ),
    )
    yield (
        "transactions running, schema changes",
        (f"{_number(known('txn_running'))}, {_number(known('schema_changes_running'))}"),
    )


def _node_line(node: dict[str, Any]) -> dict[str, Any]:
    state = "up" if node["is_up"] else "leaving" if node["is_decommissioned"] else "DOWN"
    return {
        "kind": node["kind"],
        "node": node["node"],
        "role": node["role"],
        "state": state,
        "version": node["version"],
        "cpu": _percent(node["cpu_pct"]),
        "memory": _percent(node["mem_pct"] if node["kind"] != "fe" else node["heap_pct"]),
        "disk": _percent(node["disk_max_pct"]),
        "metrics": node["scrape"],
        "error": node["error"],
    }


def _or_unknown(value: Any) -> str:
    return "?" if value is None else str(value)


def _number(value: float | None) -> str:
    if value is None:
        return "?"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def _percent(value: float | None) -> str:
    return "?" if value is None else f"{value:.1f} %"


def _rest(value: float | None) -> float | None:
    return None if value is None else 100 - value


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
    with _bridge(settings) as bridge:
        name = chosen(bridge, cluster)
        rows = history(bridge, name, metric, end - last * clock.SECOND, end, step or 0)
    if as_json:
        print_json(rows)
        return
    _need(rows, f"{metric} of {name}")
    shown = "a_second" if metric in COUNTERS else "mean"
    click.echo(f"{metric} of {name}  {sparkline([row[shown] for row in rows])}")
    print_grid(rows)


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
    with _bridge(settings) as bridge:
        name = chosen(bridge, cluster)
        rows = latency(bridge, name, start, end, max(step or step_for(start, end), 300))
    if as_json:
        print_json(rows)
        return
    _need(rows, f"audit log of {name}", "it needs the audit log plugin; p95 and p99 of "
          "metrics_snapshots are there without it")  # fmt: skip
    click.echo(f"p95 of {name}  {sparkline([row['p95'] for row in rows])}")
    print_grid(rows)


@clusters.command("slow")
@_cluster
@_last("1d")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@as_json
@click.pass_obj
def slow_(settings: Settings, cluster: str, last: int, limit: int, as_json: bool) -> None:
    """The slowest queries, longest first.

    \b
    Examples:
      gateway clusters slow --last 1h
      gateway clusters slow --json | jq -r '.[].statement'
    """
    end = clock.now()
    with _bridge(settings) as bridge:
        name = chosen(bridge, cluster)
        rows = slow_queries(bridge, name, end - last * clock.SECOND, end, limit)
    if as_json:
        print_json(rows)
        return
    _need(rows, f"slow query of {name}")
    print_grid([{k: row[k] for k in
                 ("time", "milliseconds", "user", "database", "scan_rows", "statement")}
                for row in rows])  # fmt: skip


def _jobs(kind: str, columns: Sequence[str]) -> Callable[..., None]:
    def shown(settings: Settings, cluster: str, as_json: bool) -> None:
        with _bridge(settings) as bridge:
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
    with _bridge(settings) as bridge:
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
        raise click.exceptions.Exit(1)


def _print_rules(as_json: bool) -> None:
    from gateway_assets.clusters.rules import RULES  # noqa: PLC0415  a list, seldom asked for

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


@contextmanager
def _bridge(settings: Settings) -> Iterator[UnifiedQueryBridge]:
    with UnifiedQueryBridge(settings) as bridge:
        yield bridge
