"""Answers of SHOW, with the columns of the answering frontend's version and mode.

Column sets: BackendsProcDir.java, ComputeNodeProcDir.java, FrontendsProcNode.java of StarRocks and
the documents of SHOW. A follower that does not forward answers with its own view: who is alive it
knows, but CPU, memory, caches and capacities are not.
"""

from __future__ import annotations

import json
from datetime import UTC
from typing import NamedTuple

from gateway_assets.clock import SECOND
from gateway_assets.simulated.model import (
    BE_PORT,
    BRPC_PORT,
    EDIT_LOG_PORT,
    HEARTBEAT_PORT,
    RPC_PORT,
    STARLET_PORT,
    Frontend,
    Query,
    Worker,
    World,
)
from gateway_assets.simulated.mysql import Result, Session, SqlError, Value
from gateway_assets.simulated.series import Version
from gateway_assets.simulated.texts import moment, percent, short_size, size, zone_of

Record = dict[str, Value]
_DEAD = "java.net.ConnectException: Connection refused (Connection refused)"


class View(NamedTuple):
    """Through whose eyes the world is seen. ``by`` asked; ``owner`` knows."""

    world: World
    by: Frontend
    owner: Frontend
    session: Session
    comma: bool

    @property
    def release(self) -> Version:
        return self.owner.release

    @property
    def is_leaders(self) -> bool:
        return self.owner.is_leader

    def moment(self, time: int) -> str:
        return moment(time, zone_of(self.session.time_zone) or UTC)

    def size(self, value: float) -> str:
        return size(value, comma=self.comma, byte="" if self.release < (2, 5) else "B")

    def percent(self, value: float, digits: int = 2) -> str:
        return percent(value, digits, comma=self.comma)


def _table(columns: list[str], records: list[Record]) -> Result:
    return Result(tuple(columns), [tuple(one[name] for name in columns) for one in records])


# frontends ----------------------------------------------------------------------------------------


def frontends(view: View) -> Result:
    release = view.release
    columns = ["Id"] if release >= (4, 1) else []
    columns += ["Name", "IP"]
    columns += ["HostName"] if release < (2, 5) else []
    columns += ["EditLogPort", "HttpPort", "QueryPort", "RpcPort", "Role"]
    columns += ["IsMaster"] if release < (2, 5) else []
    columns += ["ClusterId", "Join", "Alive", "ReplayedJournalId", "LastHeartbeat", "IsHelper"]
    columns += ["ErrMsg", "StartTime", "Version"]
    return _table(columns, [_frontend(view, fe) for fe in view.world.frontends])


def _frontend(view: View, fe: Frontend) -> Record:
    alive, own = fe.is_alive, view.is_leaders or fe is view.by
    old = view.release < (2, 5)
    leads = "FOLLOWER" if old else "LEADER"
    return {
        "Id": fe.id,
        "Name": fe.name,
        "IP": fe.host,
        "HostName": fe.host,
        "EditLogPort": EDIT_LOG_PORT,
        "HttpPort": view.by.http_port,
        "QueryPort": fe.query_port if alive else 0,
        "RpcPort": RPC_PORT if alive else 0,
        "Role": leads if fe.is_leader else "FOLLOWER",
        "IsMaster": _bool(fe.is_leader),
        "ClusterId": view.world.cluster_id,
        "Join": _bool(alive),
        "Alive": _bool(alive),
        "ReplayedJournalId": fe.journal if alive else 0,
        "LastHeartbeat": view.moment(fe.heartbeat) if alive and own else None,
        "IsHelper": "true",
        "ErrMsg": "" if alive else "got exception",
        "StartTime": view.moment(fe.started + fe.skew) if alive and own else None,
        "Version": fe.full_version if alive else None,
    }


# backends and compute nodes -----------------------------------------------------------------------


def backends(view: View) -> Result:
    release = view.release
    columns = ["BackendId"]
    columns += ["Cluster"] if release < (2, 4) else []
    columns += ["IP"]
    columns += ["HostName"] if release < (2, 4) else []
    columns += ["HeartbeatPort", "BePort", "HttpPort", "BrpcPort", "LastStartTime"]
    columns += ["LastHeartbeat", "Alive", "SystemDecommissioned", "ClusterDecommissioned"]
    columns += ["TabletNum", "DataUsedCapacity", "AvailCapacity", "TotalCapacity", "UsedPct"]
    columns += ["MaxDiskUsedPct", "ErrMsg", "Version", "Status", "DataTotalCapacity", "DataUsedPct"]
    columns += ["CpuCores"] if release >= (2, 4) else []
    columns += ["MemLimit"] if release >= (3, 3) else []
    columns += ["NumRunningQueries", "MemUsedPct", "CpuUsedPct"] if release >= (2, 5) else []
    if release >= (3, 2):
        columns += ["DataCacheMetrics", "Location" if release >= (3, 3) else "location"]
    columns += ["StatusCode"] if release >= (3, 4) else []
    columns += _shared_columns(view)
    return _table(columns, [_backend(view, node) for node in view.world.backends])


def compute_nodes(view: View) -> Result:
    release = view.release
    columns = ["ComputeNodeId", "IP", "HeartbeatPort", "BePort", "HttpPort", "BrpcPort"]
    columns += ["LastStartTime", "LastHeartbeat", "Alive", "SystemDecommissioned"]
    columns += ["ClusterDecommissioned", "ErrMsg", "Version", "CpuCores"]
    columns += ["MemLimit"] if release >= (3, 3) else []
    columns += ["NumRunningQueries", "MemUsedPct", "CpuUsedPct"]
    columns += ["DataCacheMetrics"] if release >= (3, 2) else []
    columns += ["HasStoragePath"] if release >= (3, 2) else []
    columns += ["StatusCode"] if release >= (3, 4) else []
    columns += _shared_columns(view)
    columns += ["TabletNum"] if view.world.shared_data else []
    return _table(columns, [_worker(view, node) for node in view.world.compute_nodes])


def _shared_columns(view: View) -> list[str]:
    if not view.world.shared_data:
        return []
    return ["StarletPort", "WorkerId", *(["WarehouseName"] if view.release >= (3, 3) else [])]


def _worker(view: View, node: Worker) -> Record:
    knows = view.is_leaders and node.has_reported
    cache = f"Status: Normal, DiskUsage: {short_size(node.cache_used)}/"
    cache += f"{short_size(node.cache_total)}, MemUsage: 0B/0B"
    limit = size(node.mem_limit, comma=view.comma, space="")
    return {
        "ComputeNodeId": node.id,
        "BackendId": node.id,
        "Cluster": "default_cluster",
        "IP": node.host,
        "HostName": node.host,
        "HeartbeatPort": HEARTBEAT_PORT,
        "BePort": BE_PORT,
        "HttpPort": node.http_port,
        "BrpcPort": BRPC_PORT,
        "LastStartTime": view.moment(node.started + node.skew),
        "LastHeartbeat": view.moment(node.heartbeat),
        "Alive": _bool(node.is_alive),
        "SystemDecommissioned": _bool(node.is_decommissioned),
        "ClusterDecommissioned": "false",
        "ErrMsg": "" if node.is_alive else _DEAD,
        "Version": node.full_version,
        "CpuCores": node.cores,
        "MemLimit": limit if knows else size(0, space="", comma=view.comma),
        "NumRunningQueries": node.running if knows else 0,
        "MemUsedPct": view.percent(node.mem_pct if knows else 0),
        "CpuUsedPct": view.percent(node.cpu_pct if knows else 0, 1),
        "DataCacheMetrics": cache if knows else "N/A",
        "HasStoragePath": "true",
        "StatusCode": "OK" if node.is_alive else "DISCONNECTED",
        "StarletPort": STARLET_PORT,
        "WorkerId": node.id - 10_000,
        "WarehouseName": "default_warehouse",
        "TabletNum": node.tablets,
        "Location": "",
        "location": "",
    }


def _backend(view: View, node: Worker) -> Record:
    total = sum(disk.total for disk in node.disks)
    free = sum(disk.free for disk in node.disks)
    data = sum(disk.data for disk in node.disks)
    fullest = max((1 - disk.free / disk.total for disk in node.disks), default=0.0)
    if not node.has_reported:
        total, free, data, fullest = 0, 1, 0, 0.0  # what a frontend believes of a new node
    report = node.heartbeat - node.heartbeat % (60 * SECOND)
    when = view.moment(report) if node.has_reported and not view.world.shared_data else "N/A"
    status = {"lastSuccessReportTabletsTime": when}
    return _worker(view, node) | {
        "TabletNum": 0 if view.world.shared_data else node.tablets,
        "DataUsedCapacity": view.size(data),
        "AvailCapacity": view.size(free),
        "TotalCapacity": view.size(total),
        "UsedPct": view.percent(100 * (total - free) / total if total else 0),
        "MaxDiskUsedPct": view.percent(100 * fullest),
        "Status": json.dumps(status, separators=(",", ":")),
        "DataTotalCapacity": view.size(data + free),
        "DataUsedPct": view.percent(100 * data / (data + free) if data + free else 0),
    }


# sessions and queries -----------------------------------------------------------------------------


def processlist(view: View, statement: str) -> Result:
    """Sessions of the asked frontend only."""
    release = view.release
    columns = ["ServerName"] if release >= (4, 0) else []
    columns += ["Id", "User", "Host", "Db", "Command", "ConnectionStartTime", "Time", "State"]
    columns += ["Info"]
    columns += ["IsPending"] if release >= (2, 5) else []
    columns += ["Warehouse"] if release >= (3, 0) else []
    columns += ["CNGroup", "Catalog", "QueryId"] if release >= (4, 0) else []
    session, fe = view.session, view.by
    own = _sitting(view, session.number, "monitor", session.peer, "Query", statement)
    sleeping = [
        _sitting(view, 90_000 + n, "app", f"10.9.0.{n % 250 + 1}:{40_000 + n}", "Sleep", "")
        for n in range(fe.connections)
    ]
    return _table(columns, [own, *sleeping])


def _sitting(view: View, number: int, user: str, peer: str, command: str, info: str) -> Record:
    return {
        "ServerName": view.by.host,
        "Id": number,
        "User": user,
        "Host": peer,
        "Db": view.session.database if command == "Query" else "sales",
        "Command": command,
        "ConnectionStartTime": view.moment(view.by.started),
        "Time": 0 if command == "Query" else 7,
        "State": "OK" if command == "Query" else "",
        "Info": info,
        "IsPending": "false",
        "Warehouse": "default_warehouse",
        "CNGroup": "",
        "Catalog": "default_catalog",
        "QueryId": "",
    }


def global_queries(view: View) -> Result:
    """``SHOW PROC '/global_current_queries'``, of all frontends."""
    if view.release < (3, 3):
        raise no_proc("/global_current_queries")
    return _running(view, [fe for fe in view.world.frontends if fe.is_alive])


def current_queries(view: View) -> Result:
    """``SHOW PROC '/current_queries'``, of one frontend."""
    if view.release >= (3, 3):
        return _running(view, [view.by])
    columns = ["QueryId", "ConnectionId", "Database", "User", "ScanBytes", "ProcessRows"]
    columns += ["CPUCostSeconds", "MemoryUsageBytes", "ExecTime"]
    return _table(columns, [_old_query(view, query) for query in view.by.running])


def _running(view: View, frontends: list[Frontend]) -> Result:
    columns = ["StartTime", "feIp", "QueryId", "ConnectionId", "Database", "User", "ScanBytes"]
    columns += ["ScanRows", "MemoryUsage", "DiskSpillSize", "CPUTime", "ExecTime", "ExecState"]
    columns += ["Warehouse", "CustomQueryId", "ResourceGroup"]
    columns += ["QueryType"] if view.release >= (4, 0) else []
    return _table(columns, [_query(view, query) for fe in frontends for query in fe.running])


def query_id(number: int) -> str:
    """A number as the identifier of a query."""
    return f"{number:08x}-fab4-11ef-8063-{number:012x}"


def _query(view: View, query: Query) -> Record:
    seconds = query.milliseconds / 1000
    return {
        "StartTime": view.moment(query.time),
        "feIp": query.frontend,
        "QueryId": query_id(query.number),
        "ConnectionId": query.number % 100_000,
        "Database": query.database,
        "User": query.user,
        "ScanBytes": view.size(query.milliseconds * 40_000),
        "ScanRows": f"{query.milliseconds * 2_000} rows",
        "MemoryUsage": view.size(query.milliseconds * 100_000),
        "DiskSpillSize": view.size(0),
        "CPUTime": f"{seconds * 8:.3f} s",
        "ExecTime": f"{seconds:.3f} s",
        "ExecState": "RUNNING",
        "Warehouse": "default_warehouse",
        "CustomQueryId": "",
        "ResourceGroup": "default_wg",
        "QueryType": "Query",
    }


def _old_query(view: View, query: Query) -> Record:
    now = _query(view, query)
    return now | {
        "ProcessRows": f"{query.milliseconds * 2_000} Rows",
        "CPUCostSeconds": f"{query.milliseconds / 125:.2f} Seconds",
        "MemoryUsageBytes": now["MemoryUsage"],
        "ExecTime": query.milliseconds,
    }


# what the leader counts ---------------------------------------------------------------------------

_STATISTIC = (
    "DbId", "DbName", "TableNum", "PartitionNum", "IndexNum", "TabletNum", "ReplicaNum",
    "UnhealthyTabletNum", "InconsistentTabletNum", "CloningTabletNum", "ErrorStateTabletNum",
)  # fmt: skip


def statistic(view: View) -> Result:
    """``SHOW PROC '/statistic'``; a follower's lags behind, so it knows of fewer tablets."""
    world = view.world
    copies = 1 if world.shared_data else min(3, max(len(world.backends), 1))
    prefix = "default_cluster:" if view.release < (2, 5) else ""
    names = world.databases()
    replicas = sum(node.tablets for node in world.workers)
    tablets = replicas // copies - (0 if view.is_leaders else 17)
    rows: list[tuple[Value, ...]] = []
    for at, name in enumerate(names):
        tables = [table for table in world.tables if table.database == name]
        part = tablets // len(names) + (tablets % len(names) if at == 0 else 0)
        many = replicas // len(names) + (replicas % len(names) if at == 0 else 0)
        bad = world.unhealthy if at == 0 else 0
        counts = len(tables), len(tables), len(tables), part, many, bad, 0, 0, 0
        rows.append((10_002 + at, prefix + name, *counts))
    total = [sum(int(row[at] or 0) for row in rows) for at in range(2, len(_STATISTIC))]
    return Result(_STATISTIC, [*rows, ("Total", len(names), *total)])


def profiles(view: View) -> Result:
    """``SHOW PROFILELIST``: nobody has switched profiles on."""
    if view.release < (3, 1):
        raise syntax_error("SHOW PROFILELIST")
    return Result(("QueryId", "StartTime", "Time", "State", "Statement"), [])


def node_list(view: View, path: str) -> Result:
    """``SHOW PROC`` of nodes and of what else is asked by path."""
    answers = {
        "/frontends": frontends,
        "/backends": backends,
        "/global_current_queries": global_queries,
        "/current_queries": current_queries,
        "/statistic": statistic,
    }
    if path == "/compute_nodes" and view.release >= (2, 4):
        return compute_nodes(view)
    if path not in answers:
        raise no_proc(path)
    return answers[path](view)


def no_proc(path: str) -> SqlError:
    return SqlError(1064, f"Getting analyzing error. Detail message: Proc path '{path}' not found.")


def syntax_error(statement: str) -> SqlError:
    near = statement.split()[1] if len(statement.split()) > 1 else statement
    text = "Getting syntax error at line 1, column 5. Detail message: "
    return SqlError(1064, f"{text}Unexpected input '{near}', the most similar input is {{}}.")


def _bool(value: bool) -> str:
    return "true" if value else "false"
