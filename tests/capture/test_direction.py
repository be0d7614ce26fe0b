"""Which end is the remote, and how networks are written."""

from __future__ import annotations

import socket

import pytest

from gateway_assets.capture.nets import parse_nets
from gateway_assets.capture.packets.direction import Sides


def sixteen(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6, text if ":" in text else f"::ffff:{text}")


HOST, OTHER, WORLD = map(sixteen, ("10.0.0.5", "10.0.1.9", "198.51.100.1"))
HOST6, WORLD6 = sixteen("fd00::5"), sixteen("2001:db8::1")


def test_the_remote_is_out_there() -> None:
    assert Sides().remote(True, HOST, WORLD) == (WORLD, True)
    assert Sides().remote(False, WORLD, HOST) == (WORLD, False)


@pytest.mark.parametrize("leaves", [True, False])
@pytest.mark.parametrize(
    ("nets", "near", "far"),
    [
        ("10.0.0.0/8", HOST, WORLD),
        ("10.0.0.5/32", HOST, OTHER),
        ("10.0.0.77/24", HOST, OTHER),
        ("192.0.2.0/24, 10.0.0.0/23", OTHER, WORLD),
        ("fd00::/8", HOST6, WORLD6),
        ("10.0.0.0/8,fd00::/8", HOST6, WORLD6),
        ("::/0", WORLD6, WORLD),
        ("0.0.0.0/0", WORLD, WORLD6),
        ("::ffff:10.0.0.0/104", HOST, WORLD),
    ],
)
def test_between_near_and_far_the_far_end_is_the_remote(
    nets: str, near: bytes, far: bytes, leaves: bool
) -> None:
    sides = Sides(parse_nets(nets))
    assert sides.remote(leaves, near, far) == (far, True)
    assert sides.remote(leaves, far, near) == (far, False)


@pytest.mark.parametrize("nets", ["10.0.0.0/8", "192.0.2.0/24", "::/0"])
def test_both_near_or_both_far_are_as_without_networks(nets: str) -> None:
    sides = Sides(parse_nets(nets))
    assert sides.remote(True, HOST, OTHER) == (OTHER, True)
    assert sides.remote(False, HOST, OTHER) == (HOST, False)
