"""Pages of metrics as frontends and backends write them, with their quirks.

Frontends (PrometheusMetricVisitor.java): two spaces in the headers of ``jvm_*``, ", " between
labels, Java's numbers, codahale's quantiles, families in between each other, series that come
twice. Backends (metrics_action.cpp): "," between labels, no HELP, then brpc's own variables.
``clean`` leaves out what a strict parser refuses or what contradicts itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from gateway_assets.simulated.model import Frontend, View, Worker, World
from gateway_assets.simulated.series import (
    BE,
    FE,
    LOAD_STATES,
    LOAD_TYPES,
    ROUTINE_STATES,
    VIEW_COUNTERS,
    be,
    fe_counters,
    view_series,
)
from gateway_assets.simulated.texts import java_double

_QUANTILES = (0.75, 0.95, 0.98, 0.99, 0.999)
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (-?[\d.]+(?:E-?\d+)?)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_CORE = ("starrocks_fe_query", "starrocks_fe_connection", "jvm_heap", "starrocks_be_cpu")


def samples(page: str) -> list[tuple[str, str, int]]:
    """Name, labels as ``k=v`` and whole value of each series: how the tables of metrics have it."""
    found = []
    for line in page.splitlines():
        match = None if line.startswith("#") else _SAMPLE.match(line)
        if match:
            labels = ",".join(f"{key}={value}" for key, value in _LABEL.findall(match[2] or ""))
            found.append((match[1], labels, int(float(match[3]))))
    return found


def as_json(page: str) -> str:
    """``?type=json``"""
    entries = []
    for line in page.splitlines():
        match = None if line.startswith("#") else _SAMPLE.match(line)
        if match:
            tags = {"metric": match[1], **dict(_LABEL.findall(match[2] or ""))}
            entries.append({"tags": tags, "unit": "nounit", "value": float(match[3])})
    return json.dumps(entries)


def core(page: str) -> str:
    """``?type=core``: a few series."""
    lines = [line for line in page.splitlines() if line.startswith(_CORE)]
    return "".join(f"{line}\n" for line in lines)


# frontends ----------------------------------------------------------------------------------------


def frontend_page(world: World, fe: Frontend, views: str, *, clean: bool) -> str:
    """``views`` is the parameter with_materialized_view_metrics: empty, all or minified."""
    parts = [*_jvm(fe), *_jobs(world, fe), *_gauges(world, fe)]
    for series, about in fe_counters(fe.release).items():
        parts += _family(series, about, "counter", [("", fe.counters.get(series, 0))])
    parts += _sizes(world, clean)
    parts += _summary(fe)
    if views in {"all", "minified"}:
        for view in world.views:
            parts += _view(world, fe, view, views == "minified", clean)
    running = world.running_txns if fe.is_leader else dict.fromkeys(world.running_txns, 0)
    rows = [(f'{{db="{name}"}}', count) for name, count in sorted(running.items())]
    parts += _family(f"{FE}txn_running", "number of running transactions", "gauge", rows)
    if not clean:
        parts += _twice(world, fe)
    parts += _nodes(world, fe)
    return "".join(f"{line}\n" for line in parts)


def _family(
    name: str, about: str, kind: str, rows: Sequence[tuple[str, int | float]], space: str = " "
) -> Iterator[str]:
    yield f"# HELP{space}{name} {about}"
    yield f"# TYPE{space}{name} {kind}"
    for labels, value in rows:
        yield f"{name}{labels} {java_double(value) if isinstance(value, float) else value}"


def _jvm(fe: Frontend) -> Iterator[str]:
    used = fe.heap_used
    heap = {"max": fe.heap_max, "committed": max(used, fe.heap_max // 2), "used": used}
    uptime = fe.heartbeat // 1_000_000 - fe.started // 1_000_000
    families: tuple[tuple[str, str, dict[str, int]], ...] = (
        ("jvm_heap_size_bytes", "jvm heap stat", heap),
        (
            "jvm_non_heap_size_bytes",
            "jvm non heap stat",
            {"committed": 194379776, "used": 188201864},
        ),
        ("jvm_young_gc", "jvm young gc stat", {"count": uptime // 20, "time": uptime // 6}),
        ("jvm_old_gc", "jvm old gc stat", {"count": uptime // 9_000, "time": uptime // 200}),
        ("jvm_thread", "jvm thread stat", {"count": 162 + fe.connections, "peak_count": 405}),
    )
    for name, about, values in families:
        rows = [(f'{{type="{kind}"}}', value) for kind, value in values.items()]
        yield from _family(name, about, "gauge", rows, space="  ")


def _jobs(world: World, fe: Frontend) -> Iterator[str]:
    """What only the leader counts: 0, not absent, on the others."""
    leads = fe.is_leader
    rows: list[tuple[str, int | float]] = [
        (f'{{job="load", type="{kind}", state="{state}"}}', 0)
        for kind in LOAD_TYPES
        for state in LOAD_STATES
    ]
    rows.append(('{job="alter", type="ROLLUP", state="running"}', 0))
    rows.append(('{job="alter", type="SCHEMA_CHANGE", state="running"}', 0))
    yield from _family(f"{FE}job", "job statistics", "gauge", rows)
    backends = [(f'{{backend="{node.host}:9050"}}', node) for node in world.backends]
    tablets: list[tuple[str, int | float]] = [(k, n.tablets if leads else 0) for k, n in backends]
    scores: list[tuple[str, int | float]] = [(k, n.score if leads else 0) for k, n in backends]
    yield from _family(f"{FE}tablet_num", "tablet number", "gauge", tablets)
    about = "tablet max compaction score"
    yield from _family(f"{FE}tablet_max_compaction_score", about, "gauge", scores)
    best = max((node.score for node in world.backends if node.is_alive), default=0)
    about = "max tablet compaction score of all backends"
    rows = [("", best if leads else 0)]
    yield from _family(f"{FE}max_tablet_compaction_score", about, "gauge", rows)


def _gauges(world: World, fe: Frontend) -> Iterator[str]:
    entries = max(fe.journal - world.checkpoint, 0)
    for name, about, value in (
        ("connection_total", "total connections", fe.connections),
        ("max_journal_id", "max journal id of this frontends", fe.journal),
        ("meta_log_count", "meta log total count", entries),
        ("scheduled_tablet_num", "number of tablets being scheduled", 0),
        ("qps", "query per second", float(fe.qps)),
        ("rps", "request per second", float(fe.rps)),
        ("query_err_rate", "query error rate", 0.0),
        ("editlog_stacked_num", "counter of edit log that are stacked", 0),
    ):
        yield from _family(FE + name, about, "gauge", [("", value)])
    states = [job.state for job in world.routine_loads] if fe.is_leader else []
    rows: list[tuple[str, int | float]] = [
        (f'{{state="{state}"}}', states.count(state)) for state in ROUTINE_STATES
    ]
    yield from _family(f"{FE}routine_load_jobs", "routine load jobs", "gauge", rows)
    lags: list[tuple[str, int | float]] = [
        (f'{{job_name="{job.name}"}}', job.lag)
        for job in world.routine_loads
        if fe.is_leader and job.lag >= 10_000
    ]
    if lags:
        name, about = "routine_load_max_lag_of_partition", "routine load kafka lag"
        yield from _family(FE + name, about, "gauge", lags)
    kinds = ("mean", *(f"{share}_quantile" for share in (50, 75, 90, 95, 99, 999)))
    rows = [(f'{{type="{kind}"}}', 0.0) for kind in kinds]  # nobody collects them: always zero
    yield from _family(f"{FE}query_latency", "mean of query latency", "gauge", rows)


def _sizes(world: World, clean: bool) -> Iterator[str]:
    """Two families, one line of each in turn."""
    tables: list[tuple[str, int | float]] = [('{db_name="information_schema"}', 54)]
    sizes: list[tuple[str, int | float]] = [('{db_name="information_schema"}', 0)]
    for name in world.databases():
        own = [table for table in world.tables if table.database == name]
        tables.append((f'{{db_name="{name}"}}', len(own)))
        sizes.append((f'{{db_name="{name}"}}', sum(table.bytes for table in own)))
    first = list(_family(f"{FE}table_num", "count of table", "gauge", tables))
    second = list(_family(f"{FE}db_size_bytes", "size of database in bytes", "gauge", sizes))
    if clean:
        yield from [*first, *second]
    else:
        yield from first[:3]
        yield from second[:3]
        for one, other in zip(first[3:], second[3:], strict=True):
            yield from (one, other)
    rows: list[tuple[str, int | float]] = [("", len(world.databases()) + 1)]
    yield from _family(f"{FE}database_num", "count of database", "gauge", rows)


def _summary(fe: Frontend) -> Iterator[str]:
    """Codahale's histogram: quantiles of its reservoir, a sum that is count times their mean."""
    name = f"{FE}query_latency_ms"
    kept = sorted(fe.reservoir)
    count = fe.counters.get(f"{FE}query_success", 0)
    mean = sum(kept) / len(kept) if kept else 0.0
    yield f"# HELP {name} "
    yield f"# TYPE {name} summary"
    for share in _QUANTILES:
        value = kept[min(int(share * len(kept)), len(kept) - 1)] if kept else 0
        yield f'{name}{{quantile="{share}"}} {java_double(float(value))}'
    yield f"{name}_sum {java_double(count * mean)}"
    yield f"{name}_count {count}"


def _view(world: World, fe: Frontend, view: View, minified: bool, clean: bool) -> Iterator[str]:
    names = (view.database, view.name, view.id)
    abouts = dict.fromkeys(VIEW_COUNTERS, "total refresh jobs of the materialized view")
    for short, about in abouts.items():
        series = view_series(short, *names)
        value = fe.counters.get(series, 0)
        if value or not minified:
            labels = series.removeprefix(FE + short)
            yield from _family(FE + short, about, "counter", [(labels, value)])
    if minified:
        return
    labels = view_series("", *names).removeprefix(FE)
    running = int(world.now < view.refreshed + int(view.seconds * 1_000_000) and fe.is_leader)
    for short, about, value in (
        ("mv_refresh_pending_jobs", "current pending refresh jobs", 0),
        ("mv_refresh_running_jobs", "current running refresh jobs", running),
        ("mv_row_count", "current materialized view's row count", view.rows),
        ("mv_storage_size", "current materialized view's storage size", view.bytes),
        ("mv_inactive_state", "current materialized view's inactive or not", not view.is_active),
    ):
        yield from _family(FE + short, about, "gauge", [(labels, int(value))])
    if not clean and fe.release < (3, 3, 8):
        # Histograms of views were written with two pairs of braces once, which nobody can read.
        yield f'{FE}mv_refresh_duration{labels}{{quantile="0.75"}} {view.seconds * 1000}'


def _twice(world: World, fe: Frontend) -> Iterator[str]:
    """Thread pools: the same series again, on the leader once with another value."""
    name = f"{FE}thread_pool"
    labels = '{name="batch-write-load", type="active_thread_num"}'
    yield from _family(name, "thread pool statistics", "gauge", [(labels, 0), (labels, 0)])
    if fe.is_leader:
        labels = '{name="checkpoint", type="active_thread_num"}'
        yield f"{name}{labels} 0"
        yield f"{name}{labels} {1 + world.journal % 3}"


def _nodes(world: World, fe: Frontend) -> Iterator[str]:
    alive = {
        kind: sum(node.is_alive for node in nodes)
        for kind, nodes in (
            ("fe", world.frontends),
            ("be", world.backends),
            ("cn", world.compute_nodes),
        )
    }
    yield "# TYPE  node_info gauge"
    yield f'node_info{{type="fe_node_num", state="total"}} {len(world.frontends)}'
    yield f'node_info{{type="fe_node_num", state="alive"}} {alive["fe"]}'
    yield f'node_info{{type="be_node_num", state="total"}} {len(world.backends)}'
    yield f'node_info{{type="be_node_num", state="alive"}} {alive["be"]}'
    leaving = sum(node.is_decommissioned for node in world.backends)
    yield f'node_info{{type="be_node_num", state="decommissioned"}} {leaving}'
    yield 'node_info{type="broker_node_num", state="dead"} 0'
    yield f'node_info{{type="cn_node_num", state="total"}} {len(world.compute_nodes)}'
    yield f'node_info{{type="cn_node_num", state="alive"}} {alive["cn"]}'
    yield f'node_info{{type="is_master"}} {int(fe.is_leader)}'


# backends and compute nodes -----------------------------------------------------------------------


def worker_page(world: World, node: Worker, *, clean: bool) -> str:
    """Metrics of a backend or compute node, which has the same names."""
    lines: list[str] = []
    written = ""
    for series, value in [*node.counters.items()]:
        written = _typed(lines, series, value, "counter", written)
    for series, value in _worker_gauges(node):
        written = _typed(lines, series, value, "gauge", written)
    if world.shared_data:
        lines += ["# TYPE fslib_open_files gauge", "fslib_open_files 12"]
        lines += [
            "# TYPE cloud_cache_used_bytes gauge",
            f"cloud_cache_used_bytes {node.cache_used}",
        ]
    lines += _bvars(node, clean)
    return "".join(f"{line}\n" for line in lines)


def _typed(lines: list[str], series: str, value: int, kind: str, written: str) -> str:
    family = series.partition("{")[0]
    if family != written:
        lines.append(f"# TYPE {family} {kind}")
    lines.append(f"{series} {value}")
    return family


def _worker_gauges(node: Worker) -> Iterator[tuple[str, int]]:
    for name in ("total_capacity", "avail_capacity", "data_used_capacity", "state"):
        for disk in node.disks:
            values = {
                "total_capacity": disk.total,
                "avail_capacity": disk.free,
                "data_used_capacity": disk.data,
                "state": 1,
            }
            yield be(f"disks_{name}", path=disk.path), values[name]
    yield f"{BE}tablet_base_max_compaction_score", node.score // 3
    yield f"{BE}tablet_cumulative_max_compaction_score", node.score
    yield f"{BE}tablet_update_max_compaction_score", -1
    yield f"{BE}max_tablet_rowset_num", node.rowsets
    yield f"{BE}process_mem_bytes", int(node.mem_limit * node.mem_pct / 100)
    yield f"{BE}process_thread_num", 912
    yield f"{BE}process_fd_num_used", 1_201
    memory = "tcmalloc_bytes_in_use" if node.release < (3, 0) else "jemalloc_active_bytes"
    yield BE + memory, int(node.mem_limit * node.mem_pct / 110)


def _bvars(node: Worker, clean: bool) -> Iterator[str]:
    service = "rpc_server_8060_starrocks_pinternal_service_exec_plan_fragment"
    for name, kind, value in (
        ("bthread_count", "gauge", 64),
        ("rpc_server_8060_connection_count", "gauge", 12),
        (f"{service}_error", "counter", 0),
    ):
        yield f"# HELP {name}"
        yield f"# TYPE {name} {kind}"
        yield f"{name} {value}"
    if not clean:
        yield f'bthread_creation_stack "{node.host}"'  # a text where a number belongs
