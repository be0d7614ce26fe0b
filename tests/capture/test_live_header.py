"""Headers that no test interface carries, and bytes that are none."""

from __future__ import annotations

import contextlib
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_assets.capture.packets import bpf
from gateway_assets.capture.packets.live_header import (
    IPV4,
    IPV6,
    read_ethernet,
    read_packet,
    sixteen,
)

ENDS = socket.inet_aton("192.0.2.1") + socket.inet_aton("198.51.100.1")


def header(length: int, first: int = 0x45) -> bytes:
    return struct.pack(">BBH8x", first, 0, length) + ENDS


def test_the_length_is_the_packets_not_the_frames() -> None:
    assert read_ethernet(bytes(12) + b"\x08\x00" + header(20) + bytes(26), 60) == (ENDS, 20)
    assert read_packet(IPV4, header(1500), 0, 1500) == (ENDS, 1500)
    assert read_packet(IPV4, header(0), 0, 100_000) == (ENDS, 100_000)
    assert read_packet(0x0806, bytes(28), 0, 28) is None


@pytest.mark.parametrize("tags", [b"\x81\0\0\5", b"\x88\xa8\0\5\x81\0\0\6", b"\x91\0\0\1"])
def test_tags_are_passed_over(tags: bytes) -> None:
    frame = bytes(12) + tags + b"\x08\x00" + header(20)
    assert read_ethernet(frame, len(frame)) == (ENDS, 20)
    for cut in range(12, len(frame)):
        with pytest.raises(ValueError, match=r"."):
            read_ethernet(frame[:cut], cut)


def test_ends_of_sixteen_bytes() -> None:
    assert sixteen(ENDS) == (
        b"\0" * 10 + b"\xff\xff" + ENDS[:4],
        b"\0" * 10 + b"\xff\xff" + ENDS[4:],
    )
    assert sixteen(bytes(range(32))) == (bytes(range(16)), bytes(range(16, 32)))


@given(st.binary(max_size=80), st.integers(0, 200_000), st.sampled_from([IPV4, IPV6, 0x8100]))
def test_no_bytes_make_it_fail_otherwise(data: bytes, present: int, protocol: int) -> None:
    for frame in (data, bytes(12) + protocol.to_bytes(2, "big") + data):
        with contextlib.suppress(ValueError):
            found = read_ethernet(frame, max(present, len(frame)))
            assert found is None or 20 <= found[1] <= max(present, len(frame))


def test_labels_become_distances() -> None:
    lines = ["again", bpf.put(bpf.R0, 1), bpf.jump("end"), bpf.jump("again"), "end", bpf.leave()]
    code = bpf.assemble(lines)
    assert code == bytes.fromhex(
        "b700000001000000 0500010000000000 0500fdff00000000 9500000000000000"
    )
