"""The rule that finds the FIN: one test per row of its table."""

from __future__ import annotations

import pytest

from gateway_assets.capture.sockets import netlink
from gateway_assets.capture.sockets.netlink import Connection, TcpSocket
from gateway_assets.capture.sockets.payload import final_payload, open_payload, with_memory

ENDS = Connection(2, 40000, 443, bytes(16), bytes(16))
GONE = TcpSocket(1, netlink.CLOSE, ENDS, 0, 0, 0, 1001, 500, 3)
OPEN = GONE._replace(state=1, inode=77, received=400, data_segments=1)


def never() -> int:
    raise AssertionError("the kernel was asked although the evidence was enough")


@pytest.mark.parametrize(
    ("state", "payload"),
    [(1, 1001), (4, 1001), (5, 1001), (6, 1000), (8, 1000), (9, 1000), (11, 1000)],
)
def test_in_a_dump_the_state_tells(state: int, payload: int) -> None:
    found = GONE._replace(state=state)
    assert open_payload(found, found) == payload
    assert open_payload(GONE._replace(state=state, received=0), None) == 0


def test_a_byte_that_may_be_a_fin_waits_for_the_next_dump() -> None:
    assert open_payload(OPEN, None) == 399
    assert open_payload(OPEN, OPEN) == 400
    assert open_payload(OPEN._replace(received=500), OPEN) == 499
    assert open_payload(OPEN._replace(received=401, state=8), OPEN) == 400
    ending = OPEN._replace(received=401, state=netlink.CLOSE)
    assert open_payload(ending, ending) == 400


def test_a_fin_that_has_arrived_is_not_forgotten() -> None:
    waiting = OPEN._replace(received=401, state=8)
    assert with_memory(OPEN._replace(received=401, state=netlink.CLOSE), waiting) == waiting
    assert with_memory(waiting, OPEN) == waiting
    assert with_memory(waiting, None) == waiting


@pytest.mark.parametrize(
    ("gone", "earlier", "payload"),
    [
        (GONE._replace(received=0), None, 0),
        (GONE._replace(received=1, data_segments=0), None, 0),
        (GONE._replace(unread=1), None, 1000),
        (GONE._replace(unread=2), None, 1001),
        (GONE, OPEN._replace(state=netlink.CLOSE_WAIT), 1000),
        (GONE, OPEN._replace(received=1000, data_segments=3), 1000),
    ],
)
def test_evidence_in_the_socket_itself(
    gone: TcpSocket, earlier: TcpSocket | None, payload: int
) -> None:
    assert final_payload(gone, earlier, never) == payload


@pytest.mark.parametrize(
    ("acked", "earlier", "left", "payload"),
    [
        (502, OPEN._replace(state=netlink.FIN_WAIT2), netlink.TIME_WAIT, 1000),
        (502, OPEN._replace(state=netlink.FIN_WAIT2, inode=0), netlink.TIME_WAIT, 1001),
        (502, OPEN._replace(received=1001, data_segments=3), 0, 1000),  # FIN during the dump
        (501, OPEN._replace(received=1001, data_segments=3), 0, 1001),
        (502, None, netlink.TIME_WAIT, 1001),
        (502, None, netlink.FIN_WAIT2, 1001),
        (501, None, netlink.LISTEN, 1000),  # accepted: its FIN acknowledged
        (500, None, netlink.LISTEN, 1001),  # accepted, reset
        (502, None, 0, 1000),  # opened: its SYN and FIN acknowledged
        (501, None, 0, 1001),  # opened, reset
    ],
)
def test_what_remains_decides(
    acked: int, earlier: TcpSocket | None, left: int, payload: int
) -> None:
    assert final_payload(GONE._replace(acked=acked), earlier, lambda: left) == payload
