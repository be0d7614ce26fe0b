"""Parts of ``capture.py`` with real traffic, in a network namespace that owns nothing but loopback.

There the bytes that pass are known exactly. ``python bench/capture_traffic.py SCENARIO`` runs one
scenario in such a namespace and prints what it found as JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from known_traffic import NEAR, PORT
from side_by_side import aims, fields_of, print_table, progress

from gateway_assets.capture.iftop_text import IftopText
from gateway_assets.files.landing import landing_files, read_landing
from gateway_assets.sources.ip_traffic import SOURCE

HERE = Path(__file__).parent
OWN = 'mount -t sysfs sysfs /sys && ip link set lo up && exec "$@"'  # the namespace's interfaces
IN_NAMESPACE = ["unshare", "--net", "--mount", "sh", "-c", OWN, "sh"]
PROGRAMS = f"{os.environ['PATH']}:/usr/sbin:/sbin"
IFTOP, NETHOGS = (shutil.which(name, path=PROGRAMS) for name in ("iftop", "nethogs"))
LOOPBACK = ("-i", "lo", "--local-net", f"{NEAR}/32")
SLOT = 2.5  # seconds until iftop has printed what it counted

LIVE, MEASURED, SETTLING = 3_000, 30, 4
KNOWN, SECONDS, PACKETS = 40, 20, 50_000
LARGE = 100_000  # bytes above which a counter's error in per cent means something
SERVERS, TURNS, SHORT = 20, 20, 10  # of TCP: half a second a turn, short connections in each
UP, DOWN = 30_000, 100_000

ABOUT_NETHOGS = (
    "nethogs knows processes, no remotes, and counts frames: the link layer's 14 bytes more than "
    "an IP packet, and of TCP all headers."
)

Totals = dict[str, list[int]]  # by remote: sent, received


# What runs in the namespace.


@contextmanager
def capturing(folder: Path, backend: str, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon from when it counts until it has landed what it counted."""
    command = [sys.executable, "-m", "gateway_assets.capture", "--backend", backend, *options]
    with subprocess.Popen([*command, "--data-dir", str(folder)], stdout=subprocess.DEVNULL) as one:
        while not any(path.read_text() for path in folder.rglob("*.lock")):
            assert one.poll() is None
            time.sleep(0.02)
        time.sleep(0.5)
        yield one
        one.send_signal(signal.SIGTERM)
    assert one.returncode == 0


def landed(folder: Path) -> Totals:
    totals: Totals = {}
    names = [column.name for column in SOURCE.columns]
    ip, tx, rx = (names.index(name) for name in ("remote_ip", "tx_bytes", "rx_bytes"))
    for path in landing_files(folder / "landing", SOURCE):
        for row in read_landing(path, SOURCE).rows:
            add(totals, row[ip], row[tx], row[rx])
    return totals


def add(totals: Totals, remote: str, tx: int, rx: int) -> None:
    total = totals.setdefault(remote, [0, 0])
    total[0], total[1] = total[0] + tx, total[1] + rx


def traffic(*arguments: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(HERE / "known_traffic.py"), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def packets(root: Path) -> dict[str, Any]:
    """The same known packets, counted by both backends and the naive ways at once."""
    by_nethogs: list[float] = []
    with ExitStack() as stack:
        for backend in ("packet", "iftop"):
            options = (*LOOPBACK, "--listen", "off")
            stack.enter_context(capturing(root / backend, backend, *options))
        with watched_by_nethogs(by_nethogs), traffic("known", KNOWN, SECONDS, PACKETS) as sender:
            naive = respawned(sender)
            assert sender.stdout
            sent = json.load(sender.stdout)
        time.sleep(SLOT)
    found = {name: landed(root / name) for name in ("packet", "iftop")}
    return {**sent, **found, "naive": naive, "nethogs": by_nethogs}


def respawned(sender: subprocess.Popen[bytes]) -> Totals:
    """What ``iftop -t -s 2``, started again and again, tells of ten pairs: its rates times 2 s."""
    command = [str(IFTOP), "-t", "-s", "2", "-n", "-N", "-i", "lo", "-F", f"{NEAR}/32"]
    totals: Totals = {}
    while sender.poll() is None:
        pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
        with subprocess.Popen(
            command, stdin=nothing, stdout=pipe, stderr=nothing, text=True
        ) as iftop:
            try:
                text, _ = iftop.communicate(timeout=2 * SLOT)
            except subprocess.TimeoutExpired:  # without packets it never ends
                iftop.kill()
                text, _ = iftop.communicate()
        reading = IftopText()
        for block in filter(None, map(reading.feed, text.splitlines())):
            for pair in block.pairs:
                add(totals, *pair)
    return totals


@contextmanager
def watched_by_nethogs(totals: list[float]) -> Iterator[None]:
    """Bytes sent and received by all processes as ``nethogs -t -v 2`` tells; none without it.

    It names processes, no remotes, and prints what each has exchanged since it started.
    """
    if not NETHOGS:
        yield
        return
    command = [NETHOGS, "-t", "-v", "2", "-C", "-a", "lo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        while process.stdout.readline() != "Refreshing:\n":
            assert process.poll() is None
        yield
        time.sleep(SLOT)
        process.send_signal(signal.SIGINT)
        seen: dict[str, list[float]] = {}
        for line in process.stdout:
            name, *ways = line.rsplit("\t", 2)
            if ways:
                seen[name] = [float(way) for way in ways]  # the last line knows most
    totals += map(sum, zip(*seen.values(), strict=True))


def connections(root: Path) -> dict[str, Any]:
    """Known TCP payload through long and short connections, counted and polled at once."""
    over, polled = threading.Event(), {}
    by_nethogs: list[float] = []
    with capturing(root, "sockdiag", "--listen", "off"), watched_by_nethogs(by_nethogs):
        poll = threading.Thread(target=poll_ss, args=(over, polled))
        poll.start()
        truth = talk()
        over.set()
        poll.join()
    by_ss: Totals = {}
    for (_, remote, _), (tx, rx) in polled.items():
        add(by_ss, remote, tx, rx)
    return {"truth": truth, "sockdiag": landed(root), "ss": by_ss, "nethogs": by_nethogs}


def talk() -> Totals:
    """To each server over one connection that stays, and over others that do not."""
    truth: Totals = {}
    with ExitStack() as stack:
        names = [f"127.2.0.{number + 1}" for number in range(SERVERS)]
        servers = [stack.enter_context(socket.create_server((name, PORT))) for name in names]
        staying = [(connect(server), name) for server, name in zip(servers, names, strict=True)]
        for turn in range(TURNS):
            short = [(turn * SHORT + number) % SERVERS for number in range(SHORT)]
            pairs = [*staying, *((connect(servers[one]), names[one]) for one in short)]
            for (client, accepted), name in pairs:
                exchange(client, accepted, UP)
                exchange(accepted, client, DOWN)
                add(truth, name, UP, DOWN)
            for pair, _ in pairs[SERVERS:]:
                close(pair)
            time.sleep(0.5)
        for pair, _ in staying:
            close(pair)
    return truth


def connect(server: socket.socket) -> tuple[socket.socket, socket.socket]:
    client = socket.create_connection(server.getsockname(), source_address=(NEAR, 0))
    return client, server.accept()[0]


def exchange(sender: socket.socket, receiver: socket.socket, size: int) -> None:
    sender.sendall(bytes(size))
    receiver.recv(size, socket.MSG_WAITALL)


def close(pair: tuple[socket.socket, socket.socket]) -> None:
    for end in pair:
        end.close()


def poll_ss(over: threading.Event, seen: dict[tuple[str, str, str], tuple[int, int]]) -> None:
    """The last counters of each connection that a poll met: by both ends, and the remote."""
    while not over.wait(1):
        text = subprocess.run(["ss", "-tinpH"], capture_output=True, text=True, check=True).stdout
        ends = ("", "", "")
        for line in text.splitlines():
            words = line.split()
            if not line[0].isspace():
                ends = (words[3], words[4].rpartition(":")[0], words[4])
                continue
            fields = dict(word.partition(":")[::2] for word in words)
            sent, again, received = (
                int(fields.get(f"bytes_{name}", 0)) for name in ("sent", "retrans", "received")
            )
            seen[ends] = (sent - again, received)


def live(root: Path) -> dict[str, Any]:
    """CPU seconds of the daemon and of iftop, while many remotes send now and then."""
    with capturing(root, "iftop", *LOOPBACK) as daemon:
        [iftop] = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()
        with traffic("live", LIVE, MEASURED + 2 * SETTLING):
            time.sleep(SETTLING)
            before = [cpu(pid) for pid in (daemon.pid, iftop)]
            time.sleep(MEASURED)
            used = [cpu(pid) - then for pid, then in zip((daemon.pid, iftop), before, strict=True)]
            memory = [fields_of(pid)["RssAnon"] for pid in (daemon.pid, iftop)]
    return {"cpu": used, "memory": memory, "remotes": len(landed(root))}


def cpu(pid: int | str) -> float:
    """User and system seconds of a process, without its children: proc(5)."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, words[11:13])) / os.sysconf("SC_CLK_TCK")


SCENARIOS: dict[str, Callable[[Path], dict[str, Any]]] = {
    one.__name__: one for one in (packets, connections, live)
}


# What asks for it and prints.


def in_namespace(scenario: str) -> dict[str, Any] | None:
    """What the scenario found; None, and why, where it cannot run."""
    if os.getuid() != 0 or not IFTOP:
        print(f"skipped, as it needs root and iftop: {scenario}\n")
        return None
    progress(scenario)
    command = [*IN_NAMESPACE, sys.executable, __file__, scenario]
    found: dict[str, Any] = json.loads(subprocess.run(command, stdout=-1, check=True).stdout)
    progress()
    return found


def cpu_part() -> None:
    found = in_namespace("live")
    if not found:
        return
    assert found["remotes"] >= LIVE
    share = [100 * seconds / MEASURED for seconds in found["cpu"]]
    print_table(
        [f"{LIVE:,} live remotes, a packet every 2 s each, {MEASURED} s", "CPU %", "RssAnon MB"],
        [
            [name, f"{per_cent:.2f}", f"{int(memory.split()[0]) * 1024 / 1e6:.1f}"]
            for name, per_cent, memory in zip(
                ("gateway-capture", "its iftop"), share, found["memory"], strict=True
            )
        ],
    )
    aims(("gateway-capture, % of a core", share[0], "<=", 1.5))


def accuracy() -> None:
    udp, tcp = in_namespace("packets"), in_namespace("connections")
    if not udp or not tcp:
        return
    rows, errors = [], {}
    for name, run, way in (
        ("packet", udp, "packet"),
        ("iftop", udp, "iftop"),
        ("iftop -s 2 again and again, rate x 2 s", udp, "naive"),
        ("nethogs -t, UDP", udp, "nethogs"),
        ("sockdiag", tcp, "sockdiag"),
        ("ss -tinpH each second", tcp, "ss"),
        ("nethogs -t, TCP", tcp, "nethogs"),
    ):
        whole = sum(map(sum, run["truth"].values()))
        if way == "nethogs":
            if run[way]:
                wrong = sum(run[way]) - whole
                total = 100 * wrong / whole
                rows.append([name, f"{whole:,}", f"{abs(wrong):,.0f}", f"{total:+.3f}", "-", "-"])
            continue
        errors[way] = compared(run["truth"], run[way])
        wrong, total, worst, unseen = errors[way]
        missed = f"{unseen} of {len(run['truth'])}"
        rows.append([name, f"{whole:,}", f"{wrong:,}", f"{total:+.3f}", f"{worst:.3f}", missed])
    head = ["", "true bytes", "bytes wrong", "total, %", "worst counter, %", "never seen"]
    print_table(head, rows)
    print(
        f"\nUDP: {udp['packets']:,} packets; TCP: {TURNS * SHORT} short connections. "
        f"A counter is one way of one remote, of more than {LARGE:,} bytes. "
        f"{ABOUT_NETHOGS if NETHOGS else 'Not beside it, as it is not installed: nethogs.'}"
    )
    aims(
        ("packet, bytes wrong", errors["packet"][0], "<=", 0),
        ("iftop, total, %", abs(errors["iftop"][1]), "<=", 0.05),
        ("iftop, worst counter, %", errors["iftop"][2], "<=", 0.5),
        ("sockdiag, bytes wrong", errors["sockdiag"][0], "<=", 0),
    )


def compared(truth: Totals, counted: Totals) -> tuple[int, float, float, int]:
    """Bytes wrong over all counters; error of the total and of the worst in per cent; unseen."""
    pairs = [
        (true, found)
        for remote in truth
        for true, found in zip(truth[remote], counted.get(remote, [0, 0]), strict=True)
    ]
    whole = sum(true for true, _ in pairs)
    total = 100 * (sum(found for _, found in pairs) - whole) / whole
    worst = max(100 * abs(found - true) / true for true, found in pairs if true > LARGE)
    wrong = sum(abs(found - true) for true, found in pairs)
    return wrong, total, worst, len(truth.keys() - counted.keys())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as name:
        print(json.dumps(SCENARIOS[sys.argv[1]](Path(name))))
