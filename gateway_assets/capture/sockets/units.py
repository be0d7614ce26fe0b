"""systemd units of sockets, by the cgroup that the kernel names with each socket.

The kernel tells the id of the cgroup v2 that a socket was made in (INET_DIAG_CGROUP_ID,
``linux/inet_diag.h``), to everybody. The id is the inode number of the cgroup's directory. The
unit is the innermost part of the directory's path that ends like a unit that systemd gives a
cgroup (systemd.unit(5)): below ``user@1000.service/app.slice/mail.service/worker`` it is
``mail.service``. A directory outside of all units, as on a host without systemd, has none.

An accepted connection has the cgroup of its listening socket. So what systemd listens for
(socket activation) may be shown as ``NAME.socket`` or ``init.scope``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

PAUSE = 3.0  # seconds between two walks
_SUFFIXES = (".service", ".socket", ".scope", ".slice", ".mount", ".swap")


class Units:
    """Units of cgroups; the tree is walked when an id turns up that was never looked for."""

    def __init__(self, root: str | None = None) -> None:
        self._root = root or _mounted()
        self._units: dict[int, str | None] = {}
        self._next = 0.0
        self.walks = 0

    def look_up(self, cgroups: Iterable[int]) -> None:
        """Make the units of these cgroups known; within PAUSE of the last walk only later."""
        wanted = set(cgroups) - {0}
        if wanted <= self._units.keys() or time.monotonic() < self._next:
            return
        # An id is never given twice and made before its sockets: one not found now stays unknown.
        self._units = {**dict.fromkeys(wanted), **dict(_walk(self._root))}
        self._next = time.monotonic() + PAUSE
        self.walks += 1

    def unit(self, cgroup: int) -> str | None:
        return self._units.get(cgroup)


def _walk(folder: str | None, unit: str | None = None) -> Iterator[tuple[int, str | None]]:
    if folder is None:
        return
    with suppress(OSError), os.scandir(folder) as entries:  # a cgroup may go at any time
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                inner = _unit(entry.name) or unit
                yield entry.inode(), inner
                yield from _walk(entry.path, inner)


def _unit(name: str) -> str | None:
    """A unit by its directory; systemd puts ``_`` before names that the kernel reserves."""
    return name.removeprefix("_") if name.endswith(_SUFFIXES) else None


def _mounted() -> str | None:
    """Where cgroup v2 is mounted; beside version 1 that is not /sys/fs/cgroup itself."""
    with suppress(OSError):
        for line in Path("/proc/self/mounts").read_text().splitlines():
            _, folder, kind, *_ = line.split()
            if kind == "cgroup2":
                return folder
    return None
