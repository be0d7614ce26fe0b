"""The state of a simulated cluster: nodes with true counters, disks, tables, jobs, a journal.

Nothing here knows SQL or HTTP. A counter is kept twice: as its process shows it, from zero at each
start, and as the truth since the node was made.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from gateway_assets.clock import SECOND
from gateway_assets.simulated.series import (
    Version,
    be_counters,
    fe_counters,
    host_counters,
    parse_version,
)

GB = 2**30
TB = 2**40
RESERVOIR = 1_028  # samples in a codahale histogram
EDIT_LOG_PORT, RPC_PORT = 9010, 9020
HEARTBEAT_PORT, BE_PORT, BRPC_PORT, STARLET_PORT = 9050, 9060, 8060, 9070
AUDIT_KEPT = 3_600 * SECOND
SECONDS_KEPT = 3 * 86_400  # of the truth by second


class Query(NamedTuple):
    """One line of the audit log; ``time`` is when it began by its frontend's clock."""

    time: int
    frontend: str
    milliseconds: int
    state: str  # EOF or ERR
    user: str
    database: str
    statement: str
    number: int


@dataclass(eq=False)
class Node:
    """What frontends, backends and compute nodes have in common. Moments are microseconds."""

    kind: str  # fe, be or cn
    id: int
    host: str
    http_port: int
    version: str
    started: int
    counters: dict[str, int] = field(default_factory=dict)
    truth: Counter[str] = field(default_factory=Counter)  # since it was made, through restarts
    is_alive: bool = True
    is_decommissioned: bool = False
    skew: int = 0  # of its clock
    heartbeat: int = 0

    @property
    def release(self) -> Version:
        return parse_version(self.version)

    @property
    def full_version(self) -> str:
        return f"{self.version}-simulated"

    def count(self, series: str, amount: int = 1) -> None:
        """Add to a counter, in the process and in truth; versions without it take only truth."""
        self.truth[series] += amount
        if series in self.counters:
            self.counters[series] += amount


@dataclass(eq=False)
class Frontend(Node):
    query_port: int = 0
    name: str = ""
    is_leader: bool = False
    connections: int = 0
    journal: int = 0  # the last entry it has replayed
    journal_lag: int = 0  # set it to make the frontend fall behind
    heap_used: int = 2 * GB
    heap_max: int = 8 * GB
    reservoir: deque[int] = field(default_factory=lambda: deque(maxlen=RESERVOIR))
    running: list[Query] = field(default_factory=list)
    qps: float = 0.0
    rps: float = 0.0

    def begin(self, now: int) -> None:
        """A new process: counters and latencies from nothing."""
        self.started, self.heartbeat = now, now
        self.counters = dict.fromkeys(fe_counters(self.release), 0)
        self.reservoir.clear()
        self.running.clear()
        self.connections = 0
        self.qps = self.rps = 0.0


@dataclass
class Disk:
    path: str
    total: int
    data: int
    other: int  # logs, trash, files of others

    @property
    def free(self) -> int:
        return max(self.total - self.data - self.other, 0)


@dataclass(eq=False)
class Worker(Node):
    """A backend, or a compute node."""

    disks: list[Disk] = field(default_factory=list)
    has_reported: bool = True  # False until its first report: no capacity is known
    cores: int = 16
    mem_limit: int = 56 * GB
    cpu_pct: float = 5.0
    mem_pct: float = 20.0
    running: int = 0
    tablets: int = 0
    score: int = 10
    rowsets: int = 80
    cache_used: int = 0
    cache_total: int = 0

    def begin(self, now: int) -> None:
        """A new process: counters from nothing, but those that are its host's."""
        self.started, self.heartbeat = now, now
        kept = {series: self.counters.get(series, 0) for series in host_counters()}
        self.counters = {**dict.fromkeys(be_counters(), 0), **kept}
        self.running = 0


@dataclass
class Table:
    id: int
    database: str
    name: str
    rows: int
    bytes: int  # of all replicas
    score: float = 4.0


@dataclass
class RoutineLoad:
    """A job that reads a topic. ``lag`` is what it is behind, in messages."""

    id: int
    database: str
    name: str
    table: str
    created: int
    produced: float  # messages a second that come
    capacity: float  # messages a second that it can take
    state: str = "RUNNING"
    lag: int = 0
    loaded: int = 0
    refused: int = 0
    committed: int = 0
    paused_at: int | None = None
    reason: str = ""
    carry: float = 0.0


@dataclass
class View:
    """A materialized view that is refreshed every ``every`` seconds."""

    id: int
    database: str
    name: str
    every: int
    next: int
    rows: int
    bytes: int
    is_active: bool = True
    fails: bool = False  # set it to make refreshes fail
    state: str = "SUCCESS"
    refreshed: int = 0
    seconds: float = 0.0
    error: str = ""


class Run(NamedTuple):
    """A task run: one refresh of a view."""

    number: int
    view: View
    created: int
    finished: int
    state: str
    error: str


@dataclass
class Workload:
    """What users do; change it between steps. Shares are of all queries."""

    qps: float = 20.0
    weights: tuple[float, ...] = (0.5, 0.3, 0.2)  # of the frontends; the last one repeats
    median_ms: float = 40.0
    spread: float = 1.1  # of the logarithm of latency
    analysis_errors: float = 0.01
    timeouts: float = 0.001
    internal_errors: float = 0.002
    others: float = 0.3  # statements that are no queries, to one query
    loads: float = 0.5  # a second
    load_bytes: int = 8_000_000  # of one, all replicas
    slow_ms: int = 5_000  # from which the cluster counts a query as slow


@dataclass
class Truth:
    """What really happened in the whole cluster since it was made."""

    queries: int = 0
    errors: int = 0
    by_second: dict[int, tuple[int, int]] = field(default_factory=dict)  # epoch: queries, errors

    def add(self, time: int, *, failed: bool) -> None:
        self.queries += 1
        self.errors += failed
        queries, errors = self.by_second.get(time // SECOND, (0, 0))
        self.by_second[time // SECOND] = queries + 1, errors + failed


class World:
    """Everything that is. Whoever reads or changes it holds ``lock``."""

    def __init__(self, seed: int, now: int, *, shared_data: bool, version: str) -> None:
        self.lock = threading.RLock()
        self.random = Random(seed)  # noqa: S311  no secrets
        self.now, self.born = now, now
        self.shared_data, self.version = shared_data, version
        self.frontends: list[Frontend] = []
        self.backends: list[Worker] = []
        self.compute_nodes: list[Worker] = []
        self.workload = Workload()
        self.truth = Truth()
        self.tables: list[Table] = []
        self.routine_loads: list[RoutineLoad] = []
        self.views: list[View] = []
        self.runs: deque[Run] = deque(maxlen=2_000)
        self.loads: deque[tuple[int, int, str, str]] = deque(maxlen=20_000)
        self.queries: deque[Query] = deque()
        self.running_txns: dict[str, int] = {}
        self.journal = 31_000
        self.checkpoint = 30_000
        self.unhealthy = 0
        self.settings_of: dict[int, dict[str, str]] = {}  # of nodes, where they differ
        self.cluster_id = self.random.randrange(10**8, 2 * 10**9)
        self.next_id = 10_001
        self.query_number = 0

    @property
    def workers(self) -> list[Worker]:
        return [*self.backends, *self.compute_nodes]

    @property
    def nodes(self) -> list[Node]:
        return [*self.frontends, *self.workers]

    @property
    def leader(self) -> Frontend | None:
        """The leading frontend; None when most frontends are dead."""
        return next((fe for fe in self.frontends if fe.is_leader), None)

    def new_id(self) -> int:
        self.next_id += 1
        return self.next_id - 1

    def elect(self) -> None:
        """Give the lead to the first that is alive, if they are more than half."""
        alive = [fe for fe in self.frontends if fe.is_alive]
        if self.leader in alive and 2 * len(alive) > len(self.frontends):
            return
        for fe in self.frontends:
            fe.is_leader = False
        if 2 * len(alive) > len(self.frontends):
            alive[0].is_leader = True

    def databases(self) -> list[str]:
        return sorted({table.database for table in self.tables})
