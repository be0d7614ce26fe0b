"""Names of the series that nodes expose, as StarRocks writes them (MetricRepo.java and
starrocks_metrics.cpp), with the help texts of frontends.

A counter's key is the very text that stands before its value on the page.
"""

from __future__ import annotations

Version = tuple[int, ...]

FE = "starrocks_fe_"
BE = "starrocks_be_"

_FE_COUNTERS = {
    "request_total": "total request",
    "query_total": "total query",
    "query_err": "total error query",
    "query_internal_err": "total internal error query",
    "query_analysis_err": "total analysis error query",
    "query_timeout": "total timeout query",
    "query_success": "total success query",
    "slow_query": "total slow query",
    "query_queue_timeout": "total query for timeout when pending in queue",
    "load_add": "total load submit",
    "routine_load_paused": "counter of routine load paused",
    "load_finished": "total load finished",
    "edit_log_write": "counter of edit log write into bdbje",
    "txn_reject": "counter of rejected transactions",
    "txn_begin": "counter of begining transactions",
    "txn_success": "counter of success transactions",
    "txn_failed": "counter of failed transactions",
    "routine_load_rows": "total rows of routine load",
    "routine_load_receive_bytes": "total received bytes of routine load",
    "routine_load_error_rows": "total error rows of routine load",
}
_SPLIT_ERRORS = {"query_internal_err", "query_analysis_err"}
_SPLIT_SINCE = {(3, 1): 15, (3, 2): 11, (3, 3): 3}  # patch releases of these branches
_QUEUES = {"query_queue_timeout"}

ENGINE_TYPES = (
    "base_compaction",
    "clone",
    "create_tablet",
    "cumulative_compaction",
    "publish",
    "schema_change",
    "update_compaction",
)
CPU_MODES = (
    "guest", "guest_nice", "idle", "iowait", "irq", "nice", "soft_irq", "steal", "system", "user",
)  # fmt: skip
LOAD_TYPES = ("HADOOP", "SPARK", "BROKER", "INSERT", "INSERT_LOAD", "DELETE")
LOAD_STATES = (
    "UNKNOWN", "PENDING", "ETL", "LOADING", "COMMITTED", "FINISHED", "CANCELLED", "QUEUEING",
    "PREPARED",
)  # fmt: skip
ROUTINE_STATES = ("NEED_SCHEDULE", "RUNNING", "PAUSED", "STOPPED", "CANCELLED", "UNSTABLE")

VIEW_COUNTERS = ("mv_refresh_jobs", "mv_refresh_total_success_jobs", "mv_refresh_total_failed_jobs")


def parse_version(text: str) -> Version:
    """``3.3.10`` as (3, 3, 10). Raises ValueError for what does not begin with a number."""
    return tuple(int(part) for part in text.split("-", maxsplit=1)[0].split("."))


def has_split_errors(version: Version) -> bool:
    """Whether a version tells errors of the cluster from those of its users."""
    branch = version[:2]
    patch = version[2] if len(version) > 2 else 0
    return patch >= _SPLIT_SINCE[branch] if branch in _SPLIT_SINCE else branch > (3, 3)


def fe_counters(version: Version) -> dict[str, str]:
    """Counters of a frontend, with their help texts, in the order of the page."""
    missing = set() if has_split_errors(version) else set(_SPLIT_ERRORS)
    missing |= _QUEUES if version < (2, 5) else set()
    return {FE + name: about for name, about in _FE_COUNTERS.items() if name not in missing}


def engine(kind: str, status: str) -> str:
    return f'{BE}engine_requests_total{{status="{status}",type="{kind}"}}'


def be(name: str, **labels: str) -> str:
    """A series of a backend: labels sorted, joined without a space."""
    text = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
    return f"{BE}{name}{{{text}}}" if text else BE + name


def be_counters() -> list[str]:
    """Counters of a backend or compute node, families together."""
    return [
        *(be("cpu", mode=mode) for mode in CPU_MODES),
        *(engine(kind, status) for kind in ENGINE_TYPES for status in ("failed", "total")),
        *(be("compaction_bytes_total", type=kind) for kind in ("base", "cumulative", "update")),
        *host_counters(),
        *(be("stream_load", type=kind) for kind in ("load_rows", "receive_bytes")),
        be("load_rows"),
        be("load_bytes"),
        be("query_scan_bytes"),
        be("query_scan_rows"),
    ]


def host_counters() -> list[str]:
    """What a backend passes on of its host's network and disks."""
    return [
        *(be("network_receive_bytes", device=device) for device in ("eth0", "lo")),
        *(be("network_send_bytes", device=device) for device in ("eth0", "lo")),
        be("disk_bytes_read", device="nvme0n1"),
        be("disk_bytes_written", device="nvme0n1"),
    ]


def view_series(name: str, database: str, view: str, view_id: int) -> str:
    """A series of a materialized view; labels of frontends are joined with a space."""
    return f'{FE}{name}{{db_name="{database}", mv_name="{view}", mv_id="{view_id}"}}'
