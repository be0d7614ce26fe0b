"""Clients of a simulated cluster: PyMySQL and http.client, as others would use them."""

from __future__ import annotations

import base64
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import pymysql
from pymysql.connections import Connection
from pymysql.cursors import DictCursor

from gateway_assets.simulated.cluster import SimulatedCluster
from gateway_assets.simulated.model import Frontend, Node

SECONDS = 10  # nothing here takes so long; a test that hangs must end


def connected(
    cluster: SimulatedCluster,
    fe: Frontend | None = None,
    *,
    password: str | None = None,
    seconds: float = SECONDS,
    database: str | None = None,
) -> Connection[DictCursor]:
    fe = fe or cluster.frontends[0]
    return pymysql.connect(
        host=fe.host,
        port=fe.query_port,
        user=cluster.user,
        password=cluster.password if password is None else password,
        database=database,
        connect_timeout=SECONDS,
        read_timeout=seconds,
        cursorclass=DictCursor,
    )


def ask(
    cluster: SimulatedCluster, *statements: str, fe: Frontend | None = None
) -> list[dict[str, Any]]:
    """Rows of the last of some statements of one session."""
    with closing(connected(cluster, fe)) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return list(cursor.fetchall())


def fetch(
    node: Node, path: str = "/metrics", *, login: str = "", seconds: float = SECONDS
) -> tuple[int, bytes]:
    """Status and body; ``login`` is ``user:password``."""
    headers = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
    with closing(HTTPConnection(node.host, node.http_port, timeout=seconds)) as connection:
        connection.request("GET", path, headers=headers if login else {})
        reply = connection.getresponse()
        return reply.status, reply.read()


def series(node: Node, path: str = "/metrics", *, login: str = "") -> dict[str, float]:
    """The page as what stands before each value, and the value; the last of doubles."""
    _, body = fetch(node, path, login=login)
    found = {}
    for line in body.decode().splitlines():
        name, _, value = line.rpartition(" ")
        if not line.startswith("#") and not value.startswith('"'):
            found[name] = float(value)
    return found
