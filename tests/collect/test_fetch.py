"""A page over HTTP: whole or known to be cut, in time, or a short word why not."""

from __future__ import annotations

import base64
import socket
import time

import pytest

from gateway_assets.collect import fetch as module
from gateway_assets.collect.fetch import FetchError, Page, fetch
from tests.collect.servers import (
    Handler,
    black_hole,
    greeting,
    http,
    page,
    refused_port,
    saying,
    serving,
    silent,
    trickling,
)

SECONDS = 0.4
SLACK = 15


def got(handler: Handler, seconds: float = 10) -> Page:
    with serving(handler) as port:
        return fetch("127.0.0.1", port, "/metrics", "monitor", b"s\xc3\xbc\xc3\x9f", seconds)


def test_a_page_and_what_is_asked() -> None:
    heard: list[str] = []
    assert got(http(lambda _: page(b"a 1\n"), heard)) == Page(b"a 1\n")
    token = base64.b64encode("monitor:süß".encode()).decode()
    assert heard[0].startswith("GET /metrics HTTP/1.1\r\n")
    assert f"Authorization: Basic {token}\r\n" in heard[0]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(page(b"a 1"), Page(b"a 1"), id="no newline, but its length"),
        pytest.param(page(b""), Page(b""), id="empty"),
        pytest.param(page(b"a 12\n", length=7), Page(b"a 12\n", "cut after 5 bytes"), id="short"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\na 12\n", Page(b"a 12\n"), id="until it closes"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\n\r\na 12",
            Page(b"a 12", "cut after 4 bytes"),
            id="until it closes, cut",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\na 1\n\r\n0\r\n\r\n",
            Page(b"a 1\n"),
            id="chunked",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\na 1\n\r\n9\r\nb 2",
            Page(b"a 1\n", "cut after 4 bytes"),
            id="chunked, cut",
        ),
    ],
)
def test_what_is_cut_is_known(answer: bytes, expected: Page) -> None:
    assert got(saying(answer)) == expected


@pytest.mark.parametrize(
    ("handler", "words", "is_denied"),
    [
        pytest.param(saying(page(b"", "401 Unauthorized")), "denied: HTTP 401", True, id="401"),
        pytest.param(saying(page(b"", "403 Forbidden")), "denied: HTTP 403", True, id="403"),
        pytest.param(saying(page(b"", "500 Oops")), "HTTP 500", False, id="500"),
        pytest.param(
            saying(b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\n\r\n"),
            "HTTP 302",
            False,
            id="redirect",
        ),
        pytest.param(saying(b"\x4a\0\0\0\x0a5.1.0\0"), "no HTTP", False, id="MySQL"),
        pytest.param(saying(b""), "remote end closed", False, id="closes"),
        pytest.param(
            saying(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b"),
            "compressed",
            False,
            id="compressed",
        ),
        pytest.param(silent, "timed out", False, id="silent"),
        pytest.param(
            trickling(b"HTTP/1.1 200 OK\r\n\r\n", b"a 1\n"), "timed out", False, id="trickling"
        ),
        pytest.param(
            trickling(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", b"a"),
            "timed out",
            False,
            id="trickling with a length",
        ),
        pytest.param(trickling(b"HTTP/1.1 ", b"2"), "timed out|no HTTP", False, id="status"),
        pytest.param(greeting(b"HTTP/1.1 200 OK\r\n"), "timed out", False, id="half a head"),
    ],
)
def test_why_there_is_no_page(handler: Handler, words: str, is_denied: bool) -> None:
    began = time.monotonic()
    with pytest.raises(FetchError, match=words) as wrong:
        got(handler, SECONDS)
    assert wrong.value.is_denied == is_denied
    assert time.monotonic() - began < SLACK


def test_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 1000)
    with pytest.raises(FetchError, match="more than"):
        got(saying(page(b"x" * 2000)))


def test_nobody_there() -> None:
    with pytest.raises(FetchError, match="refused"):
        fetch("127.0.0.1", refused_port(), "/", "u", b"", SECONDS)
    with black_hole() as port, pytest.raises(FetchError, match="timed out"):
        fetch("127.0.0.1", port, "/", "u", b"", SECONDS)


@pytest.mark.parametrize("first", ["black hole", "no such family"])
def test_a_bad_address_of_a_name_leaves_time_for_the_next(
    first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(http(lambda _: page(b"a 1\n"))) as port, black_hole() as hole:
        kind = socket.SOCK_STREAM
        bad = (socket.AF_INET, kind, 0, "", ("127.0.0.1", hole))
        if first == "no such family":
            bad = (socket.AddressFamily.AF_UNSPEC, kind, 0, "", ("127.0.0.1", hole))
        good = (socket.AF_INET, kind, 0, "", ("127.0.0.1", port))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [bad, good])
        assert fetch("two.example", port, "/", "u", b"", 4.0) == Page(b"a 1\n")


def test_a_host_that_cannot_be_one() -> None:
    with pytest.raises(FetchError, match="no HTTP"):
        fetch("a\nb", 80, "/", "u", b"", SECONDS)
