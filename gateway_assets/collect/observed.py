"""What one look at one cluster brought: texts as they came, and what did not come."""

from __future__ import annotations

from typing import NamedTuple

from gateway_assets.clock import SECOND
from gateway_assets.starrocks.definitions import TICK_SECONDS
from gateway_assets.starrocks.exposition import Exposition

Record = dict[str, str | None]  # by column name, as the server spells it


class Node(NamedTuple):
    """A node as SHOW names it. ``key`` is what its counters are kept by: it names one process'
    line of life, so a node that is replaced by another at the same address has another one.
    """

    kind: str  # fe, be or cn
    key: str
    address: str  # host:port that people know it by
    host: str
    http_port: int  # 0: unknown


class Scrape(NamedTuple):
    """A node's metrics, or why there are none; ``moment`` is when they came."""

    exposition: Exposition | None
    moment: int
    error: str = ""


class Observed(NamedTuple):
    """One look. ``answers`` holds the rows of the queries that answered, by the query's name."""

    cluster: str
    time: int  # the tick, microseconds
    moment: int  # when SHOW answered
    milliseconds: int
    answered_by: str
    leader: str
    is_leader_view: bool | None
    answers: dict[str, list[Record]]
    scrapes: dict[Node, Scrape]
    errors: list[str]
    window: tuple[int, int] | None = None  # that ``latencies``, ``slow_queries``, … are about
    is_zone_known: bool = True  # SHOW's moments are in UTC; else their zone must be guessed
    interval: int = TICK_SECONDS * SECOND  # from tick to tick, microseconds
    skipped: int = 0  # ticks that should have been since the one before
