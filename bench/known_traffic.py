"""UDP between this host and made-up remotes, all of them on loopback, of sizes that are known.

``python bench/known_traffic.py live REMOTES SECONDS`` lets each remote send a packet every two
seconds; ``known REMOTES SECONDS PACKETS`` sends packets of all sizes both ways, to some remotes
many and to others few, and prints the bytes of each remote, sent and received, as JSON.
"""

from __future__ import annotations

import json
import random
import socket
import struct
import sys
import time
from collections.abc import Iterable
from itertools import cycle

NEAR, PORT = "127.0.0.1", 9000
HEADERS = 28  # of IPv4 and UDP
_PKTINFO = 8  # IP_PKTINFO in linux/in.h: the source address of one packet, see ip(7)
_TURN = 0.01

Packet = tuple[str, str, int]  # source, destination, payload


def remote(number: int) -> str:
    return f"127.1.{number // 250}.{number % 250 + 1}"


def send(packets: Iterable[Packet], a_second: float, seconds: float) -> int:
    """Evenly spread over that time; how many were sent."""
    with socket.socket(type=socket.SOCK_DGRAM) as talk:
        talk.bind(("0.0.0.0", PORT))  # takes what comes and drops it
        source, started, sent = iter(packets), time.monotonic(), 0
        while (passed := time.monotonic() - started) < seconds:
            while sent < passed * a_second:
                near, far, size = next(source)
                info = struct.pack("=I4s4x", 0, socket.inet_aton(near))
                ancillary = [(socket.IPPROTO_IP, _PKTINFO, info)]
                talk.sendmsg([bytes(size)], ancillary, 0, (far, PORT))
                sent += 1
            time.sleep(_TURN)
    return sent


def live(remotes: int, seconds: float) -> None:
    packets = [(remote(number), NEAR, 100) for number in range(remotes)]
    send(cycle(packets), remotes / 2, seconds)


def known(remotes: int, seconds: float, packets: int) -> None:
    chance = random.Random(7)
    numbers = range(remotes)
    chosen = chance.choices(numbers, [1 / (1 + number) for number in numbers], k=packets)
    made = []
    for number in chosen:
        ends = [NEAR, remote(number)] if chance.random() < 0.5 else [remote(number), NEAR]
        made.append((ends[0], ends[1], chance.randrange(2000)))
    sent = send(made, packets / (seconds + 1), seconds)  # the list outlasts the time
    truth: dict[str, list[int]] = {}
    for source, destination, size in made[:sent]:
        leaves = source == NEAR
        total = truth.setdefault(destination if leaves else source, [0, 0])
        total[0 if leaves else 1] += size + HEADERS
    print(json.dumps({"packets": sent, "truth": truth}))


if __name__ == "__main__":
    {"live": live, "known": known}[sys.argv[1]](*map(int, sys.argv[2:]))
