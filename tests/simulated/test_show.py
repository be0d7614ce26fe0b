"""Answers of SHOW beside real output of StarRocks: the same columns, values written the same way.

Transcripts are real output of the versions in their names.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from gateway_assets.clock import SECOND
from gateway_assets.simulated.cluster import SimulatedCluster
from tests.simulated.asking import ask

CASES = Path(__file__).parents[1] / "cases" / "starrocks"
START = 1_790_000_000 * SECOND
OWN = {  # texts of their own in every cluster
    "Name", "IP", "HostName", "Version", "Host", "Info", "ErrMsg", "DbName", "QueryId", "feIp",
    "Database", "User", "ResourceGroup", "Db",
}  # fmt: skip
# The k8s transcript is of a version named by its commit; its columns are those of 2.5.
TRANSCRIPTS = {
    "backends_2.5.4_vertical": ("2.5.4", False, "SHOW BACKENDS"),
    "backends_3.1.7_shared-data": ("3.1.7", True, "SHOW BACKENDS"),
    "backends_3.3.10_table_1": ("3.3.10", False, "SHOW BACKENDS"),
    "compute_nodes_3.3.4-ee": ("3.3.4", True, "SHOW COMPUTE NODES"),
    "current_queries_2025-03": ("3.3.10", False, "SHOW PROC '/global_current_queries'"),
    "frontends_2022-12_k8s": ("2.5.4", False, "SHOW FRONTENDS"),
    "proc_statistic_3.x": ("3.3.10", False, "SHOW PROC '/statistic'"),
    "processlist_2.5_10cols_IsPending": ("2.5.4", False, "SHOW FULL PROCESSLIST"),
}


def transcript(name: str) -> list[dict[str, str]]:
    """Rows of what a mysql client printed, in a table or vertically."""
    lines = (CASES / f"{name}.txt").read_text("utf-8").splitlines()
    if any(line.startswith("***") for line in lines):
        return _vertical(lines)
    cells = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in lines
        if line.startswith("|")
    ]
    return [dict(zip(cells[0], row, strict=True)) for row in cells[1:]]


def _vertical(lines: list[str]) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    for line in lines:
        if line.startswith("***"):
            rows.append({})
        elif found := re.fullmatch(r" *(\w+): ?(.*)", line):
            rows[-1][found[1]] = found[2].strip()
    return rows


def shape(value: str | None) -> str:
    """A value with numbers and units of size left out: how it is written."""
    text = re.sub(r"\d+", "9", str(value))
    text = re.sub(r"(9\.9 ?|\b9)([KMGT]?B)\b", r"\1#", text)
    return text.replace("9.9#", "9#")  # 0B/0B and 44.1GB/1.0TB are written alike


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_columns_and_values_are_as_in_real_output(name: str) -> None:
    version, shared_data, statement = TRANSCRIPTS[name]
    nodes = 1 if "compute" in name else 0
    with SimulatedCluster(
        3, 3, nodes, version=version, shared_data=shared_data, start=START
    ) as cluster:
        cluster.workload.qps = 100
        cluster.step(60)
        ours = ask(cluster, "SET time_zone = 'UTC'", statement)
    theirs = transcript(name)
    assert list(ours[0]) == list(theirs[0])
    for column in set(theirs[0]) - OWN:
        known = {shape(row[column]) for row in theirs}
        if column in {"Role", "Command", "State"}:
            known |= {"LEADER", "Sleep", ""}
        assert {shape(row[column]) for row in ours} <= known, column


def test_a_dead_frontend_is_as_in_real_output() -> None:
    with SimulatedCluster(3, 1, version="3.3.10") as cluster:
        cluster.kill(cluster.frontends[2])
        ours = ask(cluster, "SHOW FRONTENDS")[2]
    (theirs,) = transcript("frontends_dead_row_table")
    assert list(ours) == list(theirs)
    for column in set(theirs) - {"Name", "IP", "HttpPort", "EditLogPort", "ClusterId"}:
        assert str(ours[column]).replace("None", "NULL") == theirs[column], column


COLUMNS_OF_BACKENDS = {
    ("2.2.5", False): 24,
    ("2.5.4", False): 26,
    ("3.1.7", False): 26,
    ("3.1.7", True): 28,
    ("3.3.10", False): 29,
    ("3.3.10", True): 32,
    ("4.1.0", False): 30,
    ("4.1.0", True): 33,
}


@pytest.mark.parametrize(("version", "shared_data"), COLUMNS_OF_BACKENDS)
def test_backends_have_the_columns_of_version_and_mode(version: str, shared_data: bool) -> None:
    with SimulatedCluster(1, 2, version=version, shared_data=shared_data) as cluster:
        rows = ask(cluster, "SHOW BACKENDS")
    assert len(rows[0]) == COLUMNS_OF_BACKENDS[version, shared_data]
    assert ("StarletPort" in rows[0]) == shared_data
    assert ("MemUsedPct" in rows[0]) == (version > "2.4")


def test_names_of_frontends_by_version() -> None:
    def row(version: str) -> dict[str, Any]:
        with SimulatedCluster(1, 1, version=version) as cluster:
            return ask(cluster, "SHOW FRONTENDS")[0]

    old, new, newest = row("2.2.5"), row("3.3.10"), row("4.1.0")
    assert (old["Role"], old["IsMaster"]) == ("FOLLOWER", "true")
    assert new["Role"] == "LEADER"
    assert "IsMaster" not in new
    assert next(iter(newest)) == "Id"


def test_old_versions_leave_the_unit_of_bytes_out() -> None:
    def used(version: str) -> str:
        with SimulatedCluster(1, 1, version=version, shared_data=True) as cluster:
            return str(ask(cluster, "SHOW BACKENDS")[0]["DataUsedCapacity"])

    assert (used("2.2.5"), used("3.3.10")) == ("0.000 ", "0.000 B")


def test_the_http_port_is_that_of_who_answers() -> None:
    with SimulatedCluster(2, 1) as cluster:
        cluster.frontends[1].http_port = 1  # as if it were configured so
        ports = {row["HttpPort"] for row in ask(cluster, "SHOW FRONTENDS")}
        assert ports == {str(cluster.frontends[0].http_port)}
