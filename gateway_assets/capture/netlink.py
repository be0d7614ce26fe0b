"""INET_DIAG on the wire: the kernel's own list of TCP sockets, asked for and read as bytes.

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

FIN_WAIT1, FIN_WAIT2, TIME_WAIT, CLOSE = 4, 5, 6, 7
CLOSE_WAIT, LAST_ACK, LISTEN, CLOSING = 8, 9, 10, 11
_ANY_STATE = 0xFFF & ~(1 << TIME_WAIT)

_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_REQUEST, _DUMP = 0x001, 0x300
_INET_DIAG_INFO = 2
_NO_COOKIE = b"\xff" * 8
_AT_ONCE = 10_000  # so that a flood of ends cannot keep the caller from stopping
_TCP_INFO_WITH_BYTES_RETRANS = 216  # Linux 4.19

_HEADER = struct.Struct("=IHHII")
_REQUEST_BODY = struct.Struct("=BBBxI")
_MESSAGE = struct.Struct("=BBxx2s2s16s16sI8sIIIII")  # struct inet_diag_msg
_ATTRIBUTE = struct.Struct("=HH")
_PORT = struct.Struct(">H")
_COOKIE = struct.Struct("=II")
_ACKED_RECEIVED = struct.Struct("=QQ")
_SENT_RETRANS = struct.Struct("=QQ")
_U32 = struct.Struct("=I")


class Connection(NamedTuple):
    """The two ends of a TCP socket as the kernel keys them: for asking about it again."""

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


def dump_request(family: int) -> bytes:
    """Ask for every TCP socket of an address family, with its ``tcp_info``."""
    wanted = 1 << (_INET_DIAG_INFO - 1)
    body = _REQUEST_BODY.pack(family, socket.IPPROTO_TCP, wanted, _ANY_STATE) + bytes(48)
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
    fields = _MESSAGE.unpack_from(payload)
    family, _, local_port, remote_port, local, remote, _, cookie, _, unread, _, _, inode = fields
    info = _attribute(payload, _INET_DIAG_INFO)
    if info < 0:
        return None
    acked, received = _ACKED_RECEIVED.unpack_from(payload, info + 120)
    (data_segments,) = _U32.unpack_from(payload, info + 152)
    sent, again = _SENT_RETRANS.unpack_from(payload, info + 200)
    low, high = _COOKIE.unpack(cookie)
    (near,), (far,) = _PORT.unpack(local_port), _PORT.unpack(remote_port)
    connection = Connection(family, near, far, local, remote)
    return TcpSocket(
        high << 32 | low,
        payload[info],  # tcpi_state: read closer to the counters than idiag_state
        connection,
        inode,
        unread,
        acked,
        received,
        sent - again,
        data_segments,
    )


def _attribute(payload: bytes, wanted: int) -> int:
    """Where an attribute's value begins, or -1 when it is missing or too short."""
    offset = _MESSAGE.size
    while offset + 4 <= len(payload):
        length, kind = _ATTRIBUTE.unpack_from(payload, offset)
        if length < 4 or offset + length > len(payload):
            return -1
        if kind & 0x3FFF == wanted:
            return offset + 4 if length - 4 >= _TCP_INFO_WITH_BYTES_RETRANS else -1
        offset += (length + 3) & ~3
    return -1


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
        self._asking.send(dump_request(family))
        while True:
            for kind, payload in messages(self._asking.recv(1 << 18)):
                if kind == _NLMSG_DONE:
                    return
                if kind == _NLMSG_ERROR:
                    _raise_error(payload)
                found = parse_socket(payload)
                if found:
                    yield found

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
    if code:
        raise OSError(-code, os.strerror(-code))
