"""Loopback TCP traffic to be counted: many connections that stay and some that last a moment.

``python bench/loopback.py SECONDS CONNECTIONS`` keeps that many connections open over 127.0.0.1,
sends a kilobyte through each once a second, and opens and closes twenty more in every second.
"""

from __future__ import annotations

import resource
import socket
import sys
import time

MESSAGE = bytes(1024)
SHORT_LIVED = 20


def connect(server: socket.socket) -> tuple[socket.socket, socket.socket]:
    client = socket.create_connection(server.getsockname())
    accepted, _ = server.accept()
    return client, accepted


def exchange(pair: tuple[socket.socket, socket.socket]) -> None:
    client, accepted = pair
    client.sendall(MESSAGE)
    accepted.recv(len(MESSAGE), socket.MSG_WAITALL)


def main(seconds: float, connections: int) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    until = time.monotonic() + seconds
    with socket.create_server(("127.0.0.1", 0)) as server:
        staying = [connect(server) for _ in range(connections)]
        print("ready", flush=True)
        while time.monotonic() < until:
            for pair in staying:
                exchange(pair)
            for _ in range(SHORT_LIVED):
                pair = connect(server)
                exchange(pair)
                for end in pair:
                    end.close()
                time.sleep(1 / SHORT_LIVED)


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
