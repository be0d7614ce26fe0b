"""In hardship, metrics, landing files and the loaded table say the same, and what is true."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway_assets.clock import SECOND
from tests.capture.hardship import FAKETIME
from tests.capture.test_daemon import needs_root

INSIDE = [  # whose processes all end with the first one
    *("unshare", "-n", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
    *("sh", "-ec", 'mount -t sysfs sysfs /sys; exec "$@"', "sh"),
]

needs_iftop = pytest.mark.skipif(
    not shutil.which("iftop", path=f"{os.environ['PATH']}:/usr/sbin"),
    reason="iftop is not installed",
)
needs_faketime = pytest.mark.skipif(not FAKETIME.exists(), reason="faketime is not installed")


def suffer(scenario: str, folder: Path) -> dict[str, Any]:
    command = [*INSIDE, sys.executable, "-m", "tests.capture.hardship", scenario, str(folder)]
    root = Path(__file__).parents[2]
    pipe = subprocess.PIPE
    done = subprocess.run(command, stdout=pipe, text=True, cwd=root, timeout=120, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def check(found: dict[str, Any], backend: str, seconds: int = 1) -> None:
    """All accounts are equal, and tell what was sent as exactly as the backend counts."""
    account = found[backend]
    sent = found["talked"] if backend == "sockdiag" else found["sent"]
    files = account["told"]["files"]
    assert len(account["told"]) == 6
    assert account["told"] == dict.fromkeys(account["told"], files)
    if backend == "sockdiag":
        assert account["talk"] == found["talked"]
    elif backend == "iftop":
        for size, most, less in zip(files, sent, found["at_risk"], strict=True):
            assert 0.995 * (most - less) <= size <= 1.005 * most
    else:
        assert files == sent
    assert min(sent) > 0
    shortest, longest = account["lengths"]
    assert 0 < shortest <= longest <= seconds * SECOND
    assert account["gaps"] == []
    assert found["ends"][backend][0] == 0


@needs_root
@needs_iftop
def test_stopped_and_continued(tmp_path: Path) -> None:
    found = suffer("stopped", tmp_path)
    for backend in ("sockdiag", "packet", "iftop"):
        check(found, backend)
        assert found[backend]["incomplete"] == 0


@needs_root
def test_killed_while_a_file_is_written(tmp_path: Path) -> None:
    found = suffer("killed", tmp_path)
    check(found, "packet")
    assert found["packet"]["incomplete"] == 1
    assert found["before"] < found["again"] == found["salvaged"]


@needs_root
@needs_iftop
def test_an_interface_goes_down_and_up_and_is_made_anew(tmp_path: Path) -> None:
    found = suffer("flapping", tmp_path)
    for backend in ("packet", "iftop"):
        check(found, backend)
    status, said = found["gone"]
    assert status == 4
    assert "the interface near has gone" in said
    assert found["iftop"]["incomplete"] > 0
    assert found["covered"] == []


@needs_root
@needs_iftop
@needs_faketime
def test_the_clock_is_set_back_and_forward(tmp_path: Path) -> None:
    found = suffer("clock", tmp_path)
    for backend, seconds in (("packet", 3600), ("iftop", 1)):
        check(found, backend, seconds)
        first, last = found[backend]["from_to"]
        assert last - first > 3600 * SECOND
    assert found["packet"]["incomplete"] == 0


@needs_root
def test_a_full_disk_has_room_again(tmp_path: Path) -> None:
    found = suffer("full_disk", tmp_path)
    check(found, "packet")
    assert found["full"] == [[0, 0], True]
    assert found["packet"]["incomplete"] == 0


@needs_root
def test_a_flood_of_packets_and_of_scrapes(tmp_path: Path) -> None:
    found = suffer("blast", tmp_path)
    sys.stdout.write(f"{found['rate']:,} packets a second, {found['scrapes']} scrapes\n")
    check(found, "packet")
    assert found["packet"]["incomplete"] == 0
    assert found["scrapes"] > 1
    assert found["grown"]
