"""What can be wrong with an answer, done for real at the socket.

``hang``     nothing comes, and the connection stays open
``trickle``  one byte every ``seconds`` (0.1)
``slow``     everything comes after ``seconds`` (2)
``cut``      half comes, in HTTP with the length of the whole, then the connection ends
``cut_unnoticed``  HTTP: half comes without any length, so it looks whole
``garbage``  bytes that are of no protocol
``refuse``   nobody listens
``401``      HTTP: wants a password; SQL: the login fails with error 1045
``html``     HTTP: a login page with status 200; SQL: the port speaks HTTP
``empty``    HTTP: no body; SQL: columns without rows
"""

from __future__ import annotations

import socket
import threading
from random import Random
from typing import NamedTuple

KINDS = {
    "hang": 0.0,
    "trickle": 0.1,
    "slow": 2.0,
    "cut": 0.0,
    "cut_unnoticed": 0.0,
    "garbage": 0.0,
    "refuse": 0.0,
    "401": 0.0,
    "html": 0.0,
    "empty": 0.0,
}  # and their seconds
_GARBAGE = Random(7).randbytes(3_000).replace(b"\n", b"\0")  # noqa: S311  no secrets
HTML = b"<html><head><title>Login</title></head><body>simulated proxy</body></html>\n"


class Gone(Exception):
    """The connection ended, or was ended on purpose."""


class Fault(NamedTuple):
    """``on`` limits it to statements or paths that begin so; empty: everything."""

    kind: str
    seconds: float
    on: str = ""

    def hits(self, what: str) -> bool:
        return what.upper().startswith(self.on.upper())


def deliver(
    connection: socket.socket, data: bytes, fault: Fault | None, stopping: threading.Event
) -> None:
    """Send an answer as the fault wants it. Raises Gone when the connection must end."""
    kind = fault.kind if fault else ""
    if fault and kind == "hang":
        _listen(connection)
    if fault and kind == "slow" and stopping.wait(fault.seconds):
        raise Gone
    if fault and kind == "trickle":
        for number in range(len(data)):
            connection.sendall(data[number : number + 1])
            if stopping.wait(fault.seconds):
                raise Gone
        return
    if kind == "garbage":
        connection.sendall(_GARBAGE)
        raise Gone
    if kind in {"cut", "cut_unnoticed"}:
        connection.sendall(data[: inside_a_number(data)])
        raise Gone
    connection.sendall(data)


def inside_a_number(data: bytes) -> int:
    """A place near the middle that lies between two digits; else the middle."""
    middle = len(data) // 2
    for place in range(middle, len(data)):
        if data[place - 1 : place + 1].isdigit():
            return place
    return middle


def _listen(connection: socket.socket) -> None:
    """Wait until the client has had enough, or the server is stopped."""
    while connection.recv(4096):
        pass
    raise Gone
