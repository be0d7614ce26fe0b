"""Packets of a remote divided among the processes that talk to it: real processes and sockets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from gateway_assets.capture.backend import Delta
from gateway_assets.capture.backends.sockdiag import SockDiag
from gateway_assets.capture.sockets import attribution as module
from gateway_assets.capture.sockets.attribution import Attribution
from tests.capture.talking import REMOTE, Talker, datagrams, server

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="a network namespace needs root")
TOTAL = (4_123_457, 77_779)  # sent and received: primes, so that no share is whole


@pytest.fixture
def attribution() -> Iterator[Attribution]:
    attribution = Attribution()
    yield attribution
    attribution.close()


def split(attribution: Attribution) -> list[Delta]:
    """All of TOTAL, divided as the last look says; checked to be all of it."""
    parts = list(attribution.split(0, REMOTE, *TOTAL))
    assert (sum(d.tx_bytes for d in parts), sum(d.rx_bytes for d in parts)) == TOTAL
    return parts


def owners(parts: list[Delta]) -> set[tuple[int | None, str | None]]:
    return {(part.pid, part.attribution) for part in parts}


def look_until(attribution: Attribution, wanted: set[tuple[int | None, str | None]]) -> None:
    """The kernel announces ends a moment after them."""
    deadline = time.monotonic() + 10
    while owners(split(attribution)) != wanted and time.monotonic() < deadline:
        time.sleep(0.02)
        attribution.look()
    assert owners(split(attribution)) == wanted


def test_two_processes_share_as_their_sockets_do(attribution: Attribution) -> None:
    truth = SockDiag()
    with server() as listener, Talker(listener) as one, Talker(listener) as two:
        one.send(3_000_000)
        two.send(1_000_000)
        sent: dict[int | None, int] = {}
        # Arrived is not acknowledged yet, and what is acknowledged is what sockets count.
        deadline = time.monotonic() + 10
        while sum(sent.values()) < 4_000_000 and time.monotonic() < deadline:
            for delta in truth.read(0):
                if delta.remote_ip == REMOTE and delta.tx_bytes:
                    sent[delta.pid] = sent.get(delta.pid, 0) + delta.tx_bytes
        attribution.look()
        parts = split(attribution)
    truth.close()
    assert owners(parts) == {(one.pid, "shared"), (two.pid, "shared")}
    assert sent == {one.pid: 3_000_000, two.pid: 1_000_000}
    for part in parts:
        assert part.tx_bytes / TOTAL[0] == pytest.approx(sent[part.pid] / 4_000_000, rel=0.02)


def test_who_only_acknowledges_sends_as_well(attribution: Attribution) -> None:
    with server() as listener, Talker(listener) as one, Talker(listener) as two:
        attribution.look()
        for _ in range(100):
            one.receive(100_000)
        two.send(30)
        attribution.look()
        sent = {part.pid: part.tx_bytes / TOTAL[0] for part in split(attribution)}
    assert sent[one.pid] > 0.8  # of packets without payload
    assert 0 < sent[two.pid] < 0.2


def test_only_what_moved_since_the_last_look_counts(attribution: Attribution) -> None:
    with server() as listener, Talker(listener) as one, Talker(listener) as two:
        one.send(3_000_000)
        attribution.look()
        two.send(3_000_000)
        attribution.look()
        sent = {part.pid: part.tx_bytes / TOTAL[0] for part in split(attribution)}
    assert sent[two.pid] > 0.99


def test_a_process_that_has_ended_has_its_share(attribution: Attribution) -> None:
    with server() as listener, Talker(listener) as one, Talker(listener) as two:
        attribution.look()
        one.send(3_000_000)
        two.send(1_000_000)
        one.end()
        time.sleep(0.2)
        attribution.look()
        sent = {part.pid: part.tx_bytes / TOTAL[0] for part in split(attribution)}
    assert sent == {one.pid: pytest.approx(0.75, 0.02), two.pid: pytest.approx(0.25, 0.02)}


def test_one_process_has_everything(attribution: Attribution) -> None:
    with server() as listener, Talker(listener) as one:
        attribution.look()
        assert owners(split(attribution)) == {(one.pid, "socket")}


def test_packets_that_come_late_are_of_who_ended_last(
    attribution: Attribution, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server() as listener, Talker(listener) as one:
        attribution.look()
        one.end()
    for _ in range(4):
        time.sleep(0.05)
        attribution.look()
    assert not attribution._now.moved.get(REMOTE)
    assert not attribution._before.moved.get(REMOTE)
    assert owners(split(attribution)) == {(one.pid, "socket")}
    monkeypatch.setattr(module, "_REMEMBERED", 0.0)
    assert owners(split(attribution)) in ({(None, "unknown")}, {(None, "forwarded")})


def test_of_several_that_ended_nobody_is_named(attribution: Attribution) -> None:
    with server() as listener:
        for _ in range(2):
            with Talker(listener):
                attribution.look()
    look_until(attribution, {(None, "ambiguous")})


def test_without_moving_counters_nobody_is_named(attribution: Attribution) -> None:
    with server() as listener, Talker(listener), Talker(listener):
        attribution.look()
        time.sleep(0.1)  # the last acknowledgement
        for _ in range(3):
            attribution.look()
        [part] = split(attribution)
    assert (part.process, part.pid, part.attribution) == (None, None, "ambiguous")


def test_udp_has_no_counters(attribution: Attribution) -> None:
    with datagrams() as listener, Talker(listener) as one:
        one.send(1000)
        attribution.look()
        assert owners(split(attribution)) == {(one.pid, "socket")}
        with Talker(listener) as two:
            two.send(1000)
            attribution.look()
            assert owners(split(attribution)) == {(None, "ambiguous")}


def test_udp_beside_tcp_makes_shares_unknown(attribution: Attribution) -> None:
    with server() as streams, datagrams() as others, Talker(streams) as one, Talker(others):
        one.send(1000)
        attribution.look()
        assert owners(split(attribution)) == {(None, "ambiguous")}


def test_a_connection_between_two_looks_is_of_nobody_known(attribution: Attribution) -> None:
    with server() as listener, Talker(listener) as one:
        one.send(1000)
    look_until(attribution, {(None, "unknown")})


def test_part_of_the_bytes_may_be_of_nobody_known(attribution: Attribution) -> None:
    with server() as listener, Talker(listener) as one:
        attribution.look()
        one.send(1000)
        with Talker(listener) as two:
            two.send(1000)
        look_until(attribution, {(one.pid, "shared"), (None, "unknown")})


def test_what_was_sent_before_the_start_has_no_weight() -> None:
    with server() as listener, Talker(listener) as one, Talker(listener) as two:
        one.send(3_000_000)
        time.sleep(0.1)  # the last acknowledgement
        attribution = Attribution()
        assert owners(split(attribution)) == {(None, "ambiguous")}
        two.send(10_000)
        attribution.look()
        sent = {part.pid: part.tx_bytes / TOTAL[0] for part in split(attribution)}
        attribution.close()
    assert sent[two.pid] > 0.95


def test_what_ends_is_not_kept(attribution: Attribution, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEEP", 3)
    with server() as listener:
        for _ in range(8):
            with Talker(listener):
                pass
        time.sleep(0.2)
        attribution.look()
        assert attribution._now.ended >= 8
        assert not attribution._now.complete
        assert sum(len(moved) for moved in attribution._now.moved.values()) <= 3 + 2


def test_remotes_are_forgotten(attribution: Attribution, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEEP", 3)
    for number in range(8):
        with datagrams() as near:
            near.connect((f"127.77.1.{number}", 9))
            attribution.look()
    for _ in range(3):
        attribution.look()
    # Sockets of other processes of this host may be among them.
    assert len(attribution._ended) <= 3
    assert not {f"127.77.1.{number}" for number in range(5)} & set(attribution._ended)


def test_lost_ends_leave_little_behind(
    attribution: Attribution, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_KEEP", 3)
    with server() as listener, ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(socket.create_connection(listener.getsockname()))
            stack.enter_context(listener.accept()[0])
        attribution.look()
        assert len(attribution._sockets) >= 40
        attribution._link._told.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        stack.close()
        time.sleep(0.2)
        attribution.look()
        open_now = {found.cookie for found in attribution._link.dump(socket.AF_INET)}
        assert attribution._link.lost
        attribution._forwarding = True  # a socket that is not known may have talked to it
        assert [d.attribution for d in attribution.split(0, "192.0.2.1", 1, 1)] == ["unknown"]
        assert len(attribution._sockets.keys() - open_now) <= 3


@needs_root
@pytest.mark.parametrize(("switch", "how"), [(0, "unknown"), (1, "forwarded")])
@pytest.mark.parametrize("version", ["ipv4/ip_forward", "ipv6/conf/all/forwarding"])
def test_a_remote_of_no_socket(switch: int, how: str, version: str) -> None:
    program = (
        "from gateway_assets.capture.sockets.attribution import Attribution\n"
        "print(*Attribution().split(5, '192.0.2.1', 7, 9))\n"
    )
    in_namespace = ["unshare", "-n", "sh", "-c", f'echo {switch} > /proc/sys/net/{version}; "$@"']
    done = subprocess.run(
        [*in_namespace, "sh", sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
    )
    expected = Delta(5, "192.0.2.1", None, None, 7, 9, None, how)
    assert done.stdout == f"{expected}\n", done.stderr
