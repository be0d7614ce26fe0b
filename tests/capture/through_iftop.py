"""``gateway-capture --backend iftop`` beside real traffic, in a network namespace of its own.

Run there, with /sys of that namespace, as ``python -m tests.capture.through_iftop SCENARIO FOLDER
[OPTION...]``; prints what has truly been sent, and the summary, as one JSON object.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.capture.talking import Talker, server

CAPTURE = [sys.executable, "-m", "gateway_assets.capture", "--backend", "iftop", "--listen", "off"]
DATAGRAM = "import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.connect(('{}', 9)); "


def sh(command: str) -> None:
    subprocess.run(["sh", "-ec", command], check=True)


@contextmanager
def capturing(folder: str, *options: str) -> Iterator[dict[str, Any]]:
    """The capture from when it counts until it has stopped; then holds its summary."""
    summary: dict[str, Any] = {}
    command = [*CAPTURE, *options, "--json", "--data-dir", folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        name = f".iftop.{options[1]}.lock"
        lock = Path(folder, "landing", "ip_traffic", name)
        while not (lock.exists() and lock.read_text()):
            assert process.poll() is None
            time.sleep(0.02)
        yield summary
        time.sleep(2.5)  # until iftop's slot is over
        process.send_signal(signal.SIGTERM)
        summary |= json.loads(process.communicate(timeout=20)[0])


def two_processes(folder: str, *options: str) -> dict[str, Any]:
    """One process sends three times as much as the other to the same remote."""
    sh("ip link set lo up")
    options = ("-i", "lo", "--local-net", "127.77.0.1/32", *options)
    with server() as listener, Talker(listener) as one, Talker(listener) as two:
        with capturing(folder, *options) as summary:
            for _ in range(15):
                one.send(150_000)
                two.send(50_000)
                time.sleep(0.1)
        return {"one": one.pid, "two": two.pid, **summary}


def router(folder: str, *options: str) -> dict[str, Any]:
    """This namespace routes between two others, and talks to neither."""
    with ExitStack() as stack:
        near, far = (stack.enter_context(namespace()) for _ in range(2))
        for name, pid, net in (("near", near, "192.0.2"), ("far", far, "198.51.100")):
            sh(
                f"ip link add {name} type veth peer name uplink netns {pid}; "
                f"ip address add {net}.1/24 dev {name}; ip link set {name} up; "
                f"nsenter -t {pid} -n sh -ec 'ip address add {net}.2/24 dev uplink; "
                f"ip link set uplink up; ip route add default via {net}.1'"
            )
        sh("echo 1 > /proc/sys/net/ipv4/ip_forward")
        send = DATAGRAM.format("198.51.100.2") + "s.send(bytes(1000))"
        options = ("-i", "near", "--local-net", "192.0.2.0/24", *options)
        with capturing(folder, *options) as summary:
            for _ in range(20):
                command = ["nsenter", "-t", str(near), "-n", sys.executable, "-c", send]
                subprocess.run(command, check=True)
        return {"sent": 20 * 1028, **summary}


@contextmanager
def namespace() -> Iterator[int]:
    """The pid of a process that holds a network namespace open."""
    command = ["unshare", "-n", "sh", "-c", "echo made; exec sleep 60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        holder.stdout.readline()
        try:
            yield holder.pid
        finally:
            holder.kill()


SCENARIOS = {"two_processes": two_processes, "router": router}

if __name__ == "__main__":
    sys.stdout.write(json.dumps(SCENARIOS[sys.argv[1]](*sys.argv[2:])))
