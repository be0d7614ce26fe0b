"""Units by cgroup: the rule on directories, and the kernel's own ids."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway_assets.capture.backend import Delta
from gateway_assets.capture.backends.sockdiag import SockDiag
from gateway_assets.capture.sockets.attribution import Attribution
from gateway_assets.capture.sockets.units import PAUSE, Units, _mounted
from tests.capture.talking import REMOTE, Talker, server


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        ("system.slice/ssh.service", "ssh.service"),
        ("system.slice/docker-0a1b.scope/payload", "docker-0a1b.scope"),
        ("user.slice/user-1.slice/user@1.service/app.slice/mail.service/x", "mail.service"),
        ("user.slice/user-1.slice/session-3.scope", "session-3.scope"),
        ("system.slice/_memory.service", "memory.service"),
        ("system.slice/cups.socket", "cups.socket"),
        ("machine/inner", None),
    ],
)
def test_the_innermost_unit_of_the_path(tmp_path: Path, path: str, unit: str | None) -> None:
    folder = tmp_path / path
    folder.mkdir(parents=True)
    (tmp_path / "cgroup.procs").touch()
    units = Units(str(tmp_path))
    units.look_up([folder.stat().st_ino])
    assert units.unit(folder.stat().st_ino) == unit


def test_only_an_unknown_id_makes_it_walk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    one, two = tmp_path / "one.service", tmp_path / "two.service"
    one.mkdir()
    units = Units(str(tmp_path))
    first = one.stat().st_ino
    units.look_up([first, 0, 99])
    now[0] += PAUSE
    units.look_up([first, 99])
    assert units.walks == 1
    two.mkdir()
    second = two.stat().st_ino
    units.look_up([first, second])
    assert (units.unit(second), units.walks) == ("two.service", 2)
    three = tmp_path / "three.service"
    three.mkdir()
    third = three.stat().st_ino
    units.look_up([third])
    assert (units.unit(third), units.walks) == (None, 2)
    now[0] += PAUSE
    units.look_up([third])
    assert (units.unit(third), units.walks) == ("three.service", 3)


@pytest.fixture
def service() -> Iterator[Path]:
    """A cgroup named like a service, as systemd makes them."""
    root = _mounted()
    if root is None:
        pytest.skip("there is no cgroup v2 here")
    outer = Path(root) / f"gateway-test-{os.getpid()}.service"
    inner = outer / "worker"
    try:
        inner.mkdir(parents=True)
    except OSError:
        pytest.skip("cgroups cannot be made here")
    yield inner
    deadline = time.monotonic() + 10
    while (inner / "cgroup.procs").read_text() and time.monotonic() < deadline:
        time.sleep(0.01)
    inner.rmdir()
    outer.rmdir()


def test_the_unit_of_a_real_socket(service: Path) -> None:
    unit = service.parent.name
    backend, attribution = SockDiag(), Attribution()
    with server() as listener, Talker(listener, cgroup=service) as talker:
        talker.send(1000)
        attribution.look()
        counted = [d for d in backend.read(0) if d.remote_ip == REMOTE]
        assert {(d.pid, d.unit, d.attribution) for d in counted} == {(talker.pid, unit, "socket")}
        [part] = attribution.split(0, REMOTE, 10, 20)
        assert (part.pid, part.unit, part.attribution) == (talker.pid, unit, "socket")
        talker.send(500)
    last: list[Delta] = []
    deadline = time.monotonic() + 10
    while sum(d.tx_bytes for d in last) < 500 and time.monotonic() < deadline:
        last += [d for d in backend.read(0.02) if d.remote_ip == REMOTE and d.tx_bytes]
    assert [(d.tx_bytes, d.unit) for d in last] == [(500, unit)]  # its announced end names none
    backend.close()
    attribution.close()


def test_units_need_no_privilege(service: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give its rights up")
    program = (
        "from gateway_assets.capture.sockets.attribution import Attribution\n"
        f"[part] = Attribution().split(0, {REMOTE!r}, 1, 1)\n"
        "print(part.pid, part.unit, part.attribution)\n"
    )
    dropped = ["setpriv", "--reuid=65534", "--clear-groups", "--bounding-set=-all"]
    with server() as listener, Talker(listener, cgroup=service):
        done = subprocess.run(
            [*dropped, sys.executable, "-c", program], capture_output=True, text=True, check=False
        )
    if "Permission denied" in done.stderr:
        pytest.skip("others may not read this project here")
    assert done.stdout == f"None {service.parent.name} socket\n", done.stderr
