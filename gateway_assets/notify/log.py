"""JSON lines: one a message, in a file that is rotated by size, or on standard output.

A line is durable before it counts as sent, and is whole: what a crash left of one is ended first.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from gateway_assets.errors import Busy, LandingError, SinkUnavailable
from gateway_assets.files.appear import explained, make_directory
from gateway_assets.files.lock import exclusive
from gateway_assets.notify.sink import Message, key_of

MOST_BYTES = 16 * 2**20
KEPT = 3
_LOCK_SECONDS = 10.0


class Log(NamedTuple):
    """A file; None is standard output. One that has ``most_bytes`` becomes ``.1``, that ``.2``."""

    path: Path | None
    most_bytes: int = MOST_BYTES

    def send(self, messages: Sequence[Message]) -> str:
        """Raises SinkUnavailable when the lines cannot be written."""
        data = lines_of(messages)
        try:
            if self.path is None:
                sys.stdout.write(data.decode())
                sys.stdout.flush()
            else:
                with exclusive(lock_of(self.path), "writing notifications", _LOCK_SECONDS):
                    self._append(self.path, data)
        except (Busy, LandingError) as error:
            raise SinkUnavailable(error.message, hint=error.hint) from None
        except OSError as error:
            raise SinkUnavailable(f"cannot write the log: {error.strerror}") from None
        return ""

    def _append(self, path: Path, data: bytes) -> None:
        with explained(path):
            make_directory(path.parent)
            if path.exists() and path.stat().st_size + len(data) > self.most_bytes:
                _rotate(path)
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
            with os.fdopen(descriptor, "r+b", buffering=0) as file:
                size = file.seek(0, os.SEEK_END)
                if size and os.pread(descriptor, 1, size - 1) != b"\n":
                    data = b"\n" + data
                view = memoryview(data)
                while view:
                    view = view[os.write(descriptor, view) :]
                os.fsync(descriptor)


def lock_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def lines_of(messages: Sequence[Message]) -> bytes:
    """What ``Message.to_dict`` gives, and the ``key`` of the messages that came together."""
    key = key_of(messages)
    lines = [
        json.dumps({**message.to_dict(), "key": key}, ensure_ascii=False, allow_nan=False)
        for message in messages
    ]
    return ("\n".join(lines) + "\n").encode()


def _rotate(path: Path) -> None:
    for number in range(KEPT, 1, -1):
        older = path.with_name(f"{path.name}.{number - 1}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number}"))
    path.replace(path.with_name(f"{path.name}.1"))
