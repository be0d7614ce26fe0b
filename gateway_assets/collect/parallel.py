"""Jobs done at the same time, and left behind when they do not end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Mapping
from queue import Empty, SimpleQueue
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")


def in_parallel(
    jobs: Mapping[Key, Callable[[], Result]], threads: int, deadline: float
) -> dict[Key, Result]:
    """Results of the jobs that ended before ``deadline`` (of ``time.monotonic``), by key.

    Jobs begin in their order; a job must not raise. One that did not end or begin in time is
    missing. Its thread is not waited for, not even when the process ends.
    """
    waiting: SimpleQueue[Key] = SimpleQueue()
    done: SimpleQueue[tuple[Key, Result]] = SimpleQueue()
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            try:
                key = waiting.get_nowait()
            except Empty:
                return
            done.put((key, jobs[key]()))

    for key in jobs:
        waiting.put(key)
    for _ in range(min(threads, len(jobs))):
        threading.Thread(target=work, daemon=True).start()
    results: dict[Key, Result] = {}
    while len(results) < len(jobs):
        try:
            key, result = done.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            break
        results[key] = result
    over.set()
    return results
