"""What is worth an alert: the rules of StarRocks' own documents as data, with times to settle.

A rule looks at one number of each row, in the rows' own time. It fires when the number has been
above ``fires`` for ``seconds``, and is over when it is at or below ``clears``, which lies apart so
that a number at the limit does not flap. Unknown (NULL) changes nothing, for 15 minutes at most.
"""

from __future__ import annotations

from typing import NamedTuple


class Rule(NamedTuple):
    """``value`` is SQL over a row of ``table``; ``key`` names what it is about, if not the cluster.

    What it is about is no longer spoken of when it has had no row for ``known`` seconds.

    Limits are those of https://docs.starrocks.io/docs/administration/management/monitoring/alert/
    where that page has one.
    """

    name: str
    severity: str  # error or warn
    table: str
    value: str
    fires: float
    clears: float
    seconds: int
    about: str
    advice: str
    key: str = "NULL"
    known: int = 2 * 3600


def _error(name: str, value: str, fires: float, clears: float, seconds: int, about: str,
           advice: str) -> Rule:  # fmt: skip
    return Rule(name, "error", "metrics_snapshots", value, fires, clears, seconds, about, advice)


def _warn(name: str, value: str, fires: float, clears: float, seconds: int, about: str,
          advice: str) -> Rule:  # fmt: skip
    return Rule(name, "warn", "metrics_snapshots", value, fires, clears, seconds, about, advice)


def _of_minutes(figure: str, since: int, until: int) -> str:
    """A figure of the cluster's rows from so many minutes before a row until so many before it."""
    return (
        f"{figure} OVER (PARTITION BY cluster ORDER BY time RANGE BETWEEN "
        f"INTERVAL {since} MINUTE PRECEDING AND INTERVAL {until} MINUTE PRECEDING)"
    )


def _a_minute(what: str) -> str:
    """A count a minute over the last 5 minutes; a tick in which it is not known has none.

    Counts come in lumps: tick by tick they would be above any limit and below it in turns. Less
    than 5 minutes, as after a start, is not taken for their mean.
    """
    counted = _of_minutes(f"sum({what})", 5, 0)
    seconds = _of_minutes(f"sum(seconds) FILTER (WHERE ({what}) IS NOT NULL)", 5, 0)
    return f"{counted} * 60 / greatest({seconds}, 300)"


def _beside_the_hour(column: str, least: float) -> str:
    """A number as a multiple of its mean from 70 to 10 minutes ago, 0 while it is small.

    Unknown where less than 20 values of that hour are known: some are asked for every two minutes.
    Where intervals are longer it is as many as 40 minutes give.
    """
    before = _of_minutes(f"avg({column})", 70, 10)
    known = _of_minutes(f"count({column})", 70, 10)
    interval = _of_minutes("max(seconds)", 70, 10)
    return (
        f"CASE WHEN {column} < {least} THEN 0 "
        f"WHEN {known} >= least(20, 2400 / {interval}) THEN {column} / nullif({before}, 0) END"
    )


def _enough(count: int) -> str:
    """From how many on a share tells something; in intervals below 30 seconds there are fewer."""
    return f"least({count}, {count} * seconds / 30)"


_MINUTE = 60

RULES = (
    Rule(
        "cluster_unreachable", "error", "collection_ticks",
        "CASE status WHEN 'failed' THEN 1 ELSE 0 END", 0, 0, 90,
        "No frontend answers",
        "ask by hand: gateway collect --check; then look at the frontends' fe.log",
    ),
    Rule(
        "node_down", "error", "node_samples",
        "CASE WHEN is_decommissioned = 1 THEN 0 ELSE 1 - is_up END", 0, 0, 0,
        "A node is down, or is no longer listed",
        "look at its fe.out, be.out or cn.out, then at the kernel's log for the OOM killer; "
        "a node that is to go is decommissioned first",
        "kind || ' ' || node",
    ),
    _error(
        "frontend_down", "fe_total - fe_alive", 0, 0, _MINUTE, "A frontend is down",
        "the cluster needs most of its followers to have a leader: start it again",
    ),
    _error(
        "backend_down", "be_total - be_alive", 0, 0, _MINUTE, "A backend is down",
        "start it again; its tablets are copied elsewhere after a while, which costs disk",
    ),
    _error(
        "compute_node_down", "cn_total - cn_alive", 0, 0, _MINUTE, "A compute node is down",
        "start it again, or drop it",
    ),
    _error(
        "no_leader_view", "1 - is_leader_view", 0, 0, 2 * _MINUTE,
        "Only a follower answers: no leader, or none that can be reached",
        "SHOW FRONTENDS on each frontend; figures of nodes are unknown until the leader answers",
    ),
    _warn(
        "cpu_high", "cpu_max_pct", 90, 80, 5 * _MINUTE, "A node's CPU is above 90 %",
        "gateway clusters slow shows who asks for most; limit it by a resource group",
    ),
    _warn(
        "memory_high", "mem_max_pct", 90, 85, 5 * _MINUTE, "A node's memory is above 90 %",
        "look for the largest queries (gateway clusters running), and at mem_limit",
    ),
    _error(
        # The disks of a shared-data cluster are a cache, which is meant to be full.
        "disk_full", "CASE WHEN is_shared_data = 1 THEN 0 ELSE disk_max_pct END", 90, 85,
        5 * _MINUTE, "A disk is more than 90 % full",
        "drop partitions (space comes back when the trash is emptied, a day later) or add disks",
    ),
    _error(
        "heap_high", "heap_max_pct", 90, 80, 5 * _MINUTE, "A frontend's heap is above 90 %",
        "raise -Xmx in fe.conf, or have fewer tablets, loads and connections",
    ),
    _warn(
        "threads_high", "fe_threads_max", 3000, 2500, 5 * _MINUTE,
        "A frontend has more than 3,000 threads",
        "look for connections that are never closed, and for loads that pile up",
    ),
    _warn(
        "compaction_behind", "compaction_score", 100, 80, 5 * _MINUTE,
        "Compaction is behind: score above 100",
        "load in larger batches, less often; then more compaction threads",
    ),
    _warn(
        "too_many_rowsets", "rowsets_max", 700, 600, 5 * _MINUTE, "A tablet has over 700 rowsets",
        "load in larger batches: at 1,000 loads into that tablet are refused",
    ),
    _warn(
        "compactions_fail",
        _a_minute(
            "coalesce(base_compactions_failed + cumulative_compactions_failed, "
            "base_compactions_failed, cumulative_compactions_failed)"
        ), 3, 0, 0,
        "More than 3 compactions a minute fail",
        "look into be.WARNING for the tablet; a bad replica is repaired with ADMIN SET REPLICA",
    ),
    _warn(
        "meta_log_long", "meta_log_count", 100_000, 90_000, 10 * _MINUTE,
        "The metadata log has over 100,000 entries: no checkpoint is made",
        "look into the leader's fe.log for the checkpoint; its heap may be too small for it",
    ),
    _warn(
        "journal_lags", "journal_lag", 10_000, 1_000, 2 * _MINUTE,
        "A frontend is over 10,000 journal entries behind",
        "it answers with old metadata: look at its fe.log, disk and network",
    ),
    _warn(
        "transactions_fail",
        f"CASE WHEN txn_failed < {_enough(5)} THEN 0 ELSE txn_failed * 100.0 "
        "/ nullif(txn_failed + txn_success, 0) END", 5, 1, 2 * _MINUTE,
        "More than 5 % of the transactions fail", "SHOW LOAD and the leader's fe.log say why",
    ),
    _error(
        "transactions_pile_up", "txn_running_max", 900, 800, _MINUTE,
        "A database has over 900 transactions: at 1,000 loads are refused",
        "load in larger batches, less often",
    ),
    _warn(
        "routine_load_lags", "routine_load_lag", 300_000, 100_000, 5 * _MINUTE,
        "A routine load is over 300,000 messages behind",
        "gateway clusters loads; more tasks (desired_concurrent_number) or larger ones",
    ),
    _warn(
        "routine_load_stopped", "routine_loads_stopped", 0, 0, _MINUTE,
        "A routine load is paused or unstable",
        "gateway clusters loads says why; RESUME ROUTINE LOAD when that is mended",
    ),
    _warn(
        "routine_loads_wait", "routine_loads_waiting", 3, 0, 5 * _MINUTE,
        "More than 3 routine loads wait to be scheduled", "look at the leader's fe.log",
    ),
    _error(
        "slow_p95", "p95", 5_000, 4_000, 2 * _MINUTE, "95th percentile of latency above 5 s",
        "gateway clusters slow; and gateway clusters latency for the true percentiles",
    ),
    _error(
        "internal_errors", _a_minute("query_internal_error"), 10, 5, 0,
        "More than 10 queries a minute fail by the cluster's own fault",
        "fe.audit.log and be.WARNING at that time; a node may be short of memory",
    ),
    _warn(
        "error_rate",
        f"CASE WHEN query_total < {_enough(20)} THEN 0 "
        "ELSE query_error * 100.0 / nullif(query_total, 0) END", 10, 5,
        5 * _MINUTE, "More than 10 % of the queries fail",
        "most are people's own (query_analysis_error); if not, see internal_errors",
    ),
    _warn(
        "queries_doubled", _beside_the_hour("qps", 5), 2, 1.5, 5 * _MINUTE,
        "Twice as many queries as in the hour before", "gateway clusters history qps",
    ),
    _warn(
        "connections_doubled", _beside_the_hour("connections", 50), 2, 1.5, 5 * _MINUTE,
        "Twice as many connections as in the hour before", "SHOW PROCESSLIST says whose they are",
    ),
    _warn(
        "schema_changes_fail", _a_minute("schema_changes_failed"), 1, 0, 0,
        "More than one schema change a minute fails", "SHOW ALTER TABLE COLUMN says why",
    ),
    _warn(
        "views_fail", _of_minutes("sum(mv_refresh_failed)", 5, 0), 0, 0, 0,
        "A materialized view could not be refreshed in the last 5 minutes",
        "gateway clusters views says which and why",
    ),
    Rule(
        "view_not_refreshed", "warn", "job_samples",
        "CASE WHEN kind <> 'materialized_view' THEN NULL WHEN is_active = 0 THEN 1 "
        "WHEN state IN ('FAILED', 'FAILURE') THEN 1 "
        "WHEN state NOT IN ('PENDING', 'RUNNING') THEN 0 "
        "WHEN is_active = 1 AND state IS NULL THEN 0 END", 0, 0, 0,
        "A materialized view is inactive, or its last refresh failed",
        "gateway clusters views says why; ALTER MATERIALIZED VIEW … ACTIVE when that is mended",
        "name", known=1800,
    ),
    _warn(
        "unhealthy_tablets", "unhealthy_tablets", 0, 0, 30 * _MINUTE,
        "Tablets lack a good replica for half an hour",
        "SHOW PROC '/statistic' says in which database; wait for clones, or add a backend",
    ),
    _warn(
        "versions_differ", "versions", 1, 1, 6 * 3600, "Nodes run different versions for 6 hours",
        "finish the upgrade",
    ),
    _warn(
        "settings_differ", "greatest(config_drift, frontend_config_drift)", 0, 0, 15 * _MINUTE,
        "Backends, or frontends, have different settings",
        "information_schema.be_configs, or ADMIN SHOW FRONTEND CONFIG on each frontend, says "
        "which; set them alike in be.conf or fe.conf",
    ),
)  # fmt: skip
