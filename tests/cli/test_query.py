"""query, export and shell as people and scripts run them."""

from __future__ import annotations

import csv
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.hot.load import load
from gateway_assets.hot.store import open_store
from gateway_assets.settings import Settings
from gateway_assets.tables import IP_TRAFFIC
from tests.traffic import TODAY, land_days, roll_up

ROWS = 1_320
COMMAND = [sys.executable, "-c", "from gateway_assets.cli.main import main; main()"]


@pytest.fixture(autouse=True)
def _both_tiers(settings: Settings) -> None:
    with open_store(settings.hot_database) as store:
        land_days(settings.landing, range(TODAY - 10, TODAY + 1))
        load(store, IP_TRAFFIC, settings)
        roll_up(store, settings)
        UniversalArchiver(settings).archive_table(IP_TRAFFIC)


def gateway(
    settings: Settings, *arguments: str, given: str = "", **env: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "--data-dir", str(settings.data_dir), *arguments],
        input=given,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **env},
    )


def test_query_prints_what_was_asked(settings: Settings) -> None:
    text = "SELECT count(*) AS n, min(time) AS first FROM ip_traffic WHERE id > ?"
    done = gateway(settings, "query", text, "-p", "0", "-f", "json", "--explain")
    (row,) = json.loads(done.stdout)
    assert row["n"] == ROWS
    assert row["first"].endswith("+00:00")
    assert "ip_traffic: hot + cold;" in done.stderr
    assert "3 of 3 files opened" in done.stderr
    table = gateway(settings, "query", "SELECT count(*) AS n FROM ip_traffic")
    assert table.stdout.split() == ["n", "1,320"]
    assert table.stderr == "(1 rows)\n"


def test_query_shows_another_zone(settings: Settings) -> None:
    text = "SELECT time FROM ip_traffic ORDER BY time LIMIT 1"
    done = gateway(settings, "query", text, "-f", "json", "--tz", "Asia/Tokyo")
    assert json.loads(done.stdout)[0]["time"].endswith("T09:00:00+09:00")
    wrong = gateway(settings, "query", text, "--tz", "Mars/Olympus")
    assert wrong.returncode == 8
    assert "Mars/Olympus" in wrong.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("COPY ip_traffic TO '/tmp/stolen.csv'", "COPY"),
        ("SELECT * FROM read_csv('/etc/passwd')", "read_csv"),
        ("SELECT repeat('x', 200000000)", "emory"),
        ("SELECT 1; SELECT 2", "one statement"),
        ("SELECT nothing FROM ip_traffic", "nothing"),
    ],
)
def test_query_refuses_in_one_line(settings: Settings, text: str, said: str) -> None:
    done = gateway(settings, "query", text, GATEWAY_QUERY_MEMORY_LIMIT="64MB")
    assert done.returncode == 8
    error, *_ = done.stderr.splitlines()
    assert error.startswith("gateway: error: ")
    assert said in error
    assert done.stdout == ""


def test_query_is_stopped_in_time(settings: Settings) -> None:
    endless = (
        "SELECT count(*) FROM range(10000000) AS a, range(10000000) AS b WHERE a.range <> b.range"
    )
    done = gateway(settings, "query", endless, GATEWAY_QUERY_TIMEOUT_SECONDS="0.5")
    assert done.returncode == 8
    assert "query_timeout_seconds" in done.stderr


def test_export_writes_whole_files(settings: Settings, tmp_path: Path) -> None:
    text = "SELECT id, time, remote_ip FROM ip_traffic"
    for name in ("rows.parquet", "rows.csv", "rows.duckdb"):
        done = gateway(settings, "export", text, str(tmp_path / name))
        assert done.returncode == 0, done.stderr
        assert done.stderr.startswith("1,320 rows, ")
    assert pq.read_table(tmp_path / "rows.parquet").num_rows == ROWS
    with (tmp_path / "rows.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == ROWS
    with duckdb.connect(str(tmp_path / "rows.duckdb"), read_only=True) as written:
        assert written.execute("SELECT count(*) FROM export").fetchall() == [(ROWS,)]
    assert sorted(path.name for path in tmp_path.glob("*rows*")) == [
        "rows.csv",
        "rows.duckdb",
        "rows.parquet",
    ]


def test_export_leaves_nothing_of_what_failed(settings: Settings, tmp_path: Path) -> None:
    there = tmp_path / "there.csv"
    there.write_text("mine")
    assert gateway(settings, "export", "FROM ip_traffic", str(there)).returncode == 2
    assert there.read_text() == "mine"
    assert gateway(settings, "export", "FROM ip_traffic", str(tmp_path / "a.xls")).returncode == 2
    wrong = gateway(settings, "export", "SELECT nothing FROM ip_traffic", str(tmp_path / "b.csv"))
    assert wrong.returncode == 8
    late = "SELECT CASE WHEN id < 900 THEN id ELSE error('too far') END FROM ip_traffic ORDER BY id"
    assert gateway(settings, "export", late, str(tmp_path / "c.csv")).returncode == 8
    nested = gateway(settings, "export", "SELECT [1, 2] AS l", str(tmp_path / "d.csv"))
    assert "does not fit csv" in nested.stderr
    assert not list(tmp_path.glob("*[abcd].*"))


def test_shell_answers_a_script(settings: Settings) -> None:
    script = ".mode json\nSELECT 'a;b' -- no; end\n AS x;\nSELECT count(*) AS n\nFROM ip_traffic;\n"
    done = gateway(settings, "shell", given=script)
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        [{"x": "a;b"}],
        [{"n": ROWS}],
    ]
    failing = gateway(settings, "shell", given="SELECT nothing FROM ip_traffic;\nSELECT 1;\n")
    assert failing.returncode == 8
    assert failing.stdout == ""


def test_shell_talks_completes_and_remembers(settings: Settings) -> None:
    """On a terminal: Tab completes a column, an error ends nothing, history is kept."""
    here, there = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "--data-dir", str(settings.data_dir), "shell"],
        stdin=there,
        stdout=there,
        stderr=there,
        env={**os.environ, "TERM": "dumb"},
    )
    os.close(there)
    seen = read_until(here, "gateway> ")
    for line, wanted in (
        ("SELECT wrong;", "error: "),
        ("SELECT max(remote_i\t) AS last FROM ip_traffic_dai\t LIMIT 1;", "192.0.2"),
        (".quit", ""),
    ):
        os.write(here, f"{line}\n".encode())
        if wanted:
            answer = read_until(here, "gateway> ")
            assert wanted in answer
            seen += answer
    assert process.wait(20) == 0
    os.close(here)
    assert " ms" in seen
    history = (settings.data_dir / "shell_history").read_text()
    assert "max(remote_ip)" in history
    assert "ip_traffic_daily" in history


def read_until(terminal: int, wanted: str) -> str:
    seen = ""
    while wanted not in seen:
        seen += os.read(terminal, 4096).decode()
    return seen
