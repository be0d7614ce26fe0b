"""Calls that end in time, whatever a server does.

A library's timeout counts from byte to byte, so a server that sends one now and then is waited for
for ever. Here the socket is shut down under whoever reads from it.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


class Watch:
    """Whether time ran out."""

    fired = False


def connected(host: str, port: int, deadline: float) -> socket.socket:
    """A TCP connection made before ``deadline`` (of ``time.monotonic``), by any address of a name.

    An address has its share of the time, so one that says nothing leaves some for the others.
    Looking a name up cannot be stopped; whoever calls must be able to leave this thread behind.
    Raises OSError.
    """
    problem: OSError = TimeoutError("timed out")
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for number, (family, kind, protocol, _, address) in enumerate(found):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            return _connected(
                socket.socket(family, kind, protocol), address, left / (len(found) - number)
            )
        except OSError as error:
            problem = error
    raise problem


def _connected(sock: socket.socket, address: Any, seconds: float) -> socket.socket:
    try:
        sock.settimeout(seconds)
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


@contextmanager
def shut_down_at(sock: socket.socket, deadline: float) -> Iterator[Watch]:
    """End whatever the block does with a connection when ``deadline`` is reached.

    By a second handle on the same connection: the first may have been wrapped by TLS, or closed
    and its number given to another file meanwhile.
    """
    watch = Watch()
    lock = threading.Lock()
    handle = sock.dup()

    def fire() -> None:
        with lock, suppress(OSError):
            watch.fired = True
            handle.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(max(0.0, deadline - time.monotonic()), fire)
    timer.daemon = True
    timer.start()
    try:
        yield watch
    finally:
        timer.cancel()
        with lock:
            handle.close()
