"""A session with a frontend: in time whatever it does, texts by name, spellings, time zones."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta, timezone
from pathlib import Path

import pytest

from gateway_assets.collect import sql
from gateway_assets.collect.config import Cluster
from gateway_assets.collect.sql import Lost, Refused, Session
from gateway_assets.simulated.cluster import SimulatedCluster
from gateway_assets.starrocks import formats
from tests.collect.servers import (
    GREETING,
    Handler,
    Rows,
    SqlError,
    black_hole,
    greeting,
    mysql,
    packet,
    page,
    refused_port,
    serving,
    silent,
    trickling,
)
from tests.collect.watching import declared, looked, watched

SECONDS = 0.4
SLACK = 15  # a machine may be busy; what hangs hangs for longer


def opened(port: int, seconds: float = SECONDS, **given: object) -> Session:
    cluster = Cluster.model_validate({"name": "c", "frontends": [f"127.0.0.1:{port}"], **given})
    return Session(cluster, cluster.frontends[0], seconds)


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        pytest.param(silent, "timed out", id="silent"),
        pytest.param(trickling(b"\xff\xff\xff\0\x0a", b"x"), "timed out", id="trickling"),
        pytest.param(trickling(packet(0, GREETING), b""), "timed out", id="after the greeting"),
        pytest.param(greeting(page(b"<html>")), "Packet sequence", id="HTTP"),
        pytest.param(greeting(packet(0, b"\x0a5")), "unpack", id="short greeting"),
        pytest.param(greeting(packet(0, b"")), "index", id="empty greeting"),
        pytest.param(greeting(packet(0, b"\x0ax\0" + bytes(40))), "int", id="garbage"),
        pytest.param(lambda _: None, "Lost connection", id="closes"),
    ],
)
def test_a_server_that_is_none_is_given_up_in_time(handler: Handler, words: str) -> None:
    began = time.monotonic()
    with serving(handler) as port, pytest.raises(Lost, match=words):
        opened(port)
    assert time.monotonic() - began < SLACK


def test_nobody_listens() -> None:
    with pytest.raises(Lost, match="refused"):
        opened(refused_port())


def test_a_black_hole() -> None:
    began = time.monotonic()
    with black_hole() as port, pytest.raises(Lost, match="timed out"):
        opened(port)
    assert time.monotonic() - began < SLACK


def greeting_refused(connection: socket.socket) -> None:
    connection.sendall(packet(0, GREETING))
    connection.recv(4096)
    connection.sendall(packet(2, b"\xff\x15\x04#28000Access denied for user"))


def test_a_password_that_is_wrong_is_said_and_never_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SECRET", "swordfish-ü")
    with (
        serving(greeting_refused) as port,
        pytest.raises(Lost, match="denied") as wrong,
    ):
        opened(port, user="other", password_env="SECRET")
    assert "swordfish" not in str(wrong.value)


def test_a_missing_password_is_an_error_of_its_cluster() -> None:
    with pytest.raises(Lost, match="NOT_SET is not set"):
        opened(1, password_env="NOT_SET")


def answering(rows: Callable[[str], Rows | None], tls: ssl.SSLContext | None = None) -> Handler:
    """SET is always taken."""
    return mysql(lambda statement: None if statement.startswith("SET") else rows(statement), tls)


def test_rows_are_texts_by_column_name() -> None:
    rows: Rows = (("Id", "näme"), [("1", None), ("2", "grün 中"), ("", "\udcff")])
    with serving(answering(lambda _: rows)) as port:
        session = opened(port)
        assert session.ask("SHOW 'ü'") == [
            {"Id": "1", "näme": None},
            {"Id": "2", "näme": "grün 中"},
            {"Id": "", "näme": "\ufffd"},
        ]
        session.close()


def test_statements_arrive_as_utf_8() -> None:
    heard: list[str] = []
    with serving(mysql(heard.append)) as port:
        session = opened(port)
        session.ask("SHOW 'ü中'")
        session.close()
    assert heard[-1] == "SHOW 'ü中'"
    assert "SET time_zone = 'UTC'" in heard
    assert "SET forward_to_leader = true" in heard


def test_an_error_leaves_the_session_open() -> None:
    def answer(statement: str) -> Rows:
        if "bad" in statement:
            raise SqlError(1064, "no viable\nalternative")
        return ("a",), [("1",)]

    with serving(answering(answer)) as port:
        session = opened(port)
        with pytest.raises(Refused, match="1064: no viable alternative"):
            session.ask("bad")
        assert session.ask("good") == [{"a": "1"}]
        session.close()


@pytest.mark.parametrize("is_encrypted", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("pause", [0.05, 30], ids=["trickling", "hung"])
def test_a_statement_ends_in_time(pause: float, is_encrypted: bool, certificate: Path) -> None:
    def rows() -> Iterator[Sequence[str]]:
        while True:
            yield ("x",)
            threading.Event().wait(pause)

    tls = server_side(certificate) if is_encrypted else None
    began = time.monotonic()
    with serving(answering(lambda _: (("a",), rows()), tls)) as port:
        session = opened(port, 2 if is_encrypted else SECONDS, **trusting(certificate, tls))
        with pytest.raises(Lost, match="timed out"):
            session.ask("SHOW BACKENDS")
        with pytest.raises(Lost):
            session.ask("SHOW BACKENDS")
        session.close()
    assert time.monotonic() - began < SLACK


def test_what_is_refused_is_said_once_and_older_names_are_tried() -> None:
    def answer(statement: str) -> None:
        if statement.startswith("SET forward_to_leader") or "query_timeout" in statement:
            raise SqlError(1193, "Unknown system variable")

    with serving(mysql(answer)) as port:
        session = opened(port)
        assert session.is_forwarded
        (note,) = session.notes
        assert "query_timeout" in note and "1193" in note
        session.close()


def test_a_server_that_keeps_its_time_zone() -> None:
    def answer(statement: str) -> Rows | None:
        if "time_zone" in statement:
            raise SqlError(1298, "Unknown or incorrect time zone")
        if statement.startswith("SET"):
            return None
        if "utc_timestamp" in statement:
            return ("here", "utc"), [("2026-11-21 00:10:05", "2026-11-20 16:10:05.1")]
        return ("t", "b"), [("2026-11-21 01:02:03.5", "at 2026-11-21 01:02:03"), ("NULL", None)]

    with serving(mysql(answer)) as port:
        session = opened(port)
        assert session.ask("SHOW BACKENDS") == [
            {"t": "2026-11-20 17:02:03.5", "b": "at 2026-11-21 01:02:03"},
            {"t": "NULL", "b": None},
        ]
        assert session.zone == timezone(timedelta(hours=8))
        session.close()


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "CST", "GMT+08:00", None])
def test_what_hosts_have_stored_is_of_their_zone(zone: str | None) -> None:
    """A session's zone does not change a DATETIME column; ``SET time_zone`` is taken here."""
    heard: list[str] = []

    def answer(statement: str) -> Rows | None:
        heard.append(statement)
        if statement.startswith("SET"):
            return None
        if "system_time_zone" in statement:
            return ("Variable_name", "Value"), [("system_time_zone", zone)] if zone else []
        return ("t",), [("2026-11-21 01:02:03",)]

    with serving(mysql(answer)) as port:
        session = opened(port)
        for _ in range(2):
            stored = session.ask("SELECT 1", is_stored=True)
            assert stored == [{"t": "2026-11-20 17:02:03" if zone else "2026-11-21 01:02:03"}]
        assert session.ask("SELECT 1") == [{"t": "2026-11-21 01:02:03"}]
        assert (session.zone_of(is_stored=True) is None) == (zone is None)
        session.close()
    assert sum("system_time_zone" in statement for statement in heard) == (1 if zone else 3)


def test_an_unknown_time_zone_is_said() -> None:
    def answer(statement: str) -> Rows | None:
        if "time_zone" in statement or "utc_timestamp" in statement:
            raise SqlError(1298, "Unknown")
        return None if statement.startswith("SET") else (("t",), [("2026-11-21 01:02:03",)])

    with serving(mysql(answer)) as port:
        session = opened(port)
        assert session.zone is None
        assert any("zone of times is unknown" in note for note in session.notes)
        assert session.ask("SHOW BACKENDS") == [{"t": "2026-11-21 01:02:03"}]
        session.close()


@pytest.mark.parametrize(("limit", "value"), [("MOST_ROWS", 50), ("MOST_BYTES", 500)])
def test_an_answer_that_is_too_large(
    monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    rows: Rows = (("a",), [("some text",)] * 100)
    with serving(answering(lambda _: rows)) as port:
        monkeypatch.setattr(sql, limit, value)
        session = opened(port)
        with pytest.raises(Lost, match="too large"):
            session.ask("SHOW BACKENDS")
        session.close()


def test_the_zone_of_hosts_is_asked_for_until_it_is_known() -> None:
    heard: list[str] = []

    def answer(statement: str) -> Rows:
        heard.append(statement)
        if len(heard) == 1:
            raise SqlError(1064, "busy")
        return ("Value",), [("Asia/Shanghai",)]

    with serving(answering(answer)) as port:
        session = opened(port, 10)
        zones = [session.zone_of(is_stored=True) for _ in range(3)]
        session.close()
    assert zones[0] is None
    assert zones[1] == zones[2] == formats.zone("Asia/Shanghai")
    assert zones[1] is not None
    assert len(heard) == 2


def test_tls_is_never_given_up_for_plain_text(tmp_path: Path) -> None:
    """Not even the user's name is said to a server without TLS."""
    heard: list[bytes] = []

    def plain(connection: socket.socket) -> None:
        connection.sendall(packet(0, GREETING))
        while data := connection.recv(4096):
            heard.append(data)

    with (
        serving(plain) as port,
        pytest.raises(Lost, match=r"^tls = true: SSL is required .* tls = false$"),
    ):
        opened(port, tls=True)
    assert heard == []
    with pytest.raises(Lost, match=r"^tls = .*none\.pem"):
        opened(1, tls=str(tmp_path / "none.pem"))


def test_tls(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMULATED_PASSWORD", "s3cret")
    with SimulatedCluster(1, 1, tls=server_side(certificate), password="s3cret") as simulated:
        given = {"password_env": "SIMULATED_PASSWORD", "tls": str(certificate)}
        session = Session(declared(simulated, **given), address(simulated), 10)
        assert len(session.ask("SHOW BACKENDS")) == 1
        session.close()
        with watched(simulated, **given) as one:
            observed = looked(one, simulated)
    assert (len(observed.answers["backends"]), observed.errors) == (1, [])


def test_a_certificate_of_another_authority_is_refused(
    certificate: Path, other_certificate: Path
) -> None:
    with SimulatedCluster(1, 1, tls=server_side(certificate)) as simulated:
        for tls, setting in ((True, "tls = true"), (str(other_certificate), "tls = .*pem.")):
            words = f"^{setting}: the certificate was refused: self-signed certificate; name"
            with pytest.raises(Lost, match=words):
                Session(declared(simulated, tls=tls), address(simulated), 10)


def test_a_certificate_of_another_address_is_refused(other_certificate: Path) -> None:
    with (
        SimulatedCluster(1, 1, tls=server_side(other_certificate)) as simulated,
        pytest.raises(Lost, match=r"^tls = .* not valid for '127.0.1.1'"),
    ):
        Session(declared(simulated, tls=str(other_certificate)), address(simulated), 10)


def test_a_cluster_without_tls_is_said_and_not_asked() -> None:
    with SimulatedCluster(1, 1) as simulated, watched(simulated, tls=True) as one:
        observed = looked(one, simulated)
    assert observed.answers == {}
    assert any("tls = true: SSL is required" in error for error in observed.errors)


def address(simulated: SimulatedCluster) -> str:
    return declared(simulated).frontends[0]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate of 127.0.0.1 and 127.0.1.1 in one file."""
    return made(tmp_path_factory.mktemp("tls"), "IP:127.0.0.1,IP:127.0.1.1")


@pytest.fixture(scope="module")
def other_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("tls"), "IP:127.0.1.9")


def made(folder: Path, names: str) -> Path:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl")
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", "key.pem", "-out", "own.pem", "-subj", "/CN=x"),
            *("-addext", f"subjectAltName={names}"),
        ],
        cwd=folder,
        capture_output=True,
        check=True,
    )
    both = folder / "both.pem"
    both.write_bytes((folder / "key.pem").read_bytes() + (folder / "own.pem").read_bytes())
    return both


def server_side(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


def trusting(certificate: Path, tls: object) -> dict[str, object]:
    return {"tls": str(certificate)} if tls else {}
