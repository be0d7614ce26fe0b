"""What is asked of a cluster and what becomes of the answers, as data.

A query is one entry of QUERIES, a number of ``metrics_snapshots`` one entry of METRICS: where it
is found (best place first), how the values of nodes or rows become one, how a text is read.
A new one goes to the end of METRICS, because tables and files know columns by their order.

Names are those of StarRocks 2.2 to 4.1 (MetricRepo.java, starrocks_metrics.cpp, the documents of
SHOW and information_schema). Rows are read by column name, never by position, and a name that a
version does not have leaves NULL: unknown is never 0.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from gateway_assets.model import Column, Kind


class Every(StrEnum):
    """How often something is asked."""

    FAST = "fast"  # each tick
    MEDIUM = "medium"  # 2 min
    SLOW = "slow"  # 5 min
    INSTEAD = "instead"  # only when a node's metrics cannot be fetched over HTTP


TICK_SECONDS = 30  # of rows that do not say
SECONDS = {Every.FAST: 0, Every.MEDIUM: 120, Every.SLOW: 300}


class Query(NamedTuple):
    """A statement, and its spellings in other versions; the first that a server knows answers.

    ``{since}`` and ``{until}`` stand for moments as ``YYYY-MM-DD HH:MM:SS``, ``{user}`` for the
    user who asks, ``{slow}`` for milliseconds, ``{wanted}`` for quoted names of metrics: the whole
    table would be thousands of rows.

    ``is_stored``: its times are those of a DATETIME column, which no session's zone changes.
    ``is_of_each``: every frontend is asked for what it has itself (see ``collect.configs``).
    """

    name: str
    every: Every
    statements: tuple[str, ...]
    is_stored: bool = False
    is_of_each: bool = False


def _ask(
    name: str,
    every: Every,
    *statements: str,
    is_stored: bool = False,
    is_of_each: bool = False,
) -> Query:
    return Query(name, every, statements, is_stored, is_of_each)


_INFO = "information_schema"
_AUDIT = "starrocks_audit_db__.starrocks_audit_tbl__"

QUERIES = (
    _ask("frontends", Every.FAST, "SHOW FRONTENDS"),
    _ask("backends", Every.FAST, "SHOW BACKENDS"),
    _ask("compute_nodes", Every.FAST, "SHOW COMPUTE NODES"),
    _ask(
        "running_queries",
        Every.MEDIUM,
        "SHOW PROC '/global_current_queries'",
        "SHOW PROC '/current_queries'",
    ),
    _ask("processlist", Every.MEDIUM, "SHOW FULL PROCESSLIST"),
    _ask("statistic", Every.MEDIUM, "SHOW PROC '/statistic'"),
    _ask(
        "routine_loads",
        Every.SLOW,
        f"SELECT * FROM {_INFO}.routine_load_jobs WHERE STATE NOT IN ('STOPPED', 'CANCELLED')",
    ),
    _ask(
        "transactions",
        Every.MEDIUM,
        f"SELECT * FROM {_INFO}.running_transactions LIMIT 10000",
    ),
    _ask(
        "tables",
        Every.SLOW,
        "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_ROWS, DATA_LENGTH "
        f"FROM {_INFO}.tables WHERE TABLE_TYPE = 'BASE TABLE' "
        "ORDER BY DATA_LENGTH DESC LIMIT 100000",
    ),
    _ask(
        "partitions",
        Every.SLOW,
        "SELECT DB_NAME, TABLE_NAME, PARTITION_NAME, DATA_SIZE, MAX_CS, STORAGE_SIZE "
        f"FROM {_INFO}.partitions_meta ORDER BY MAX_CS DESC LIMIT 100000",
        "SELECT DB_NAME, TABLE_NAME, PARTITION_NAME, DATA_SIZE, MAX_CS "
        f"FROM {_INFO}.partitions_meta ORDER BY MAX_CS DESC LIMIT 100000",
    ),
    _ask("materialized_views", Every.SLOW, f"SELECT * FROM {_INFO}.materialized_views"),
    _ask(
        "task_runs",
        Every.SLOW,
        f"SELECT * FROM {_INFO}.task_runs WHERE FINISH_TIME >= '{{since}}' "
        "AND FINISH_TIME < '{until}' LIMIT 10000",
    ),
    _ask(
        "loads",
        Every.SLOW,
        "SELECT count(*) AS ENDED, count(CASE WHEN STATE = 'CANCELLED' THEN 1 END) AS CANCELLED, "
        f"coalesce(sum(FILTERED_ROWS), 0) AS FILTERED_ROWS FROM {_INFO}.loads "
        "WHERE LOAD_FINISH_TIME >= '{since}' AND LOAD_FINISH_TIME < '{until}'",
        "SELECT count(*) AS ENDED, count(CASE WHEN STATE = 'CANCELLED' THEN 1 END) AS CANCELLED "
        f"FROM {_INFO}.loads "
        "WHERE LOAD_FINISH_TIME >= '{since}' AND LOAD_FINISH_TIME < '{until}'",
    ),
    _ask(
        "open_loads",
        Every.SLOW,
        "SELECT count(*) AS UNDONE, count(CASE WHEN STATE IN "
        "('PENDING', 'BEGIN', 'QUEUEING', 'BEFORE_LOAD') THEN 1 END) AS WAITING "
        f"FROM {_INFO}.loads WHERE STATE NOT IN ('FINISHED', 'CANCELLED')",
    ),
    _ask("be_compactions", Every.SLOW, f"SELECT * FROM {_INFO}.be_compactions"),
    _ask(
        "be_configs",
        Every.SLOW,
        "SELECT NAME, count(DISTINCT VALUE) AS SPELLINGS, group_concat(DISTINCT VALUE) AS EACH "
        f"FROM {_INFO}.be_configs GROUP BY NAME HAVING count(DISTINCT VALUE) > 1",
    ),
    _ask("fe_configs", Every.SLOW, "ADMIN SHOW FRONTEND CONFIG", is_of_each=True),
    _ask("profiles", Every.SLOW, "SHOW PROFILELIST LIMIT 1000"),
    _ask(
        "latencies",
        Every.SLOW,
        "SELECT floor(ln(greatest(queryTime, 1)) / ln(1.0202)) AS BUCKET, "
        f"count(*) AS QUERIES FROM {_AUDIT} "
        "WHERE isQuery = 1 AND state = 'EOF' AND `user` <> '{user}' "
        "AND `timestamp` >= '{since}' AND `timestamp` < '{until}' GROUP BY BUCKET",
        is_stored=True,
    ),
    _ask(
        "slow_queries",
        Every.SLOW,
        "SELECT queryId, `timestamp`, `user`, db, feIp, state, queryTime, scanBytes, "
        "scanRows, returnRows, cpuCostNs, memCostBytes, digest, substr(stmt, 1, 2000) AS stmt "
        f"FROM {_AUDIT} "
        "WHERE isQuery = 1 AND `user` <> '{user}' AND queryTime >= {slow} "
        "AND `timestamp` >= '{since}' AND `timestamp` < '{until}' "
        "ORDER BY queryTime DESC LIMIT 200",
        is_stored=True,
    ),
    _ask(
        "fe_metrics",
        Every.INSTEAD,
        f"SELECT FE_ID, NAME, LABELS, VALUE FROM {_INFO}.fe_metrics WHERE NAME IN ({{wanted}})",
    ),
    _ask(
        "be_metrics",
        Every.INSTEAD,
        f"SELECT BE_ID, NAME, LABELS, VALUE FROM {_INFO}.be_metrics WHERE NAME IN ({{wanted}})",
    ),
)


class Across(StrEnum):
    """How the values of several series, nodes or rows become one."""

    SUM = "sum"
    MAX = "max"
    MEAN = "mean"
    COUNT = "count"  # of rows


class Place(NamedTuple):
    """Where a number is found.

    ``where`` is ``fe`` or ``be`` (a series in each such node's metrics; ``be`` are compute nodes,
    too) or the name of a query (a column of its rows). ``only`` are labels or columns that must
    have one of some values, ``but`` such that must not (no values: a label that must not be there
    at all). Numbers of queries are gauges.
    """

    where: str
    name: str
    across: Across = Across.SUM
    only: tuple[tuple[str, tuple[str, ...]], ...] = ()
    but: tuple[tuple[str, tuple[str, ...]], ...] = ()
    reads: str = "number"  # or size, percent: how a text of SHOW is written


class Metric(NamedTuple):
    """One column of ``metrics_snapshots``.

    A counter is kept as what it grew in the interval, added up over all nodes.
    """

    column: str
    is_counter: bool
    about: str
    unit: str
    places: tuple[Place, ...]

    @property
    def declared(self) -> Column:
        kind = Kind.REAL if self.unit in {"%", "ms"} else Kind.INTEGER
        return Column(
            self.column, kind, self.about, self.unit, nullable=True, summed=self.is_counter
        )


def _counter(column: str, about: str, name: str, unit: str = "", where: str = "fe") -> Metric:
    return Metric(column, True, about, unit, (Place(where, f"starrocks_{where}_{name}"),))


def _engine(column: str, about: str, kind: str, status: str) -> Metric:
    only = (("type", (kind,)), ("status", (status,)))
    place = Place("be", "starrocks_be_engine_requests_total", only=only)
    return Metric(column, True, about, "", (place,))


def _gauge(column: str, about: str, unit: str, *places: Place) -> Metric:
    return Metric(column, False, about, unit, places)


_ALIVE = (("Alive", ("true",)),)
_COUNTED = (("SystemDecommissioned", ("true",)),)  # such a node is on its way out
_NOT_LOOPBACK = (("device", ("lo",)),)

METRICS = (
    _counter("requests", "Statements of every kind", "request_total"),
    _counter("query_total", "Queries", "query_total"),
    _counter("query_success", "Queries that succeeded", "query_success"),
    _counter("query_error", "Queries that failed, for whatever reason", "query_err"),
    _counter("query_timeout", "Queries that took too long", "query_timeout"),
    _counter("query_internal_error", "Queries that the cluster failed", "query_internal_err"),
    _counter("query_analysis_error", "Queries that were written wrongly", "query_analysis_err"),
    _counter("slow_queries", "Queries beyond the cluster's own limit", "slow_query"),
    _counter("queue_timeout", "Queries that waited too long", "query_queue_timeout"),
    _counter("txn_begin", "Transactions begun", "txn_begin"),
    _counter("txn_success", "Transactions committed", "txn_success"),
    _counter("txn_failed", "Transactions failed", "txn_failed"),
    _counter("txn_reject", "Transactions rejected", "txn_reject"),
    _counter("load_add", "Loads submitted", "load_add"),
    _counter("load_finished", "Loads finished", "load_finished"),
    _counter("routine_load_rows", "Rows of routine loads", "routine_load_rows"),
    _counter("routine_load_bytes", "Routine loads received", "routine_load_receive_bytes", "bytes"),
    _counter("routine_load_errors", "Rows refused by routine loads", "routine_load_error_rows"),
    _counter("mv_refresh_success", "Refreshes that succeeded", "mv_refresh_total_success_jobs"),
    _counter("mv_refresh_failed", "Refreshes that failed", "mv_refresh_total_failed_jobs"),
    _engine("base_compactions", "Base compactions", "base_compaction", "total"),
    _engine("base_compactions_failed", "Such as failed", "base_compaction", "failed"),
    _engine("cumulative_compactions", "Cumulative compactions", "cumulative_compaction", "total"),
    _engine("cumulative_compactions_failed", "Such as failed", "cumulative_compaction", "failed"),
    _engine("schema_changes_failed", "Schema changes that failed", "schema_change", "failed"),
    _counter("load_rows", "Rows loaded", "load_rows", where="be"),
    _counter("load_bytes", "Loaded", "load_bytes", "bytes", where="be"),
    _counter("disk_read_bytes", "Read from disks", "disk_bytes_read", "bytes", "be"),
    _counter("disk_written_bytes", "Written to disks", "disk_bytes_written", "bytes", "be"),
    Metric(
        "network_sent_bytes", True, "Sent, but to itself", "bytes",
        (Place("be", "starrocks_be_network_send_bytes", but=_NOT_LOOPBACK),),
    ),
    Metric(
        "network_received_bytes", True, "Received, but from itself", "bytes",
        (Place("be", "starrocks_be_network_receive_bytes", but=_NOT_LOOPBACK),),
    ),
    _gauge(
        "disk_total_bytes", "Disks of the backends, of dead ones as last known", "bytes",
        Place("be", "starrocks_be_disks_total_capacity"),
        Place("backends", "TotalCapacity", but=_COUNTED, reads="size"),
    ),
    _gauge(
        "disk_free_bytes", "Of them free", "bytes",
        Place("be", "starrocks_be_disks_avail_capacity"),
        Place("backends", "AvailCapacity", but=_COUNTED, reads="size"),
    ),
    _gauge(
        "disk_data_bytes", "Of them taken by data", "bytes",
        Place("be", "starrocks_be_disks_data_used_capacity"),
        Place("backends", "DataUsedCapacity", but=_COUNTED, reads="size"),
    ),
    _gauge(
        "disk_max_pct", "Use of the fullest disk", "%",
        Place("backends", "MaxDiskUsedPct", Across.MAX, _ALIVE, _COUNTED, "percent"),
    ),
    _gauge(
        "table_bytes", "Data of all tables, all replicas", "bytes",
        Place("tables", "DATA_LENGTH"),
    ),
    _gauge("table_rows", "Rows of all tables", "", Place("tables", "TABLE_ROWS")),
    _gauge(
        "storage_bytes", "Objects of a shared-data cluster", "bytes",
        Place("partitions", "STORAGE_SIZE", reads="size"),
    ),
    _gauge(
        "databases", "Databases", "",
        Place("fe", "starrocks_fe_database_num", Across.MAX),
    ),
    _gauge(
        "tables", "Tables", "",
        Place("tables", "TABLE_NAME", Across.COUNT),
        Place("statistic", "TableNum", only=(("DbId", ("Total",)),)),
    ),
    _gauge("tablets", "Tablets", "", Place("statistic", "TabletNum", only=(("DbId", ("Total",)),))),
    _gauge(
        "replicas", "Replicas of tablets", "",
        Place("statistic", "ReplicaNum", only=(("DbId", ("Total",)),)),
        Place("backends", "TabletNum"),
    ),
    _gauge(
        "unhealthy_tablets", "Tablets with a replica that is missing or bad", "",
        Place("statistic", "UnhealthyTabletNum", only=(("DbId", ("Total",)),)),
    ),
    _gauge(
        "running_queries", "Queries that run", "",
        Place("running_queries", "ExecState", Across.COUNT, (("ExecState", ("RUNNING",)),)),
        Place("running_queries", "QueryId", Across.COUNT),
    ),
    _gauge(
        "pending_queries", "Queries that wait", "",
        Place("running_queries", "ExecState", Across.COUNT, (("ExecState", ("PENDING",)),)),
    ),
    _gauge(
        "connections", "Connections to all frontends", "",
        Place("fe", "starrocks_fe_connection_total", but=(("user", ()),)),
        Place("processlist", "Id", Across.COUNT),
    ),
    _gauge(
        "txn_running", "Transactions that run", "",
        Place("fe", "starrocks_fe_txn_running"),
        Place("transactions", "TXN_ID", Across.COUNT),
    ),
    _gauge(
        "txn_running_max", "The same, of the database with most", "",
        Place("fe", "starrocks_fe_txn_running", Across.MAX),
    ),
    _gauge(
        "mv_refresh_running", "Refreshes that run", "",
        Place("fe", "starrocks_fe_mv_refresh_running_jobs"),
    ),
    _gauge(
        "schema_changes_running", "Schema changes that run", "",
        Place(
            "fe", "starrocks_fe_job",
            only=(("job", ("alter",)), ("type", ("SCHEMA_CHANGE",)), ("state", ("running",))),
        ),
    ),
    _gauge(
        "routine_loads_running", "Routine loads that run", "",
        Place("routine_loads", "STATE", Across.COUNT, (("STATE", ("RUNNING",)),)),
        Place("fe", "starrocks_fe_routine_load_jobs", Across.MAX, (("state", ("RUNNING",)),)),
    ),
    _gauge(
        "routine_loads_stopped", "Routine loads that are paused or unstable", "",
        Place("routine_loads", "STATE", Across.COUNT, (("STATE", ("PAUSED", "UNSTABLE")),)),
        Place("fe", "starrocks_fe_routine_load_jobs", Across.MAX, (("state", ("PAUSED",)),)),
    ),
    _gauge(
        "routine_loads_waiting", "Routine loads that wait to be scheduled", "",
        Place("routine_loads", "STATE", Across.COUNT, (("STATE", ("NEED_SCHEDULE",)),)),
        Place("fe", "starrocks_fe_routine_load_jobs", Across.MAX, (("state", ("NEED_SCHEDULE",)),)),
    ),
    _gauge(
        "routine_load_lag", "Messages that the slowest routine load is behind", "",
        Place("fe", "starrocks_fe_routine_load_max_lag_of_partition", Across.MAX),
    ),
    _gauge(
        "compaction_score", "Highest score of a tablet, or of a partition in shared data", "",
        Place("fe", "starrocks_fe_max_tablet_compaction_score", Across.MAX),
        Place("be_compactions", "CANDIDATE_MAX_SCORE", Across.MAX),
        Place("partitions", "MAX_CS", Across.MAX),
    ),
    _gauge(
        "rowsets_max", "Rowsets of the tablet with most", "",
        Place("be", "starrocks_be_max_tablet_rowset_num", Across.MAX),
    ),
    _gauge(
        "meta_log_count", "Entries of the metadata log without a checkpoint", "",
        Place("fe", "starrocks_fe_meta_log_count", Across.MAX),
    ),
    _gauge("fe_threads_max", "Threads of the frontend with most", "",
        Place("fe", "jvm_thread", Across.MAX, (("type", ("count",)),)),
    ),
    _gauge("config_drift", "Settings that differ between backends", "",
        Place("be_configs", "NAME", Across.COUNT),
    ),
    _gauge("frontend_config_drift", "Settings that differ between frontends", "",
        Place("fe_configs", "NAME", Across.COUNT),
    ),
    _gauge("loads_ended", "Loads of every kind that ended in the last window of five minutes", "",
        Place("loads", "ENDED"),
    ),
    _gauge("loads_cancelled", "Of them cancelled, or failed", "", Place("loads", "CANCELLED")),
    _gauge("loads_filtered_rows", "Rows that they left out for their quality", "",
        Place("loads", "FILTERED_ROWS"),
    ),
    _gauge("loads_open", "Loads that have begun or wait", "", Place("open_loads", "UNDONE")),
    _gauge("loads_waiting", "Of them waiting", "", Place("open_loads", "WAITING")),
    _gauge("profiles", "Profiles of queries that the frontend that answers keeps", "",
        Place("profiles", "QueryId", Across.COUNT),
    ),
)  # fmt: skip

# Numbers that are not of one place: made from the others, from the nodes, or from the tick itself.
DERIVED = (
    Column("seconds", Kind.REAL, "Length of the interval the counters stand for", "s", True),
    Column("coverage", Kind.REAL, "Part of the frontends whose counters are in them", "", True),
    Column("resets", Kind.INTEGER, "Counters that began again at zero, by node", "", True),
    Column("is_leader_view", Kind.INTEGER, "1: the leader answered; 0: a follower", "", True),
    Column("is_shared_data", Kind.INTEGER, "1: data lies in object storage", "", True),
    Column("qps", Kind.REAL, "Queries a second", "1/s", True),
    Column("rps", Kind.REAL, "Statements a second", "1/s", True),
    Column("p50", Kind.REAL, "Median latency; NULL: see latency_histogram", "ms", True),
    Column("p90", Kind.REAL, "90th percentile; NULL: see latency_histogram", "ms", True),
    Column("p95", Kind.REAL, "95th percentile of the slowest frontend", "ms", True),
    Column("p99", Kind.REAL, "99th percentile of the slowest frontend", "ms", True),
    Column("disk_used_bytes", Kind.INTEGER, "Disks of the backends, not free", "bytes", True),
    Column("disk_used_pct", Kind.REAL, "The same in per cent", "%", True),
    Column("cpu_avg_pct", Kind.REAL, "CPU of the nodes that are alive", "%", True),
    Column("cpu_max_pct", Kind.REAL, "CPU of the busiest", "%", True),
    Column("mem_avg_pct", Kind.REAL, "Memory of the nodes that are alive", "%", True),
    Column("mem_max_pct", Kind.REAL, "Memory of the fullest", "%", True),
    Column("heap_max_pct", Kind.REAL, "Heap of the fullest frontend, of its limit", "%", True),
    Column("fe_total", Kind.INTEGER, "Frontends", "", True),
    Column("fe_alive", Kind.INTEGER, "Frontends that are alive", "", True),
    Column("be_total", Kind.INTEGER, "Backends, but decommissioned ones", "", True),
    Column("be_alive", Kind.INTEGER, "Of them alive", "", True),
    Column("cn_total", Kind.INTEGER, "Compute nodes, but decommissioned ones", "", True),
    Column("cn_alive", Kind.INTEGER, "Of them alive", "", True),
    Column("decommissioned", Kind.INTEGER, "Nodes that are being removed", "", True),
    Column("versions", Kind.INTEGER, "Distinct versions of the nodes", "", True),
    Column("journal_lag", Kind.INTEGER, "Entries the slowest frontend is behind", "", True),
)
