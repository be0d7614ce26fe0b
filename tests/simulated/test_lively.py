"""A day of a busy cluster, and its line in clusters.toml."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway_assets.cli.main import gateway
from gateway_assets.clock import HOUR, SECOND
from gateway_assets.errors import ConfigError
from gateway_assets.simulated.cluster import SimulatedCluster
from gateway_assets.simulated.declared import declare
from gateway_assets.simulated.lively import NIGHT, PEAK_QPS, Lively, qps_at
from tests.simulated.asking import fetch

START = 1_790_000_000 * SECOND
LINE = '[[clusters]]\nname = "simulated"\nfrontends = ["127.0.1.1:1"]\n'


def test_a_day_has_a_quiet_and_a_busy_hour() -> None:
    by_hour = {hour: qps_at(hour * HOUR) for hour in range(24)}
    assert min(by_hour, key=by_hour.__getitem__) == 3
    assert max(by_hour, key=by_hour.__getitem__) == 15
    assert by_hour[3] == pytest.approx(PEAK_QPS * NIGHT)
    assert by_hour[15] == pytest.approx(PEAK_QPS)


def test_mishaps_come_and_go() -> None:
    with SimulatedCluster(3, 4, start=START) as cluster:
        lively = Lively(cluster, seed=1)
        said = [text for _ in range(4_000) if (text := lively.turn(1))]
        assert {text.split()[0] for text in said} == {
            "backend", "routine", "one", "frontend", "all",
        }  # fmt: skip
        assert said[1::2] == ["all is well again"] * (len(said) // 2)
        if len(said) % 2:
            while not lively.turn(1):
                pass
        assert all(node.is_alive for node in cluster.world.nodes)
        assert all(fetch(node)[0] == 200 for node in cluster.world.nodes)
        assert all(job.capacity > job.produced for job in cluster.world.routine_loads)


def test_a_fast_day_has_more_mishaps() -> None:
    def mishaps(speed: float) -> int:
        with SimulatedCluster(3, 4, start=START) as cluster:
            lively = Lively(cluster, 1, speed)
            return sum(bool(lively.turn(1)) for _ in range(600))

    assert mishaps(1) < mishaps(20)


def test_its_line_is_replaced_and_those_of_others_stay(tmp_path: Path) -> None:
    file = tmp_path / "clusters.toml"
    other = '# mine\n[[clusters]]\nname = "mine"\n'
    file.write_text(other)
    declare(file, LINE)
    declare(file, LINE.replace(":1", ":2"))
    text = file.read_text()
    clusters = tomllib.loads(text)["clusters"]
    assert [cluster["name"] for cluster in clusters] == ["mine", "simulated"]
    assert clusters[1]["frontends"] == ["127.0.1.1:2"]
    assert text.startswith(other)


def test_another_cluster_of_that_name_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "clusters.toml"
    file.write_text(LINE)
    with pytest.raises(ConfigError, match="'simulated' already"):
        declare(file, LINE)
    assert file.read_text() == LINE
    file.write_text("clusters = ")
    with pytest.raises(ConfigError, match="cannot be read"):
        declare(file, LINE)


def test_the_command_declares_runs_and_ends(tmp_path: Path) -> None:
    data = tmp_path / "data"
    command = ["--data-dir", str(data), "demo", "cluster", "--minutes", "0.03", "--speed", "9"]
    result = CliRunner().invoke(gateway, command)
    assert result.exit_code == 0, result.output
    assert "A simulated cluster, no StarRocks" in result.output
    assert "What really happened" in result.output
    (line,) = tomllib.loads((data / "clusters.toml").read_text())["clusters"]
    assert line["name"] == "simulated"
    password = data / line["password_file"]
    assert stat.S_IMODE(password.stat().st_mode) == 0o600
    assert password.read_text().strip()
