"""Processes that talk to a remote, as much as they are told to."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

REMOTE = "127.77.0.2"  # an address of loopback that nobody else talks to
_PROGRAM = """
import socket, sys
kind, host, port = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
talk = socket.socket(type=kind)
talk.bind(("127.77.0.1", 0))
talk.connect((host, port))
print("connected", flush=True)
for line in sys.stdin:
    if int(line) > 0:
        talk.sendall(bytes(int(line)))
    else:
        talk.recv(-int(line), socket.MSG_WAITALL)
    print("done", flush=True)
"""


def server() -> socket.socket:
    return socket.create_server((REMOTE, 0))


def datagrams() -> socket.socket:
    listener = socket.socket(type=socket.SOCK_DGRAM)
    listener.bind((REMOTE, 0))
    return listener


class Talker(AbstractContextManager["Talker"]):
    """A process with one socket connected to a listener; it ends with the context."""

    def __init__(self, listener: socket.socket, cgroup: Path | None = None) -> None:
        host, port = listener.getsockname()
        command = [sys.executable, "-c", _PROGRAM, str(int(listener.type)), host, str(port)]
        if cgroup:
            move = f'echo $$ > "{cgroup}/cgroup.procs" && exec "$@"'
            command = ["sh", "-c", move, "sh", *command]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        self.pid = self._process.pid
        self._heard("connected")
        stream = listener.type == socket.SOCK_STREAM
        self._accepted = listener.accept()[0] if stream else None

    def send(self, size: int) -> None:
        """Send, and have it arrive."""
        assert self._process.stdin
        self._process.stdin.write(f"{size}\n")
        self._process.stdin.flush()
        while self._accepted and size:
            size -= len(self._accepted.recv(min(size, 1 << 20)))
        self._heard("done")

    def receive(self, size: int) -> None:
        """Have it receive so much, at once."""
        assert self._process.stdin
        assert self._accepted
        self._process.stdin.write(f"-{size}\n")
        self._process.stdin.flush()
        self._accepted.sendall(bytes(size))
        self._heard("done")

    def end(self) -> None:
        self._process.communicate(timeout=20)
        if self._accepted:
            self._accepted.recv(1)
            self._accepted.close()

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.end()

    def _heard(self, word: str) -> None:
        assert self._process.stdout
        assert self._process.stdout.readline() == f"{word}\n"
