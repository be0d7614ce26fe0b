"""Which process holds which socket: inode -> (pid, name, start), from ``/proc/*/fd``.

A pid is given again after its process has ended, so a process is its pid and its start time
(field 22 of ``/proc/PID/stat``, proc(5)). All that is told of a process is read below one open
directory ``/proc/PID``, which the kernel never lets show a later process of the same pid.

Other users' processes need privilege to look into; what cannot be read is left out, never an
error. A socket that several processes share belongs to the one with the lowest pid.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Owner(NamedTuple):
    """A process; of two with the same pid, ``start`` tells which."""

    pid: int | None
    process: str | None
    start: int = 0  # clock ticks after the machine's start


NOBODY = Owner(None, None)


class Processes:
    """Owners of sockets, remembered until a socket turns up that has never been looked for."""

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc
        self._owners: dict[int, Owner] = {}
        self._asked: set[int] = set()
        self.scans = 0

    def look_up(self, inodes: Iterable[int]) -> None:
        """Make the owners of these sockets known; one scan at most."""
        wanted = {inode for inode in inodes if inode}
        if wanted <= self._asked:
            return
        self._owners = dict(self._scan(wanted))
        self._asked = wanted
        self.scans += 1

    def owner(self, inode: int) -> Owner:
        return self._owners.get(inode, NOBODY)

    def _scan(self, wanted: set[int]) -> Iterator[tuple[int, Owner]]:
        seen: set[int] = set()
        for pid in sorted(int(name) for name in _names(self._proc) if name.isdigit()):
            with suppress(OSError):  # it has ended, or belongs to another user
                process = os.open(f"{self._proc}/{pid}", _DIRECTORY)
                try:
                    held = wanted.intersection(_sockets(process)) - seen
                    if held:
                        owner = Owner(pid, _name(process), _start(process))
                        seen |= held
                        yield from ((inode, owner) for inode in held)
                finally:
                    os.close(process)


def _sockets(process: int) -> list[int]:
    folder = os.open("fd", _DIRECTORY, dir_fd=process)
    found = []
    try:
        for name in os.listdir(folder):  # noqa: PTH208 - names, not one object for each
            try:
                target = os.readlink(name, dir_fd=folder)
            except OSError:
                continue
            if target.startswith("socket:["):
                found.append(int(target[8:-1]))
    finally:
        os.close(folder)
    return found


def _name(process: int) -> str | None:
    return _read(process, "comm").rstrip(b"\n").decode(errors="replace") or None


def _start(process: int) -> int:
    """The name, in parentheses, may hold anything; the third field begins after the last one."""
    fields = _read(process, "stat").rpartition(b")")[2].split()
    return int(fields[22 - 3])


def _read(process: int, name: str) -> bytes:
    file = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=process)
    try:
        return os.read(file, 4096)
    finally:
        os.close(file)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names, not one object for each
    except OSError:
        return []
