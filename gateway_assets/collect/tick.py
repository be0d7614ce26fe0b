"""One tick: all clusters at once, none waiting for another.

A look that does not end in time is left behind: its cluster has a failed tick, and is skipped by
the following ones for as long as that look hangs. Skipped ticks are counted in the next row.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from gateway_assets import clock
from gateway_assets.collect.ask import Limits, Watched, failed, is_behind, next_window
from gateway_assets.collect.config import Cluster
from gateway_assets.collect.observed import Observed
from gateway_assets.collect.parallel import in_parallel
from gateway_assets.collect.say import say
from gateway_assets.collect.snapshot import rows_of
from gateway_assets.files.landing import Row
from gateway_assets.settings import Settings
from gateway_assets.source import Source
from gateway_assets.sources import (
    collection_ticks,
    job_samples,
    latency_histogram,
    metrics_snapshots,
    node_samples,
    slow_queries,
)
from gateway_assets.starrocks.definitions import SECONDS, Every

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        metrics_snapshots.SOURCE,
        node_samples.SOURCE,
        collection_ticks.SOURCE,
        latency_histogram.SOURCE,
        job_samples.SOURCE,
        slow_queries.SOURCE,
    )
}
ALL = frozenset({Every.FAST, Every.MEDIUM, Every.SLOW})
Memory = dict[str, Any]
_MARGIN = 0.9  # of the tick's time is a look's own; the rest is for ending


class Ticked(NamedTuple):
    """Rows by source of all clusters, and what is to be remembered of each cluster."""

    time: int
    rows: dict[str, list[Row]]
    memories: dict[str, Memory]


class Ticker:
    """``interval`` and moments are microseconds, as everywhere."""

    def __init__(self, clusters: Sequence[Cluster], settings: Settings) -> None:
        self.interval = settings.collect_interval_seconds * clock.SECOND
        limits = limits_of(settings, len(clusters))
        self._seconds = limits.look / _MARGIN
        self._threads = settings.collect_max_threads
        self._looks = {cluster.name: _Look(Watched(cluster, limits)) for cluster in clusters}

    def tick(self, moment: int, memories: dict[str, Memory], *, everything: bool) -> Ticked:
        """Look at all clusters. Ends in time, whatever they do.

        ``memories`` are those of the tick before and are left as they are. ``everything`` asks
        what is asked now and then, too.
        """
        began = time.monotonic()
        ready = {name: look for name, look in self._looks.items() if not look.is_running}
        jobs: dict[str, Callable[[], Observed]] = {}
        for name, look in ready.items():
            groups = ALL if everything else due(moment, self.interval)
            window = _window(memories.get(name, {}), groups)
            jobs[name] = look.job(moment, groups, window)
        done = in_parallel(jobs, self._threads, began + self._seconds)
        rows: dict[str, list[Row]] = {}
        after = dict(memories)
        for name in ready:
            observed = done.get(name)
            if observed is None:
                took = round(1000 * (time.monotonic() - began))
                observed = failed(name, moment, took, f"did not end within {self._seconds:g} s")
            before = memories.get(name, {})
            skipped = _skipped(before, moment, self.interval)
            observed = observed._replace(interval=self.interval, skipped=skipped)
            own, after[name] = _digested(observed, before)
            for source, list_ in own.items():
                rows.setdefault(source, []).extend(list_)
        return Ticked(moment, rows, after)

    def close(self) -> None:
        """End all sessions, but those of looks that hang."""
        for look in self._looks.values():
            look.close()


def limits_of(settings: Settings, clusters: int) -> Limits:
    """What each of so many clusters may take."""
    seconds = min(settings.collect_tick_seconds, 0.9 * settings.collect_interval_seconds)
    nodes = max(1, settings.collect_max_threads // max(1, clusters))
    return Limits(min(settings.collect_call_seconds, seconds), _MARGIN * seconds, nodes)


def due(moment: int, interval: int) -> frozenset[Every]:
    """The groups whose turn has come since the tick before."""
    return frozenset(
        every
        for every, seconds in SECONDS.items()
        if not seconds or moment % (seconds * clock.SECOND) < interval
    )


class _Look:
    """Whether a cluster is being looked at, perhaps still by an earlier tick."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._running = threading.Lock()

    @property
    def is_running(self) -> bool:
        return self._running.locked()

    def close(self) -> None:
        if not self.is_running:
            self._watched.close()

    def job(
        self, moment: int, groups: frozenset[Every], window: tuple[int, int] | None
    ) -> Callable[[], Observed]:
        def run() -> Observed:
            with self._running:
                try:
                    return self._watched.look(moment, groups, window)
                except Exception as error:  # noqa: BLE001  a defect met by one cluster's answers
                    name = self._watched.cluster.name
                    text = f"{type(error).__name__}: {error}"
                    say(f"{name}: {text}")
                    return failed(name, moment, 0, text)

        return run


def _window(memory: Memory, groups: frozenset[Every]) -> tuple[int, int] | None:
    asked_until, now = memory.get("asked_until"), clock.now()
    is_due = Every.SLOW in groups or (Every.MEDIUM in groups and is_behind(asked_until, now))
    return next_window(asked_until, now) if is_due else None


def _digested(observed: Observed, memory: Memory) -> tuple[dict[str, list[Row]], Memory]:
    """Rows and the new memory.

    What does not go with the memory is tried without it, or no tick would ever succeed again. A
    look that cannot be digested even so has failed, and nothing moves on.
    """
    try:
        rows, seen = rows_of(observed, memory.get("seen", {}))
    except Exception as error:  # noqa: BLE001  a defect met by one cluster's answers or memory
        text = f"{type(error).__name__}: {error}; counters begin anew"
        try:
            rows, seen = rows_of(observed._replace(errors=[*observed.errors, text]), {})
        except Exception as error:  # noqa: BLE001  a defect met by its answers
            text = f"{type(error).__name__}: {error}"
            say(f"{observed.cluster}: {text}")
            nothing = failed(observed.cluster, observed.time, observed.milliseconds, text)
            nothing = nothing._replace(interval=observed.interval, skipped=observed.skipped)
            rows, _ = rows_of(nothing, {})
            return rows, {**memory, "time": observed.time, "interval": observed.interval}
        say(f"{observed.cluster}: {text}")
    asked_until = observed.window[1] if observed.window else memory.get("asked_until")
    return rows, {
        "seen": seen,
        "asked_until": asked_until,
        "time": observed.time,
        "interval": observed.interval,
    }


def _skipped(memory: Memory, moment: int, interval: int) -> int:
    """Ticks that should have been since the one before, this process being down or not."""
    last, was = memory.get("time"), memory.get("interval") or interval
    return 0 if last is None else max(0, (moment - last) // was - 1)
