"""Recordings whose reading is stopped or killed: in the end, exactly what is in them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway_assets.capture.cli import main
from gateway_assets.files.landing import landing_files
from gateway_assets.hot.load import load
from gateway_assets.hot.store import open_store
from gateway_assets.settings import Settings, load_settings
from gateway_assets.sources.ip_traffic import SOURCE
from gateway_assets.tables import IP_TRAFFIC
from tests.capture.frames_made import MACS, START, TYPE_4, Frame, ipv4, pcap

PLACE = Path(__file__).parents[2]
PACKETS = 41_000  # more than two batches of them are read
STEP = 1_000  # microseconds between two
REMOTES = 100  # of an interval: its file is more than what is written at once
NEAR = "192.168.1.2"
Rows = list[tuple[Any, ...]]


def _captured(path: Path) -> tuple[str, Path]:
    packets = [MACS + TYPE_4 + ipv4(NEAR, f"93.184.216.{n + 1}", 60 + n) for n in range(REMOTES)]
    frames = [
        Frame(packets[n % REMOTES], len(packets[n % REMOTES]), START + n * STEP)
        for n in range(PACKETS)
    ]
    file = path / "x.pcap"
    file.write_bytes(pcap(frames, 1))
    return "pcap", file


def _recorded(path: Path) -> tuple[str, Path]:
    rows = (
        {
            "time": START + n * 10_000,
            "remote_ip": f"192.0.2.{n % REMOTES}",
            "tx_bytes": n,
            "rx_bytes": 1,
        }
        for n in range(5_000)
    )
    file = path / "rows.ndjson"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return "replay", file


RECORDINGS = {"pcap": _captured, "replay": _recorded}


def options(backend: str, file: Path, settings: Settings) -> list[str]:
    return [
        *("--backend", backend, "--file", str(file), "--host", "h", "--interval", "3"),
        *("--data-dir", str(settings.data_dir)),
    ]


def stop(number: signal.Signals, at: int, arguments: list[str]) -> int:
    where = [str(int(number)), CALLS_OF[number], str(at)]
    command = [sys.executable, "-m", "tests.capture.stopping", *where]
    done = subprocess.run([*command, *arguments], cwd=PLACE, capture_output=True, check=False)
    return done.returncode


def hot_rows(settings: Settings) -> Rows:
    """Everything that has landed, loaded; the order of loading left out."""
    with open_store(settings.hot_database) as connection:
        result = load(connection, IP_TRAFFIC, settings)
        assert not result.quarantined
        names = ", ".join(column.name for column in IP_TRAFFIC.columns)
        query = f"SELECT {names} FROM ip_traffic ORDER BY time, remote_ip, tx_bytes"
        return connection.execute(query).fetchall()


@pytest.fixture(params=list(RECORDINGS))
def recording(
    request: pytest.FixtureRequest, tmp_path: Path, settings: Settings
) -> tuple[list[str], Rows]:
    """Arguments that read a recording, and the rows of reading it undisturbed."""
    backend, file = RECORDINGS[request.param](tmp_path)
    elsewhere = load_settings(data_dir=tmp_path / "elsewhere")
    assert main(options(backend, file, elsewhere)) == 0
    return options(backend, file, settings), hot_rows(elsewhere)


STOPS = {signal.SIGTERM: 4, signal.SIGKILL: -signal.SIGKILL}  # and the exit codes
# Killed half-way through a file; stopped anywhere.
CALLS_OF = {signal.SIGTERM: "any", signal.SIGKILL: "_encode"}


@pytest.mark.parametrize("number", STOPS, ids=lambda number: number.name)
def test_stopped_again_and_again_and_then_read_whole(
    number: signal.Signals, recording: tuple[list[str], Rows], settings: Settings
) -> None:
    """Ever later in the file, loaded in between, and with landing files that went."""
    arguments, whole = recording
    at = 60
    codes: list[int] = []
    while not codes or codes[-1]:
        codes.append(stop(number, at, arguments))
        if len(codes) % 3 == 0:
            assert set(hot_rows(settings)) <= set(whole)
        if len(codes) % 6 == 0:
            for path in list(landing_files(settings.landing, SOURCE))[:2]:
                path.unlink()
        at += at // 2 if number == signal.SIGKILL else at
    assert set(codes[:-1]) == {STOPS[number]}
    assert len(codes) > 8
    assert main(arguments) == 0
    assert hot_rows(settings) == whole
    assert not list(settings.landing.rglob("*.partial"))


@pytest.mark.parametrize("number", STOPS, ids=lambda number: number.name)
def test_stopped_once_and_then_read_whole(
    number: signal.Signals, recording: tuple[list[str], Rows], settings: Settings, tmp_path: Path
) -> None:
    arguments, whole = recording
    at = code = 1
    while code:
        own = load_settings(data_dir=tmp_path / f"at{at}")
        code = stop(number, at, [*arguments, "--data-dir", str(own.data_dir)])
        assert main([*arguments, "--data-dir", str(own.data_dir)]) == 0
        assert hot_rows(own) == whole
        at = at * 8 + 100


def test_something_in_the_way_ends_it(
    recording: tuple[list[str], Rows], settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, whole = recording
    blocked = settings.landing / SOURCE.name / "2023"
    blocked.parent.mkdir(parents=True)
    blocked.write_text("a file where a directory is needed")
    assert main(arguments) == 5
    said = capsys.readouterr().err
    assert "set GATEWAY_DATA_DIR" in said
    assert "lost" not in said and "memory" not in said
    blocked.unlink()
    assert main(arguments) == 0
    assert hot_rows(settings) == whole
