"""Asking again when a file was restored or replaced between reading its name and reading it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from gateway_assets.archive.reading import UndecodableText
from gateway_assets.errors import ArchiveDamaged

TRIES = 3  # while the manifest stays the same; a file may just be moved to its place
MOST = 50

Answer = TypeVar("Answer")


def patiently(attempt: Callable[[], Answer], version: Callable[[], object]) -> Answer:
    """The first answer; ArchiveDamaged when the manifest keeps naming what cannot be read."""
    left, seen = TRIES, None
    for _ in range(MOST):
        try:
            return attempt()
        except UndecodableText:
            continue  # the connection reads on with what is no UTF-8
        except ArchiveDamaged:
            now = version()
            left = left - 1 if now == seen else TRIES
            seen = now
            if not left:
                raise
    return attempt()
