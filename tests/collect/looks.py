"""Looks at clusters for tests: rows of SHOW as versions print them, pages, and their rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway_assets import clock
from gateway_assets.collect.nodes import nodes_of
from gateway_assets.collect.observed import Node, Observed, Record, Scrape
from gateway_assets.collect.series import WANTED
from gateway_assets.collect.snapshot import rows_of
from gateway_assets.model import misfit
from gateway_assets.sources import (
    collection_ticks,
    job_samples,
    latency_histogram,
    metrics_snapshots,
    node_samples,
    slow_queries,
)
from gateway_assets.starrocks.exposition import parse

CASES = Path(__file__).parent.parent / "cases" / "starrocks"
SOURCES = {
    module.SOURCE.name: module.SOURCE
    for module in (
        collection_ticks, job_samples, latency_histogram, metrics_snapshots, node_samples,
        slow_queries,
    )
}  # fmt: skip
START = clock.parse_moment("2026-11-20T12:00:10")  # no multiple of five minutes
TICK = 30 * clock.SECOND


def vertical(name: str) -> list[Record]:
    r"""Rows of a file that ``\G`` printed."""
    rows: list[Record] = []
    for line in (CASES / name).read_text().splitlines():
        if line.startswith("***"):
            rows.append({})
        elif ":" in line:
            key, _, value = line.partition(":")
            rows[-1][key.strip()] = _null(value.strip())
    return rows


def table(name: str) -> list[Record]:
    """Rows of a file that the MySQL client printed."""
    lines = [line for line in (CASES / name).read_text().splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [dict(zip(cells[0], map(_null, row), strict=True)) for row in cells[1:]]


def _null(text: str) -> str | None:
    return None if text == "NULL" else text


def text_of(moment: int) -> str:
    return clock.iso(moment)[:19].replace("T", " ")


def frontend(number: int, now: int = START, /, **changes: str | None) -> Record:
    return {
        "Name": f"10.0.0.{number}_9010_17000000000{number}", "IP": f"10.0.0.{number}",
        "EditLogPort": "9010", "HttpPort": "8030", "QueryPort": "9030", "RpcPort": "9020",
        "Role": "LEADER" if number == 1 else "FOLLOWER", "ClusterId": "7", "Join": "true",
        "Alive": "true", "ReplayedJournalId": "31802", "LastHeartbeat": text_of(now),
        "IsHelper": "true", "ErrMsg": "", "StartTime": "2026-11-01 08:00:00",
        "Version": "3.3.10-227b0b3", **changes,
    }  # fmt: skip


def backend(number: int, now: int = START, /, **changes: str | None) -> Record:
    return {
        "BackendId": str(10000 + number), "IP": f"10.0.1.{number}", "HeartbeatPort": "9050",
        "BePort": "9060", "HttpPort": "8040", "BrpcPort": "8060",
        "LastStartTime": "2026-11-01 08:00:00", "LastHeartbeat": text_of(now), "Alive": "true",
        "SystemDecommissioned": "false", "ClusterDecommissioned": "false", "TabletNum": "40",
        "DataUsedCapacity": "10.000 GB", "AvailCapacity": "60.000 GB",
        "TotalCapacity": "100.000 GB", "UsedPct": "40.00 %", "MaxDiskUsedPct": "45,50 %",
        "ErrMsg": "", "Version": "3.3.10-227b0b3", "Status": "{}", "CpuCores": "8",
        "MemLimit": "50.559GB", "NumRunningQueries": "3", "MemUsedPct": "20.00 %",
        "CpuUsedPct": "10.0 %", "DataCacheMetrics":
        "Status: Normal, DiskUsage: 44MB/1TB, MemUsage: 0B/0B", "Location": "", **changes,
    }  # fmt: skip


def page(**values: float) -> str:
    """A page of a frontend or a backend; a name without a prefix is a frontend's."""
    lines = []
    for name, value in values.items():
        full = name if name.startswith(("be_", "jvm_")) else f"fe_{name}"
        lines.append(f"{full if name.startswith('jvm_') else 'starrocks_' + full} {value}\n")
    return "".join(lines)


def look(
    answers: Mapping[str, list[Record]],
    pages: Mapping[str, str | None] | None = None,
    *,
    at: int = START,
    **changes: Any,
) -> Observed:
    """One look; ``pages`` by address of the node, None for one that did not answer."""
    scrapes: dict[Node, Scrape] = {}
    for node in nodes_of(dict(answers)):
        if node.address in (pages or {}):
            text = (pages or {})[node.address]
            found = None if text is None else parse(text.encode(), WANTED)
            scrapes[node] = Scrape(found, at, "" if found else "timed out after 3 s")
    observed = Observed(
        "prod", at, at, 120, "10.0.0.1:9030", "10.0.0.1:9030", True, dict(answers), scrapes, []
    )
    return observed._replace(**changes)


Landed = dict[str, list[dict[str, Any]]]


def landed(observed: Observed, memory: dict[str, Any]) -> tuple[Landed, dict[str, Any]]:
    """Rows as dicts, after they have been held against the landing contract."""
    untouched = json.dumps(memory)
    rows, after = rows_of(observed, memory)
    assert json.dumps(memory) == untouched
    found: Landed = {name: [] for name in SOURCES}
    for name, each in rows.items():
        columns = SOURCES[name].columns
        for row in each:
            json.dumps(row, allow_nan=False)
            assert not [why for pair in zip(columns, row, strict=True) if (why := misfit(*pair))]
            found[name].append({c.name: value for c, value in zip(columns, row, strict=True)})
    return found, json.loads(json.dumps(after, allow_nan=False))


def run(*looks: Observed) -> list[Landed]:
    """Several looks, one after the other."""
    memory: dict[str, Any] = {}
    found = []
    for observed in looks:
        rows, memory = landed(observed, memory)
        found.append(rows)
    return found


def snapshot(rows: Landed) -> dict[str, Any]:
    (row,) = rows["metrics_snapshots"]
    return row


def tick(rows: Landed) -> dict[str, Any]:
    (row,) = rows["collection_ticks"]
    return row
