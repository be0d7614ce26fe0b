"""HTTP transfers over loopback, real ones, so that there is always something to capture.

``python -m gateway_assets.cli.traffic SECONDS`` serves on a free port of 127.0.0.1 and downloads
and uploads in other processes until the time is over.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context

BODY = os.urandom(65_536)
PR_SET_NAME = 15


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(BODY)

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(b"")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the library's name
        """Say nothing."""


def name_process(name: str) -> None:
    """Show under this name in the process list, and so in the captured rows."""
    ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode(), 0, 0, 0)


def client(port: int, method: str, name: str, seconds: float) -> None:
    name_process(name)
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        connection.request(method, "/", body=BODY[: len(BODY) // 4] if method == "PUT" else None)
        connection.getresponse().read()
        time.sleep(0.1)
    connection.close()


def main(seconds: float) -> None:
    name_process("tour-server")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    port = server.server_address[1]
    context = get_context("fork")
    clients = [
        context.Process(target=client, args=(port, method, name, seconds))
        for method, name in (("GET", "tour-download"), ("PUT", "tour-upload"))
    ]
    for process in clients:
        process.start()
    server.timeout = 0.2
    while any(process.is_alive() for process in clients):
        server.handle_request()
    server.server_close()


if __name__ == "__main__":
    main(float(sys.argv[1]))
