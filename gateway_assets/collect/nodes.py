"""The nodes of a cluster, as SHOW FRONTENDS, BACKENDS and COMPUTE NODES list them.

Columns are found by name in any case, because versions put new ones first, leave some out and
spell others differently (``location``; ``Host`` of Apache Doris).

A frontend is known by its name, which holds the moment it was added, a backend or a compute node
by its number. So a node that replaces another at the same address is a new one, and one whose
name gets another address stays the same.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway_assets.collect.observed import Node, Record
from gateway_assets.starrocks import formats

QUERY_OF = {"fe": "frontends", "be": "backends", "cn": "compute_nodes"}
_ID = {"be": "backendid", "cn": "computenodeid"}


class Listed(NamedTuple):
    """One row of SHOW, read. ``started`` and ``heartbeat`` are in the zone of the session."""

    node: Node
    node_id: str | None
    role: str | None
    is_up: bool
    is_decommissioned: bool
    version: str | None
    started: int | None
    heartbeat: int | None
    error: str | None
    row: Record  # by lower-case name


def nodes_of(answers: dict[str, list[Record]]) -> list[Node]:
    """All nodes that the answers name, alive or not."""
    return [each.node for each in listed(answers)]


def listed(answers: dict[str, list[Record]]) -> list[Listed]:
    """The nodes with what SHOW says of them, frontends first; each once."""
    found: dict[str, Listed] = {}
    for kind, query in QUERY_OF.items():
        for record in answers.get(query, []):
            each = _read(kind, {name.lower(): text for name, text in record.items()})
            if each:
                found.setdefault(each.node.key, each)
    return list(found.values())


def kinds_listed(answers: dict[str, list[Record]]) -> set[str]:
    """Kinds of nodes of which the answers tell all that there are.

    There is always a frontend, so a list without one says nothing.
    """
    kinds = {kind for kind, query in QUERY_OF.items() if query in answers}
    return kinds if answers.get("frontends") else kinds - {"fe"}


def leader_of(nodes: list[Listed]) -> Listed | None:
    """The frontend that leads, if the list names one that is alive."""
    return next((each for each in nodes if each.role == "LEADER" and each.is_up), None)


def cluster_id(nodes: list[Listed]) -> int | None:
    """The number that a cluster gives itself when it is made; every frontend shows the same."""
    numbers = (formats.whole(each.row.get("clusterid")) for each in nodes)
    return next((number for number in numbers if number is not None and number > 0), None)


def is_shared_data(answers: dict[str, list[Record]]) -> bool | None:
    """Whether data lies in object storage: only then have nodes workers. None without nodes."""
    rows = [*answers.get("backends", []), *answers.get("compute_nodes", [])]
    if not rows:
        return None
    return any(name.lower() in {"starletport", "workerid"} for row in rows for name in row)


def _read(kind: str, row: Record) -> Listed | None:
    def get(*names: str) -> str | None:
        return next((text for name in names if (text := formats.known(row.get(name)))), None)

    host = get("ip", "host", "hostname")
    if host is None:
        return None
    port = get("editlogport") if kind == "fe" else get("heartbeatport")
    address = f"{host}:{port or 0}"
    node_id = get("name") if kind == "fe" else get(_ID[kind])
    node = Node(
        kind,
        f"{kind}:{node_id or address}",
        address,
        host,
        _port(get("httpport")),
    )
    return Listed(
        node,
        node_id,
        _role(get("role"), get("ismaster")) if kind == "fe" else None,
        formats.flag(get("alive")) is True,
        any(formats.flag(get(name)) for name in ("systemdecommissioned", "clusterdecommissioned")),
        get("version"),
        formats.moment(get("starttime", "laststarttime")),
        formats.moment(get("lastheartbeat")),
        get("errmsg"),
        row,
    )


def _role(role: str | None, is_master: str | None) -> str | None:
    """Until 2.4 the leader is a FOLLOWER with IsMaster."""
    if formats.flag(is_master):
        return "LEADER"
    return role.upper() if role else None


def _port(text: str | None) -> int:
    port = formats.whole(text)
    return port if port is not None and 0 < port < 2**16 else 0
