"""One cluster on one page: state, numbers, nodes, what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from gateway_assets.cli.show import print_grid, size


def print_overview(found: dict[str, Any]) -> None:
    """``overview``, ``nodes`` and ``findings`` of one cluster."""
    overview, nodes, findings = (found[part] for part in ("overview", "nodes", "findings"))
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
    def number(name: str) -> str:
        return _number(one[name])

    def percent(name: str) -> str:
        return _percent(one[name])

    kinds = (("fe", "frontends"), ("be", "backends"), ("cn", "compute nodes"))
    alive = (f"{number(f'{k}_alive')} of {number(f'{k}_total')} {name}" for k, name in kinds)
    yield "alive", ", ".join(alive)
    running, waiting = number("running_queries"), number("pending_queries")
    yield "queries", f"{number('qps')} a second, {running} running, {waiting} waiting"
    own_fault = _percent(_rest(one["service_success_pct"]))
    yield (
        "in 15 minutes",
        f"{percent('success_pct')} succeeded, {own_fault} failed by the cluster's own fault",
    )
    yield "slowest frontend", f"p95 {number('p95')} ms, p99 {number('p99')} ms"
    for name, title in (("cpu", "CPU"), ("mem", "memory")):
        yield title, f"{percent(f'{name}_avg_pct')} mean, {percent(f'{name}_max_pct')} highest"
    disks = (
        f"{size(one['disk_used_bytes'])} of {size(one['disk_total_bytes'])}, "
        f"fullest {percent('disk_max_pct')}"
    )
    if one["is_shared_data"]:
        yield "object storage", size(one["storage_bytes"])
        yield "disks (cache)", disks
    else:
        yield "disks", disks
    replicas, score = number("replicas"), number("compaction_score")
    yield "tables", f"{number('tables')}, {number('tablets')} tablets, {replicas} replicas"
    yield "compaction score", score
    states = ("running", "stopped", "waiting")
    loads = (f"{number(f'routine_loads_{state}')} {state}" for state in states)
    yield "routine loads", ", ".join(loads)
    yield (
        "transactions",
        f"{number('txn_running')} running; {number('schema_changes_running')} schema changes",
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


def _number(value: float | None) -> str:
    if value is None:
        return "?"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def _percent(value: float | None) -> str:
    return "?" if value is None else f"{value:.1f} %"


def _rest(value: float | None) -> float | None:
    return None if value is None else 100 - value
