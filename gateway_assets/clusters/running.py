"""What runs on a cluster at this moment, asked of the cluster itself."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from gateway_assets.collect.config import Cluster, clusters_of
from gateway_assets.collect.observed import Record
from gateway_assets.collect.sql import Lost, Refused, Session
from gateway_assets.errors import GatewayError, UsageError
from gateway_assets.settings import Settings
from gateway_assets.starrocks import formats
from gateway_assets.starrocks.definitions import QUERIES

_GLOBAL = "/global_current_queries"
_DURATION = re.compile(r"([\d.,]+)\s*(ms|s|seconds)?", re.IGNORECASE)


class Running(NamedTuple):
    """``queries`` by the time they have taken, longest first; ``is_whole``: of all frontends, not
    only of ``frontend``, which answered.
    """

    frontend: str
    is_whole: bool
    queries: list[dict[str, Any]]


def declared(settings: Settings, name: str) -> Cluster:
    """The cluster of a name, or the only one. Raises UsageError and ConfigError."""
    clusters = {each.name: each for each in clusters_of(settings)}
    if name in clusters:
        return clusters[name]
    if not clusters:
        raise UsageError("no cluster is declared", hint="see docs/clusters.md: [[clusters]] lines")
    if name or len(clusters) > 1:
        what = f"there is no declared cluster {name!r}" if name else "which cluster?"
        raise UsageError(what, hint=f"--cluster, one of: {', '.join(clusters)}")
    return next(iter(clusters.values()))


def running(cluster: Cluster, seconds: float) -> Running:
    """Ask the first frontend that answers, ``seconds`` a call at most.

    Raises GatewayError when none does.
    """
    problems = []
    for frontend in cluster.frontends:
        try:
            session = Session(cluster, frontend, seconds)
            try:
                return _asked(session)
            finally:
                session.close()
        except (Lost, Refused) as error:
            problems.append(f"{frontend}: {error}")
    raise GatewayError(
        f"{cluster.name} does not say what runs: {'; '.join(problems)}",
        hint=f"gateway collect --check --cluster {cluster.name}",
    )


def _asked(session: Session) -> Running:
    (query,) = (query for query in QUERIES if query.name == "running_queries")
    problem: Refused | None = None
    for statement in query.statements:
        try:
            rows = session.ask(statement)
        except Refused as error:
            problem = problem or error
            continue
        queries = sorted(map(_read, rows), key=lambda row: -(row["seconds"] or 0))
        return Running(session.frontend, _GLOBAL in statement, queries)
    assert problem
    raise problem


def _read(record: Record) -> dict[str, Any]:
    """Columns of old versions are fewer, and have other names."""
    row = {name.lower(): formats.known(text) for name, text in record.items()}
    read = row.get("scanrows") or row.get("processrows") or ""
    return {
        "query_id": row.get("queryid"),
        "user": row.get("user"),
        "database": row.get("database"),
        "state": row.get("execstate"),
        "seconds": duration(row.get("exectime")),
        "scan_bytes": formats.size(row.get("scanbytes")),
        "scan_rows": formats.whole(read.lower().removesuffix("rows").strip()),
        "memory_bytes": formats.size(row.get("memoryusage") or row.get("memoryusagebytes")),
        "frontend": row.get("feip"),
    }


def duration(text: str | None) -> float | None:
    """Seconds of ``3.153 s``, ``11.13 Seconds`` or, as old versions write it, ``3153`` ms."""
    match = _DURATION.fullmatch(formats.known(text) or "")
    number = formats.number(match[1].replace(",", ".")) if match else None
    if match is None or number is None:
        return None
    return number / 1000 if (match[2] or "ms").lower() == "ms" else float(number)
