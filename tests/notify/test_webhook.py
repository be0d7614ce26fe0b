"""Webhooks against real sockets: what arrives, what an answer means, and that a call ends."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway_assets.errors import SinkRefused, SinkUnavailable
from gateway_assets.notify.sink import State
from gateway_assets.notify.webhook import Webhook, body_of, signature
from tests.collect.servers import (
    Handler,
    black_hole,
    refused_port,
    saying,
    serving,
    silent,
    trickling,
)
from tests.notify.receivers import OK, certificate, received, receiver, status
from tests.notify.told import NOON, message

GENEROUS = 30.0  # a call that ends well ends long before


def test_what_arrives() -> None:
    both = [message(), message(seq=2, state=State.RESOLVED, resolved_at=NOON, value=float("nan"))]
    with receiver() as there:
        assert Webhook(there.url, "", GENEROUS).send(both) == ""
    (call,) = there.calls
    assert call.head == "POST /hook?room=1 HTTP/1.1"
    assert call.headers["content-type"] == "application/json"
    assert call.headers["host"] == f"127.0.0.1:{there.port}"
    assert "x-gateway-signature" not in call.headers
    content = call.content
    assert content["key"] == call.key
    assert (content["version"], content["group_key"], content["status"]) == (1, "g", "FIRING")
    assert content["alerts"][0] == {
        "version": 1,
        "alert_id": "a1",
        "rule": "hot",
        "device": "PLC-1",
        "tag": "temperature",
        "series": "s",
        "level": "WARNING",
        "state": "FIRING",
        "value": 91.5,
        "threshold": 80.0,
        "fired_at": "2026-03-01T12:00:00.000000Z",
        "resolved_at": None,
        "message": "too hot",
        "group_key": "g",
        "seq": 1,
        "url": "",
    }
    assert content["alerts"][1]["resolved_at"] == "2026-03-01T12:00:00.000000Z"
    assert content["alerts"][1]["value"] is None


def test_the_status_is_resolved_when_all_are() -> None:
    over = message(state=State.RESOLVED, resolved_at=NOON)
    assert json.loads(body_of([over, over]))["status"] == "RESOLVED"
    assert json.loads(body_of([over, message()]))["status"] == "FIRING"


def test_a_key_names_the_messages() -> None:
    first, second = message(), message(seq=2)
    with receiver() as there:
        for told in ([first], [first], [second], [first, second], [message(alert_id="a2")]):
            Webhook(there.url, "", GENEROUS).send(told)
    keys = [call.key for call in there.calls]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 4


def test_the_signature_by_other_code() -> None:
    before = int(time.time())
    with receiver() as there:
        Webhook(there.url, "sésame", GENEROUS).send([message(rule="Öl")])
    (call,) = there.calls
    stamp, _, given = call.headers["x-gateway-signature"].partition(",")
    moment = stamp.removeprefix("t=")
    assert before <= int(moment) <= int(time.time())
    command = ["openssl", "dgst", "-sha256", "-hmac", "sésame", "-r"]
    text = f"{moment}.".encode() + call.body
    done = subprocess.run(command, input=text, capture_output=True, check=True)
    assert given == f"v1={done.stdout.decode().split()[0]}"
    other = hmac.new(b"another", text, hashlib.sha256).hexdigest()
    assert given != f"v1={other}"


@pytest.mark.parametrize("code", [200, 201, 202, 204, 299])
def test_answers_that_are_good(code: int) -> None:
    with receiver(lambda _: status(code)) as there:
        Webhook(there.url, "", GENEROUS).send([message()])
    assert len(there.calls) == 1


@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504, 599])
def test_answers_to_be_tried_again(code: int) -> None:
    with (
        receiver(lambda _: status(code)) as there,
        pytest.raises(SinkUnavailable, match=f"answered {code}") as caught,
    ):
        Webhook(there.url, "", GENEROUS).send([message()])
    assert caught.value.retry_after is None


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410, 413, 422])
def test_answers_that_are_final(code: int) -> None:
    with (
        receiver(lambda _: status(code)) as there,
        pytest.raises(SinkRefused, match=f"answered {code}"),
    ):
        Webhook(there.url, "", GENEROUS).send([message()])


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(code: int) -> None:
    with (
        receiver() as other,
        receiver(lambda _: status(code, f"Location: {other.url}")) as there,
        pytest.raises(SinkRefused, match="redirect"),
    ):
        Webhook(there.url, "", GENEROUS).send([message()])
    assert (len(there.calls), other.calls) == (1, [])


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("999999999999", 3600),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 0),
        ("Fri, 01 Jan 2999 00:00:00 GMT", 3600),
        ("soon", None),
        ("-5", None),
        ("nan", None),
        ("²", None),
    ],
)
def test_when_to_come_again(header: str, seconds: float | None) -> None:
    reply = status(429).replace(b"\r\n\r\n", f"\r\nRetry-After: {header}\r\n\r\n".encode("latin-1"))
    with receiver(lambda _: reply) as there, pytest.raises(SinkUnavailable) as caught:
        Webhook(there.url, "", GENEROUS).send([message()])
    assert caught.value.retry_after == seconds


def _cut(connection: socket.socket) -> None:
    received(connection)
    connection.sendall(b"HTTP/1.1 20")


def _endless_body(connection: socket.socket) -> None:
    received(connection)
    trickling(b"HTTP/1.1 200 OK\r\n\r\n", bytes(65_536), pause=0)(connection)


def _endless_continue(connection: socket.socket) -> None:
    trickling(b"", b"HTTP/1.1 100 Continue\r\n\r\n", pause=0)(connection)


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        pytest.param(silent, "in time", id="silent"),
        pytest.param(trickling(b"HTTP/1.1 200 ", b"O"), "in time", id="trickling-status"),
        pytest.param(trickling(b"HTTP/1.1 200 OK\r\nA: ", b"a"), "in time", id="trickling-header"),
        pytest.param(_endless_continue, "in time", id="endless-continue"),
        pytest.param(trickling(b"HTTP/1.1 200 ", b"O" * 9999, 0), "LineTooLong", id="long-line"),
        pytest.param(
            trickling(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n", 0), "HTTPException", id="many-headers"
        ),
        pytest.param(saying(b""), "RemoteDisconnected|reset", id="hung-up"),
        pytest.param(_cut, "BadStatusLine", id="cut"),
        pytest.param(saying(b"\x16\x03\x01garbage\n\n"), "BadStatusLine", id="garbage"),
    ],
)
def test_answers_that_are_none(handler: Handler, words: str) -> None:
    with serving(handler) as port, pytest.raises(SinkUnavailable, match=words):
        Webhook(f"http://127.0.0.1:{port}/", "", 0.5).send([message()])


def test_what_was_taken_was_taken_whatever_follows() -> None:
    with serving(_endless_body) as port:
        Webhook(f"http://127.0.0.1:{port}/", "", GENEROUS).send([message()])


def test_nobody_there() -> None:
    with pytest.raises(SinkUnavailable, match="cannot be reached: connection refused"):
        Webhook(f"http://127.0.0.1:{refused_port()}/", "", GENEROUS).send([message()])
    with black_hole() as port, pytest.raises(SinkUnavailable, match="in time"):
        Webhook(f"http://127.0.0.1:{port}/", "", 0.3).send([message()])


def test_errors_keep_the_secret_path() -> None:
    with receiver(lambda _: status(404)) as there, pytest.raises(SinkRefused) as caught:
        Webhook(f"http://127.0.0.1:{there.port}/services/T0K3N", "s", GENEROUS).send([message()])
    assert "T0K3N" not in str(caught.value)


def test_no_proxy_gets_between(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver() as proxy, receiver() as there:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        Webhook(there.url, "", GENEROUS).send([message()])
    assert (len(there.calls), proxy.calls) == (1, [])


@pytest.mark.parametrize(
    ("trusted", "name", "words"),
    [
        pytest.param(True, "localhost", "", id="good"),
        pytest.param(False, "localhost", "self.signed", id="unknown-issuer"),
        pytest.param(True, "elsewhere", "Hostname mismatch", id="other-name"),
    ],
)
def test_certificates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool, name: str, words: str
) -> None:
    cert, context = certificate(tmp_path / "tls", name)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    heard = []

    def handle(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            heard.append(received(secured))
            secured.sendall(OK)

    with serving(handle) as port, ExitStack() as stack:
        if words:
            stack.enter_context(pytest.raises(SinkUnavailable, match=words))
        Webhook(f"https://localhost:{port}/", "", GENEROUS).send([message()])
    assert len(heard) == (0 if words else 1)


def test_a_handshake_that_hangs() -> None:
    with serving(silent) as port, pytest.raises(SinkUnavailable, match="in time"):
        Webhook(f"https://localhost:{port}/", "", 0.5).send([message()])


def test_the_page_tells_how_to_check_a_signature() -> None:
    page = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text("utf-8")
    found: dict[str, Any] = {}
    exec(page.partition("```python\n")[2].partition("```")[0], found)
    is_genuine = found["is_genuine"]
    with receiver() as there:
        Webhook(there.url, "sesame", GENEROUS).send([message()])
    (call,) = there.calls
    header = call.headers["x-gateway-signature"]
    assert is_genuine(header, call.body, "sesame")
    assert not is_genuine(header, call.body + b" ", "sesame")
    assert not is_genuine(header, call.body, "other")
    assert not is_genuine("v1=00", call.body, "sesame")
    old = signature("sesame", int(time.time()) - 1_000, call.body)
    assert not is_genuine(old, call.body, "sesame")
