"""INET_DIAG on the wire: the kernel's own list of sockets, asked for and read as bytes.

Layouts are those of ``linux/netlink.h``, ``linux/inet_diag.h`` and ``linux/tcp.h``. Requests are
built and replies parsed by pure functions; ``Link`` is the only part that touches a socket.
Reading needs no privilege; other users' sockets are listed too.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
TCP_DESTROY_GROUPS = 0b0101  # SKNLGRP_INET_TCP_DESTROY and SKNLGRP_INET6_TCP_DESTROY

ESTABLISHED = 1  # of a UDP socket: connected, so that it has one remote
FIN_WAIT1, FIN_WAIT2, TIME_WAIT, CLOSE = 4, 5, 6, 7
CLOSE_WAIT, LAST_ACK, LISTEN, CLOSING = 8, 9, 10, 11
_ANY_STATE = 0xFFF & ~(1 << TIME_WAIT)

_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_REQUEST, _DUMP = 0x001, 0x300
_INET_DIAG_INFO, _INET_DIAG_CGROUP_ID = 2, 21
_NO_COOKIE = b"\xff" * 8
_AT_ONCE = 10_000  # so that a flood of ends cannot keep the caller from stopping
_TCP_INFO_WITH_BYTES_RETRANS = 216  # Linux 4.19

_HEADER = struct.Struct("=IHHII")
_REQUEST_BODY = struct.Struct("=BBBxI")
_MESSAGE = struct.Struct("=BBxxHH16s16sIIIIIIII")  # struct inet_diag_msg; ports big-endian
_ATTRIBUTE = struct.Struct("=HH")
_PORT = struct.Struct(">H")
_COUNTERS = struct.Struct("=QQII8xI44xQQ")  # of struct tcp_info, from tcpi_bytes_acked on
_U64 = struct.Struct("=Q")


class Connection(NamedTuple):
    """The two ends of a socket as the kernel keys them: for asking about it again."""

    family: int
    local_port: int
    remote_port: int
    local: bytes  # 16 bytes; IPv4 uses the first four
    remote: bytes


class TcpSocket(NamedTuple):
    """One TCP socket as the kernel describes it in a dump or when it destroys it."""

    cookie: int
    state: int
    connection: Connection
    inode: int
    unread: int  # idiag_rqueue
    acked: int
    received: int
    sent: int  # payload handed to the network, each byte once
    data_segments: int  # segments with payload received
    cgroup: int = 0  # id of its cgroup v2; 0 when it is not told, as when it is destroyed
    sent_again: int = 0  # payload in segments that were sent once more
    segments_out: int = 0  # all of them: with payload, without, and sent again
    segments_in: int = 0


class UdpSocket(NamedTuple):
    """One UDP socket as the kernel describes it in a dump; it counts no bytes."""

    cookie: int
    connection: Connection
    inode: int
    cgroup: int


def dump_request(family: int) -> bytes:
    """Ask for every TCP socket of an address family, with its ``tcp_info``."""
    wanted = 1 << (_INET_DIAG_INFO - 1)
    body = _REQUEST_BODY.pack(family, socket.IPPROTO_TCP, wanted, _ANY_STATE) + bytes(48)
    return _message(_REQUEST | _DUMP, body)


def connected_udp_request(family: int) -> bytes:
    """Ask for every UDP socket of an address family that has one remote."""
    body = _REQUEST_BODY.pack(family, socket.IPPROTO_UDP, 0, 1 << ESTABLISHED) + bytes(48)
    return _message(_REQUEST | _DUMP, body)


def get_request(connection: Connection) -> bytes:
    """Ask for what the kernel holds under exactly these two ends, or listens with there."""
    family, local_port, remote_port, local, remote = connection
    body = _REQUEST_BODY.pack(family, socket.IPPROTO_TCP, 0, _ANY_STATE | 1 << TIME_WAIT)
    ports = _PORT.pack(local_port) + _PORT.pack(remote_port)
    return _message(_REQUEST, body + ports + local + remote + bytes(4) + _NO_COOKIE)


def _message(flags: int, body: bytes) -> bytes:
    return _HEADER.pack(16 + len(body), SOCK_DIAG_BY_FAMILY, flags, 0, 0) + body


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The (type, payload) of each netlink message in one datagram; a cut tail is left out."""
    offset = 0
    while offset + 16 <= len(data):
        length, kind, _, _, _ = _HEADER.unpack_from(data, offset)
        if length < 16 or offset + length > len(data):
            return
        yield kind, data[offset + 16 : offset + length]
        offset += (length + 3) & ~3


def parse_socket(payload: bytes) -> TcpSocket | None:
    """A socket from an ``inet_diag_msg``; None when it carries no byte counters."""
    if len(payload) < _MESSAGE.size:
        return None
    info, cgroup = _attributes(payload)
    if info < 0:
        return None
    cookie, connection, unread, inode = _head(payload)
    counters = _COUNTERS.unpack_from(payload, info + 120)
    acked, received, segments_out, segments_in, data_segments, sent, again = counters
    return TcpSocket(
        cookie,
        payload[info],  # tcpi_state: read closer to the counters than idiag_state
        connection,
        inode,
        unread,
        acked,
        received,
        sent - again,
        data_segments,
        cgroup,
        again,
        segments_out,
        segments_in,
    )


def parse_udp(payload: bytes) -> UdpSocket | None:
    """A UDP socket from an ``inet_diag_msg``; None when it is cut."""
    if len(payload) < _MESSAGE.size:
        return None
    cookie, connection, _, inode = _head(payload)
    return UdpSocket(cookie, connection, inode, _attributes(payload)[1])


def _head(payload: bytes) -> tuple[int, Connection, int, int]:
    """Cookie, ends, length of the receive queue and inode."""
    fields = _MESSAGE.unpack_from(payload)
    family, _, near, far, local, remote, _, low, high, _, unread, _, _, inode = fields
    connection = Connection(family, socket.ntohs(near), socket.ntohs(far), local, remote)
    return high << 32 | low, connection, unread, inode


def _attributes(payload: bytes) -> tuple[int, int]:
    """Where ``tcp_info`` begins, -1 when it is missing or too short; the cgroup's id, or 0."""
    info, cgroup = -1, 0
    offset = _MESSAGE.size
    while offset + 4 <= len(payload):
        length, kind = _ATTRIBUTE.unpack_from(payload, offset)
        if length < 4 or offset + length > len(payload):
            break
        kind &= 0x3FFF
        if kind == _INET_DIAG_INFO and length - 4 >= _TCP_INFO_WITH_BYTES_RETRANS:
            info = offset + 4
        elif kind == _INET_DIAG_CGROUP_ID and length == 12:
            (cgroup,) = _U64.unpack_from(payload, offset + 4)
        offset += (length + 3) & ~3
    return info, cgroup


class Link:
    """Two netlink sockets: one to ask, one on which destroyed sockets are announced."""

    def __init__(self) -> None:
        self.lost = 0
        self._asking = self._open()
        self._told = self._open()
        for option in (33, socket.SO_RCVBUF):  # SO_RCVBUFFORCE goes past rmem_max, for root only
            try:
                self._told.setsockopt(socket.SOL_SOCKET, option, 16 << 20)
                break
            except PermissionError:
                continue
        self._told.bind((0, TCP_DESTROY_GROUPS))
        self._told.setblocking(False)

    @staticmethod
    def _open() -> socket.socket:
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
        return socket.socket(socket.AF_NETLINK, kind, NETLINK_SOCK_DIAG)

    def fileno(self) -> int:
        """Readable when a socket was destroyed."""
        return self._told.fileno()

    def close(self) -> None:
        self._asking.close()
        self._told.close()

    def dump(self, family: int) -> Iterator[TcpSocket]:
        """Every TCP socket of an address family that has byte counters."""
        for payload in self._answers(dump_request(family)):
            found = parse_socket(payload)
            if found:
                yield found

    def connected_udp(self, family: int) -> Iterator[UdpSocket]:
        """Every UDP socket of an address family that has one remote."""
        for payload in self._answers(connected_udp_request(family)):
            found = parse_udp(payload)
            if found:
                yield found

    def _answers(self, request: bytes) -> Iterator[bytes]:
        self._asking.send(request)
        while True:
            for kind, payload in messages(self._asking.recv(1 << 18)):
                if kind in (_NLMSG_DONE, _NLMSG_ERROR):
                    _raise_error(payload)  # a missing module is told by the end of the dump
                    return
                yield payload

    def state(self, connection: Connection) -> int:
        """The state of what remains under these two ends; 0 when there is nothing."""
        self._asking.send(get_request(connection))
        for kind, payload in messages(self._asking.recv(1 << 16)):
            if kind == SOCK_DIAG_BY_FAMILY and len(payload) > 1:
                return payload[1]
        return 0

    def destroyed(self) -> Iterator[TcpSocket]:
        """The sockets destroyed since the last call; ``lost`` grows when some were dropped."""
        for _ in range(_AT_ONCE):
            try:
                data = self._told.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.lost += 1
                continue
            for _, payload in messages(data):
                found = parse_socket(payload)
                if found:
                    yield found


def _raise_error(payload: bytes) -> None:
    (code,) = struct.unpack_from("=i", payload)
    if code < 0:
        raise OSError(-code, os.strerror(-code))
