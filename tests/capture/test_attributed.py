"""Around a backend: nothing is lost on the way to a process, and everything comes at the end."""

from __future__ import annotations

import gzip
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway_assets.capture.backend import Backend, Delta, Options
from gateway_assets.capture.backends import open_backend
from gateway_assets.capture.sockets.attributed import Attributed, attributed
from gateway_assets.capture.sockets.attribution import Attribution
from gateway_assets.errors import CaptureError
from gateway_assets.files.landing import landing_files, read_landing
from gateway_assets.sources.ip_traffic import SOURCE
from tests.capture.talking import REMOTE, Talker, server

Row = dict[str, Any]
OWN_SYS = 'mount -t sysfs sysfs /sys && exec "$@"'  # it lists the namespace's interfaces
IN_NAMESPACE = ["unshare", "--net", "--mount", "sh", "-c", OWN_SYS, "sh"]
ROWS = 1500  # more than a replay gives at once

needs_iftop = pytest.mark.skipif(
    os.getuid() != 0 or not shutil.which("iftop", path=f"{os.environ['PATH']}:/usr/sbin"),
    reason="needs root and iftop",
)


def recording(tmp_path: Path) -> Path:
    row = {"time": 1, "remote_ip": REMOTE, "tx_bytes": 3, "rx_bytes": 1}
    path = tmp_path / "rows.ndjson"
    path.write_text(f"{json.dumps(row)}\n" * ROWS)
    return path


def total(deltas: list[Delta]) -> tuple[int, int]:
    return sum(d.tx_bytes for d in deltas), sum(d.rx_bytes for d in deltas)


@pytest.fixture
def wrapped(tmp_path: Path) -> Iterator[Attributed]:
    backend = open_backend("replay", Options(file=str(recording(tmp_path))))
    wrapped = Attributed(backend, Attribution())
    yield wrapped
    wrapped.close()


def test_it_is_a_backend_like_the_one_inside(wrapped: Attributed) -> None:
    assert isinstance(wrapped, Backend)
    inner = wrapped._backend
    for name in ("name", "layer", "live", "interface", "identity"):
        assert getattr(wrapped, name) == getattr(inner, name)


def test_what_is_held_comes_at_the_end(wrapped: Attributed) -> None:
    assert list(wrapped.read(0.5)) == []
    with server() as listener, Talker(listener) as talker:
        last = list(wrapped.read(0))
    assert total(last) == (3 * ROWS, ROWS)
    assert [(d.pid, d.attribution) for d in last] == [(talker.pid, "socket")]


def test_what_is_held_comes_before_the_failure(tmp_path: Path) -> None:
    whole = recording(tmp_path).read_bytes()
    noise = b"".join(b'{"x": "%s"}\n' % os.urandom(400).hex().encode() for _ in range(900))
    path = tmp_path / "damaged.gz"
    path.write_bytes(gzip.compress(whole + noise)[:-100_000])
    wrapped = Attributed(open_backend("replay", Options(file=str(path))), Attribution())
    assert list(wrapped.read(0.5)) == []
    assert total(list(wrapped.read(0.5))) == (3000, 1000)
    assert wrapped.lost_events == 1
    for _ in range(2):
        with pytest.raises(CaptureError, match="cannot be decompressed"):
            wrapped.read(0.5)
    wrapped.close()


def test_when_the_kernel_stops_to_answer_bytes_pass_as_they_are(
    wrapped: Attributed, capsys: pytest.CaptureFixture[str]
) -> None:
    assert wrapped._attribution
    wrapped._attribution.close()
    counted = [*wrapped.read(0.5), *wrapped.read(0)]
    assert total(counted) == (3 * ROWS, ROWS)
    assert {(d.pid, d.attribution) for d in counted} == {(None, None)}
    assert capsys.readouterr().err.count("processes stay unknown") == 1


def test_without_a_list_of_sockets_there_is_the_plain_backend(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    backend = open_backend("replay", Options(file=str(recording(tmp_path))))
    monkeypatch.setattr(backend, "live", True)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        plain = attributed(backend)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert plain is backend
    assert "does not list its sockets (Too many open files)" in capsys.readouterr().err
    wrapped = attributed(backend)
    assert isinstance(wrapped, Attributed)
    wrapped.close()


def test_only_packets_of_this_moment_are_attributed(tmp_path: Path) -> None:
    recorded = open_backend("replay", Options(file=str(recording(tmp_path))))
    assert attributed(recorded) is recorded
    recorded.close()
    exact = open_backend("sockdiag", Options())
    assert attributed(exact) is exact
    exact.close()


def capture(folder: Path, scenario: str, remote: str, *options: str) -> tuple[Any, list[Row]]:
    """What was truly sent, and the rows that gateway-capture landed of a remote."""
    program = [sys.executable, "-m", "tests.capture.through_iftop", scenario, str(folder)]
    done = subprocess.run(
        [*IN_NAMESPACE, *program, *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    files = [read_landing(path, SOURCE) for path in landing_files(folder / "landing", SOURCE)]
    names = [column.name for column in SOURCE.columns]
    rows = [dict(zip(names, row, strict=True)) for file in files for row in file.rows]
    return json.loads(done.stdout), [row for row in rows if row["remote_ip"] == remote]


@needs_iftop
def test_packets_that_iftop_counts_are_shared(tmp_path: Path) -> None:
    truth, rows = capture(tmp_path, "two_processes", REMOTE)
    assert {row["attribution"] for row in rows} == {"shared"}
    sent = {truth[name]: sum_of(rows, truth[name]) for name in ("one", "two")}
    assert sum(sent.values()) == truth["tx_bytes"]
    assert sent[truth["one"]] / truth["tx_bytes"] == pytest.approx(0.75, abs=0.02)
    assert truth["tx_bytes"] > 15 * 200_000


@needs_iftop
def test_forwarded_packets_are_of_no_process(tmp_path: Path) -> None:
    truth, rows = capture(tmp_path, "router", "198.51.100.2")
    assert {(row["pid"], row["attribution"]) for row in rows} == {(None, "forwarded")}
    assert sum_of(rows, None) == pytest.approx(truth["sent"], rel=0.01)


@needs_iftop
def test_without_attribution_nothing_is_said_of_processes(tmp_path: Path) -> None:
    truth, rows = capture(tmp_path, "router", "198.51.100.2", "--no-attribution")
    assert {(row["pid"], row["attribution"]) for row in rows} == {(None, None)}
    assert sum_of(rows, None) == pytest.approx(truth["sent"], rel=0.01)


def sum_of(rows: list[Row], pid: int | None) -> int:
    return sum(row["tx_bytes"] for row in rows if row["pid"] == pid)
