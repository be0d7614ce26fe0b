"""Made-up rows of StarRocks clusters, tick by tick, with totals that a test can know in advance."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random
from typing import Any

from gateway_assets import clock
from gateway_assets.files.landing import Landed, Origin, Row, Stamp, land
from gateway_assets.source import Source
from gateway_assets.sources import collection_ticks, latency_histogram, metrics_snapshots
from gateway_assets.starrocks.histogram import packed

TICK = 30 * clock.SECOND
TICKS_A_DAY = clock.DAY // TICK
ORIGIN = Origin("box", "collect", "0123456789abcdef")
_numbers = itertools.count()


def row_of(source: Source, values: Mapping[str, Any]) -> Row:
    """A row in the order of a source's columns; what is not given is NULL."""
    unknown = values.keys() - {column.name for column in source.columns}
    assert not unknown, unknown
    return tuple(values.get(column.name) for column in source.columns)


def snapshot(time: int, cluster: str = "red", **values: Any) -> Row:
    return row_of(metrics_snapshots.SOURCE, {"time": time, "cluster": cluster, **values})


def tick(time: int, cluster: str = "red", status: str = "ok", interval: int | None = None) -> Row:
    """``interval`` is in seconds; None as before there was one: 30."""
    values = {"time": time, "cluster": cluster, "status": status, "interval_seconds": interval}
    counts = dict.fromkeys(
        ("milliseconds", "nodes", "nodes_answered", "bytes", "bad_lines", "skipped"), 0
    )
    return row_of(collection_ticks.SOURCE, {**values, **counts})


def latencies(time: int, counts: Mapping[int, int], cluster: str = "red") -> Row:
    values = {"queries": sum(counts.values()), "buckets": packed(counts)}
    return row_of(latency_histogram.SOURCE, {"time": time, "cluster": cluster, **values})


def land_all(root: Path, source: Source, rows: Iterable[Row]) -> Landed:
    rows = list(rows)
    return land(root, source, Stamp(ORIGIN, rows[0][0], next(_numbers)), rows)


def times(day: int, first: int = 0, last: int = TICKS_A_DAY, step: int = 1) -> list[int]:
    """The moments of a day's ticks."""
    return [day * clock.DAY + number * TICK for number in range(first, last, step)]


def land_day(
    root: Path, day: int, moments: Iterable[int], *, cluster: str = "red", seed: int = 0
) -> list[Row]:
    """Snapshots, ticks and latencies of a cluster; the snapshots' rows.

    Numbers are as wild as real ones: some are NULL, some huge.
    """
    random = Random(f"{seed} {cluster} {day}")
    moments = list(moments)
    rows = [
        snapshot(
            moment,
            cluster,
            seconds=30.0,
            resets=int(random.random() < 0.01),
            qps=random.choice([None, random.random() * 1000]),
            p99=random.random() * 5000,
            query_total=random.choice([None, random.randrange(10**6)]),
            query_success=random.randrange(10**6),
            query_error=random.randrange(1000),
            query_internal_error=random.randrange(10),
            load_bytes=random.randrange(2**47),
            cpu_avg_pct=random.random() * 100,
            disk_total_bytes=10**13,
            disk_used_bytes=random.choice([None, day * 10**9 + number]),
            table_bytes=day * 10**8 if number % 10 == 0 else None,
            tables=random.randrange(1000),
            fe_total=3,
            fe_alive=3,
            be_total=3,
            be_alive=3 - (number % 100 == 7),
        )
        for number, moment in enumerate(moments)
    ]
    land_all(root, metrics_snapshots.SOURCE, rows)
    land_all(root, collection_ticks.SOURCE, (tick(moment, cluster) for moment in moments))
    counts = [
        latencies(moment, {random.randrange(400): random.randrange(50) for _ in range(20)}, cluster)
        for moment in moments[::10]
    ]
    land_all(root, latency_histogram.SOURCE, counts)
    return rows
