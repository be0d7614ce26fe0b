"""The systemd units: what systemd thinks of it, and whether its rights are enough."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import gateway_assets

UNIT = Path(gateway_assets.__file__).with_name("deploy") / "gateway-capture.service"
INSTALLED = "/opt/gateway/.venv/bin/gateway-capture"
PROGRAMS = Path(sys.executable).parent
NOBODY = 65534

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="changing the user needs root")
needs_setpriv = pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv is not there")
needs_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd-analyze is not there"
)


def values(name: str, *, optional: bool = False) -> list[str]:
    """The words that a setting of the unit has; with ``optional`` those in its comments, too."""
    lines = UNIT.read_text("utf-8").splitlines()
    starts = (f"{name}=", f"#{name}=") if optional else (f"{name}=",)
    return [
        word for line in lines if line.startswith(starts) for word in line.split("=")[1].split()
    ]


def verified(folder: Path, text: str) -> str:
    """What systemd has to say about a unit; it does not start anything."""
    unit = folder / UNIT.name
    unit.write_text(text.replace(INSTALLED, str(PROGRAMS / "gateway-capture")), "utf-8")
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr + done.stdout


@needs_systemd
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    text = UNIT.read_text("utf-8")
    assert verified(tmp_path, text) == ""
    assert (
        verified(tmp_path, text.replace("\n#Ambient", "\nAmbient").replace("\n#Cap", "\nCap")) == ""
    )
    assert "MemoryMost" in verified(tmp_path, text.replace("MemoryMax", "MemoryMost"))


def test_it_has_the_rights_it_needs_and_no_other() -> None:
    assert values("AmbientCapabilities") == ["CAP_NET_RAW", "CAP_BPF"]
    assert values("CapabilityBoundingSet") == values("AmbientCapabilities")
    wanted = ["CAP_NET_RAW", "CAP_BPF", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"]
    assert values("AmbientCapabilities", optional=True) == wanted
    assert values("CapabilityBoundingSet", optional=True) == wanted
    assert values("NoNewPrivileges") == ["yes"]
    assert values("ProtectSystem") == ["strict"]
    assert values("ReadWritePaths") == ["/var/lib/gateway/landing"]


def test_it_stays_small_and_comes_back() -> None:
    assert values("Type") == ["exec"]
    assert values("MemoryMax") == ["64M"]
    assert values("KillMode") == ["control-group"]
    assert values("Restart") == ["on-failure"]


@needs_systemd
def test_systemd_understands_the_unit_of_the_write_api(tmp_path: Path) -> None:
    unit = tmp_path / "gateway-serve.service"
    text = UNIT.with_name(unit.name).read_text("utf-8")
    assert "\nExecStart=/opt/gateway/.venv/bin/gateway serve\n" in text
    unit.write_text(text.replace("/opt/gateway/.venv/bin", str(PROGRAMS)), "utf-8")
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr + done.stdout == ""


@pytest.fixture
def data() -> Iterator[Path]:
    """A data directory as docs/capture.md has it made; not below pytest's, which is root's own."""
    with tempfile.TemporaryDirectory() as folder:
        for path in (Path(folder), Path(folder) / "landing"):
            path.mkdir(exist_ok=True)
            path.chmod(0o750)
            os.chown(path, NOBODY, NOBODY)
        yield Path(folder)


def as_the_service(capabilities: list[str], command: list[str], data: Path) -> str:
    """Run a command as a user without rights but these capabilities, as systemd would."""
    kept = ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in capabilities)
    sets = [f"--{name}=-all,{kept}".rstrip(",") for name in ("bounding-set", "inh-caps")]
    ambient = [f"--ambient-caps=-all,{kept}".rstrip(",")]
    who = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"]
    done = subprocess.run(
        ["setpriv", *who, *sets, *ambient, *command],
        env={**os.environ, "GATEWAY_DATA_DIR": str(data), "GATEWAY_LANDING_KEEP_HOURS": "0"},
        cwd=data,
        umask=int(values("UMask")[0], 8),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_root
@needs_setpriv
@pytest.mark.parametrize("optional", [False, True], ids=["as it is", "with the optional lines"])
def test_what_it_lands_the_loader_reads_and_removes(data: Path, optional: bool) -> None:
    """The traffic is root's: only the optional capabilities tell whose processes these are."""
    program = PROGRAMS / "gateway-capture"
    trial = ["setpriv", f"--reuid={NOBODY}", str(program), "--version"]
    if subprocess.run(trial, capture_output=True, check=False).returncode:
        pytest.skip("another user cannot run this environment's programs")
    rights = values("AmbientCapabilities", optional=optional)
    command = [str(program), "--once", "--interval", "2", "--json"]
    with subprocess.Popen([sys.executable, "-m", "gateway_assets.cli.traffic", "3"]) as traffic:
        captured = json.loads(as_the_service(rights, command, data))
        traffic.terminate()
    assert captured["files"] == len(list(data.rglob("*.ndjson"))) >= 1
    command = [str(PROGRAMS / "gateway"), "load", "--json"]
    loaded, *_ = json.loads(as_the_service([], command, data))
    assert (loaded["rows"], loaded["removed"]) == (captured["rows"], captured["files"])
    assert not list(data.rglob("*.ndjson"))
    with sqlite3.connect(data / "hot.db") as connection:
        names = {name for (name,) in connection.execute("SELECT process FROM ip_traffic")}
    connection.close()
    assert ("tour-server" in names) == optional
