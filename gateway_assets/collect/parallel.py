"""Jobs done at the same time, and left behind when they do not end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Mapping
from queue import Empty, SimpleQueue
from typing import TypeVar

from gateway_assets.collect.say import say

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")


def in_parallel(
    jobs: Mapping[Key, Callable[[], Result]], threads: int, deadline: float
) -> dict[Key, Result]:
    """Results of the jobs that ended before ``deadline`` (of ``time.monotonic``), by key.

    Jobs begin in their order. One that did not end or begin in time, or raised, is missing; a
    thread is not waited for beyond that, not even when the process ends.
    """
    waiting: SimpleQueue[Key] = SimpleQueue()
    done: SimpleQueue[tuple[Key, Result] | None] = SimpleQueue()
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            try:
                key = waiting.get_nowait()
            except Empty:
                return
            try:
                done.put((key, jobs[key]()))
            except Exception as error:  # noqa: BLE001  a defect must not cost the others' time
                say(f"{type(error).__name__}: {error}")
                done.put(None)

    for key in jobs:
        waiting.put(key)
    for _ in range(min(threads, len(jobs))):
        threading.Thread(target=work, daemon=True).start()
    results: dict[Key, Result] = {}
    for _ in jobs:
        try:
            ended = done.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            break
        if ended:
            results[ended[0]] = ended[1]
    over.set()
    return results
