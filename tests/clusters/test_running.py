"""What runs at this moment, asked over real sockets of simulated clusters of several versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway_assets.clusters.running import declared, duration, running
from gateway_assets.errors import GatewayError, UsageError
from gateway_assets.settings import Settings
from gateway_assets.simulated.cluster import SimulatedCluster
from tests.collect import watching

SECONDS = 5.0


def busy(version: str = "3.3.10") -> SimulatedCluster:
    simulated = SimulatedCluster(3, 1, version=version)
    simulated.workload.qps = 50
    simulated.workload.median_ms = 5_000
    simulated.step(30)
    assert all(fe.running for fe in simulated.frontends)
    return simulated


def test_queries_of_all_frontends_longest_first() -> None:
    with busy() as simulated:
        found = running(watching.declared(simulated), SECONDS)
        true = [query for fe in simulated.frontends for query in fe.running]
    assert found.is_whole
    assert [one["seconds"] for one in found.queries] == sorted(
        (query.milliseconds / 1000 for query in true), reverse=True
    )
    longest, told = max(true, key=lambda query: query.milliseconds), found.queries[0]
    assert (told["user"], told["database"], told["frontend"]) == (
        longest.user, longest.database, longest.frontend,
    )  # fmt: skip
    assert told["state"] == "RUNNING"
    assert told["scan_rows"] == longest.milliseconds * 2_000
    assert told["scan_bytes"] == pytest.approx(longest.milliseconds * 40_000, rel=0.001)
    assert told["memory_bytes"] == pytest.approx(longest.milliseconds * 100_000, rel=0.001)


def test_an_old_version_tells_of_one_frontend_only() -> None:
    with busy("2.5.4") as simulated:
        found = running(watching.declared(simulated), SECONDS)
        true = simulated.frontends[0].running
    assert not found.is_whole
    assert found.frontend.startswith(f"{simulated.frontends[0].host}:")
    assert {one["seconds"] for one in found.queries} == {
        query.milliseconds / 1000 for query in true
    }
    assert {one["scan_rows"] for one in found.queries} == {
        query.milliseconds * 2_000 for query in true
    }
    assert {one["state"] for one in found.queries} == {None}


def test_a_dead_frontend_is_passed_over() -> None:
    with busy() as simulated:
        simulated.kill(simulated.frontends[0])
        found = running(watching.declared(simulated), SECONDS)
    assert found.frontend.startswith(f"{simulated.frontends[1].host}:")


def test_when_none_answers_all_reasons_are_told() -> None:
    with busy() as simulated:
        for node in simulated.frontends:
            simulated.kill(node)
        with pytest.raises(GatewayError, match="does not say what runs") as told:
            running(watching.declared(simulated), SECONDS)
    assert all(f"{node.host}:" in told.value.message for node in simulated.frontends)
    assert told.value.hint == "gateway collect --check --cluster one"


def test_rights_that_are_missing_are_told() -> None:
    with busy() as simulated:
        simulated.manners.privileged = False
        with pytest.raises(GatewayError, match="Access denied"):
            running(watching.declared(simulated), SECONDS)


def test_only_declared_clusters_can_be_asked(settings: Settings) -> None:
    with pytest.raises(UsageError, match="no cluster is declared"):
        declared(settings, "")
    lines = '[[clusters]]\nname = "{0}"\nfrontends = ["{0}:9030"]\n'
    file = Path(settings.data_dir) / "clusters.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(lines.format("red"))
    assert declared(settings, "").name == declared(settings, "red").name == "red"
    with pytest.raises(UsageError, match="no declared cluster 'blue'"):
        declared(settings, "blue")
    file.write_text(lines.format("red") + lines.format("blue"))
    with pytest.raises(UsageError, match="which cluster"):
        declared(settings, "")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3.153 s", 3.153),
        ("3,153 s", 3.153),
        ("11.13 Seconds", 11.13),
        ("250 ms", 0.25),
        ("3153", 3.153),
        ("N/A", None),
        ("3.1.5 s", None),
        ("soon", None),
        (None, None),
    ],
)
def test_durations(text: str | None, seconds: float | None) -> None:
    assert duration(text) == seconds
