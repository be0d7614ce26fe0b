"""Small servers over real sockets: one that speaks MySQL, one that speaks HTTP, and bad ones.

Each connection has a thread; a handler gets the socket and may do with it what it likes.
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain

Handler = Callable[[socket.socket], None]
Rows = tuple[Sequence[str], Iterable[Sequence[str | None]]]  # names, values


class SqlError(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@contextmanager
def serving(handler: Handler, host: str = "127.0.0.1") -> Iterator[int]:
    """A server's port; everything it has is closed at the end."""
    listener = socket.create_server((host, 0))
    open_sockets: list[socket.socket] = [listener]

    def handle(connection: socket.socket) -> None:
        with suppress(OSError, EOFError):
            handler(connection)
        with suppress(OSError):
            connection.close()

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            open_sockets.append(connection)
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        for each in tuple(open_sockets):  # a connection may come meanwhile
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        thread.join()


@contextmanager
def black_hole() -> Iterator[int]:
    """A port that answers no SYN: its queue of connections is full and nobody accepts."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = []
        for _ in range(4):
            sock = socket.socket()
            sock.setblocking(False)
            with suppress(BlockingIOError):
                sock.connect(("127.0.0.1", port))
            waiting.append(sock)
        try:
            yield port
        finally:
            for sock in waiting:
                sock.close()


def refused_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def silent(connection: socket.socket) -> None:
    """Takes what comes and says nothing."""
    while connection.recv(4096):
        pass


def trickling(start: bytes, drop: bytes, pause: float = 0.05) -> Handler:
    """Says ``start``, and then ``drop`` again and again, for ever."""

    def handle(connection: socket.socket) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(drop)
            threading.Event().wait(pause)

    return handle


def saying(data: bytes) -> Handler:
    """Says one thing, after whatever was asked, and closes."""

    def handle(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(data)

    return handle


def greeting(data: bytes) -> Handler:
    """Says one thing at once, and closes when the other side does."""

    def handle(connection: socket.socket) -> None:
        connection.sendall(data)
        silent(connection)

    return handle


def page(body: bytes, status: str = "200 OK", length: int | None = None) -> bytes:
    """An HTTP answer with its length, or another."""
    length = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n".encode() + body


def http(answer: Callable[[str], bytes], heard: list[str] | None = None) -> Handler:
    """Answers GET by path; ``heard`` collects whole requests."""

    def handle(connection: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            data = connection.recv(65_536)
            if not data:
                return
            request += data
        if heard is not None:
            heard.append(request.decode())
        connection.sendall(answer(request.decode().split(" ")[1]))

    return handle


def mysql(answer: Callable[[str], Rows | None], tls: ssl.SSLContext | None = None) -> Handler:
    """Lets everyone in and answers each statement: rows, OK (None), or a SqlError."""

    def handle(connection: socket.socket) -> None:
        _send(connection, 0, GREETING_TLS if tls else GREETING)
        sequence, _ = _receive(connection)
        if not tls:
            converse(connection, sequence + 1)
            return
        with tls.wrap_socket(connection, server_side=True) as wrapped:
            sequence, _ = _receive(wrapped)
            converse(wrapped, sequence + 1)

    def converse(connection: socket.socket, sequence: int) -> None:
        _send(connection, sequence, _OK)
        while True:
            _, command = _receive(connection)
            if command[:1] != b"\x03":
                return
            try:
                rows = answer(command[1:].decode())
            except SqlError as error:
                _send(connection, 1, _error(error.code, str(error)))
                continue
            if rows is None:
                _send(connection, 1, _OK)
            else:
                _send_rows(connection, *rows)

    return handle


_OK = bytes([0, 0, 0, 2, 0, 0, 0])
_EOF = bytes([0xFE, 0, 0, 2, 0])
_CAPABILITIES = 0x1 | 0x8 | 0x200 | 0x8000 | 0x80000
_TLS = 0x800


def _greeting(capabilities: int) -> bytes:
    return b"".join(
        (
            b"\x0a5.1.0\0",
            struct.pack("<I", 7),
            b"saltsalt\0",
            struct.pack("<HBHH", capabilities & 0xFFFF, 33, 2, capabilities >> 16),
            bytes([21]) + bytes(10),
            b"saltsaltsalt\0mysql_native_password\0",
        )
    )


GREETING = _greeting(_CAPABILITIES)
GREETING_TLS = _greeting(_CAPABILITIES | _TLS)


def packet(sequence: int, payload: bytes) -> bytes:
    return struct.pack("<I", len(payload))[:3] + bytes([sequence % 256]) + payload


def _send(connection: socket.socket, sequence: int, payload: bytes) -> None:
    connection.sendall(packet(sequence, payload))


def _receive(connection: socket.socket) -> tuple[int, bytes]:
    head = _exactly(connection, 4)
    return head[3], _exactly(connection, int.from_bytes(head[:3], "little"))


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _error(code: int, text: str) -> bytes:
    return b"\xff" + struct.pack("<H", code) + b"#HY000" + text.encode()


def _send_rows(
    connection: socket.socket, names: Sequence[str], rows: Iterable[Sequence[str | None]]
) -> None:
    """Row by row, so that a generator of rows may take its time."""
    head = [bytes([len(names)]), *map(_column, names), _EOF]
    parts = chain(head, (b"".join(map(_value, row)) for row in rows), [_EOF])
    for number, payload in enumerate(parts, start=1):
        _send(connection, number, payload)


def _column(name: str) -> bytes:
    named = b"".join(_value(text) for text in ("def", "", "", "", name, name))
    return named + b"\x0c" + struct.pack("<HIBHB", 33, 255, 0xFD, 0, 0) + b"\0\0"


def _value(text: str | None) -> bytes:
    if text is None:
        return b"\xfb"
    data = text.encode("utf-8", "surrogateescape")
    size = len(data)
    return (bytes([size]) if size < 251 else b"\xfc" + struct.pack("<H", size)) + data
