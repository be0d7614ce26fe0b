"""Each fault really happens, at the socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPException, IncompleteRead

import pymysql
import pytest

from gateway_assets.errors import UsageError
from gateway_assets.simulated.cluster import SimulatedCluster
from gateway_assets.simulated.faults import KINDS, inside_a_number
from tests.simulated.asking import ask, connected, fetch, series

SHORT = 0.4  # seconds that a client waits for what never comes


@pytest.fixture
def cluster() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(2, 1, password="pw") as cluster:
        yield cluster


def raw(cluster: SimulatedCluster, length: int) -> bytes:
    """What the HTTP port of the first frontend sends, up to a length or its end."""
    fe = cluster.frontends[0]
    with socket.create_connection((fe.host, fe.http_port), timeout=10) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        data = b""
        while len(data) < length and (part := client.recv(65_536)):
            data += part
    return data


@pytest.mark.parametrize("kind", KINDS)
def test_other_nodes_and_later_answers_are_well(cluster: SimulatedCluster, kind: str) -> None:
    broken, well = cluster.frontends
    cluster.fault(broken, kind)
    assert ask(cluster, "SELECT 1 AS one", fe=well) == [{"one": 1}]
    assert fetch(well)[0] == 200
    cluster.clear(broken)
    assert ask(cluster, "SELECT 1 AS one", fe=broken) == [{"one": 1}]
    assert series(broken)


def test_http_that_hangs(cluster: SimulatedCluster) -> None:
    cluster.fault(cluster.frontends[0], "hang", "http")
    with pytest.raises(TimeoutError):
        fetch(cluster.frontends[0], seconds=SHORT)
    assert ask(cluster, "SELECT 1 AS one")  # SQL is well


def test_http_that_is_slow(cluster: SimulatedCluster) -> None:
    cluster.fault(cluster.frontends[0], "slow", "http", seconds=2 * SHORT)
    with pytest.raises(TimeoutError):
        fetch(cluster.frontends[0], seconds=SHORT)
    assert fetch(cluster.frontends[0])[0] == 200


def test_http_that_trickles(cluster: SimulatedCluster) -> None:
    cluster.fault(cluster.frontends[0], "trickle", "http", seconds=0.01)
    assert raw(cluster, 12).startswith(b"HTTP/1.1 200")


def test_http_that_is_cut_has_the_length_of_the_whole(cluster: SimulatedCluster) -> None:
    cluster.fault(cluster.frontends[0], "cut", "http")
    with pytest.raises(IncompleteRead) as error:
        fetch(cluster.frontends[0])
    assert error.value.partial[-1:].isdigit()


def test_http_that_is_cut_unnoticed_ends_inside_a_number(cluster: SimulatedCluster) -> None:
    _, whole = fetch(cluster.frontends[0])
    cluster.fault(cluster.frontends[0], "cut_unnoticed", "http")
    status, body = fetch(cluster.frontends[0])
    assert status == 200
    assert whole.startswith(body)
    assert whole[len(body) - 1 : len(body) + 1].isdigit()


def test_http_garbage(cluster: SimulatedCluster) -> None:
    cluster.fault(cluster.frontends[0], "garbage", "http")
    with pytest.raises(HTTPException):
        fetch(cluster.frontends[0])


@pytest.mark.parametrize(
    ("kind", "status", "body"),
    [("401", 401, b"Unauth"), ("html", 200, b"<html>"), ("empty", 200, b"")],
)
def test_http_with_another_content(
    cluster: SimulatedCluster, kind: str, status: int, body: bytes
) -> None:
    cluster.fault(cluster.backends[0], kind, "http")
    answered, content = fetch(cluster.backends[0])
    assert answered == status
    assert content.startswith(body)
    assert bool(content) == bool(body)


def test_a_port_that_refuses_stays_ours(cluster: SimulatedCluster) -> None:
    fe = cluster.frontends[0]
    cluster.fault(fe, "refuse")
    with pytest.raises(ConnectionRefusedError):
        fetch(fe)
    with pytest.raises(pymysql.err.OperationalError) as error:
        connected(cluster)
    assert error.value.args[0] == 2003
    rows = ask(cluster, "SHOW FRONTENDS", fe=cluster.frontends[1])
    assert rows[0]["Alive"] == "true"  # nobody else knows


@pytest.mark.parametrize("kind", ["hang", "slow"])
def test_sql_that_says_nothing_at_the_door(cluster: SimulatedCluster, kind: str) -> None:
    cluster.fault(cluster.frontends[0], kind, "sql")
    with pytest.raises(pymysql.err.OperationalError) as error:
        connected(cluster, seconds=SHORT)
    assert error.value.args[0] == 2013
    assert fetch(cluster.frontends[0])[0] == 200  # HTTP is well


@pytest.mark.parametrize("kind", ["cut", "garbage", "html"])
def test_sql_with_a_broken_greeting(cluster: SimulatedCluster, kind: str) -> None:
    cluster.fault(cluster.frontends[0], kind, "sql")
    with pytest.raises((pymysql.err.Error, IndexError, ValueError, UnicodeDecodeError)):
        connected(cluster)


def test_sql_that_lets_nobody_in(cluster: SimulatedCluster) -> None:
    cluster.fault(cluster.frontends[0], "401", "sql")
    with pytest.raises(pymysql.err.OperationalError) as error:
        connected(cluster)
    assert error.value.args[0] == 1045


@pytest.mark.parametrize("kind", ["hang", "cut", "garbage"])
def test_sql_that_fails_at_one_statement(cluster: SimulatedCluster, kind: str) -> None:
    cluster.fault(cluster.frontends[0], kind, "sql", on="SHOW BACKENDS")
    with closing(connected(cluster, seconds=SHORT)) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW FRONTENDS")
        assert len(cursor.fetchall()) == 2
        with pytest.raises((pymysql.err.Error, IndexError, ValueError, UnicodeDecodeError)):
            cursor.execute("SHOW BACKENDS")


def test_sql_that_trickles_arrives_whole(cluster: SimulatedCluster) -> None:
    cluster.fault(cluster.frontends[0], "trickle", "sql", seconds=0.001)
    assert ask(cluster, "SELECT 1 AS one") == [{"one": 1}]


def test_sql_that_is_empty_has_columns(cluster: SimulatedCluster) -> None:
    cluster.fault(cluster.frontends[0], "empty", "sql", on="SHOW FRONTENDS")
    with closing(connected(cluster)) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW FRONTENDS")
        assert cursor.fetchall() == ()
        assert len(cursor.description) == 16


def test_an_unknown_fault_is_refused(cluster: SimulatedCluster) -> None:
    with pytest.raises(UsageError, match="'sleepy' is no fault"):
        cluster.fault(cluster.frontends[0], "sleepy")


@pytest.mark.parametrize(
    ("data", "place"), [(b"aa 12 bb", 4), (b"no numbers", 5), (b"a 1 b 22", 7)]
)
def test_where_to_cut(data: bytes, place: int) -> None:
    assert inside_a_number(data) == place


@pytest.mark.parametrize("what", ["sql", "http"])
@pytest.mark.parametrize("kind", ["hang", "trickle", "slow"])
def test_who_waits_is_let_go_when_the_node_dies(
    cluster: SimulatedCluster, kind: str, what: str
) -> None:
    fe = cluster.frontends[0]
    cluster.fault(fe, kind, what, seconds=3_600)
    port = fe.query_port if what == "sql" else fe.http_port
    with socket.create_connection((fe.host, port), timeout=10) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n" if what == "http" else b"")
        cluster.kill(fe)
        try:
            while client.recv(4096):
                pass
        except ConnectionResetError:
            pass  # an end as good
