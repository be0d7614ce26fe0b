"""The sockdiag backend counts payload to the byte, in both directions, whoever closes first."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway_assets.capture.backend import Backend, Delta, Options
from gateway_assets.capture.backends import BACKENDS, open_backend
from gateway_assets.capture.backends.sockdiag import SockDiag
from gateway_assets.capture.sockets import netlink
from gateway_assets.capture.sockets.holders import UNKNOWN, Holder, _common
from gateway_assets.capture.sockets.processes import NOBODY, Owner
from gateway_assets.errors import UsageError

IN_NAMESPACE = ["unshare", "-n", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
PLAY = Path(__file__).with_name("traffic.py")
SIZES = [(0, 0), (1, 0), (0, 1), (1, 1), (100_000, 3), (5, 100_000), (10_000_000, 10_000_000)]
EXACT = ["client_first", "server_first", "dump_before_close", "half_close_held", "closed_slowly"]

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="a network namespace needs root")


def watch(scenario: str, up: int, down: int) -> dict[str, list[int]]:
    command = [*IN_NAMESPACE, sys.executable, str(PLAY), scenario, str(up), str(down)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    result: dict[str, list[int]] = json.loads(done.stdout)
    return result


@needs_root
@pytest.mark.parametrize(("up", "down"), SIZES)
@pytest.mark.parametrize("scenario", EXACT)
def test_every_byte_is_counted_once(scenario: str, up: int, down: int) -> None:
    assert watch(scenario, up, down) == {"client": [up, down], "server": [down, up], "lost": 0}


@needs_root
@pytest.mark.parametrize(("up", "down"), [(1, 1), (100_000, 7)])
def test_a_dump_in_the_middle_changes_nothing(up: int, down: int) -> None:
    found = watch("dump_half_way", up, down)
    assert found == {"client": [2 * up, down], "server": [down, 2 * up], "lost": 0}


@needs_root
def test_three_hundred_connections_between_two_dumps() -> None:
    found = watch("many", 100, 2000)
    assert found == {"client": [30_000, 600_000], "server": [600_000, 30_000], "lost": 0}


@needs_root
def test_the_port_of_a_listener_may_also_be_an_outgoing_one() -> None:
    found = watch("same_port", 100, 2000)
    assert found == {"client": [100, 2000], "server": [2000, 100], "lost": 0}


@needs_root
def test_mapped_addresses_are_counted_as_ipv4() -> None:
    assert watch("mapped", 10, 20) == {"client": [10, 20], "server": [20, 10], "lost": 0}


@needs_root
def test_data_that_was_never_read_is_received_all_the_same() -> None:
    assert watch("unread", 10, 20_000) == {
        "client": [10, 20_000],
        "server": [20_000, 10],
        "lost": 0,
    }


@needs_root
def test_a_half_close_no_dump_has_seen_is_at_most_one_byte_high() -> None:
    found = watch("half_close_short", 100, 5000)
    assert found["server"] == [5000, 100]
    assert found["client"] in ([100, 5000], [100, 5001])


def test_what_was_sent_before_the_start_is_not_counted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        with client, server:
            client.sendall(bytes(5000))
            received = 0
            while received < 5000:
                received += len(server.recv(5000))
            backend = open_backend("sockdiag", Options())
            client.sendall(bytes(7))
            server.recv(7)
            mine = [delta for delta in backend.read(0) if delta.pid == os.getpid()]
            backend.close()
    assert sum(delta.tx_bytes for delta in mine) == sum(delta.rx_bytes for delta in mine) == 7
    name = Path("/proc/self/comm").read_text().strip()
    assert {(delta.process, delta.attribution) for delta in mine} == {(name, "socket")}


def talk_between_dumps(*listeners: socket.socket) -> dict[str, Delta]:
    """A connection that no dump shows, by its remote address: what is told of its two ends."""
    backend = SockDiag()
    backend._next = float("inf")
    address = ("127.77.1.1", 0)
    with socket.create_connection(listeners[0].getsockname(), source_address=address) as client:
        client.sendall(bytes(9))
        accepted = select.select(listeners, [], [])[0][0].accept()[0]
        accepted.recv(9)
        accepted.close()
    told: dict[str, Delta] = {}
    while not told.keys() >= {"127.77.1.1", "127.77.1.2"}:
        told |= {delta.remote_ip: delta for delta in backend.read(0.1)}
    backend.close()
    return told


def test_a_connection_too_short_for_a_dump_is_of_its_listener() -> None:
    with socket.create_server(("127.77.1.2", 0)) as listener:
        told = talk_between_dumps(listener)
    accepted, outgoing = told["127.77.1.1"], told["127.77.1.2"]
    assert (accepted.pid, accepted.attribution) == (os.getpid(), "socket")
    assert (outgoing.pid, outgoing.attribution) == (None, "unknown")


@contextmanager
def another_listener(port: int) -> Iterator[None]:
    program = (
        "import socket, sys; at = ('127.77.1.2', int(sys.argv[1]))\n"
        "theirs = socket.create_server(at, reuse_port=True); print(flush=True); sys.stdin.read()"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program, str(port)], stdin=pipe, stdout=pipe) as p:
        assert p.stdout
        p.stdout.readline()
        yield
        p.communicate()


def test_of_several_listeners_at_one_end_none_is_named() -> None:
    with socket.create_server(("127.77.1.2", 0), reuse_port=True) as ours:
        port = ours.getsockname()[1]
        near, far = socket.inet_aton("127.77.1.2") + bytes(12), bytes(16)
        ends = netlink.Connection(socket.AF_INET, port, 1, near, far)
        with another_listener(port):
            backend = SockDiag()
            both = backend._holders.listener(ends)
        backend._poll()
        one = backend._holders.listener(ends)
        backend.close()
    assert both
    assert one
    assert (both.owner.pid, one.owner.pid) == (None, os.getpid())


def test_of_several_what_they_have_in_common_is_known() -> None:
    one, two = (Holder(Owner(pid, "nginx", 7), "nginx.service") for pid in (1, 2))
    assert _common(one, two) == Holder(NOBODY, "nginx.service")
    assert _common(one, two._replace(unit="other.service")) == UNKNOWN
    assert _common(one, one) == one


def test_a_flood_beyond_the_buffer_is_said() -> None:
    backend = open_backend("sockdiag", Options())
    assert isinstance(backend, Backend)
    assert isinstance(backend, SockDiag)
    backend._link._told.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for _ in range(50):
            with socket.create_connection(listener.getsockname()), listener.accept()[0]:
                pass
    for _ in range(100):
        list(backend.read(0.02))
        if backend.lost_events:
            break
    backend.close()
    assert backend.lost_events > 0


@pytest.mark.parametrize("option", [Options(interface="lo"), Options(file="x")])
def test_what_it_cannot_follow_is_refused(option: Options) -> None:
    with pytest.raises(UsageError):
        open_backend("sockdiag", option)


def test_every_backend_named_has_a_file() -> None:
    folder = Path(sys.modules[open_backend.__module__].__path__[0])
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert files == set(BACKENDS)


def test_a_byte_counted_too_high_comes_off_the_next() -> None:
    backend = SockDiag()
    key = ("192.0.2.1", Owner(1, "curl"))
    assert backend._settled(key, 5, -1) == (5, 0)
    assert backend._settled(("192.0.2.2", Owner(1, "curl")), 0, 3) == (0, 3)
    assert backend._settled(key, 0, 0) == (0, 0)
    assert backend._settled(key, 0, 3) == (0, 2)
    assert backend._settled(key, 0, 3) == (0, 3)
    backend.close()
