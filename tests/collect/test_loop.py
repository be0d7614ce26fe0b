"""Ticks at round times, each once, whatever the clock does; a process that ends when told to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway_assets import clock
from gateway_assets.collect.loop import due
from gateway_assets.files.landing import landing_files, read_landing
from gateway_assets.simulated.cluster import SimulatedCluster
from gateway_assets.source import Source
from gateway_assets.sources import job_samples
from gateway_assets.sources.collection_ticks import SOURCE

STEP = 30 * clock.SECOND
NOON = 20_000 * clock.DAY + 12 * clock.HOUR


@pytest.mark.parametrize(
    ("now", "last", "expected"),
    [
        pytest.param(NOON, None, NOON, id="first"),
        pytest.param(NOON + 9 * clock.SECOND, None, None, id="starts too late for this one"),
        pytest.param(NOON + 1, NOON - STEP, NOON, id="next"),
        pytest.param(NOON + 1, NOON, None, id="made already"),
        pytest.param(NOON + STEP - 1, NOON, None, id="not yet"),
        pytest.param(NOON + 25 * clock.SECOND, NOON - STEP, None, id="overrun: skipped"),
        pytest.param(NOON - 10 * STEP, NOON, None, id="set back: waits"),
        pytest.param(NOON - 2 * clock.HOUR, NOON, NOON - 2 * clock.HOUR, id="set back by far"),
        pytest.param(NOON + 5 * clock.HOUR, NOON, NOON + 5 * clock.HOUR, id="set ahead"),
    ],
)
def test_which_tick_is_due(now: int, last: int | None, expected: int | None) -> None:
    assert due(now, last, STEP) == expected


def test_a_day_has_its_ticks_once_although_the_clock_jumps() -> None:
    made: list[int] = []
    now = NOON
    jumps = {100: -7 * clock.SECOND, 300: 95 * clock.SECOND, 500: -61 * clock.SECOND}
    for step in range(2000):
        now += clock.SECOND // 2 + jumps.get(step, 0)
        moment = due(now, made[-1] if made else None, STEP)
        if moment is not None:
            made.append(moment)
    assert made == sorted(set(made))
    assert all(moment % STEP == 0 for moment in made)


def start(data: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.collect.command", *options],
        env={
            **os.environ,
            "GATEWAY_DATA_DIR": str(data),
            "GATEWAY_COLLECT_INTERVAL_SECONDS": "1",
            "GATEWAY_COLLECT_TICK_SECONDS": "0.8",
        },
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ticks(data: Path, source: Source = SOURCE) -> list[tuple[object, ...]]:
    files = landing_files(data / "landing", source)
    return [row for path in files for row in read_landing(path, source).rows]


def test_it_runs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    with SimulatedCluster(1, 1, real_time=True) as simulated:
        tmp_path.joinpath("clusters.toml").write_text(simulated.as_toml())
        process = start(tmp_path, "collect")
        try:
            end = time.monotonic() + 60
            while len(ticks(tmp_path)) < 3 and time.monotonic() < end:
                time.sleep(0.1)
            second = start(tmp_path, "collect", "--once")
            _, said = second.communicate(timeout=60)
            assert second.returncode == 9, said
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=60)
            assert process.returncode == 0, said
        finally:
            process.kill()
            process.communicate()
    rows = ticks(tmp_path)
    times = [int(str(row[0])) for row in rows]
    assert len(rows) >= 3
    assert times == sorted(set(times))
    assert all(moment % clock.SECOND == 0 for moment in times)
    # What is asked now and then only is asked at once.
    assert ticks(tmp_path, job_samples.SOURCE)[0][0] == times[0]
    journal = json.loads((tmp_path / "collect" / "journal.json").read_text())
    assert journal["stamp"]["time"] == times[-1]
