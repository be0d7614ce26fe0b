"""Packets between real interfaces, watched by both ways of the packet backend at once.

Run in a network namespace of its own: ``python packets.py SCENARIO``. Prints what each way counted
of each remote as one JSON object.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway_assets.capture.backends.packet import Packet
from gateway_assets.capture.nets import parse_nets
from gateway_assets.capture.packets.direction import Sides
from gateway_assets.capture.packets.live_header import read_ethernet
from gateway_assets.capture.packets.pair_map import PairMap
from gateway_assets.capture.packets.pair_ring import PairRing
from gateway_assets.errors import CaptureError

LIBC = ctypes.CDLL(None, use_errno=True)
NEW_NETWORK = 0x40000000
PORT = 9000
NEAR_MAC, FAR_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
TO_NEAR = bytes.fromhex("020000000001020000000002")
TO_FAR = bytes.fromhex("020000000002020000000001")
Totals = dict[str, dict[str, list[int]]]


class Watch:
    """Both ways on one interface, and what they counted."""

    def __init__(self, interface: str, near: str = "") -> None:
        sides = Sides(parse_nets(near)) if near else Sides()
        self.backends = {
            "map": Packet(interface, sides, PairMap(interface)),
            "ring": Packet(interface, sides, PairRing(interface)),
        }
        self.totals: Totals = {name: {} for name in self.backends}

    def count(self, timeout: float = 0) -> None:
        for name, backend in self.backends.items():
            for delta in backend.read(timeout):
                total = self.totals[name].setdefault(delta.remote_ip, [0, 0])
                total[0] += delta.tx_bytes
                total[1] += delta.rx_bytes

    def result(self) -> dict[str, Any]:
        self.count()
        found = {
            name: [self.totals[name], backend.parse_errors, backend.lost_events]
            for name, backend in self.backends.items()
        }
        for backend in self.backends.values():
            backend.close()
        return found


def sh(command: str, pid: int = 0) -> None:
    entered = ["nsenter", "-t", str(pid), "-n"] if pid else []
    subprocess.run([*entered, "sh", "-ec", command], check=True)


def peer() -> int:
    """A process that holds another network namespace as long as this one lives."""
    ready, told = os.pipe()
    child = os.fork()
    if child == 0:
        LIBC.prctl(1, signal.SIGKILL)
        failed = LIBC.unshare(NEW_NETWORK)
        os.write(told, b"!")
        if not failed:
            signal.pause()
        os._exit(1)
    os.read(ready, 1)
    return child


@contextmanager
def inside(pid: int) -> Iterator[None]:
    """Sockets opened here belong to the namespace of that process, for ever."""
    with Path("/proc/self/ns/net").open() as ours, Path(f"/proc/{pid}/ns/net").open() as theirs:
        assert LIBC.setns(theirs.fileno(), NEW_NETWORK) == 0
        try:
            yield
        finally:
            assert LIBC.setns(ours.fileno(), NEW_NETWORK) == 0


def cable(name: str, number: int, pid: int, *, ipv6: bool = False) -> None:
    """A veth pair: ours is 10.N.0.1 and fd0N::1, theirs .2 and ::2.

    Without IPv6 nothing speaks by itself.
    """
    sh(f"ip link add {name} type veth peer name far netns {pid}")
    ends = ((0, name, 1, NEAR_MAC, 2, FAR_MAC), (pid, "far", 2, FAR_MAC, 1, NEAR_MAC))
    for where, link, mine, mac, other, other_mac in ends:
        sh(
            f"ip link set lo up; ip link set {link} addrgenmode none address {mac}\n"
            f"echo {int(not ipv6)} > /proc/sys/net/ipv6/conf/{link}/disable_ipv6\n"
            f"ip addr add 10.{number}.0.{mine}/24 dev {link}; ip link set {link} up\n"
            f"ip neigh add 10.{number}.0.{other} lladdr {other_mac} nud permanent dev {link}",
            where,
        )
        if ipv6:
            sh(
                f"ip addr add fd0{number}::{mine}/64 dev {link} nodad\n"
                f"ip neigh add fd0{number}::{other} lladdr {other_mac} nud permanent dev {link}",
                where,
            )


def udp(address: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.bind((address, PORT))
    return opened


def send(sender: socket.socket, to: str, *sizes: int) -> None:
    for size in sizes:
        sender.sendto(bytes(size), (to, PORT))


def udp_sizes() -> object:
    """Payloads of known sizes both ways; the last one travels in three fragments."""
    far = peer()
    cable("near", 1, far, ipv6=True)
    watch = Watch("near")
    with inside(far):
        theirs = {net: udp(f"{net}2") for net in ("10.1.0.", "fd01::")}
    ours = {net: udp(f"{net}1") for net in theirs}
    for net, sender in theirs.items():
        send(ours[net], f"{net}2", 0, 1, 1000)
        send(sender, f"{net}1", 7, 3000)
    return watch.result()


def blast() -> object:
    """More than 100,000 packets by two processes, taken as often as possible meanwhile."""
    sh("ip link set lo up")
    watch = Watch("lo")
    senders = {fork(blaster), fork(blaster)}
    while senders:
        watch.count()
        senders -= ended()
    return watch.result()


def blaster() -> None:
    senders = {address: udp(address) for address in ("127.0.0.2", "::1")}
    for _ in range(30_000):
        for address, sender in senders.items():
            send(sender, address, 52)


def spread() -> object:
    """Two processes that send to the same 20,000 addresses at the same time."""
    sh("echo 1 > /proc/sys/net/ipv6/conf/lo/disable_ipv6; ip link set lo up")
    watch = Watch("lo")
    ready, go = os.pipe()

    def sow() -> None:
        ours = raw("lo")
        os.read(ready, 1)
        for number in range(20_000):
            last = struct.pack(">H", number)
            ours.send(TO_FAR + bytes.fromhex(IPV4) + ipv4(20)[:-2] + last)

    senders = {fork(sow), fork(sow)}
    os.write(go, b"!!")
    while senders:
        senders -= ended()
        time.sleep(0.01)
    totals, errors, lost = watch.result()["map"]  # the ring would have to be read meanwhile
    return [len(totals), sorted(map(tuple, totals.values()))[:: len(totals) - 1], errors, lost]


def fork(work: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return child


def ended() -> set[int]:
    pid, status = os.waitpid(-1, os.WNOHANG)
    assert status == 0
    return {pid}


def counters(interface: str) -> tuple[int, int, int, int]:
    """Bytes and packets received, bytes and packets sent, as the kernel counts them."""
    for line in Path("/proc/self/net/dev").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name.strip() == interface:
            numbers = [int(word) for word in rest.split()]
            return numbers[0], numbers[1], numbers[8], numbers[9]
    raise AssertionError(interface)


def transfer(listener: socket.socket, client: Callable[[], socket.socket], size: int) -> None:
    """That many bytes up, and as many down again."""

    def serve() -> None:
        with listener.accept()[0] as connection:
            left = size
            while left:
                left -= len(connection.recv(1 << 20))
            connection.sendall(bytes(size))

    child = fork(serve)
    with client() as connection:
        connection.sendall(bytes(size))
        while connection.recv(1 << 20):
            pass
    os.waitpid(child, 0)
    time.sleep(0.2)  # the last acknowledgements


def tcp() -> object:
    far = peer()
    cable("near", 1, far)
    with inside(far):
        listener = socket.create_server(("10.1.0.2", PORT))
    watch, before = Watch("near"), counters("near")
    transfer(listener, lambda: socket.create_connection(("10.1.0.2", PORT)), 20_000_000)
    rx, rx_packets, tx, tx_packets = (
        now - then for now, then in zip(counters("near"), before, strict=True)
    )
    return {**watch.result(), "counters": [tx - 14 * tx_packets, rx - 14 * rx_packets]}


def big_tcp() -> object:
    sh("ip link set lo up gso_max_size 200000 gro_max_size 200000")
    listener = socket.create_server(("::1", PORT), family=socket.AF_INET6)
    watch, before = Watch("lo"), counters("lo")
    transfer(listener, lambda: socket.create_connection(("::1", PORT)), 50_000_000)
    _, _, size, packets = (now - then for now, then in zip(counters("lo"), before, strict=True))
    return {**watch.result(), "counters": [size, size / packets]}


def forwarded() -> object:
    """A gateway between 10.1/16 and 10.2/16, watched on both its interfaces."""
    lan, wan = peer(), peer()
    cable("lan", 1, lan)
    cable("wan", 2, wan)
    sh("ip route add default via 10.1.0.1", lan)
    sh("ip route add default via 10.2.0.1", wan)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    watches = {
        "wan": Watch("wan"),
        "wan, near": Watch("wan", "10.1.0.0/24"),
        "lan": Watch("lan"),
        "lan, near": Watch("lan", "192.0.2.0/24, 10.1.0.77/24"),
        "lan, both near": Watch("lan", "10.0.0.0/8"),
        "lan, both far": Watch("lan", "::/0"),
    }
    with inside(lan):
        inner = udp("10.1.0.2")
    with inside(wan):
        outer = udp("10.2.0.2")
    send(inner, "10.2.0.2", *[100] * 30)
    send(outer, "10.1.0.2", *[200] * 20)
    return {name: watch.result() for name, watch in watches.items()}


def raw(interface: str) -> socket.socket:
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    opened.bind((interface, 0))
    return opened


def ipv4(length: int, source: str = "192.0.2.1", first: int = 0x45) -> bytes:
    ends = socket.inet_aton(source) + socket.inet_aton("198.51.100.1")
    return struct.pack(">BBH8x", first, 0, length) + ends


def ipv6(payload: int, source: str = "2001:db8::1", first: int = 0x60) -> bytes:
    ends = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, "fd00::9")
    return struct.pack(">B3xHBx", first, payload, 59) + ends


IPV4, IPV6, TAG, OUTER = "0800", "86dd", "81000005", "88a80006"
GOOD = [  # type, packet and what may follow it
    (IPV4, ipv4(20)),
    (IPV4, ipv4(20) + bytes(26)),  # filled up to the least length of a frame
    (IPV4, ipv4(24, first=0x46) + bytes(4)),
    (TAG + IPV4, ipv4(30) + bytes(10)),
    (OUTER + TAG + IPV4, ipv4(30) + bytes(10)),
    (OUTER + TAG + TAG + IPV4, ipv4(30) + bytes(10)),
    (IPV6, ipv6(0) + bytes(6)),
    (TAG + IPV6, ipv6(5) + bytes(5)),
    (IPV6, ipv6(5, "::ffff:192.0.2.9") + bytes(5)),
    ("0806", bytes(28)),
    ("0004", ipv4(20)),
]
BAD = [
    (IPV4, ipv4(20)[:19]),
    (IPV4, b""),
    (IPV4, ipv4(0)),
    (IPV4, ipv4(19)),
    (IPV4, ipv4(21)),
    (IPV4, ipv4(20, first=0x44)),
    (IPV4, ipv4(20, first=0x46)),
    (IPV4, ipv4(20, first=0x65)),
    (IPV6, ipv6(0)[:39]),
    (IPV6, ipv6(1)),
    (IPV6, ipv6(0, first=0x45)),
    (TAG + TAG + TAG + TAG + IPV4, ipv4(20)),
]


def frames() -> object:
    """Good and bad ones that arrive, and the same that leave."""
    far = peer()
    cable("near", 1, far)
    watch = Watch("near")
    with inside(far):
        theirs = raw("far")
    ours = raw("near")
    for kind, packet in GOOD + BAD:
        theirs.send(TO_NEAR + bytes.fromhex(kind) + packet)
        ours.send(TO_FAR + bytes.fromhex(kind) + packet)
    return watch.result()


def random_frames() -> object:
    """Damaged at random: both ways agree with what a program reads from the whole frame."""
    far = peer()
    cable("near", 1, far)
    watch = Watch("near")
    ours = raw("near")
    chance = random.Random(7)
    total = errors = 0
    for _ in range(5000):
        kind, packet = chance.choice(GOOD[:4] + GOOD[6:8])
        damaged = bytearray(packet + bytes(40))
        for _ in range(chance.randrange(3)):
            damaged[chance.randrange(6)] = chance.randrange(256)
        cut = damaged[: chance.randrange(len(damaged))]
        frame = TO_FAR + bytes.fromhex(kind) + bytes(cut)
        ours.send(frame)
        try:
            found = read_ethernet(frame, len(frame))
            total += found[1] if found else 0
        except ValueError:
            errors += 1
    return {**watch.result(), "expected": [total, errors]}


def huge() -> object:
    """Packets beyond 64 KiB, whose length field is 0; with short ones that say 0, too."""
    sh("echo 1 > /proc/sys/net/ipv6/conf/lo/disable_ipv6; ip link set lo up mtu 100000")
    watch = Watch("lo")
    ours = raw("lo")
    for kind, packet in ((IPV4, ipv4(0)), (IPV6, ipv6(0))):
        for size in (65_535, 65_536, 90_000):
            ours.send(TO_FAR + bytes.fromhex(kind) + packet + bytes(size - len(packet)))
    return watch.result()


def polled() -> object:
    """Nothing before its time, and then everything, without being asked for all."""
    sh("ip link set lo up")
    watch = Watch("lo")
    sender = udp("127.0.0.1")
    send(sender, "127.0.0.1", 72)
    watch.count(0.01)
    early = json.dumps(watch.totals)
    until = time.monotonic() + 20
    while not all(watch.totals.values()) and time.monotonic() < until:
        watch.count(0.1)
    return {"early": json.loads(early), "late": watch.totals}


def tun() -> object:
    """An interface without a link header, garbage included."""
    with Path("/dev/net/tun").open("r+b", buffering=0) as wire:
        fcntl.ioctl(wire, 0x400454CA, struct.pack("16sH22x", b"near", 0x1001))  # IFF_TUN, IFF_NO_PI
        sh(
            "ip link set near addrgenmode none\n"
            "ip addr add 10.3.0.1/24 dev near\nip link set near up"
        )
        watch = Watch("near")
        send(udp("10.3.0.1"), "10.3.0.2", 100)
        wire.writelines((ipv4(20), ipv6(0), ipv4(21), ipv6(1)))
        return watch.result()


def down_and_gone() -> object:
    """Down, up, renamed: goes on. Gone: what was counted is reported, then that it has gone."""
    far = peer()
    cable("near", 1, far)
    watch = Watch("near")
    ours, frame = raw("near"), TO_FAR + bytes.fromhex(IPV4) + ipv4(20)
    ours.send(frame)
    sh("ip link set near down")
    for _ in range(3):
        watch.count(0.01)
    sh("ip link set near name other; ip link set other up")
    raw("other").send(frame)
    watch.count(0.01)
    raw("other").send(frame)
    sh("ip link del other")
    reasons = {}
    for name, backend in watch.backends.items():
        for delta in backend.read(0.01):
            watch.totals[name].setdefault(delta.remote_ip, [0, 0])[0] += delta.tx_bytes
        try:
            backend.read(0.01)
        except CaptureError as error:
            reasons[name] = error.message
    return {"totals": watch.totals, "reasons": reasons}


def too_many() -> object:
    """A map for eight pairs and a ring of two blocks: what they cannot hold is said."""
    sh("ip link set lo up")
    pairs, ring = PairMap("lo", max_pairs=8), PairRing("lo", blocks=2)
    sender, _taker = udp("127.0.0.1"), udp("0.0.0.0")
    crowded = []
    for number in range(20):
        crowded.append(pairs.crowded)
        send(sender, f"127.0.1.{number}", 72)
    started = time.monotonic()
    pairs.wait(30)
    waited = time.monotonic() - started
    first = [size for *_, size in pairs.take()]
    crowded.append(pairs.crowded)
    send(sender, "127.0.2.1", 72)
    second = [size for *_, size in pairs.take()]
    send(sender, "127.0.0.3", *[72] * 5000)
    of_ring = sum(size for *_, size in ring.take())
    send(sender, "127.0.0.3", 72)
    afterwards = sum(size for *_, size in ring.take())
    return {
        "map": [sum(first), sum(second), pairs.lost],
        "crowded": [crowded.index(True), crowded[-1]],
        "waited": waited < 20,
        "ring": [of_ring, ring.lost, afterwards],
    }


if __name__ == "__main__":
    scenarios = (
        udp_sizes, blast, spread, tcp, big_tcp, forwarded, frames, random_frames, huge, polled,
        tun, down_and_gone, too_many,
    )  # fmt: skip
    [scenario] = [one for one in scenarios if one.__name__ == sys.argv[1]]
    print(json.dumps(scenario()))
