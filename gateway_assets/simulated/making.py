"""A simulated cluster's nodes and what it holds at the beginning."""

from __future__ import annotations

from gateway_assets.clock import SECOND
from gateway_assets.simulated.model import (
    EDIT_LOG_PORT,
    GB,
    TB,
    Disk,
    Frontend,
    RoutineLoad,
    Table,
    View,
    Worker,
    World,
)

_TABLES = (  # database, name, rows, bytes of all replicas
    ("sales", "orders", 810_000_000, 410 * GB),
    ("sales", "order_lines", 2_400_000_000, 690 * GB),
    ("sales", "customers", 12_000_000, 9 * GB),
    ("web", "page_views", 5_100_000_000, 520 * GB),
    ("web", "sessions", 420_000_000, 80 * GB),
    ("_statistics_", "column_statistics", 90_000, 40_000_000),
)
_BEFORE = 3 * 86_400 * SECOND  # nodes were started so long before the first look


def make_frontend(world: World, host: str, query_port: int, http_port: int) -> Frontend:
    """A frontend that has just begun."""
    born = (world.now - _BEFORE) // 1000
    node = Frontend("fe", world.new_id(), host, http_port, world.version, world.now)
    node.query_port = query_port
    node.name = f"{host}_{EDIT_LOG_PORT}_{born + node.id}"
    node.begin(world.now)
    node.journal = world.journal
    return node


def make_worker(world: World, kind: str, host: str, http_port: int) -> Worker:
    """A backend (``be``) or compute node (``cn``) that has just begun."""
    node = Worker(kind, world.new_id(), host, http_port, world.version, world.now)
    if kind == "be":
        node.disks = [Disk(f"/data{n}/storage", TB, 0, 60 * GB) for n in (1, 2)]
    if world.shared_data:
        node.cache_total = 200 * GB
    node.begin(world.now)
    return node


def age(world: World) -> None:
    """Let the nodes have run for days: started before, with counters that are no longer 0."""
    for node in world.nodes:
        node.started = world.now - _BEFORE + node.id * SECOND
        for number, series in enumerate(node.counters):
            if "_err" in series or "failed" in series or "reject" in series:
                continue
            node.count(series, 1_000 * (number + 1) + world.random.randrange(100_000))
    for fe in world.frontends:
        total = fe.counters["starrocks_fe_query_total"]
        success = fe.counters["starrocks_fe_query_success"]
        fe.count("starrocks_fe_query_success", total - success)


def furnish(world: World) -> None:
    """Tables, routine loads and materialized views."""
    world.tables = [Table(world.new_id(), *row) for row in _TABLES]
    stored = sum(table.bytes for table in world.tables)
    for node in world.backends:
        node.tablets = 1_200
        for disk in node.disks:
            disk.data = 0 if world.shared_data else stored // (2 * len(world.backends))
    for node in world.compute_nodes:
        node.tablets = 800 if world.shared_data else 0
    created = world.now - _BEFORE
    world.routine_loads = [
        RoutineLoad(world.new_id(), "sales", "orders_from_kafka", "orders", created, 900, 1_500),
        RoutineLoad(world.new_id(), "web", "views_from_kafka", "page_views", created, 4_000, 6_000),
    ]
    soon = world.now + 30 * SECOND
    world.views = [
        View(world.new_id(), "sales", "daily_sales", 300, soon, 3_000_000, 2 * GB),
        View(world.new_id(), "web", "hourly_views", 600, soon + 60 * SECOND, 90_000_000, 11 * GB),
    ]
    for view in world.views:
        view.refreshed = created
