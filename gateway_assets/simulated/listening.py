"""Listening sockets with a thread for each connection, which can be closed and opened again.

A port stays ours while nobody listens: a bound socket that does not listen refuses connections.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import closing, suppress

from gateway_assets.errors import UsageError
from gateway_assets.simulated.faults import Fault, Gone

_TRIES = 50


def reserve(hosts: Sequence[str]) -> tuple[int, list[socket.socket]]:
    """A port that is free on all these addresses, and the sockets that keep it."""
    for _ in range(_TRIES):
        kept: list[socket.socket] = []
        try:
            for host in hosts:
                kept.append(_bound(host, kept[0].getsockname()[1] if kept else 0))
        except OSError:
            for one in kept:
                one.close()
            continue
        return kept[0].getsockname()[1], kept
    raise UsageError(
        f"no port is free on all of {', '.join(hosts)}",
        hint="see what listens: ss -ltn; the addresses must be loopback ones: ip addr show lo",
    )


def _bound(host: str, port: int) -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        one.bind((host, port))
    except OSError:
        one.close()
        raise
    return one


class Listener:
    """One address and port. ``serve`` has a connection until it returns or raises Gone."""

    def __init__(
        self, host: str, port: int, serve: Callable[[socket.socket, Listener], None]
    ) -> None:
        self.host, self.port = host, port
        self.fault: Fault | None = None
        self.stopping = threading.Event()
        self._serve = serve
        self._socket: socket.socket | None = None
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()
        self._acceptor: threading.Thread | None = None

    @property
    def is_open(self) -> bool:
        return self._socket is not None

    def start(self) -> None:
        if self._socket is not None:
            return
        self.stopping = threading.Event()
        self._socket = _bound(self.host, self.port)
        self._socket.listen(64)
        self._acceptor = threading.Thread(target=self._accept, args=(self._socket,), daemon=True)
        self._acceptor.start()

    def stop(self) -> None:
        """Close everything, so that clients see it at once."""
        if self._socket is None:
            return
        self.stopping.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        assert self._acceptor is not None
        self._acceptor.join()
        self._socket.close()
        self._socket = None
        with self._lock:
            open_ones = dict(self._connections)
        for connection in open_ones:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in open_ones.values():
            if thread is not threading.current_thread():
                thread.join()

    def drop(self) -> None:
        """End the connections, and go on listening: what a process' restart does."""
        if self.is_open:
            self.stop()
            self.start()

    def _accept(self, listening: socket.socket) -> None:
        while not self.stopping.is_set():
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._handle, args=(connection,), daemon=True)
            with self._lock:
                self._connections[connection] = thread
            thread.start()

    def _handle(self, connection: socket.socket) -> None:
        with closing(connection), suppress(OSError, Gone):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._serve(connection, self)
        with self._lock:
            del self._connections[connection]


def read_exactly(connection: socket.socket, length: int) -> bytes:
    """That many bytes. Raises Gone when the client ends first."""
    data = bytearray()
    while len(data) < length:
        part = connection.recv(length - len(data))
        if not part:
            raise Gone
        data += part
    return bytes(data)
