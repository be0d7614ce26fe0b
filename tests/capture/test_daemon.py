"""The running daemon: signals, a second one, a killed one, a full disk."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway_assets import clock
from gateway_assets.capture.intervals import Interval, Label
from gateway_assets.capture.outbox import Outbox
from gateway_assets.errors import LandingError
from gateway_assets.files.appear import partial_path
from gateway_assets.files.landing import (
    LandingFile,
    Origin,
    Stamp,
    land,
    landing_files,
    read_landing,
)
from gateway_assets.sources.ip_traffic import SOURCE

CAPTURE = [sys.executable, "-m", "gateway_assets.capture"]
ORIGIN = Origin("h", "sockdiag", "0badcafe")
LABEL = Label("h", "sockdiag", "tcp", None)

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="namespaces and mounts need root")


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, f"timed out: {what}"
        time.sleep(0.02)


@contextmanager
def daemon(
    data: Path, *options: str, instance: str = "sockdiag"
) -> Iterator[subprocess.Popen[str]]:
    command = [*CAPTURE, "--data-dir", str(data), "--host", "h", "--json", "--listen", "off"]
    command += options
    lock = data / "landing" / "ip_traffic" / f".{instance}.lock"
    before = lock.read_text() if lock.exists() else ""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            until(
                lambda: (
                    process.poll() is not None
                    or (lock.exists() and lock.read_text() not in ("", before))
                ),
                "the daemon holds its lock",
            )
            yield process
        finally:
            process.kill()


@contextmanager
def connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        with client, server:
            yield client, server


def transfer(client: socket.socket, server: socket.socket, size: int) -> None:
    client.sendall(bytes(size))
    while size > 0:
        size -= len(server.recv(size))


def mine(data: Path) -> list[tuple[Any, ...]]:
    files = [read_landing(path, SOURCE) for path in landing_files(data / "landing", SOURCE)]
    assert all(file.landed.rows for file in files)
    return [row for file in files for row in file.rows if row[8] == os.getpid()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lands_what_was_counted(number: signal.Signals, tmp_path: Path) -> None:
    with connected() as (client, server):
        with daemon(tmp_path, "--interval", "3600") as process:
            transfer(client, server, 12_345)
            process.send_signal(number)
            out, err = process.communicate(timeout=20)
        assert process.returncode == 0, err
    rows = mine(tmp_path)
    assert sum(row[9] for row in rows) == sum(row[10] for row in rows) == 12_345
    summary = json.loads(out.splitlines()[-1])
    files = [read_landing(path, SOURCE) for path in landing_files(tmp_path / "landing", SOURCE)]
    assert summary["complete"] is True
    assert summary["files"] == len(files)
    for name in ("tx_bytes", "rx_bytes"):
        assert summary[name] == sum(file.landed.sums[name] for file in files)


def test_intervals_land_while_it_runs(tmp_path: Path) -> None:
    with connected() as (client, server), daemon(tmp_path, "--interval", "1") as process:
        transfer(client, server, 100)
        until(lambda: bool(mine(tmp_path)), "the first interval has landed")
        transfer(client, server, 11)
        process.terminate()
        process.communicate(timeout=20)
    rows = mine(tmp_path)
    assert sum(row[9] for row in rows) == sum(row[10] for row in rows) == 111
    assert all(0 < row[1] - row[0] <= 1_000_000 for row in rows)


def test_a_second_one_of_the_same_instance_is_refused(tmp_path: Path) -> None:
    with daemon(tmp_path) as first:
        command = [*CAPTURE, "--data-dir", str(tmp_path), "--once", "--interval", "1"]
        second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
        assert second.returncode == 9
        assert f"already running (process {first.pid})" in second.stderr


@needs_root
def test_a_killed_one_leaves_nothing_half_and_is_salvaged(tmp_path: Path) -> None:
    root = tmp_path / "landing"
    row = (1, 2, "h", "sockdiag", "tcp", None, "192.0.2.1", None, None, 10, 20, None, None)
    landed = land(root, SOURCE, Stamp(Origin("h", "sockdiag", "0badcafe"), 1, 0), [row])
    whole = landed.path.read_bytes()
    landed.path.unlink()
    partial_path(landed.path).write_bytes(whole[: whole.index(b'{"rows"')])
    with daemon(tmp_path) as process:
        process.kill()
        process.communicate(timeout=20)
    options = ["--once", "--interval", "1", "--host", "h", "--data-dir", str(tmp_path)]
    subprocess.run(["unshare", "-n", *CAPTURE, *options], check=True, timeout=20)
    [path] = landing_files(root, SOURCE)
    salvaged = read_landing(path, SOURCE)
    assert (salvaged.rows, salvaged.landed.complete) == ([row], False)


@needs_root
def test_nothing_counted_means_no_file(tmp_path: Path) -> None:
    options = ["--once", "--interval", "1", "--json", "--data-dir", str(tmp_path)]
    command = ["unshare", "-n", *CAPTURE, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    assert json.loads(done.stdout)["files"] == 0
    assert list(landing_files(tmp_path / "landing", SOURCE)) == []


@contextmanager
def small_disk(path: Path) -> Iterator[Path]:
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(path)], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler


def interval(number: int) -> Interval:
    nobody = (None, None, None, None)
    totals = {("192.0.2.1", nobody): [10, number], ("192.0.2.2", nobody): [1, 0]}
    return Interval(number, number + 1, {key: list(value) for key, value in totals.items()})


@needs_root
def test_a_full_disk_loses_nothing_once_it_has_room(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        outbox = Outbox(disk, ORIGIN)
        filler = fill(disk)
        for number in range(3):
            outbox.put(interval(number), LABEL, complete=True)
            outbox.send()
        assert isinstance(outbox.obstacle, LandingError)
        assert (outbox.files, outbox.lost_rows) == (0, 0)
        filler.unlink()
        outbox.send()
        outbox.give_up()
        files = [read_landing(path, SOURCE) for path in landing_files(disk, SOURCE)]
    assert [file.landed.sums for file in files] == [
        {"tx_bytes": 11, "rx_bytes": number} for number in range(3)
    ]
    assert (outbox.lost_rows, outbox.rows) == (0, 6)
    said = capfd.readouterr().err
    assert said.count("wait in memory") == said.count("landing works again") == 1


def test_what_waits_too_long_becomes_one_interval(tmp_path: Path) -> None:
    blocked = tmp_path / "landing"
    blocked.write_text("a file where a directory is needed")
    outbox = Outbox(blocked, ORIGIN, max_waiting=4)
    for number in range(9):
        outbox.put(interval(number), LABEL, complete=True)
        outbox.send()
    assert outbox.waiting_rows <= 4
    assert outbox.lost_rows == 0
    blocked.unlink()
    outbox.send()
    rows = [row for file in map(_read, landing_files(blocked, SOURCE)) for row in file.rows]
    assert sum(row[9] for row in rows) == 9 * 11
    assert sum(row[10] for row in rows) == sum(range(9))
    assert (min(row[0] for row in rows), max(row[1] for row in rows)) == (0, 9)


def _read(path: Path) -> LandingFile:
    return read_landing(path, SOURCE)


def test_beyond_the_bound_the_oldest_rows_are_given_up(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file where a directory is needed")
    outbox = Outbox(blocked, ORIGIN, max_waiting=4)
    for number in range(3):  # of three days, which are never added up
        outbox.put(interval(number * clock.DAY), LABEL, complete=True)
        outbox.send()
    assert (outbox.lost_rows, outbox.complete) == (2, False)
    assert outbox.lost_bytes == 11


@needs_root
def test_rows_lost_at_the_end_are_an_error(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk, connected() as (client, server):
        with daemon(disk, "--interval", "3600") as process:
            fill(disk)
            transfer(client, server, 777)
            process.terminate()
            _, err = process.communicate(timeout=20)
        assert process.returncode == 5
        assert "could not be landed and are lost" in err
        assert "the disk is full" in err
        assert "Traceback" not in err
        assert list(landing_files(disk / "landing", SOURCE)) == []


def test_a_directory_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    shutil.copy(__file__, tmp_path / "data")
    command = [*CAPTURE, "--once", "--data-dir", str(tmp_path / "data")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 5
    assert "set GATEWAY_DATA_DIR" in done.stderr
    assert "Traceback" not in done.stderr
