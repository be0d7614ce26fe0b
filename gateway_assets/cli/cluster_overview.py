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
