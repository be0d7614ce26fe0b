"""What happens in a simulated cluster while time goes on: queries, loads, refreshes, full disks."""

from __future__ import annotations

from math import exp

from gateway_assets.clock import SECOND
from gateway_assets.simulated.model import (
    AUDIT_KEPT,
    GB,
    SECONDS_KEPT,
    Frontend,
    Query,
    RoutineLoad,
    Run,
    View,
    Worker,
    World,
)
from gateway_assets.simulated.series import BE, CPU_MODES, FE, be, engine, view_series

_USERS = ("app", "app", "app", "report", "analyst")
_STATEMENTS = (
    ("sales", "SELECT sum(price) FROM orders WHERE day = '2026-11-20'"),
    ("sales", "SELECT customer, count(*) FROM order_lines GROUP BY customer"),
    ("web", "SELECT page, count(*) FROM page_views GROUP BY page ORDER BY 2 DESC LIMIT 10"),
    ("web", "SELECT avg(seconds) FROM sessions"),
)
_TIMEOUT_MS = 300_000
_MESSAGE_BYTES = 210
_JIFFIES = 100  # a second, of one core


def advance(world: World, seconds: float) -> None:
    """Let time go on, at most a second at once, so that nothing depends on how it is stepped."""
    left = round(seconds * SECOND)
    while left > 0:
        part = min(left, SECOND)
        _slice(world, part / SECOND)
        world.now += part
        left -= part
    _after(world)


def _slice(world: World, seconds: float) -> None:
    running = sum(_queries(world, fe, index, seconds) for index, fe in enumerate(world.frontends))
    for node in world.workers:
        if node.is_alive:
            _labour(world, node, running, seconds)
    leader = world.leader
    if leader:
        _loads(world, leader, seconds)
        for job in world.routine_loads:
            _consume(world, leader, job, seconds)
        for view in world.views:
            _refresh(world, leader, view)


def poisson(world: World, mean: float) -> int:
    """How often something happens that happens ``mean`` times on average."""
    if mean > 50:
        return max(round(world.random.gauss(mean, mean**0.5)), 0)
    limit, product, count = exp(-mean), world.random.random(), 0
    while product > limit:
        product *= world.random.random()
        count += 1
    return count


def _queries(world: World, fe: Frontend, index: int, seconds: float) -> int:
    """A frontend's queries of a second; returns how many run at its end."""
    if not fe.is_alive:
        return 0
    load, random = world.workload, world.random
    weights = [load.weights[min(n, len(load.weights) - 1)] for n in range(len(world.frontends))]
    # Clients that find a frontend dead go to the others.
    share = weights[index] / sum(
        weight for weight, node in zip(weights, world.frontends, strict=True) if node.is_alive
    )
    count = poisson(world, load.qps * share * seconds)
    for _ in range(count):
        time = world.now + int(random.random() * seconds * SECOND)
        milliseconds = min(int(random.lognormvariate(0, load.spread) * load.median_ms) + 1, 299_999)
        _one(world, fe, time, milliseconds, random.random())
    others = poisson(world, load.qps * share * seconds * load.others)
    fe.count(f"{FE}request_total", others)
    if seconds >= 0.5:  # too little happens in less to tell a rate by
        fe.qps, fe.rps = count / seconds, (count + others) / seconds
        fe.connections = 5 + int(fe.qps * 2)
        fe.running = [world.queries[-1 - n] for n in range(min(count, 3))]
    return len(fe.running)


def _one(world: World, fe: Frontend, time: int, milliseconds: int, chance: float) -> None:
    load = world.workload
    failed = ""
    for name, share in (
        ("query_analysis_err", load.analysis_errors),
        ("query_timeout", load.timeouts),
        ("query_internal_err", load.internal_errors),
    ):
        if not failed and chance < share:
            failed = name
        chance -= share
    milliseconds = _TIMEOUT_MS if failed == "query_timeout" else milliseconds
    user = _USERS[int(world.random.random() * len(_USERS))]
    database, statement = _STATEMENTS[int(world.random.random() * len(_STATEMENTS))]
    record(world, fe, time, milliseconds, failed, user, database, statement)


def record(
    world: World,
    fe: Frontend,
    time: int,
    milliseconds: int,
    failed: str,
    user: str,
    database: str,
    statement: str,
) -> None:
    """Count one query: in the frontend's counters, its latencies, the audit log and the truth.

    ``failed`` is the counter of the reason, or empty.
    """
    world.query_number += 1
    fe.count(f"{FE}request_total")
    fe.count(f"{FE}query_total")
    if failed:
        fe.count(f"{FE}query_err")
        fe.count(f"{FE}{failed}")
    else:
        fe.count(f"{FE}query_success")
        fe.reservoir.append(milliseconds)
    if milliseconds >= world.workload.slow_ms:
        fe.count(f"{FE}slow_query")
    world.truth.add(time, failed=bool(failed))
    world.queries.append(
        Query(
            time + fe.skew,
            fe.host,
            milliseconds,
            "ERR" if failed else "EOF",
            user,
            database,
            statement,
            world.query_number,
        )
    )


def _labour(world: World, node: Worker, running: int, seconds: float) -> None:
    random, load = world.random, world.workload
    target = min(4 + load.qps * 0.6 + random.uniform(-2, 2), 97.0)
    node.cpu_pct += (target - node.cpu_pct) * 0.2
    node.mem_pct = min(max(node.mem_pct + random.uniform(-0.3, 0.31), 12), 85)
    node.running = running
    busy = round(node.cpu_pct / 100 * node.cores * _JIFFIES * seconds)
    whole = round(node.cores * _JIFFIES * seconds)
    parts = {"user": busy * 3 // 4, "system": busy - busy * 3 // 4, "idle": whole - busy}
    for mode in CPU_MODES:
        node.count(be("cpu", mode=mode), parts.get(mode, 0))
    queries = load.qps * seconds
    node.count(be("network_receive_bytes", device="eth0"), round(queries * 200_000))
    node.count(be("network_send_bytes", device="eth0"), round(queries * 190_000))
    node.count(be("network_receive_bytes", device="lo"), round(queries * 11))
    node.count(be("network_send_bytes", device="lo"), round(queries * 11))
    node.count(be("disk_bytes_read", device="nvme0n1"), round(queries * 400_000))
    node.count(f"{BE}query_scan_bytes", round(queries * 380_000))
    node.count(f"{BE}query_scan_rows", round(queries * 9_000))
    _compact(world, node, seconds)
    if world.shared_data:
        node.cache_used = min(node.cache_used + round(queries * 50_000), node.cache_total)


def _compact(world: World, node: Worker, seconds: float) -> None:
    random = world.random
    for kind, mean in (("cumulative_compaction", 0.4), ("base_compaction", 0.02), ("publish", 0.5)):
        node.count(engine(kind, "total"), poisson(world, mean * seconds))
    if random.random() < 0.0005 * seconds:
        node.count(engine("cumulative_compaction", "total"))
        node.count(engine("cumulative_compaction", "failed"))
    node.count(be("compaction_bytes_total", type="cumulative"), round(2_000_000 * seconds))
    node.score = max(5, min(node.score + random.choice((-1, 0, 0, 1)), 90))
    node.rowsets = max(40, min(node.rowsets + random.choice((-2, 0, 2)), 300))
    if node.is_decommissioned:
        node.tablets = max(node.tablets - round(10 * seconds), 0)


def _loads(world: World, leader: Frontend, seconds: float) -> None:
    """Loads of files and streams: their transactions are the leader's, their bytes the nodes'."""
    for _ in range(poisson(world, world.workload.loads * seconds)):
        table = world.tables[int(world.random.random() * len(world.tables))]
        failed = world.random.random() < 0.003
        leader.count(f"{FE}load_add")
        leader.count(f"{FE}txn_begin")
        leader.count(f"{FE}txn_failed" if failed else f"{FE}txn_success")
        _journal(world, leader, 3)
        state = "CANCELLED" if failed else "FINISHED"
        world.loads.append((world.new_id(), world.now, state, "STREAM_LOAD"))
        if not failed:
            leader.count(f"{FE}load_finished")
            _store(world, table.database, table.name, 40_000, world.workload.load_bytes)
    busy = world.random.randrange(4)
    world.running_txns = dict.fromkeys(world.databases(), 0) | {"sales": busy}


def _store(world: World, database: str, name: str, rows: int, size: int) -> None:
    """New rows in a table: ``size`` bytes, in equal parts on all nodes that can take them."""
    for table in world.tables:
        if (table.database, table.name) == (database, name):
            table.rows += rows
            table.bytes += size
            table.score = min(table.score + 0.1, 12.0)
    takers = [node for node in world.workers if node.is_alive and not node.is_decommissioned]
    takers = [node for node in takers if node.kind == "be" or world.shared_data]
    for node in takers:
        part = size // len(takers)
        node.count(f"{BE}load_rows", rows // len(takers))
        node.count(f"{BE}load_bytes", part)
        node.count(be("disk_bytes_written", device="nvme0n1"), part * 2)
        if not world.shared_data:
            for disk in node.disks:
                disk.data += part // len(node.disks)


def _consume(world: World, leader: Frontend, job: RoutineLoad, seconds: float) -> None:
    if job.state in {"STOPPED", "CANCELLED"}:
        return
    job.carry += job.produced * seconds
    came = int(job.carry)
    job.carry -= came
    job.lag += came
    if job.state != "RUNNING":
        return
    taken = min(job.lag, int(job.capacity * seconds))
    if not taken:
        return
    job.lag -= taken
    refused = int(taken * 0.00001)
    job.loaded += taken - refused
    job.refused += refused
    job.committed += 1
    leader.count(f"{FE}routine_load_rows", taken)
    leader.count(f"{FE}routine_load_receive_bytes", taken * _MESSAGE_BYTES)
    leader.count(f"{FE}routine_load_error_rows", refused)
    leader.count(f"{FE}txn_begin")
    leader.count(f"{FE}txn_success")
    _journal(world, leader, 2)
    _store(world, job.database, job.table, taken, taken * _MESSAGE_BYTES)


def _refresh(world: World, leader: Frontend, view: View) -> None:
    if world.now < view.next or not view.is_active:
        return
    view.next = world.now + view.every * SECOND
    view.seconds = round(world.random.uniform(1.5, 9.0), 3)
    view.refreshed = world.now
    view.state = "FAILED" if view.fails else "SUCCESS"
    view.error = "execute task failed: memory of process exceeds its limit" if view.fails else ""
    outcome = "failed" if view.fails else "success"
    for name in ("mv_refresh_jobs", f"mv_refresh_total_{outcome}_jobs"):
        series = view_series(name, view.database, view.name, view.id)
        leader.counters.setdefault(series, 0)
        leader.count(series)
    end = world.now + int(view.seconds * SECOND)
    world.runs.append(Run(world.new_id(), view, world.now, end, view.state, view.error))
    _journal(world, leader, 4)


def _journal(world: World, leader: Frontend, entries: int) -> None:
    world.journal += entries
    leader.count(f"{FE}edit_log_write", entries)
    if world.journal - world.checkpoint > 50_000:
        world.checkpoint = world.journal


def _after(world: World) -> None:
    """What need not be done every second: heartbeats, replays, and forgetting."""
    leader = world.leader
    for node in world.nodes:
        if node.is_alive and leader:
            node.heartbeat = world.now + leader.skew
    for fe in world.frontends:
        if fe.is_alive:
            fe.journal = max(world.journal - (0 if fe.is_leader else fe.journal_lag), 0)
            fe.heap_used = min(fe.heap_max, GB + (world.now // SECOND * 7_000_000) % (4 * GB))
    for node in world.workers:
        node.has_reported = node.has_reported or node.is_alive
    truth = world.truth.by_second
    while truth and (oldest := next(iter(truth))) < world.now // SECOND - SECONDS_KEPT:
        del truth[oldest]
    while world.queries and world.queries[0].time < world.now - AUDIT_KEPT:
        world.queries.popleft()
