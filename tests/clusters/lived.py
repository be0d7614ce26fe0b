"""A simulated cluster that lives in stepped time and is collected over real sockets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from gateway_assets import clock
from gateway_assets.collect.ask import Limits, Watched, next_window
from gateway_assets.collect.journal import Journal
from gateway_assets.collect.observed import Observed
from gateway_assets.collect.snapshot import rows_of
from gateway_assets.collect.tick import Ticked, due
from gateway_assets.hot.load import load
from gateway_assets.hot.store import open_store
from gateway_assets.rollups.drain import drain
from gateway_assets.settings import Settings
from gateway_assets.simulated.cluster import SimulatedCluster
from gateway_assets.simulated.model import Query
from gateway_assets.starrocks.definitions import Every
from gateway_assets.tables import TABLES
from tests.collect.watching import declared

TICK = 30 * clock.SECOND
LIMITS = Limits(call=10.0, look=60.0, nodes=4)  # nothing fails because a machine is busy

Happening = Callable[[SimulatedCluster], object]


class Lived(NamedTuple):
    """What was true: queries by number, and bytes in use on all disks by tick."""

    start: int
    end: int
    queries: dict[int, Query]
    used: dict[int, int]
    errors: list[str]


def live(
    simulated: SimulatedCluster,
    settings: Settings,
    ticks: int,
    happenings: Mapping[int, Happening] | None = None,
) -> Lived:
    """Collect tick by tick, then load and roll up. What happens, does so right after a tick."""
    start = simulated.now
    memory: dict[str, Any] = {}
    until: int | None = None
    queries: dict[int, Query] = {}
    used: dict[int, int] = {}
    errors: list[str] = []
    journal = Journal(settings.data_dir / "collect", settings.landing, "box")
    with closing(Watched(declared(simulated, "simulated"), LIMITS)) as watched:
        for number in range(ticks):
            if number:
                simulated.step(30)
            moment = start + number * TICK
            groups = due(moment, TICK)
            window = next_window(until, moment) if Every.SLOW in groups else None
            observed = _at(watched.look(moment, groups, window), moment)
            until = observed.window[1] if observed.window else until
            rows, memory = rows_of(observed, memory)
            journal.keep(Ticked(moment, rows, {"simulated": memory}))
            queries |= {query.number: query for query in simulated.world.queries}
            used[moment] = used_bytes(simulated)
            errors += observed.errors
            (happenings or {}).get(number, _nothing)(simulated)
    bring(settings)
    return Lived(start, start + (ticks - 1) * TICK, queries, used, errors)


def used_bytes(simulated: SimulatedCluster) -> int:
    """On the disks of the backends that are alive and stay."""
    return sum(
        disk.total - disk.free
        for node in simulated.backends
        if node.is_alive and not node.is_decommissioned
        for disk in node.disks
    )


def bring(settings: Settings) -> None:
    """Load all that has landed, and compute its days."""
    settings.hot_database.parent.mkdir(parents=True, exist_ok=True)
    with open_store(Path(settings.hot_database)) as store:
        for table in TABLES:
            if table.source:
                assert load(store, table, settings).quarantined == []
        for table in TABLES:
            if table.summary:
                assert drain(store, table, settings).failed == {}


def _at(observed: Observed, moment: int) -> Observed:
    """As if everything had been seen at the cluster's own time."""
    scrapes = {node: scrape._replace(moment=moment) for node, scrape in observed.scrapes.items()}
    return observed._replace(moment=moment, scrapes=scrapes)


def _nothing(simulated: SimulatedCluster) -> None:
    pass
