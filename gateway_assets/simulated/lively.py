"""A busy cluster for people to watch: a curve over the day, and now and then a mishap."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import cos, pi
from random import Random

from gateway_assets.clock import DAY, HOUR
from gateway_assets.simulated.cluster import SimulatedCluster
from gateway_assets.simulated.model import RoutineLoad

PEAK_QPS, NIGHT = 40.0, 0.25  # queries a second at the busiest hour; the part of them at night
QUIETEST = 3 * HOUR  # after midnight UTC
_PAUSE, _LENGTH = (240, 480), (60, 150)  # seconds between mishaps, and how long one takes

Undo = Callable[[], None]


class Lively:
    """Changes what a cluster's users and nodes do. ``speed`` makes days and pauses shorter.

    The cluster's clock is not changed: rates and mishaps are of fast days, times are true.
    """

    def __init__(self, cluster: SimulatedCluster, seed: int, speed: float = 1.0) -> None:
        self._cluster, self._speed = cluster, speed
        self._random = Random(seed)  # noqa: S311  no secrets
        self._normal = cluster.workload.internal_errors
        self._passed = 0.0
        self._next = self._random.uniform(*_PAUSE) / 4  # the first mishap soon
        self._undo: Undo | None = None
        mishaps = [self._node_dies, self._load_lags, self._errors, self._frontend_restarts]
        self._mishaps = self._shuffled(mishaps)

    def turn(self, seconds: float) -> str:
        """So many seconds have passed; returns what happens now, mostly nothing."""
        self._passed += seconds * self._speed
        now = self._cluster.now + int(self._passed * (1 - 1 / self._speed) * 1_000_000)
        self._cluster.workload.qps = qps_at(now)
        if self._passed < self._next:
            return ""
        if self._undo:
            self._undo()
            self._undo = None
            self._next = self._passed + self._random.uniform(*_PAUSE)
            return "all is well again"
        said, self._undo = next(self._mishaps)()
        self._next = self._passed + self._random.uniform(*_LENGTH)
        return said

    def _shuffled(
        self, mishaps: list[Callable[[], tuple[str, Undo]]]
    ) -> Iterator[Callable[[], tuple[str, Undo]]]:
        while True:
            yield from self._random.sample(mishaps, len(mishaps))

    def _node_dies(self) -> tuple[str, Undo]:
        node = self._random.choice(self._cluster.backends)
        self._cluster.kill(node)
        return f"backend {node.host} has died", lambda: self._cluster.revive(node)

    def _load_lags(self) -> tuple[str, Undo]:
        job = self._random.choice(self._cluster.world.routine_loads)
        before = job.capacity
        job.capacity = job.produced * 0.4
        return f"routine load {job.name} falls behind", lambda: _recover(job, before)

    def _errors(self) -> tuple[str, Undo]:
        self._cluster.workload.internal_errors = 0.08
        return "one query in twelve fails", self._heal

    def _heal(self) -> None:
        self._cluster.workload.internal_errors = self._normal

    def _frontend_restarts(self) -> tuple[str, Undo]:
        fe = self._random.choice(self._cluster.frontends)
        self._cluster.restart(fe)
        return f"frontend {fe.host} has restarted", lambda: None


def _recover(job: RoutineLoad, capacity: float) -> None:
    job.capacity = capacity


def qps_at(moment: int) -> float:
    """Queries a second at a moment in microseconds: few at night, most twelve hours later."""
    share = 0.5 - 0.5 * cos(2 * pi * ((moment - QUIETEST) % DAY) / DAY)
    return PEAK_QPS * (NIGHT + (1 - NIGHT) * share)
