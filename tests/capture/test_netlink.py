"""INET_DIAG messages as bytes: what is asked, what is understood, what is left out."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_assets.capture.addresses import address_text, parse_address, parse_host
from gateway_assets.capture.sockets import netlink

NEAR = socket.inet_pton(socket.AF_INET6, "::ffff:192.0.2.1")
FAR = socket.inet_pton(socket.AF_INET6, "2001:db8::7")


def tcp_info(length: int = 232) -> bytes:
    info = bytearray(300)
    info[0] = netlink.CLOSE_WAIT
    struct.pack_into("=QQ", info, 120, 1002, 2001)  # acked, received
    struct.pack_into("=II", info, 136, 31, 32)  # segments out, in
    struct.pack_into("=I", info, 152, 9)  # data segments in
    struct.pack_into("=QQ", info, 200, 1500, 500)  # sent, retransmitted
    return bytes(info[:length])


def message(info: bytes) -> bytes:
    ends = struct.pack(">HH", 443, 50000) + NEAR + FAR + struct.pack("=III", 0, 7, 1)
    body = bytes([socket.AF_INET6, 8, 0, 0]) + ends + struct.pack("=IIIII", 0, 4, 0, 0, 12345)
    other = struct.pack("=HHBxxx", 5, 8, 3)  # INET_DIAG_SHUTDOWN before it
    other += struct.pack("=HHQ", 12, 21, 1 << 40 | 5)  # INET_DIAG_CGROUP_ID
    return body + other + struct.pack("=HH", 4 + len(info), 2) + info


def test_a_socket_is_understood() -> None:
    found = netlink.parse_socket(message(tcp_info()))
    assert found is not None
    assert found.cookie == 1 << 32 | 7
    assert found.state == netlink.CLOSE_WAIT
    assert found.connection == (socket.AF_INET6, 443, 50000, NEAR, FAR)
    assert (found.inode, found.unread) == (12345, 4)
    assert (found.acked, found.received, found.sent, found.data_segments) == (1002, 2001, 1000, 9)
    assert (found.sent_again, found.segments_out, found.segments_in) == (500, 31, 32)
    assert found.cgroup == 1 << 40 | 5


def test_a_udp_socket_is_understood() -> None:
    found = netlink.parse_udp(message(b""))
    ends = (socket.AF_INET6, 443, 50000, NEAR, FAR)
    assert found == (1 << 32 | 7, ends, 12345, 1 << 40 | 5)
    assert netlink.parse_udp(message(b"")[:71]) is None


def test_the_kernel_says_what_it_cannot_list() -> None:
    link = netlink.Link()
    nobody_speaks_it = bytearray(netlink.dump_request(socket.AF_INET))
    nobody_speaks_it[17] = 255  # instead of TCP
    with pytest.raises(FileNotFoundError):
        list(link._answers(bytes(nobody_speaks_it)))
    link.close()


def test_without_counters_there_is_no_socket() -> None:
    assert netlink.parse_socket(message(tcp_info(200))) is None  # before Linux 4.19
    assert netlink.parse_socket(message(tcp_info())[:72]) is None
    assert netlink.parse_socket(b"") is None


def test_requests_have_the_kernels_layout() -> None:
    request = netlink.dump_request(socket.AF_INET)
    assert struct.unpack("=IHH", request[:8]) == (72, 20, 0x301)
    assert request[16:19] == bytes([socket.AF_INET, socket.IPPROTO_TCP, 2])
    wanted = netlink.Connection(socket.AF_INET6, 443, 50000, NEAR, FAR)
    request = netlink.get_request(wanted)
    assert struct.unpack("=IHH", request[:8]) == (72, 20, 0x001)
    assert request[24:28] == struct.pack(">HH", 443, 50000)
    assert request[28:60] == NEAR + FAR
    assert request[64:] == b"\xff" * 8
    request = netlink.connected_udp_request(socket.AF_INET)
    assert request[16:24] == bytes([socket.AF_INET, socket.IPPROTO_UDP, 0, 0, 2, 0, 0, 0])


def test_messages_are_split_and_a_cut_one_left_out() -> None:
    one = struct.pack("=IHHII", 19, 20, 0, 0, 0) + b"abc\0"
    two = struct.pack("=IHHII", 18, 3, 0, 0, 0) + b"de"
    assert list(netlink.messages(one + two)) == [(20, b"abc"), (3, b"de")]
    assert list(netlink.messages(one + two[:-1])) == [(20, b"abc")]


@given(st.binary(max_size=400))
def test_no_bytes_make_it_fail(data: bytes) -> None:
    for _, payload in netlink.messages(data):
        netlink.parse_socket(payload)
    netlink.parse_socket(data)
    netlink.parse_udp(data)


def test_addresses_have_one_form() -> None:
    assert address_text(socket.AF_INET6, NEAR) == "192.0.2.1"
    assert address_text(socket.AF_INET6, FAR) == "2001:db8::7"
    assert parse_address("2001:DB8:0::7") == "2001:db8::7"
    assert parse_address("::ffff:192.0.2.1") == "192.0.2.1"
    for wrong in ("", "300.1.1.1", "192.0.2", "example.org", "1\0", "2001:db8::7%eth0"):
        assert parse_address(wrong) is None


def test_hosts_may_carry_ports() -> None:
    assert parse_host("192.0.2.1:443") == "192.0.2.1"
    assert parse_host("[2001:db8::7]:443") == "2001:db8::7"
    assert parse_host("2001:db8::7") == "2001:db8::7"
    assert parse_host("[2001:db8:aaaa:bbbb:cccc:ddd:65535") is None
