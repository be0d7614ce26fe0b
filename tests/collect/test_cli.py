"""``gateway collect``: one look, what works in plain words, and where ``gateway up`` starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway_assets.cli import up
from gateway_assets.cli.up import commands
from gateway_assets.collect.loop import lock_of
from gateway_assets.files.lock import exclusive, is_held
from gateway_assets.settings import load_settings
from gateway_assets.simulated.cluster import SimulatedCluster

ROOT = Path(__file__).parents[2]


def gateway(data: Path, *options: str, **given: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.collect.command", "--data-dir", str(data), *options],
        env={**os.environ, "GATEWAY_COLLECT_CALL_SECONDS": "0.5", **given},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def declare(data: Path, simulated: SimulatedCluster, more: str = "") -> None:
    (data / "clusters.toml").write_text(simulated.as_toml("one") + more)


def test_one_look_as_json(tmp_path: Path) -> None:
    with SimulatedCluster(2, 2) as simulated:
        declare(tmp_path, simulated)
        done = gateway(tmp_path, "collect", "--once", "--json")
        assert done.returncode == 0, done.stderr
        rows = json.loads(done.stdout)
        again = gateway(tmp_path, "collect", "--once")
    (tick,) = rows["collection_ticks"]
    assert (tick["cluster"], tick["nodes"], tick["nodes_answered"]) == ("one", 4, 4)
    assert rows["metrics_snapshots"][0]["fe_total"] == 2
    assert len(rows["node_samples"]) == 4
    assert "4 of 4 nodes gave metrics" in again.stdout
    assert len(list(tmp_path.glob("landing/collection_ticks/*/*/*/*.ndjson"))) == 2


def test_what_works_in_plain_words(tmp_path: Path) -> None:
    with SimulatedCluster(3, 2) as simulated:
        simulated.kill(simulated.frontends[1])
        for node in simulated.backends:
            simulated.fault(node, "refuse", "http")
        declare(tmp_path, simulated)
        done = gateway(tmp_path, "collect", "--check")
    said = [line.strip() for line in done.stdout.splitlines()]
    port = simulated.frontends[0].query_port
    assert done.returncode == 0, done.stderr
    assert f"yes  frontend 127.0.1.1:{port} answers" in said
    assert any(line.startswith(f"NO  frontend 127.0.1.2:{port}:") for line in said)
    assert f"yes  127.0.1.1:{port} leads; 127.0.1.1:{port} answers for it" in said
    assert "NO  metrics over HTTP from 2 of 3 frontends" in said
    assert any("through SQL, for HTTP does not work" in line for line in said)
    assert not (tmp_path / "collect").exists()


def test_a_cluster_that_cannot_be_looked_at_is_an_error(tmp_path: Path) -> None:
    with SimulatedCluster(1, 1) as simulated:
        bad = '[[clusters]]\nname = "bad"\nfrontends = ["127.0.0.1:1"]\n'
        declare(tmp_path, simulated, bad)
        done = gateway(tmp_path, "collect", "--check")
        only = gateway(tmp_path, "collect", "--check", "--cluster", "one")
    assert done.returncode == 1
    assert "cannot be looked at: bad" in done.stderr
    assert only.returncode == 0, only.stderr


def test_wrong_use(tmp_path: Path) -> None:
    assert gateway(tmp_path, "collect").returncode == 2
    (tmp_path / "clusters.toml").write_text(
        '[[clusters]]\nname = "a"\nfrontends = ["127.0.0.1:1"]\n'
    )
    assert gateway(tmp_path, "collect", "--cluster", "b").returncode == 2
    assert gateway(tmp_path, "collect", "--json").returncode == 2
    assert gateway(tmp_path, "collect", "--once", "--check").returncode == 2


def test_up_starts_it_where_clusters_are_declared(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    assert "collect" not in commands(settings)
    (tmp_path / "clusters.toml").write_text('[[clusters]]\nname = "a"\nfrontends = ["h"]\n')
    assert commands(settings)["collect"][-3:] == ["--data-dir", str(tmp_path), "collect"]


def test_the_process_stays_light() -> None:
    code = (
        "import sys, gateway_assets.cli.main, gateway_assets.cli.collect;"
        "heavy = {'duckdb', 'pandas', 'pyarrow', 'numpy', 'dagster'};"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_second_collector_waits_for_the_first_one_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said once, and nothing is started meanwhile."""
    monkeypatch.setattr(up, "BUSY_SECONDS", 0.01)
    command = [sys.executable, "-m", "tests.collect.command", "--data-dir", str(tmp_path)]
    lock = lock_of(tmp_path)
    assert not is_held(lock)
    with SimulatedCluster(1, 1, real_time=True) as simulated:
        declare(tmp_path, simulated)
        env = {**os.environ, "PYTHONPATH": str(ROOT), "GATEWAY_COLLECT_INTERVAL_SECONDS": "1"}
        service = up._Service("collect", [*command, "collect"], env, lock)
        try:
            with exclusive(lock, "gateway collect"):
                assert is_held(lock)
                keep(service, lambda: service._is_waiting)
                for _ in range(100):
                    service.keep_running()
                    assert service._process is None
                    time.sleep(0.005)
            landing = tmp_path / "landing" / "collection_ticks"
            keep(service, lambda: any(landing.glob("*/*/*/*.ndjson")))
        finally:
            service.ask_to_stop()
            service.wait()
    said = capsys.readouterr().out
    assert said.count("already running") == said.count("starts when that has ended") == 1


def keep(service: up._Service, until: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not until():
        assert time.monotonic() < end
        service.keep_running()
        time.sleep(0.05)
