"""``/metrics`` and ``/healthz`` over HTTP, in a thread of its own; no client can hold up another.

GET and HEAD, gzip for those who accept it, one request a connection. Who is slow, says too much
or comes when too many are there is disconnected.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
import zlib
from collections.abc import Callable

from gateway_assets.capture.metrics.exposition import CONTENT_TYPE
from gateway_assets.capture.say import say
from gateway_assets.errors import CaptureError

MOST_CLIENTS = 32
MOST_REQUEST = 8192  # bytes
PATIENCE = 10.0  # seconds for a request and its answer
_TURN = 0.5
_STACK = 256 * 1024


class Endpoint:
    """Serves until closed. ``render`` gives the metrics, ``healthy`` whether bytes are counted."""

    def __init__(
        self, address: str, port: int, render: Callable[[], bytes], healthy: Callable[[], bool]
    ) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._render, self._healthy = render, healthy
        self._listening = socket.socket(family, socket.SOCK_STREAM)
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._listening.bind((address, port))
        except OSError as error:
            self._listening.close()
            raise CaptureError(
                f"metrics cannot be served at {address}:{port}: {error.strerror}",
                hint="choose another with --listen ADDRESS:PORT, or --listen off",
            ) from error
        self._listening.listen(MOST_CLIENTS)
        self._listening.setblocking(False)
        self.port: int = self._listening.getsockname()[1]
        self._ready = selectors.DefaultSelector()
        self._ready.register(self._listening, selectors.EVENT_READ)
        self._clients: set[_Client] = set()
        self._closing = False
        before = threading.stack_size(_STACK)
        self._thread = threading.Thread(target=self._serve, name="metrics", daemon=True)
        self._thread.start()
        threading.stack_size(before)

    def close(self) -> None:
        self._closing = True
        self._thread.join()
        for client in list(self._clients):
            self._drop(client)
        self._ready.close()
        self._listening.close()

    def _serve(self) -> None:
        while not self._closing:
            for key, _ in self._ready.select(_TURN):
                if key.fileobj is self._listening:
                    self._accept()
                else:
                    self._advance(key.data)
            now = time.monotonic()
            for client in [one for one in self._clients if one.deadline < now]:
                self._drop(client)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            connection, _ = self._listening.accept()
            if len(self._clients) >= MOST_CLIENTS:
                connection.close()
                return
            connection.setblocking(False)
            client = _Client(connection)
            self._clients.add(client)
            self._ready.register(connection, selectors.EVENT_READ, client)

    def _advance(self, client: _Client) -> None:
        try:
            if client.answer is None:
                if client.read():
                    client.answer = memoryview(self._answer(client.request))
                    self._ready.modify(client.connection, selectors.EVENT_WRITE, client)
            elif client.write():
                self._drop(client)
        except BlockingIOError:
            return
        except OSError:
            self._drop(client)
        except Exception as error:  # noqa: BLE001  no request may end the thread
            say(f"a request for metrics failed: {type(error).__name__}: {error}")
            self._drop(client)

    def _drop(self, client: _Client) -> None:
        self._clients.discard(client)
        with contextlib.suppress(KeyError, ValueError):
            self._ready.unregister(client.connection)
        client.connection.close()

    def _answer(self, request: bytes) -> bytes:
        head, *fields = request.decode("latin-1").split("\r\n")
        method, _, rest = head.partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        if not rest.endswith(("HTTP/1.1", "HTTP/1.0")):
            status, body, kind = "400 Bad Request", b"this is not HTTP/1\n", "text/plain"
        elif method not in ("GET", "HEAD"):
            status, body, kind = "405 Method Not Allowed", b"GET or HEAD\n", "text/plain"
        elif path == "/metrics":
            status, body, kind = "200 OK", self._render(), CONTENT_TYPE
        elif path == "/healthz":
            good = self._healthy()
            status = "200 OK" if good else "503 Service Unavailable"
            body, kind = (b"ok\n" if good else b"nothing is counted\n"), "text/plain"
        else:
            status, body, kind = "404 Not Found", b"/metrics or /healthz\n", "text/plain"
        lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", "Connection: close"]
        if _accepts_gzip(fields):
            body = _gzipped(body)
            lines += ["Content-Encoding: gzip", "Vary: Accept-Encoding"]
        lines += [f"Content-Length: {len(body)}", "", ""]
        return "\r\n".join(lines).encode() + (b"" if method == "HEAD" else body)


class _Client:
    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.deadline = time.monotonic() + PATIENCE
        self.request = b""
        self.answer: memoryview | None = None

    def read(self) -> bool:
        """Whether the request is there as a whole. Raises OSError when it never will be."""
        data = self.connection.recv(MOST_REQUEST)
        self.request += data
        if not data or len(self.request) > MOST_REQUEST:
            raise ConnectionAbortedError
        return b"\r\n\r\n" in self.request

    def write(self) -> bool:
        assert self.answer is not None
        self.answer = self.answer[self.connection.send(self.answer) :]
        return not self.answer


def _accepts_gzip(fields: list[str]) -> bool:
    """RFC 9110, 12.5.3: a coding with the weight 0 is not accepted."""
    for field in fields:
        name, _, value = field.partition(":")
        if name.strip().lower() == "accept-encoding":
            for coding in value.lower().split(","):
                what, _, weight = coding.partition(";")
                if what.strip() == "gzip":
                    return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _gzipped(body: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()
