"""The HTTP ports of frontends and backends: metrics, health, what the JVM says."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from gateway_assets.simulated.faults import HTML, Gone, deliver
from gateway_assets.simulated.listening import Listener

_MAX_HEAD = 65_536


class Request(NamedTuple):
    path: str
    parameters: dict[str, str]
    user: str  # of Basic authentication; empty: none was sent
    password: str


class Reply(NamedTuple):
    status: int
    body: bytes
    kind: str = "text/plain; charset=utf-8"


_REASONS = {200: "OK", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed"}
NEEDS_PASSWORD = Reply(401, b"Unauthorized\n")
NOT_FOUND = Reply(404, b"Not Found\n")


def json_reply(value: object) -> Reply:
    body = json.dumps(value, separators=(",", ":")).encode()
    return Reply(200, body, "application/json; charset=utf-8")


def serve(
    connection: socket.socket, listener: Listener, answer: Callable[[Request], Reply]
) -> None:
    """Answer one client until it ends. Raises Gone or OSError when the connection ends."""
    while True:
        head = _head(connection)
        method, target, *_ = [*head.split("\r\n")[0].split(" "), ""]
        fault = listener.fault if listener.fault and listener.fault.hits(target) else None
        kind = fault.kind if fault else ""
        if method != "GET":
            reply = Reply(405, b"")
        elif kind == "401":
            reply = NEEDS_PASSWORD
        elif kind == "html":
            reply = Reply(200, HTML, "text/html")
        elif kind == "empty":
            reply = Reply(200, b"")
        else:
            reply = answer(_request(target, head))
        ends = "connection: close" in head.lower() or kind == "cut_unnoticed"
        data = _header(reply, ends=ends, has_length=kind != "cut_unnoticed")
        if kind in {"cut", "cut_unnoticed"}:
            connection.sendall(data)  # so that what is cut is the body
            data = b""
        deliver(connection, data + reply.body, fault, listener.stopping)
        if ends:
            return


def _head(connection: socket.socket) -> str:
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(4096)
        if not part or len(data) > _MAX_HEAD:
            raise Gone
        data += part
    return data.decode("latin-1")


def _request(target: str, head: str) -> Request:
    parts = urlsplit(target)
    parameters = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    user = password = ""
    for line in head.split("\r\n")[1:]:
        name, _, value = line.partition(":")
        scheme, _, secret = value.strip().partition(" ")
        if name.lower() == "authorization" and scheme.lower() == "basic":
            user, _, password = _decoded(secret).partition(":")
    return Request(parts.path, parameters, user, password)


def _decoded(secret: str) -> str:
    try:
        return base64.b64decode(secret).decode()
    except ValueError:
        return ""


def _header(reply: Reply, *, ends: bool, has_length: bool) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} {_REASONS[reply.status]}", f"Content-Type: {reply.kind}"]
    if reply.status == 401:
        lines.append('WWW-Authenticate: Basic realm=""')
    if has_length:
        lines.append(f"Content-Length: {len(reply.body)}")
    if ends:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode()
