"""Which process holds which socket: inode -> (pid, name), from ``/proc/*/fd``.

Other users' processes need privilege to look into; what cannot be read is left out, never an
error. A socket that several processes share belongs to the one with the lowest pid.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple


class Owner(NamedTuple):
    pid: int | None
    process: str | None


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
            held = [inode for inode in self._sockets(pid) if inode in wanted and inode not in seen]
            if held:
                seen.update(held)
                owner = Owner(pid, self._name(pid))
                yield from ((inode, owner) for inode in held)

    def _sockets(self, pid: int) -> Iterator[int]:
        folder = f"{self._proc}/{pid}/fd"
        for name in _names(folder):
            try:
                target = os.readlink(f"{folder}/{name}")  # noqa: PTH115 - the hot path
            except OSError:
                continue
            if target.startswith("socket:["):
                yield int(target[8:-1])

    def _name(self, pid: int) -> str | None:
        try:
            name = Path(f"{self._proc}/{pid}/comm").read_bytes().rstrip(b"\n")
        except OSError:
            return None
        return name.decode(errors="replace") or None


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names, not one object for each
    except OSError:
        return []
