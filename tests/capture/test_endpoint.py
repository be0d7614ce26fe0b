"""The metrics endpoint answers everybody, and nobody can hold it up."""

from __future__ import annotations

import gzip
import http.client
import socket
import time
from collections.abc import Iterator

import pytest

from gateway_assets.capture.metrics import endpoint as module
from gateway_assets.capture.metrics.endpoint import MOST_CLIENTS, Endpoint
from gateway_assets.errors import CaptureError

BODY = b"a_total 1\n" * 200_000


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    served = Endpoint("127.0.0.1", 0, lambda: BODY, lambda: True)
    yield served
    served.close()


def ask(
    port: int, path: str, method: str = "GET", **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    response = connection.getresponse()
    return response.status, response.headers, response.read()


def test_metrics_plain_compressed_and_head(endpoint: Endpoint) -> None:
    status, headers, body = ask(endpoint.port, "/metrics")
    assert (status, body) == (200, BODY)
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    status, headers, body = ask(endpoint.port, "/metrics?x=1", accept_encoding="br, gzip;q=0.5")
    assert (headers["Content-Encoding"], gzip.decompress(body)) == ("gzip", BODY)
    _, headers, body = ask(endpoint.port, "/metrics", accept_encoding="gzip;q=0, identity")
    assert (headers["Content-Encoding"], body) == (None, BODY)
    status, headers, body = ask(endpoint.port, "/metrics", "HEAD")
    assert (status, headers["Content-Length"], body) == (200, str(len(BODY)), b"")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("POST", "/metrics", 405), ("GET", "/healthz", 200)],
)
def test_other_requests(endpoint: Endpoint, method: str, path: str, status: int) -> None:
    assert ask(endpoint.port, path, method)[0] == status


def test_health_is_that_of_the_capture() -> None:
    served = Endpoint("127.0.0.1", 0, bytes, lambda: False)
    assert ask(served.port, "/healthz")[0] == 503
    served.close()


def test_rubbish_ends_the_connection_only(endpoint: Endpoint) -> None:
    for rubbish in (b"\xff\xfe\x00\r\n\r\n", b"\r\n\r\n", b"GET /metrics\r\n\r\n", b"x" * 9000):
        with socket.create_connection(("127.0.0.1", endpoint.port)) as client:
            client.sendall(rubbish)
            answer = client.recv(100)
            assert not answer or answer.startswith(b"HTTP/1.1 400")
    assert ask(endpoint.port, "/metrics")[2] == BODY


def test_a_failing_render_ends_no_thread() -> None:
    answers = iter([b"ok\n"])
    waiting = [RuntimeError("not yet")]

    def render() -> bytes:
        if waiting:
            raise waiting.pop()
        return next(answers)

    served = Endpoint("127.0.0.1", 0, render, lambda: True)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        ask(served.port, "/metrics")
    assert ask(served.port, "/metrics")[2] == b"ok\n"
    served.close()


def test_slow_and_many_clients_hold_up_nobody(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.5)
    address = ("127.0.0.1", endpoint.port)
    silent = [socket.create_connection(address) for _ in range(MOST_CLIENTS // 2)]
    deaf = socket.create_connection(address)
    deaf.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")  # and never reads
    assert ask(endpoint.port, "/metrics")[2] == BODY
    silent += [socket.create_connection(address) for _ in range(MOST_CLIENTS)]
    time.sleep(1.5)  # all of them have lost patience's
    for client in silent:
        client.settimeout(5)
        assert client.recv(10) == b""
        client.close()
    deaf.close()
    assert ask(endpoint.port, "/metrics")[2] == BODY


def test_a_port_in_use_is_an_error_with_a_way_out(endpoint: Endpoint) -> None:
    with pytest.raises(CaptureError, match="in use") as raised:
        Endpoint("127.0.0.1", endpoint.port, bytes, lambda: True)
    assert "--listen" in raised.value.hint
