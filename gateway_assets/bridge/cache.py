"""Answers that came from archived files alone, kept for a while: such rows do not change.

A key names the version of every table's manifest and columns, so an answer is never used after
anything was archived, restored, erased or compacted. Whether hot rows would belong to an answer
is looked up each time before the cache is asked.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Any, NamedTuple

from gateway_assets.settings import Settings

LARGEST = 8  # of the cache's bytes, one answer takes at most this fraction


class _Kept(NamedTuple):
    until: float
    size: int
    answer: Any


class AnswerCache:
    """The least recently used answers leave when there are more bytes than allowed."""

    def __init__(self, settings: Settings) -> None:
        self._limit = settings.query_cache_bytes if settings.archive_query_cache_enabled else 0
        self._seconds = settings.archive_query_cache_ttl
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    @property
    def is_on(self) -> bool:
        return self._limit > 0

    def get(self, key: Hashable) -> Any:
        """The answer, or None."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            if found.until < time.monotonic():
                self._drop(key)
                return None
            self._kept.move_to_end(key)
            return found.answer

    def put(self, key: Hashable, answer: Any, size: int) -> str:
        """Keep an answer of so many bytes; what became of it, for those who ask."""
        if not self._limit:
            return "off"
        if size > self._limit // LARGEST:
            return "too large"
        with self._lock:
            if key in self._kept:
                self._drop(key)
            self._kept[key] = _Kept(time.monotonic() + self._seconds, size, answer)
            self._size += size
            while self._size > self._limit:
                self._drop(next(iter(self._kept)))
        return "miss"

    def _drop(self, key: Hashable) -> None:
        self._size -= self._kept.pop(key).size
