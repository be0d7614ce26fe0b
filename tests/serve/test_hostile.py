"""Clients that are slow, greedy or lie hold nobody else up, and memory stays bounded."""

from __future__ import annotations

import gzip
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from gateway_assets.serve.connection import MOST_CONNECTIONS
from tests.serve.conftest import Server, read_all, until

HEAD = b"POST /write?db=d HTTP/1.1\r\nHost: x\r\n"
LINE = b"hostile v=1 1\n"
BODY_BYTES, ALL_BYTES = 2_048_000, 5_120_000


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """It waits for two seconds."""
    server = Server(
        tmp_path_factory.mktemp("patient") / "data",
        "--no-loader",
        GATEWAY_SERVE_RECEIVE_SECONDS="2",
        GATEWAY_SERVE_MAX_BODY=f"{BODY_BYTES // 1024}KB",
        GATEWAY_SERVE_MAX_BODIES=f"{ALL_BYTES // 1024}KB",
    )
    yield server
    assert server.stop() == (0, "")


@pytest.fixture(autouse=True)
def others_are_served(patient: Server) -> Iterator[None]:
    yield
    assert patient.write("other v=1") == 204
    until(lambda: patient.metric("bytes_in_flight") == 0)


def memory(server: Server) -> int:
    """Bytes of the process that are resident."""
    pages = Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]
    return int(pages) * 4096


def test_a_head_that_never_ends(patient: Server) -> None:
    with closing(patient.raw(HEAD)) as slow, closing(patient.raw()) as silent:
        for _ in range(3):
            slow.sendall(b"X-More: yes\r\n")
            time.sleep(0.3)
        assert patient.write("other v=1") == 204
        assert read_all(slow) == read_all(silent) == b""


def test_line_breaks_that_never_become_a_head(patient: Server) -> None:
    with closing(patient.raw()) as slow, pytest.raises(ConnectionError):
        for _ in range(100):
            slow.sendall(b"\r\n")
            time.sleep(0.1)


def test_a_body_that_comes_too_slowly_is_to_come_again(patient: Server) -> None:
    with closing(patient.raw(HEAD + b"Content-Length: 1000\r\n\r\n")) as slow:
        for _ in range(3):
            slow.sendall(LINE)
            time.sleep(0.3)
        assert patient.write("other v=1") == 204
        told = read_all(slow)
    assert told.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nretry-after: 2\r\n" in told.lower()
    assert b"did not arrive in time" in told


def test_slow_bodies_take_no_place_from_others(patient: Server) -> None:
    with ExitStack() as stack:
        for _ in range(200):  # more than may write at the same time
            slow = patient.raw(HEAD + b"Content-Length: 1000\r\n\r\n" + LINE)
            stack.enter_context(closing(slow))
        assert patient.write("other v=1") == 204
    until(lambda: patient.metric("bytes_in_flight") == 0)


def test_bodies_in_flight_are_bounded_together(patient: Server) -> None:
    before = patient.metric("overloads_total")
    head = HEAD + b"Content-Length: %d\r\n\r\n" % (BODY_BYTES - 1)
    with ExitStack() as stack:
        held = [stack.enter_context(closing(patient.raw(head))) for _ in range(2)]
        for one in held:
            one.sendall(bytes(BODY_BYTES - 100_000))
        until(lambda: patient.metric("bytes_in_flight") > 3_500_000)
        assert patient.write("other v=1") == 204
        greedy = patient.ask("POST", "/write?db=d", b"#" * (BODY_BYTES - 1))
        assert (greedy.status, greedy.headers["retry-after"]) == (503, "2")
        assert patient.metric("overloads_total") == before + 1
    until(lambda: patient.metric("bytes_in_flight") == 0)
    assert patient.ask("POST", "/write?db=d", b"#" * (BODY_BYTES - 1)).status == 204


@pytest.mark.parametrize("part", [b"x" * 50_000, b"X: y\r\n" * 10_000], ids=["value", "names"])
def test_a_giant_head(patient: Server, part: bytes) -> None:
    with closing(patient.raw(HEAD + b"X: ")) as giant, pytest.raises(ConnectionError):
        for _ in range(300):
            giant.sendall(part)


def test_heads_that_come_with_others(patient: Server) -> None:
    """The bytes before a head are not its own."""
    one = HEAD + b"X: " + b"x" * 50_000 + b"\r\nContent-Length: 0\r\n"
    with closing(patient.raw((one + b"\r\n") * 60)) as ahead:
        ahead.sendall(one + b"Connection: close\r\n\r\n")
        assert read_all(ahead).count(b"HTTP/1.1 204 ") == 61


def test_a_giant_address(patient: Server) -> None:
    with closing(patient.raw(b"POST /write?db=" + b"d" * 60_000 + b" HTTP/1.1\r\n")) as giant:
        giant.sendall(b"Content-Length: 0\r\nConnection: close\r\n\r\n")
        assert read_all(giant).startswith(b"HTTP/1.1 204 ")


def test_a_body_that_is_too_large_is_told_before_it_comes(patient: Server) -> None:
    with closing(patient.raw(HEAD + b"Content-Length: 99999999999\r\n\r\n")) as large:
        assert large.recv(12) == b"HTTP/1.1 413"


def test_a_body_without_an_end(patient: Server) -> None:
    chunk = b"2000\r\n" + b"#" * 8192 + b"\r\n"
    with closing(patient.raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")) as endless:
        for _ in range(BODY_BYTES // 8192 + 1):
            endless.sendall(chunk)
        assert endless.recv(12) == b"HTTP/1.1 413"
    assert patient.ask("POST", "/api/v2/write?bucket=b", b"#" * BODY_BYTES).status == 204
    too_large = patient.ask("POST", "/api/v2/write?bucket=b", b"#" * (BODY_BYTES + 1))
    assert b"points batch is too large" in too_large.body


def test_a_gzip_bomb(patient: Server) -> None:
    bomb = gzip.compress(bytes(500_000_000), compresslevel=1)[: BODY_BYTES - 1]
    before = memory(patient)
    for _ in range(3):
        answer = patient.ask("POST", "/write?db=d", bomb, Content_Encoding="gzip")
        assert answer.status == 413
    assert memory(patient) - before < 100_000_000


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (b"Content-Length: 5\r\nContent-Length: 6\r\n", b"HTTP/1.1 400 "),
        (b"Content-Length: -1\r\n", b"HTTP/1.1 400 "),
        (b"Content-Length: x\r\n", b"HTTP/1.1 400 "),
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"HTTP/1.1 400 "),
        (b"Content-Length: 14\r\nConnection: close\r\n", b"HTTP/1.1 204 "),
    ],
    ids=["two", "negative", "word", "both", "right"],
)
def test_lengths_that_lie(patient: Server, head: bytes, told: bytes) -> None:
    with closing(patient.raw(HEAD + head + b"\r\n" + LINE)) as liar:
        assert read_all(liar).startswith(told)


def test_a_body_longer_than_its_length(patient: Server) -> None:
    """What is left over is no request."""
    with closing(
        patient.raw(HEAD + b"Content-Length: 14\r\n\r\n" + LINE + b"more v=1 1\n")
    ) as liar:
        assert read_all(liar).count(b"HTTP/1.1 400 ") == 1


def test_a_body_shorter_than_its_length_is_not_stored(patient: Server) -> None:
    with closing(patient.raw(HEAD + b"Content-Length: 1000\r\n\r\nshort v=1 1\n")) as liar:
        liar.shutdown(socket.SHUT_WR)
        time.sleep(0.2)
    assert patient.rows("SELECT 1 FROM series WHERE measurement = 'short'") == []


def test_requests_sent_ahead_are_answered_in_order(patient: Server) -> None:
    one = HEAD + b"Content-Length: 14\r\n\r\n" + LINE
    bad = HEAD + b"Content-Length: 4\r\n\r\nbad\n"
    with closing(patient.raw((one + bad) * 20)) as ahead:
        found = b""
        while found.count(b"HTTP/1.1 ") < 40 or not found.endswith(b"}"):
            found += ahead.recv(65_536)
    statuses = [part[:3] for part in found.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"204", b"400"] * 20


def test_too_many_requests_sent_ahead(patient: Server) -> None:
    with closing(patient.raw((HEAD + b"Content-Length: 0\r\n\r\n") * 1000)) as ahead:
        assert read_all(ahead).count(b"HTTP/1.1 204 ") < 200


def test_a_client_that_never_reads(patient: Server) -> None:
    """Its answers fill what the kernel keeps; then it has as long as a request may take."""
    body = (b"b" * 1000 + b"\n") * 100  # all of it comes back
    request = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with closing(patient.raw()) as silent:
        sent = 0
        with pytest.raises(ConnectionError):
            while True:
                silent.sendall(request)
                sent += 1
                time.sleep(0.02)
    assert sent > 10


def test_thousands_of_idle_connections(patient: Server) -> None:
    with ExitStack() as stack:
        used = patient.connect()
        stack.callback(used.close)
        for _ in range(MOST_CONNECTIONS + 200):
            stack.enter_context(closing(patient.raw()))
        used.request("POST", "/write?db=d", b"used v=1")
        assert used.getresponse().read() == b""
        files = len(list(Path(f"/proc/{patient.process.pid}/fd").iterdir()))
        assert MOST_CONNECTIONS - 10 < files < MOST_CONNECTIONS + 100
