"""One TCP connection between two real processes, watched by the sockdiag backend.

Run in a network namespace of its own: ``python traffic.py SCENARIO UP DOWN``. The client has the
address 127.0.0.1, the server 127.0.0.2, so that the remote address tells the side. Prints what
was counted for each side as one JSON object.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import traceback
from collections.abc import Callable

from gateway_assets.capture.backends.sockdiag import SockDiag

Play = tuple[Callable[["End"], object], Callable[["End"], object]]  # client, server
CLIENT, SERVER = "127.0.0.1", "127.0.0.2"
REPEATED = {"many": 300}


class End:
    """One end of the connection, able to ask the watcher for a dump and to wait for the other."""

    def __init__(self, connection: socket.socket, watcher: socket.socket, turn: tuple[int, int]):
        self.connection = connection
        self._watcher = watcher
        self._turn = turn

    def send(self, size: int) -> None:
        self.connection.sendall(bytes(size))

    def receive(self, size: int) -> None:
        while size > 0:
            size -= len(self.connection.recv(1 << 16))

    def drain(self) -> None:
        while self.connection.recv(1 << 16):
            pass

    def await_reset(self) -> None:
        try:
            self.drain()
        except ConnectionResetError:
            return
        raise AssertionError("the connection was not reset")

    def shut(self) -> None:
        self.connection.shutdown(socket.SHUT_WR)

    def dumped(self) -> None:
        self._watcher.send(b"?")
        self._watcher.recv(1)

    def pass_turn(self) -> None:
        os.write(self._turn[1], b"!")

    def await_turn(self) -> None:
        os.read(self._turn[0], 1)


def client_first(up: int, down: int) -> Play:
    return (
        lambda c: (c.send(up), c.receive(down)),
        lambda s: (s.receive(up), s.send(down), s.drain()),
    )


def server_first(up: int, down: int) -> Play:
    return (lambda c: (c.send(up), c.drain()), lambda s: (s.receive(up), s.send(down)))


def dump_before_close(up: int, down: int) -> Play:
    return (
        lambda c: (c.send(up), c.receive(down), c.dumped()),
        lambda s: (s.receive(up), s.send(down), s.drain(), s.dumped()),
    )


def dump_half_way(up: int, down: int) -> Play:
    return (
        lambda c: (c.send(up), c.dumped(), c.send(up), c.drain(), c.dumped()),
        lambda s: (s.receive(2 * up), s.send(down), s.dumped()),
    )


def half_close_held(up: int, down: int) -> Play:
    return (
        lambda c: (c.send(up), c.shut(), c.dumped(), c.pass_turn(), c.drain()),
        lambda s: (s.drain(), s.await_turn(), s.send(down)),
    )


def half_close_short(up: int, down: int) -> Play:
    return (lambda c: (c.send(up), c.shut(), c.drain()), lambda s: (s.drain(), s.send(down)))


def closed_slowly(up: int, down: int) -> Play:
    """The client has gone before the server closes: its FIN is still to come."""
    return (
        lambda c: (c.send(up), c.receive(down), c.connection.close(), c.dumped(), c.pass_turn()),
        lambda s: (s.receive(up), s.send(down), s.await_turn()),
    )


def unread(up: int, down: int) -> Play:
    """The client closes over data that has arrived but was never read: a reset."""
    return (
        lambda c: (c.send(up), c.await_turn()),
        lambda s: (s.receive(up), s.send(down), s.dumped(), s.pass_turn(), s.await_reset()),
    )


SCENARIOS = {
    "client_first": client_first,
    "server_first": server_first,
    "dump_before_close": dump_before_close,
    "dump_half_way": dump_half_way,
    "half_close_held": half_close_held,
    "half_close_short": half_close_short,
    "closed_slowly": closed_slowly,
    "unread": unread,
    "many": server_first,
    "mapped": client_first,
    "same_port": server_first,
}


def listen(name: str) -> socket.socket:
    if name == "mapped":
        return socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server((SERVER, 0))


class Watch:
    """The backend, and what it counted of each remote."""

    def __init__(self) -> None:
        self.backend = SockDiag()
        self.counted = {CLIENT: [0, 0], SERVER: [0, 0]}
        self.watcher, self.watched = socket.socketpair()

    def count(self, timeout: float) -> None:
        for delta in self.backend.read(timeout):
            self.counted[delta.remote_ip][0] += delta.tx_bytes
            self.counted[delta.remote_ip][1] += delta.rx_bytes

    def until_gone(self, children: set[int]) -> None:
        while children:
            self.count(0.01)
            if select.select([self.watcher], [], [], 0)[0]:
                self.watcher.recv(1)
                self.count(0)
                self.watcher.send(b".")
            for child in list(children):
                pid, status = os.waitpid(child, os.WNOHANG)
                assert status == 0
                children -= {pid}

    def until_quiet(self) -> None:
        """The kernel announces the last ends later, from a work queue of its own."""
        quiet = 0
        while quiet < 20:
            before = str(self.counted)
            self.count(0.02)
            self.count(0)
            quiet = quiet + 1 if str(self.counted) == before else 0


def main(name: str, up: int, down: int) -> None:
    client, server = SCENARIOS[name](up, down)
    listener = listen(name)
    address = (SERVER, listener.getsockname()[1])
    watch = Watch()
    turn = os.pipe()

    def play_client() -> None:
        for _ in range(REPEATED.get(name, 1)):
            near = (CLIENT, address[1] if name == "same_port" else 0)
            with socket.create_connection(address, source_address=near) as connection:
                client(End(connection, watch.watched, turn))
        os.write(turn[1], b"!")  # whoever still waits may go

    def play_server() -> None:
        for _ in range(REPEATED.get(name, 1)):
            with listener.accept()[0] as connection:
                server(End(connection, watch.watched, turn))

    watch.until_gone({fork(play_client), fork(play_server)})
    watch.until_quiet()
    result = {"client": watch.counted[SERVER], "server": watch.counted[CLIENT]}
    sys.stdout.write(json.dumps({**result, "lost": watch.backend.lost_events}))
    watch.backend.close()


def fork(play: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            play()
            status = 0
        finally:
            if status:
                traceback.print_exc()
            os._exit(status)
    return child


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
