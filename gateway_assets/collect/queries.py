"""Rows of ``latency_histogram`` and ``slow_queries``: the audit log table of a closed window."""

from __future__ import annotations

import re
from collections import Counter
from operator import itemgetter
from typing import Any

from gateway_assets.clock import HOUR
from gateway_assets.collect.observed import Observed, Record
from gateway_assets.starrocks import formats
from gateway_assets.starrocks.histogram import BUCKETS, packed

STATEMENT = 2000  # characters

_KEPT = 20  # statements of a window
_REMEMBERED = 1000
# Texts in quotes, perhaps cut off, and numbers that are not part of a name.
_CONSTANTS = re.compile(r"""'(?:[^'\\]|\\.)*'?|"(?:[^"\\]|\\.)*"?|\b\d[\w.]*""", re.DOTALL)
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
    """A row for each of the slowest statements, and the numbers of the queries they come from.

    These are left out when a look brings them again.
    """
    known = dict.fromkeys(told)
    alike: dict[tuple[str | None, str], list[dict[str, Any]]] = {}
    for record in observed.answers.get("slow_queries", []):
        query = _query(record, observed)
        if query is None or query["query_id"] in known:
            continue
        known[query["query_id"]] = None
        key = query["database"], query["digest"] or _without_constants(query["statement"] or "")
        alike.setdefault(key, []).append(query)
    rows = sorted(map(_together, alike.values()), key=itemgetter("milliseconds"), reverse=True)
    return rows[:_KEPT], list(known)[-_REMEMBERED:]


def _query(record: Record, observed: Observed) -> dict[str, Any] | None:
    number = formats.known(record.get("queryId"))
    milliseconds = formats.whole(record.get("queryTime"))
    if number is None or milliseconds is None or milliseconds < 0:
        return None
    began = formats.moment(record.get("timestamp"))
    start = observed.window[0] if observed.window else observed.time
    return {
        "time": start if began is None else began,
        "cluster": observed.cluster,
        "query_id": number,
        "milliseconds": milliseconds,
        **{name: formats.known(record.get(text)) for name, text in _COLUMNS.items()},
        **{name: formats.whole(record.get(text)) for name, text in _WHOLE.items()},
        "statement": (record.get("stmt") or "")[:STATEMENT] or None,
    }


def _together(queries: list[dict[str, Any]]) -> dict[str, Any]:
    """The slowest, and what all of them come to."""
    return {
        **max(queries, key=itemgetter("milliseconds")),
        "queries": len(queries),
        "failed": sum(query["state"] == "ERR" for query in queries),
        "total_milliseconds": sum(query["milliseconds"] for query in queries),
    }


def _without_constants(statement: str) -> str:
    """What digests are made of, where the cluster makes none (``enable_sql_digest``)."""
    return " ".join(_CONSTANTS.sub("?", statement).split())
