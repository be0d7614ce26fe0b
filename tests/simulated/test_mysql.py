"""The simulated protocol, with PyMySQL as the client."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing

import pymysql
import pytest

from gateway_assets.simulated.cluster import SimulatedCluster
from gateway_assets.simulated.mysql import scramble
from tests.simulated.asking import ask, connected


@pytest.fixture(scope="module")
def cluster() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(2, 2, password="s3cret") as cluster:
        yield cluster


def test_a_client_logs_in_and_asks(cluster: SimulatedCluster) -> None:
    with closing(connected(cluster)) as connection, connection.cursor() as cursor:
        connection.ping(reconnect=False)
        cursor.execute("SELECT 1 AS one, NULL AS missing, 'é' AS word, 2.5 AS part")
        assert list(cursor.fetchall()) == [{"one": 1, "missing": None, "word": "é", "part": 2.5}]


def test_the_database_is_that_of_the_login_or_the_chosen(cluster: SimulatedCluster) -> None:
    with closing(connected(cluster, database="web")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT database() AS name")
        assert list(cursor.fetchall()) == [{"name": "web"}]
        connection.select_db("sales")
        cursor.execute("SELECT database() AS name")
        assert list(cursor.fetchall()) == [{"name": "sales"}]


@pytest.mark.parametrize("password", ["", "wrong", "s3cret "])
def test_a_wrong_password_is_refused(cluster: SimulatedCluster, password: str) -> None:
    with pytest.raises(pymysql.err.OperationalError) as error:
        connected(cluster, password=password)
    used = "YES" if password else "NO"
    assert error.value.args[0] == 1045
    assert f"using password: {used}" in error.value.args[1]


def test_another_user_is_refused(cluster: SimulatedCluster) -> None:
    fe = cluster.frontends[0]
    with pytest.raises(pymysql.err.OperationalError) as error:
        pymysql.connect(host=fe.host, port=fe.query_port, user="root", password="s3cret")
    assert error.value.args[0] == 1045


def test_a_cluster_without_a_password() -> None:
    with SimulatedCluster(1, 1) as cluster:
        assert ask(cluster, "SELECT 7 AS seven") == [{"seven": 7}]
        with pytest.raises(pymysql.err.OperationalError):
            connected(cluster, password="one")


def test_the_answer_to_a_salt_is_that_of_the_client() -> None:
    salt = bytes(range(1, 21))
    theirs = pymysql._auth.scramble_native_password(b"s3cret", salt)  # type: ignore[attr-defined]
    assert scramble("s3cret", salt) == theirs


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("SHOW NOTHING", 1064),
        ("SHOW PROC '/nowhere'", 1064),
        ("SELECT FROM", 1064),
        ("SELECT NOBODY FROM information_schema.tables", 1064),
        ("DROP TABLE sales.orders", 1064),
        ("SELECT * FROM information_schema.nowhere", 1146),
        ("SET no_such_variable = 1", 1193),
        ("SELECT @@no_such_variable", 1193),
    ],
)
def test_errors_are_numbered_and_the_session_goes_on(
    cluster: SimulatedCluster, statement: str, code: int
) -> None:
    with closing(connected(cluster)) as connection, connection.cursor() as cursor:
        with pytest.raises(pymysql.err.MySQLError) as error:
            cursor.execute(statement)
        assert error.value.args[0] == code
        cursor.execute("SELECT 1 AS one")
        assert list(cursor.fetchall()) == [{"one": 1}]


@pytest.mark.parametrize("length", [250, 251, 65_535, 65_536, 300_000])
def test_texts_of_all_lengths_arrive(cluster: SimulatedCluster, length: int) -> None:
    rows = ask(cluster, f"SELECT '{'x' * length}' AS word")
    assert rows == [{"word": "x" * length}]


def test_many_rows_arrive(cluster: SimulatedCluster) -> None:
    rows = ask(
        cluster,
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 3000) "
        "SELECT n FROM n",
    )
    assert [row["n"] for row in rows] == list(range(1, 3001))


def test_it_says_that_it_is_simulated(cluster: SimulatedCluster) -> None:
    fe = cluster.frontends[0]
    with socket.create_connection((fe.host, fe.query_port)) as client:
        assert b"-simulated\0" in client.recv(100)
    rows = ask(cluster, "SELECT @@version_comment AS comment, current_version() AS version")
    assert all("simulated" in text for text in rows[0].values())


def test_bytes_that_are_no_login_end_the_connection_only(cluster: SimulatedCluster) -> None:
    fe = cluster.frontends[0]
    with socket.create_connection((fe.host, fe.query_port)) as client:
        assert client.recv(4)
        client.sendall(b"GET / HTTP/1.1\r\n\r\n" + bytes(40))
        client.shutdown(socket.SHUT_WR)
        while client.recv(4096):
            pass
    assert ask(cluster, "SELECT 1 AS one") == [{"one": 1}]
