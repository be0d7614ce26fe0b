"""Rows of ``latency_histogram`` and ``slow_queries``: the audit log table of a closed window."""

from __future__ import annotations

from collections import Counter
from typing import Any

from gateway_assets.clock import HOUR
from gateway_assets.collect.observed import Observed
from gateway_assets.starrocks import formats
from gateway_assets.starrocks.histogram import BUCKETS, packed

STATEMENT = 2000  # characters

_REMEMBERED = 1000
_COLUMNS = {
    "user": "user",
    "database": "db",
    "frontend": "feIp",
    "state": "state",
    "digest": "digest",
}
_WHOLE = {
    "scan_bytes": "scanBytes",
    "scan_rows": "scanRows",
    "return_rows": "returnRows",
    "cpu_ns": "cpuCostNs",
    "memory_bytes": "memCostBytes",
}


def latencies(observed: Observed, until: int) -> tuple[list[dict[str, Any]], int]:
    """The row of a window, and where it ends: what lies before ``until`` has been counted.

    An ``until`` of more than an hour after the window is that of a clock that was wrong, as it is
    when windows are chosen.
    """
    if observed.window is None:
        return [], until
    start, end = observed.window
    if until > end + HOUR:
        until = 0
    rows = observed.answers.get("latencies")
    if rows is None or start < until:
        return [], until
    buckets: Counter[int] = Counter()
    for row in rows:
        bucket, queries = formats.whole(row.get("BUCKET")), formats.whole(row.get("QUERIES"))
        if bucket is not None and 0 <= bucket < BUCKETS and queries is not None and queries > 0:
            buckets[bucket] += queries
    if not buckets:
        return [], end
    return [
        {
            "time": start,
            "cluster": observed.cluster,
            "queries": buckets.total(),
            "buckets": packed(buckets),
        }
    ], end


def slow_queries(observed: Observed, told: list[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """The slow queries that have had no row yet, and the numbers of those that have one now."""
    known = dict.fromkeys(told)
    rows = []
    start = observed.window[0] if observed.window else observed.time
    for record in observed.answers.get("slow_queries", []):
        number = formats.known(record.get("queryId"))
        milliseconds = formats.whole(record.get("queryTime"))
        if number is None or milliseconds is None or number in known:
            continue
        known[number] = None
        began = formats.moment(record.get("timestamp"))
        rows.append(
            {
                "time": start if began is None else began,
                "cluster": observed.cluster,
                "query_id": number,
                "milliseconds": milliseconds,
                **{name: formats.known(record.get(text)) for name, text in _COLUMNS.items()},
                **{name: formats.whole(record.get(text)) for name, text in _WHOLE.items()},
                "statement": (record.get("stmt") or "")[:STATEMENT] or None,
            }
        )
    return rows, list(known)[-_REMEMBERED:]
