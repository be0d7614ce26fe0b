"""The real iftop, on loopback: what it counts lands, and it never outlives the daemon."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway_assets.capture.backend import Backend, Delta, Options
from gateway_assets.capture.backends import open_backend
from gateway_assets.errors import CaptureError, UsageError

CAPTURE = [sys.executable, "-m", "gateway_assets.capture", "--listen", "off"]
LOOPBACK = Options(interface="lo", local_net="127.0.0.77/32")
IN_NAMESPACE = ["unshare", "-n", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]

pytestmark = [
    pytest.mark.skipif(
        not shutil.which("iftop", path=f"{os.environ['PATH']}:/usr/sbin"),
        reason="iftop is not installed",
    ),
    pytest.mark.skipif(os.getuid() != 0, reason="capturing packets needs root"),
]


def send(packets: int, size: int) -> None:
    """UDP from 127.0.0.77 to a socket on 127.0.0.78 that takes and drops it."""
    kind = socket.SOCK_DGRAM
    with socket.socket(type=kind) as theirs, socket.socket(type=kind) as ours:
        theirs.bind(("127.0.0.78", 0))
        ours.bind(("127.0.0.77", 0))
        for _ in range(packets):
            ours.sendto(bytes(size - 28), theirs.getsockname())


def collect(backend: Backend, wanted: int) -> list[Delta]:
    deltas: list[Delta] = []
    deadline = time.monotonic() + 20
    while sum(delta.tx_bytes for delta in deltas) < wanted:
        assert time.monotonic() < deadline, deltas
        deltas += backend.read(0.2)
    return deltas


def children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def test_packets_are_counted_although_the_interface_falls_silent() -> None:
    backend = open_backend("iftop", LOOPBACK)
    try:
        send(packets=64, size=1024)  # 64 KiB: iftop prints 32.0KB, so no rounding
        deltas = collect(backend, 64 * 1024)
        for _ in range(3):
            deltas += backend.read(1.0)
    finally:
        backend.close()
    assert {delta.remote_ip for delta in deltas} == {"127.0.0.78"}
    assert (sum(d.tx_bytes for d in deltas), sum(d.rx_bytes for d in deltas)) == (64 * 1024, 0)
    assert backend.parse_errors == 0


def test_the_last_slot_is_counted_when_it_stops(tmp_path: Path) -> None:
    options = ["--backend", "iftop", "-i", "lo", "--local-net", "127.0.0.77/32", "--json"]
    command = [*CAPTURE, *options, "--data-dir", str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        lock = tmp_path / "landing/ip_traffic/.iftop.lo.lock"
        while process.poll() is None and not (lock.exists() and lock.read_text()):
            time.sleep(0.02)
        [iftop] = children(process.pid)
        time.sleep(1)  # into the slot, so that its end is near enough to wait for
        send(packets=32, size=1024)
        time.sleep(1.5)  # libpcap hands packets on up to a second late; those are beyond knowing
        process.terminate()
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    summary = json.loads(out)
    assert summary["complete"] is False or summary["tx_bytes"] == 32 * 1024
    assert is_gone(iftop)


def test_a_killed_daemon_takes_iftop_with_it(tmp_path: Path) -> None:
    options = ["--backend", "iftop", "-i", "lo", "--data-dir", str(tmp_path)]
    with subprocess.Popen([*CAPTURE, *options]) as process:
        while process.poll() is None and not children(process.pid):
            time.sleep(0.02)
        [iftop] = children(process.pid)
        while "iftop" not in Path(f"/proc/{iftop}/comm").read_text():
            time.sleep(0.02)
        os.kill(iftop, signal.SIGSTOP)  # so that it cannot end by noticing anything itself
        process.send_signal(signal.SIGKILL)
        process.wait(20)
    deadline = time.monotonic() + 20
    while not is_gone(iftop):
        assert time.monotonic() < deadline, "iftop is still there"
        time.sleep(0.02)


def test_iftop_dying_is_said_and_counting_goes_on(tmp_path: Path) -> None:
    options = ["--backend", "iftop", "-i", "lo", "--local-net", "127.0.0.77/32", "--json"]
    command = [*CAPTURE, *options, "--data-dir", str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        lock = tmp_path / "landing/ip_traffic/.iftop.lo.lock"
        while process.poll() is None and not (lock.exists() and lock.read_text()):
            time.sleep(0.02)
        [iftop] = children(process.pid)
        os.kill(iftop, signal.SIGKILL)
        assert process.stderr
        said = [process.stderr.readline() for _ in range(2)]
        assert "iftop stopped with status -9" in said[0]
        assert "iftop counts again" in said[1]
        assert iftop not in children(process.pid)
        send(packets=32, size=1024)
        time.sleep(3)  # a slot and its end
        process.terminate()
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    summary = json.loads(out)
    assert (summary["tx_bytes"], summary["complete"]) == (32 * 1024, False)
    assert "Traceback" not in err


def test_an_unknown_interface_is_named() -> None:
    with pytest.raises(CaptureError, match="no interface 'nosuch0'") as caught:
        open_backend("iftop", Options(interface="nosuch0"))
    assert "lo" in caught.value.hint


@pytest.mark.parametrize(
    "options",
    [Options(), Options(interface="lo", local_net="banana"), Options(interface="lo", file="x")],
)
def test_wrong_options_are_refused(options: Options) -> None:
    with pytest.raises(UsageError):
        open_backend("iftop", options)


def run(*command: str, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
        env={**os.environ, **environment},
    )
    return done.returncode, done.stderr


def test_an_interface_that_is_down(tmp_path: Path) -> None:
    options = ["--backend", "iftop", "-i", "lo", "--data-dir", str(tmp_path)]
    code, err = run("unshare", "-n", "--mount", "sh", "-c", f"exec {' '.join(CAPTURE + options)}")
    assert code == 4
    assert "the interface is down" in err
    assert "ip link set INTERFACE up" in err


def test_no_permission(tmp_path: Path) -> None:
    dropped = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"]
    options = ["--backend", "iftop", "-i", "lo", "--data-dir", str(tmp_path)]
    code, err = run(*dropped, *CAPTURE, *options)
    assert code == 4
    assert "no permission to capture" in err
    assert "hint: run it as root" in err
