"""Processes by pid and start time, on a tree laid out like /proc and on this process itself."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest

from gateway_assets.capture.sockets import processes
from gateway_assets.capture.sockets.processes import NOBODY, Owner, Processes


def process(proc: Path, pid: int, name: str, start: int, inodes: list[int]) -> None:
    folder = proc / str(pid)
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "fd").mkdir(parents=True)
    for number, inode in enumerate(inodes):
        (folder / "fd" / str(number)).symlink_to(f"socket:[{inode}]")
    (folder / "fd" / "9").symlink_to("/dev/null")
    (folder / "comm").write_text(f"{name}\n")
    fields = ["S", *("0" for _ in range(18)), str(start), "0", "0"]  # from the third on
    (folder / "stat").write_text(f"{pid} ({name}) {' '.join(fields)}\n")


def test_a_process_is_its_pid_and_its_start(tmp_path: Path) -> None:
    known = Processes(str(tmp_path))
    process(tmp_path, 100, "first (a) b", 11, [5, 6])
    known.look_up([5])
    assert known.owner(5) == Owner(100, "first (a) b", 11)
    process(tmp_path, 100, "second", 22, [7])
    known.look_up([5, 7])
    assert known.owner(5) == NOBODY
    assert known.owner(7) == Owner(100, "second", 22)


def test_two_of_one_name_and_pid_are_two(tmp_path: Path) -> None:
    known = Processes(str(tmp_path))
    process(tmp_path, 100, "same", 11, [5])
    known.look_up([5])
    first = known.owner(5)
    process(tmp_path, 100, "same", 22, [6])
    known.look_up([6])
    assert known.owner(6) != first


def test_a_pid_given_again_while_it_is_read_names_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process(tmp_path, 100, "first", 11, [5])
    sockets = processes._sockets

    def and_then_it_ends(folder: int) -> list[int]:
        held = sockets(folder)
        process(tmp_path, 100, "second", 22, [])
        return held

    monkeypatch.setattr(processes, "_sockets", and_then_it_ends)
    known = Processes(str(tmp_path))
    known.look_up([5])
    assert known.owner(5) == NOBODY


def test_only_an_unknown_socket_makes_it_scan(tmp_path: Path) -> None:
    known = Processes(str(tmp_path))
    process(tmp_path, 100, "one", 11, [5, 6])
    for inodes in ([5, 6, 7], [5], [7, 0], [0]):
        known.look_up(inodes)
    assert known.scans == 1
    known.look_up([5, 8])
    assert known.scans == 2


def test_this_process() -> None:
    with socket.socket() as mine:
        inode = os.fstat(mine.fileno()).st_ino
        known = Processes()
        known.look_up([inode])
        owner = known.owner(inode)
    stat = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    assert owner == (os.getpid(), Path("/proc/self/comm").read_text().strip(), int(stat[19]))
