"""A day of a StarRocks cluster: what it did, how it ended, and how well it was watched.

Sums are those of the snapshots' counters, which are what nodes grew by, restarts included; they
are never differences of running totals. Percentiles are those of the day's histogram, never means
of percentiles. Unknown is NULL.

A tick stands for the interval that begins with it, as long as it was set to be then, or until the
next tick. Whether a cluster is available is told by the ticks at which the collector ran; what it
did not see counts neither way, but as a gap.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from gateway_assets import clock
from gateway_assets.model import Column, Kind
from gateway_assets.sources import collection_ticks, latency_histogram, metrics_snapshots
from gateway_assets.starrocks.definitions import METRICS, TICK_SECONDS
from gateway_assets.starrocks.histogram import added, percentile
from gateway_assets.table import TIME, Growth, Merge, State, Summary, Table

_SNAPSHOTS = metrics_snapshots.SOURCE
_TICKS, _HISTOGRAM = collection_ticks.SOURCE.name, latency_histogram.SOURCE.name
_LATE = 2.5  # intervals: a tick that is late is none
_LOADING = 600 * clock.SECOND  # within which a tick that has been made is loaded
_PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


def _whole(name: str, about: str, unit: str = "") -> Column:
    return Column(name, Kind.INTEGER, about, unit, nullable=True)


def _real(name: str, about: str, unit: str = "") -> Column:
    return Column(name, Kind.REAL, about, unit, nullable=True)


_BELOW = {column.name: column for column in _SNAPSHOTS.columns}
_COUNTERS = tuple(metric.declared for metric in METRICS if metric.is_counter)
_ENDS = tuple(
    _BELOW[name]._replace(about=f"{_BELOW[name].about}, at the end of the day")
    for name in (
        "disk_total_bytes",
        "disk_used_bytes",
        "disk_data_bytes",
        "table_bytes",
        "storage_bytes",
        "table_rows",
        "tables",
        "tablets",
        "replicas",
    )
)
# name of the columns -> the snapshots' column
_GAUGES = {
    "qps": "qps",
    "cpu_pct": "cpu_avg_pct",
    "mem_pct": "mem_avg_pct",
    "disk_pct": "disk_used_pct",
    "heap_pct": "heap_max_pct",
    "running_queries": "running_queries",
    "connections": "connections",
    "compaction_score": "compaction_score",
}
_HIGHEST = {
    "cpu_node_max_pct": "cpu_max_pct",
    "mem_node_max_pct": "mem_max_pct",
    "disk_max_pct": "disk_max_pct",
    "p99_max": "p99",
}


def _gauge(name: str, of: str) -> Iterator[Column]:
    for end, about in (("min", "least"), ("avg", "mean"), ("max", "most")):
        column = _BELOW[of]
        kind = Kind.REAL if end == "avg" else column.kind
        text = f"{column.about}: {about} of the day"
        yield Column(f"{name}_{end}", kind, text, column.unit, nullable=True)


_GROWTHS = (
    Growth("used_growth_bytes", "growth_days", "disk_used_bytes"),
    Growth("table_growth_bytes", "table_growth_days", "table_bytes"),
)
_SAMPLES = Column("samples", Kind.INTEGER, "Snapshots of the day", summed=True)

COLUMNS = (
    Column(TIME, Kind.TIME, "Start of the UTC day"),
    _BELOW["cluster"],
    _SAMPLES,
    _real(
        "coverage_pct",
        "Time of the day for which the cluster answered; today: up to now",
        "%",
    ),
    _whole("gap_seconds", "Time without any tick, in gaps of more than 2.5 intervals", "s"),
    _whole("resets", "Counters that began again at zero, by node"),
    Column("first_seen", Kind.TIME, "First tick or snapshot", nullable=True),
    Column("last_seen", Kind.TIME, "Last tick or snapshot", nullable=True),
    _real(
        "availability_pct",
        "Time for which a frontend answered, and not all backends and compute nodes were known to "
        "be dead, of the time of all ticks there are; NULL without ticks",
        "%",
    ),
    _whole(
        "node_down_seconds", "Time that nodes were not alive, added up; decommissioned: not", "s"
    ),
    _real("success_pct", "Queries that did not fail; NULL without queries", "%"),
    _real("service_success_pct", "Queries that the cluster did not fail", "%"),
    *(
        _real(name, f"{part * 100:.0f}th percentile of the day's latencies, to 2 %", "ms")
        for name, part in _PERCENTILES.items()
    ),
    *(_real(name, f"{_BELOW[of].about}: most of the day", _BELOW[of].unit)
      for name, of in _HIGHEST.items()),
    *_ENDS,
    _whole("used_growth_bytes", "Growth of disk_used_bytes a day since growth_days ago", "bytes"),
    _whole("growth_days", "Days since the last one with disk_used_bytes, 100 at most"),
    _whole("table_growth_bytes", "Growth of table_bytes a day", "bytes"),
    _whole("table_growth_days", "Days since the last one with table_bytes, 100 at most"),
    *(column for name, of in _GAUGES.items() for column in _gauge(name, of)),
    *_COUNTERS,
)  # fmt: skip

_MISSING = tuple(f"{kind}_total - {kind}_alive" for kind in ("fe", "be", "cn"))
_DOWN = (
    f"CASE WHEN COALESCE({', '.join(_MISSING)}) IS NOT NULL "
    f"THEN max(0, {' + '.join(f'COALESCE({one}, 0)' for one in _MISSING)}) END"
)
_NO_NODES = (
    "COALESCE(be_alive, cn_alive) IS NOT NULL "
    "AND COALESCE(be_alive, 0) = 0 AND COALESCE(cn_alive, 0) = 0"
)


def compute(
    connection: sqlite3.Connection, below: Mapping[str, str], day: int, now: int
) -> list[dict[str, Any]]:
    """A row for every cluster of which there is a tick, a snapshot or a latency."""
    with _looks(connection, below[_TICKS]) as looks:
        ticks = _by_cluster(connection, _tick_statement(looks))
        outages = _outages(connection, below[_SNAPSHOTS.name], looks)
    snapshots = _by_cluster(connection, _snapshot_statement(below[_SNAPSHOTS.name]))
    counts = _latencies(connection, below[_HISTOGRAM])
    start, until = _seen(ticks, day, now)
    rows = []
    for cluster in sorted({*ticks, *snapshots, *counts}):
        snapshot, tick = snapshots.get(cluster, {}), ticks.get(cluster, {})
        down, without_nodes = outages.get(cluster, (None, 0))
        rows.append(
            {
                **snapshot,
                "cluster": cluster,
                "samples": snapshot.get("samples", 0),
                "first_seen": _either(min, snapshot.get("first"), tick.get("first")),
                "last_seen": _either(max, snapshot.get("last"), tick.get("last")),
                **_watched(tick, start, until),
                **_available(tick, without_nodes),
                "node_down_seconds": None if down is None else down // clock.SECOND,
                **_succeeded(snapshot),
                **{name: percentile(counts.get(cluster, {}), part)
                   for name, part in _PERCENTILES.items()},
                **_ends(connection, below[_SNAPSHOTS.name], cluster, snapshot),
            }
        )  # fmt: skip
    return rows


TABLE = Table(
    name="daily_snapshots",
    columns=COLUMNS,
    hot_days=400,
    about="A day of a StarRocks cluster: totals, states at its end, percentiles, availability, "
    "growth, and how well it was watched.",
    summary=Summary(
        below=(_SNAPSHOTS.name, _TICKS, _HISTOGRAM),
        by=("cluster",),
        states=(
            State(_SAMPLES, Merge.COUNT),
            *(State(column, Merge.SUM, column.name) for column in _COUNTERS),
        ),
        compute=compute,
        growths=_GROWTHS,
    ),
)


def _by_cluster(connection: sqlite3.Connection, statement: str) -> dict[str, dict[str, Any]]:
    cursor = connection.execute(statement)
    names = [column[0] for column in cursor.description]
    rows = (dict(zip(names, row, strict=True)) for row in cursor)
    return {row["cluster"]: row for row in rows}


@contextmanager
def _looks(connection: sqlite3.Connection, rows: str) -> Iterator[str]:
    """The ticks, each once, with their interval and how long they stand for: ``lasted``, which is
    shorter only where the next one came sooner, because it was set otherwise or made by hand.

    In a table of this connection, for as long as it is needed: a day of a hundred clusters is
    288,000 ticks, and several statements look at all of them.
    """
    name = "temp.daily_snapshots_looks"
    connection.execute(f"DROP TABLE IF EXISTS {name}")
    connection.execute(
        f"""
        CREATE TABLE {name} (
            cluster TEXT, time INTEGER, answered INTEGER, interval INTEGER, until_next INTEGER,
            lasted INTEGER, PRIMARY KEY (cluster, time)
        ) WITHOUT ROWID
        """
    )
    connection.execute(
        f"""
        INSERT INTO {name}
        SELECT cluster, time, answered, interval, lead(time) OVER later - time,
               max(0, min(interval, coalesce(lead(began) OVER later - began, interval)))
        FROM (
            SELECT *, time - time % interval AS began FROM (
                SELECT cluster, time, max(status IN ('ok', 'partial')) AS answered,
                       max(CASE WHEN interval_seconds > 0 THEN interval_seconds
                                ELSE {TICK_SECONDS} END) * {clock.SECOND} AS interval
                FROM {rows} GROUP BY cluster, time
            )
        )
        WINDOW later AS (PARTITION BY cluster ORDER BY time)
        """
    )
    try:
        yield name
    finally:
        connection.execute(f"DROP TABLE IF EXISTS {name}")


def _outages(
    connection: sqlite3.Connection, rows: str, looks: str
) -> dict[str, tuple[int | None, int]]:
    """How long nodes were down, added up, and how long all were; by cluster, microseconds."""
    length = f"coalesce(lasted, {TICK_SECONDS * clock.SECOND})"
    asked = connection.execute(
        f"""
        SELECT cluster, sum(down * {length}), sum(is_none_left * {length})
        FROM (
            SELECT cluster, time, max({_DOWN}) AS down, max({_NO_NODES}) AS is_none_left
            FROM {rows} GROUP BY cluster, time
        )
            LEFT JOIN {looks} USING (cluster, time)
        GROUP BY cluster
        """
    )
    return {cluster: (down, without or 0) for cluster, down, without in asked}


def _snapshot_statement(rows: str) -> str:
    figures = ["count(*) AS samples", "sum(resets) AS resets"]
    figures += ["min(time) AS first", "max(time) AS last"]
    figures += [f"sum({counter.name}) AS {counter.name}" for counter in _COUNTERS]
    figures += [f"max({of}) AS {name}" for name, of in _HIGHEST.items()]
    for name, of in _GAUGES.items():
        figures += [f"min({of}) AS {name}_min", f"max({of}) AS {name}_max"]
        # A rate counts for as long as it lasted; rounded, because sums of reals depend on the
        # rows' order, which may differ from tier to tier.
        mean = f"sum({of} * seconds) / sum(CASE WHEN {of} IS NOT NULL THEN seconds END)"
        figures.append(f"round({mean if name == 'qps' else f'avg({of})'}, 6) AS {name}_avg")
    figures += [
        f"max(CASE WHEN {end.name} IS NOT NULL THEN time END) AS {_time_of(end)}" for end in _ENDS
    ]
    return f"SELECT cluster, {', '.join(figures)} FROM {rows} GROUP BY cluster"


def _tick_statement(looks: str) -> str:
    """``gaps`` is between the first tick and the last; times in microseconds."""
    return f"""
        SELECT cluster, min(time) AS first, max(time) AS last,
               sum(lasted) AS looked, sum(answered * lasted) AS answered,
               sum(CASE WHEN until_next > {_LATE} * interval
                        THEN until_next - interval ELSE 0 END) AS gaps,
               max(CASE WHEN until_next IS NULL THEN interval END) AS last_interval,
               max(CASE WHEN time = earliest THEN interval END) AS first_interval
        FROM {looks} JOIN (SELECT cluster, min(time) AS earliest FROM {looks} GROUP BY cluster)
            USING (cluster)
        GROUP BY cluster
    """


def _latencies(connection: sqlite3.Connection, rows: str) -> dict[str, dict[int, int]]:
    """Histograms of the day; an empty one where a row cannot be read: then nothing is known."""
    found: dict[str, list[str]] = {}
    for cluster, buckets in connection.execute(f"SELECT cluster, buckets FROM {rows}"):
        found.setdefault(cluster, []).append(buckets)
    return {cluster: added(texts) or {} for cluster, texts in found.items()}


def _seen(ticks: Mapping[str, Mapping[str, Any]], day: int, now: int) -> tuple[int, int]:
    """The part of a day that could have been seen: a day that is not over ends with its newest
    tick, because the next ones are still on their way, or now, when none comes any more.
    """
    start, end = clock.day_range(day)
    if now >= end:
        return start, end
    ends = (tick["last"] + tick["last_interval"] for tick in ticks.values())
    newest = max(ends, default=start)
    return start, min(newest if now - newest < _LOADING else now, end)


def _watched(tick: Mapping[str, Any], start: int, until: int) -> dict[str, Any]:
    """Coverage, and gaps: also those to either end of the day."""
    covered = 100 * tick.get("answered", 0) / (until - start) if until > start else None
    if not tick:
        gaps = max(0, until - start)
    else:
        first, last = tick["first_interval"], tick["last_interval"]
        ends = ((tick["first"] - start + first, first), (until - tick["last"], last))
        gaps = tick["gaps"] + sum(one - usual for one, usual in ends if one > _LATE * usual)
    return {
        "coverage_pct": None if covered is None else round(min(covered, 100.0), 6),
        "gap_seconds": gaps // clock.SECOND,
    }


def _available(tick: Mapping[str, Any], without_nodes: int) -> dict[str, Any]:
    if not tick:
        return {}
    up = max(0, tick["answered"] - without_nodes)
    return {"availability_pct": round(100 * up / tick["looked"], 6)}


def _succeeded(snapshot: Mapping[str, Any]) -> dict[str, Any]:
    total = snapshot.get("query_total")
    return {
        name: round(100 * max(0.0, 1 - snapshot[of] / total), 6)
        for name, of in (
            ("success_pct", "query_error"),
            ("service_success_pct", "query_internal_error"),
        )
        if total and snapshot[of] is not None
    }


def _ends(
    connection: sqlite3.Connection, rows: str, cluster: str, snapshot: Mapping[str, Any]
) -> dict[str, Any]:
    """The last known value of each; not all are asked for at every tick."""
    times = {snapshot.get(_time_of(end)) for end in _ENDS} - {None}
    names = ", ".join(end.name for end in _ENDS)
    query = f"SELECT {names} FROM {rows} WHERE time = ? AND cluster = ? ORDER BY id"
    found = {time: connection.execute(query, (time, cluster)).fetchall() for time in times}
    values: dict[str, Any] = {}
    for place, end in enumerate(_ENDS):
        for row in found.get(snapshot.get(_time_of(end)), ()):
            if row[place] is not None:
                values[end.name] = row[place]
    return values


def _time_of(end: Column) -> str:
    return f"{end.name}_time"


def _either(choose: Callable[[list[int]], int], *moments: int | None) -> int | None:
    known = [moment for moment in moments if moment is not None]
    return choose(known) if known else None
