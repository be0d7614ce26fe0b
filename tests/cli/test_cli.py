"""The command line: what scripts get, and one line with a hint for whatever is wrong."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway_assets import clock
from gateway_assets.cli.main import main
from gateway_assets.settings import Settings
from tests.clusters import land_day, times
from tests.traffic import TODAY, land_days, land_rows

OLD = clock.day_text(TODAY - 9)


class Done(NamedTuple):
    code: int
    out: str
    err: str


PROGRAM = str(Path(sys.executable).with_name("gateway"))


class Gateway:
    """Runs the command in this process, as the console script does; in another where it forks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *arguments: str) -> Done:
        if "query" in arguments:
            done = subprocess.run(
                [PROGRAM, *arguments], capture_output=True, text=True, check=False
            )
            return Done(done.returncode, done.stdout, done.stderr)
        self._monkeypatch.setattr(sys, "argv", ["gateway", *arguments])
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        return Done(code, *self._capsys.readouterr())


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Gateway:
    return Gateway(monkeypatch, capsys)


@pytest.fixture
def filled(gateway: Gateway, settings: Settings) -> Gateway:
    land_days(settings.landing, range(TODAY - 9, TODAY + 1))
    for command in (["load"], ["rollup"], ["archive", "run"]):
        assert gateway(*command).code == 0
    return gateway


def test_the_way_of_a_row(gateway: Gateway, settings: Settings) -> None:
    land_days(settings.landing, range(TODAY - 9, TODAY + 1))
    loaded = json.loads(gateway("load", "--json").out)
    assert {one["table"]: one["rows"] for one in loaded if one["rows"]} == {"ip_traffic": 1200}
    merged = json.loads(gateway("rollup", "--json").out)
    assert {one["table"]: one["merged_rows"] for one in merged} == {
        "ip_traffic_hourly": 1200,
        "ip_traffic_daily": 1200,
        "daily_snapshots": 0,
    }
    steps = json.loads(gateway("archive", "plan", "ip_traffic", "--json").out)
    assert [step["step"] for step in steps] == ["export"] * 2 + ["keep"] * 8
    assert gateway("archive", "run", "--dry-run", "ip_traffic", "--json").out == (
        json.dumps(steps) + "\n"
    )
    assert json.loads(gateway("archive", "run", "ip_traffic", "--json").out)[0]["rows"] == 240
    traffic, *_ = json.loads(gateway("tables", "--json").out)
    assert (traffic["hot_rows"], traffic["cold_rows"], traffic["days"]) == (960, 240, 10)
    *filled, empty = gateway("tables").out.splitlines()
    assert len(filled) == 4
    assert empty.startswith("Empty: metrics_snapshots, ")
    assert gateway("archive", "verify").code == 0
    restored = json.loads(gateway("archive", "restore", "ip_traffic", OLD, "--json").out)
    assert restored["rows"] == 120


def test_days_of_clusters_are_computed_again(gateway: Gateway, settings: Settings) -> None:
    """By hand, whatever is dirty: here what was changed by hand."""
    for day in range(TODAY - 9, TODAY - 5):
        land_day(settings.landing, day, times(day, 0, 20))
    assert gateway("load").code == 0
    done = gateway("rollup")
    assert done.code == 0
    assert "daily_snapshots: 4 rows computed of 4 days in" in done.out
    with sqlite3.connect(settings.hot_database) as connection:
        wanted = connection.execute("SELECT * FROM daily_snapshots").fetchall()
        connection.execute("UPDATE daily_snapshots SET query_success = 0")
    assert "daily_snapshots: 0 rows computed of 0 days in" in gateway("rollup").out
    *_, summary = json.loads(gateway("rollup", "--again", OLD, OLD, "--json").out)
    assert (summary["days"], summary["computed_rows"]) == ([OLD], 1)
    last = clock.day_text(TODAY - 6)
    *_, summary = json.loads(gateway("rollup", "--again", "2026-01-01", last, "--json").out)
    assert summary["computed_rows"] == 4
    with sqlite3.connect(settings.hot_database) as connection:
        assert connection.execute("SELECT * FROM daily_snapshots").fetchall() == wanted
    refused(gateway("rollup", "--again", OLD, "today"), 2, "YYYY-MM-DD", "gateway rollup --again")
    refused(gateway("rollup", "--again", last, OLD), 2, f"{last} is after {OLD}")


def test_every_format_of_an_answer(filled: Gateway) -> None:
    query = "SELECT time, remote_ip, tx_bytes, pid FROM ip_traffic ORDER BY id LIMIT 2"
    rows = json.loads(filled("query", query, "--format", "json").out)
    assert [row["tx_bytes"] for row in rows] == [1000, 1000]
    assert rows[0]["time"] == f"{OLD}T00:00:00+00:00"
    assert rows[0]["pid"] is None
    assert "1,000" in filled("query", query).out
    total = json.loads(
        filled("query", "SELECT sum(tx_bytes) AS s FROM ip_traffic", "-f", "json").out
    )
    assert total == [{"s": 1_200_000}]
    odd = "SELECT 'NaN'::DOUBLE AS a, 1.50::DECIMAL(4,2) AS b, DATE '2026-01-02' AS c"
    assert json.loads(filled("query", odd, "-f", "json").out) == [
        {"a": None, "b": "1.50", "c": "2026-01-02"}
    ]


def test_csv_goes_to_a_pipe(filled: Gateway, settings: Settings) -> None:
    done = subprocess.run(
        [PROGRAM, "query", "-", "-f", "csv"],
        input="SELECT count(*) AS n FROM ip_traffic",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ['"n"', "1200"]


def test_config_shows_value_default_and_origin(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_ARCHIVE_GRACE_HOURS", "3")
    rows = {row["name"]: row for row in json.loads(gateway("config", "--json").out)}
    assert rows["archive_grace_hours"]["value"] == 3
    assert rows["archive_grace_hours"]["default"] == 24
    assert rows["archive_grace_hours"]["origin"] == "environment GATEWAY_ARCHIVE_GRACE_HOURS"
    assert "GATEWAY_ARCHIVE_GRACE_HOURS" in gateway("config").out


def refused(done: Done, code: int, *words: str) -> None:
    """One line of error, one of hint, the exit code of the error tree, no traceback."""
    assert done.code == code, done
    lines = done.err.strip().splitlines()
    assert lines[0].startswith("gateway: error: "), done
    assert len(lines) == 2, done
    assert lines[1].startswith("  hint: "), done
    for word in words:
        assert word in done.err, done


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["query", "DROP TABLE ip_traffic"], 8, "only SELECT"),
        (["query", "PIVOT ip_traffic ON process USING count(*)"], 8, "PIVOT needs"),
        (["query", "SELEC"], 8, "syntax error"),
        (["query", "SELECT * FROM nowhere"], 8, "gateway tables"),
        (["query", 'SELECT * FROM "; DROP TABLE ip_traffic"'], 8, "there is no table"),
        (["archive", "plan", "nowhere"], 2, "no table 'nowhere'"),
        (["archive", "plan", "x'; DROP TABLE ip_traffic; --"], 2, "no table"),
        (["archive", "restore", "ip_traffic", "yesterday"], 2, "2026-11-10"),
    ],
)
def test_wrong_arguments(filled: Gateway, arguments: list[str], code: int, word: str) -> None:
    refused(filled(*arguments), code, word)


def test_a_wrong_setting(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_DAGSTER_PORT", "x")
    refused(gateway("tables"), 3, "dagster_port", "environment GATEWAY_DAGSTER_PORT")


@pytest.mark.parametrize("command", [["tables"], ["load"], ["query", "FROM ip_traffic"]])
def test_a_data_directory_that_cannot_be(gateway: Gateway, command: list[str]) -> None:
    refused(gateway("--data-dir", "/proc/nowhere", *command), 5, "GATEWAY_DATA_DIR")
    refused(gateway("--data-dir", "/dev/null/x", *command), 5, "GATEWAY_DATA_DIR")


def test_a_database_that_is_none(gateway: Gateway, settings: Settings) -> None:
    settings.data_dir.mkdir()
    settings.hot_database.write_bytes(b"nothing of the kind " * 500)
    for command in (
        ["tables"],
        ["load"],
        ["rollup"],
        ["archive", "run"],
        ["query", "FROM ip_traffic"],
    ):
        refused(gateway(*command), 6, "not a SQLite file")


def test_a_damaged_archive(filled: Gateway, settings: Settings) -> None:
    file = min(settings.archive.rglob("*.parquet"))
    file.write_bytes(file.read_bytes()[:-4])
    refused(filled("query", "SELECT sum(pid) FROM ip_traffic"), 7, file.name, "archive verify")
    refused(filled("archive", "restore", "ip_traffic", OLD), 7, file.name)
    verified = filled("archive", "verify")
    assert verified.code == 7
    assert file.name in verified.out


def test_a_damaged_landing_file_is_said_and_stops_nothing(
    gateway: Gateway, settings: Settings
) -> None:
    land_rows(settings.landing, TODAY, 0, 5)
    damaged = land_rows(settings.landing, TODAY, 1, 5).path
    damaged.write_bytes(damaged.read_bytes()[:-7])
    done = gateway("load")
    assert done.code == 0
    assert "5 rows" in done.out
    assert damaged.stem in done.err


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_loses_nothing(gateway: Gateway, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(small)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        assert gateway("--data-dir", str(small), "tables").code == 0
        land_rows(small / "landing", TODAY, 0, 2880)
        full = os.statvfs(small)
        size = (full.f_blocks - full.f_bfree) * full.f_frsize + 65_536  # of a megabyte to load
        subprocess.run(["mount", "-o", f"remount,size={size}", str(small)], check=True)
        refused(gateway("--data-dir", str(small), "load"), 6, "disk is full")
        subprocess.run(["mount", "-o", "remount,size=20m", str(small)], check=True)
        assert "2,880 rows" in gateway("--data-dir", str(small), "load").out
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_a_locked_database_is_busy(
    gateway: Gateway, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert gateway("tables").code == 0
    land_rows(settings.landing, TODAY, 0, 5)
    monkeypatch.setattr("gateway_assets.hot.store.BUSY_SECONDS", 0.1)
    other = sqlite3.connect(settings.hot_database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    refused(gateway("load"), 9, "locked")
    other.close()
    assert gateway("load").code == 0
