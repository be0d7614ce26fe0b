"""Running captures in hardship, on a wire of their own, and what each of their accounts says.

Run in namespaces of its own, as ``python -m tests.capture.hardship SCENARIO FOLDER``. Prints as one
JSON object what has been sent and received over the wire, and for each capture the bytes sent and
received that the metrics, the landing files and the loaded table tell.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from gateway_assets.files.landing import landing_files, read_landing
from gateway_assets.hot.counters import counters_that_differ
from gateway_assets.hot.load import load
from gateway_assets.hot.store import open_store
from gateway_assets.settings import load_settings
from gateway_assets.sources.ip_traffic import SOURCE
from gateway_assets.tables import IP_TRAFFIC
from tests.capture.packets import (
    LIBC,
    TO_FAR,
    TO_NEAR,
    cable,
    counters,
    fork,
    inside,
    peer,
    raw,
    sh,
)
from tests.capture.talking import Talker, server
from tests.capture.test_daemon import fill, until
from tests.capture.test_metrics import WAYS, landed, port_of, scraped

CAPTURE = [sys.executable, "-m", "gateway_assets.capture", "--host", "h"]
OPTIONS = ["--listen", "127.0.0.1:0", "--interval", "1", "--admit-bytes", "5000"]
METRICS = ("", "country_", "process_", "interface_")
ALONE = "--no-attribution"  # lands sooner
TALKS = "127.77.0.2"  # over TCP, to this namespace
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")


def frame(to: bytes, source: str, destination: str, size: int) -> bytes:
    ends = socket.inet_aton(source) + socket.inet_aton(destination)
    return to + b"\x08\0" + struct.pack(">BBH8x", 0x45, 0, size) + ends + bytes(size - 20)


class Wire:
    """A cable to another namespace; the bytes that passed it, each way."""

    def __init__(self) -> None:
        self.sent = [0, 0]
        self.at_risk = [0, 0]  # of it, what iftop may lose
        self.far = peer()
        self.lay()

    def lay(self) -> None:
        cable("near", 1, self.far)
        with inside(self.far):
            self._theirs = raw("far")
        self._ours = raw("near")

    def pass_packets(self, remotes: int = 60, *, at_risk: bool = False) -> None:
        """One packet to each remote, and one of another size from it."""
        for number in range(remotes):
            remote = f"198.51.{number >> 8}.{number & 255}"
            self._ours.send(frame(TO_FAR, "10.1.0.1", remote, 1024))
            self._theirs.send(frame(TO_NEAR, remote, "10.1.0.1", 256))
        for sums in (self.sent, self.at_risk) if at_risk else (self.sent,):
            sums[0] += remotes * 1024
            sums[1] += remotes * 256

    def keep_passing(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.pass_packets()
            time.sleep(0.1)


class Capture:
    """A capture of ``near`` by one backend, with a data directory of its own."""

    def __init__(self, folder: Path, backend: str, *options: str, **environment: str) -> None:
        self.data = folder / backend
        self.backend = backend
        self._options = options
        self._environment = environment
        self.start()

    def start(self, *options: str) -> None:
        backend = ["--backend", self.backend, "--data-dir", str(self.data)]
        if self.backend != "sockdiag":
            backend += ["-i", "near"]
        self.process = subprocess.Popen(
            [*CAPTURE, *OPTIONS, *backend, *self._options, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **self._environment},
        )
        self.port = port_of(self.process)

    def ends(self, number: int = 0) -> list[object]:
        """After the signal, if one is given: its status and what it still said."""
        if number:
            self.process.send_signal(number)
        _, said = self.process.communicate(timeout=20)
        return [self.process.returncode, said]

    @property
    def iftop(self) -> list[int]:
        pid = self.process.pid
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def metrics(self) -> dict[str, list[float]]:
        found = scraped(self.port)
        names = {what: [f"ip_traffic_{what}{way}_bytes_total" for way in WAYS] for what in METRICS}
        return {
            what.rstrip("_") or "remote": [sum(found.get(name, {}).values()) for name in both]
            for what, both in names.items()
        }

    def is_up(self) -> bool:
        [up] = scraped(self.port)["ip_traffic_backend_up"].values()
        return bool(up)

    def last_block(self) -> float:
        [moment] = scraped(self.port)["ip_traffic_last_block_timestamp_seconds"].values()
        return moment

    def files(self) -> list[int]:
        return list(landed(self.data).values())

    def has_landed(self, wire: Wire) -> bool:
        """All of it, as exactly as the backend counts."""
        share, lost = (0.995, wire.at_risk) if self.backend == "iftop" else (1, [0, 0])
        least = [share * (sent - less) for sent, less in zip(wire.sent, lost, strict=True)]
        return all(size >= some for size, some in zip(self.files(), least, strict=True))

    def agrees(self) -> bool:
        before = self.files()
        return all(sums == before for sums in self.metrics().values())

    def accounts(self) -> dict[str, Any]:
        """When it has ended: of all that landed. The metrics are those of a next run."""
        files = [
            read_landing(path, SOURCE) for path in landing_files(self.data / "landing", SOURCE)
        ]
        rows = [row for file in files for row in file.rows]
        told: dict[str, Any] = {"files": self.files(), "table": self._table()}
        self._environment = {}
        self.start("--interval", "3600")
        told |= self.metrics()
        self.ends(signal.SIGKILL)
        numbers: dict[str, list[int]] = {}
        for file in files:
            *_, run, _, number = file.landed.name.split("-")
            numbers.setdefault(run, []).append(int(number))
        return {
            "told": told,
            "incomplete": sum(not file.landed.complete for file in files),
            "lengths": [length(row[1] - row[0] for row in rows) for length in (min, max)],
            "talk": [sum(row[place] for row in rows if row[6] == TALKS) for place in (9, 10)],
            "from_to": [min(row[0] for row in rows), max(row[1] for row in rows)],
            "gaps": [run for run in numbers.values() if sorted(run) != [*range(len(run))]],
        }

    def _table(self) -> list[int]:
        settings = load_settings(data_dir=self.data)
        with open_store(settings.hot_database) as connection:
            result = load(connection, IP_TRAFFIC, settings)
            assert not result.quarantined
            assert counters_that_differ(connection, IP_TRAFFIC) == {}
            query = "SELECT sum(tx_bytes), sum(rx_bytes) FROM ip_traffic"
            return list(connection.execute(query).fetchone())


def both(folder: Path, *options: str, **environment: str) -> list[Capture]:
    return [Capture(folder, name, *options, **environment) for name in ("packet", "iftop")]


def have_landed(captures: Sequence[Capture], wire: Wire) -> None:
    """And each one's metrics say so."""
    for capture in captures:
        until(partial(capture.has_landed, wire), f"{capture.backend} lands all")
        until(capture.agrees, f"{capture.backend} agrees")


def stopped(folder: Path) -> dict[str, Any]:
    """For longer than an interval, and than what iftop can print meanwhile."""
    wire = Wire()
    sockdiag = Capture(folder, "sockdiag")
    captures = [Capture(folder, "packet"), Capture(folder, "iftop", ALONE)]
    with server() as listener, Talker(listener) as one, Talker(listener) as two:
        wire.keep_passing(0.5)
        one.send(100_000)
        for capture in (sockdiag, *captures):
            capture.process.send_signal(signal.SIGSTOP)
        one.send(20_000)
        two.send(3_000)
        two.end()
        wire.keep_passing(3.2)
        for capture in (sockdiag, *captures):
            capture.process.send_signal(signal.SIGCONT)
        one.receive(400)
        wire.pass_packets()
        have_landed(captures, wire)
    until(sockdiag.agrees, "sockdiag agrees")
    return result(wire, [sockdiag, *captures], talked=[123_000, 400])


def result(wire: Wire, captures: Sequence[Capture], **more: object) -> dict[str, Any]:
    for capture in captures:
        capture.process.terminate()
    ends = {capture.backend: capture.ends() for capture in captures}
    told = {capture.backend: capture.accounts() for capture in captures}
    return {"sent": wire.sent, "at_risk": wire.at_risk, "ends": ends, **told, **more}


def killed(folder: Path) -> dict[str, Any]:
    """While a file is written. What had no row in it yet is lost, and nothing else."""
    wire = Wire()
    capture = Capture(folder, "packet", ALONE)
    wire.pass_packets()
    have_landed([capture], wire)
    before = capture.metrics()["remote"]
    wire.pass_packets(4000)
    while not being_written(capture.data):
        assert capture.process.poll() is None
    capture.ends(signal.SIGKILL)
    capture.start()
    salvaged = capture.files()
    again = capture.metrics()["remote"]
    wire.sent = list(salvaged)
    wire.pass_packets()
    return result(wire, [capture], before=before, salvaged=salvaged, again=again)


def being_written(data: Path) -> bool:
    """Whether a landing file has some of its rows, and not its name yet."""
    for unfinished in data.glob("landing/ip_traffic/*/*/*/.*.partial"):
        with suppress(FileNotFoundError):
            return unfinished.stat().st_size > 0
    return False


def flapping(folder: Path) -> dict[str, Any]:
    """Down and up; then made anew under the same name. That ends the packet backend."""
    wire = Wire()
    captures = packet, iftop = both(folder, ALONE)
    wire.pass_packets()
    sh("ip link set near down; sleep 0.2; ip link set near up")
    until(lambda: "LOWER_UP" in _flags(), "the cable is up")
    wire.pass_packets()
    have_landed(captures, wire)
    sh("ip link del near")
    gone = packet.ends()
    until(lambda: not iftop.is_up(), "iftop is stopped")
    wire.lay()
    packet.start()
    until(iftop.is_up, "iftop is started again")
    wire.pass_packets()
    have_landed(captures, wire)
    covered = [name for name in scraped(iftop.port) if "coverage" in name]
    return result(wire, captures, gone=gone, covered=covered)


def _flags() -> str:
    command = ["ip", "link", "show", "near"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def clock(folder: Path) -> dict[str, Any]:
    """One hour forward, and two back, each while the packet backend's interval is open."""
    shift = folder / "shift"
    shift.write_text("+0")
    moved = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(shift),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    wire = Wire()
    packet = Capture(folder, "packet", ALONE, "--interval", "3600", **moved)
    iftop = Capture(folder, "iftop", ALONE, **moved)
    captures = [packet, iftop]
    before = packet.last_block()
    wire.pass_packets()
    until(lambda: packet.last_block() != before, "packets are counted")
    set_clock(shift, "+3600")
    have_landed(captures, wire)
    before, old = packet.last_block(), iftop.iftop
    wire.pass_packets(at_risk=True)
    until(lambda: packet.last_block() != before, "packets are counted")
    set_clock(shift, "-3600")
    have_landed([packet], wire)
    until(lambda: iftop.iftop not in ([], old), "iftop is started again")
    until(iftop.is_up, "iftop counts again")
    wire.pass_packets()
    have_landed([iftop], wire)
    return result(wire, captures)


def set_clock(shift: Path, seconds: str) -> None:
    fresh = shift.with_suffix(".new")
    fresh.write_text(seconds)
    fresh.replace(shift)


def full_disk(folder: Path) -> dict[str, Any]:
    """What was counted meanwhile lands when there is room, although nothing more passes."""
    data = folder / "packet" / "landing"
    data.mkdir(parents=True)
    sh(f"mount -t tmpfs -o size=512k none {data}")
    wire = Wire()
    capture = Capture(folder, "packet", ALONE, "--max-remotes", "1024")
    filler = fill(data)
    wire.pass_packets()
    until(lambda: waiting(capture) > 0, "rows wait")
    full = [capture.files(), capture.agrees()]
    filler.unlink()
    have_landed([capture], wire)
    return result(wire, [capture], full=full)


def waiting(capture: Capture) -> float:
    return scraped(capture.port)["ip_traffic_raw_rows_waiting"][()]


def blast(folder: Path) -> dict[str, Any]:
    """As many packets as two processes can send, scraped all the time, also by one who dawdles."""
    wire = Wire()
    capture = Capture(folder, "packet", ALONE)
    before = counters("near")
    scrapes: list[list[float]] = []
    with clients(capture, scrapes):
        started = time.monotonic()
        for pid in [fork(lambda: flood("near", 0)), fork(lambda: flood("far", wire.far))]:
            assert os.waitpid(pid, 0)[1] == 0
        seconds = time.monotonic() - started
    rx, rx_packets, tx, tx_packets = (
        now - then for now, then in zip(counters("near"), before, strict=True)
    )
    wire.sent = [tx - 14 * tx_packets, rx - 14 * rx_packets]
    rate = round((tx_packets + rx_packets) / seconds)
    grown = all(a <= b for a, b in itertools.pairwise(scrapes))
    return result(wire, [capture], rate=rate, scrapes=len(scrapes), grown=grown)


BATCH = 512
FLOOD = 2.5  # seconds


class _Message(ctypes.Structure):
    """``struct mmsghdr`` of sendmmsg(2)."""

    _fields_ = [
        ("name", ctypes.c_void_p),
        ("name_size", ctypes.c_uint32),
        ("pieces", ctypes.c_void_p),
        ("count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_size", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("size", ctypes.c_uint),
    ]


class _Piece(ctypes.Structure):
    _fields_ = [("base", ctypes.c_char_p), ("size", ctypes.c_size_t)]


def flood(name: str, pid: int) -> None:
    if pid:
        with inside(pid):
            opened = raw(name)
        frames = [frame(TO_NEAR, f"198.51.0.{n % 200}", "10.1.0.1", 80) for n in range(BATCH)]
    else:
        opened = raw(name)
        frames = [frame(TO_FAR, "10.1.0.1", f"198.51.0.{n % 200}", 60) for n in range(BATCH)]
    pieces = (_Piece * BATCH)(*[_Piece(one, len(one)) for one in frames])
    messages = (_Message * BATCH)()
    for message, piece in zip(messages, pieces, strict=True):
        message.pieces, message.count = ctypes.addressof(piece), 1
    end = time.monotonic() + FLOOD
    while time.monotonic() < end:
        LIBC.sendmmsg(opened.fileno(), messages, BATCH, 0)


@contextmanager
def clients(capture: Capture, scrapes: list[list[float]]) -> Iterator[None]:
    over = threading.Event()

    def scrape() -> None:
        while not over.wait(0.02):
            scrapes.append(capture.metrics()["interface"])

    def dawdle() -> None:
        """One byte a second."""
        with socket.create_connection(("127.0.0.1", capture.port)) as slow:
            for letter in b"GET /metrics":
                slow.send(bytes([letter]))
                if over.wait(1):
                    return

    threads = [threading.Thread(target=one) for one in (scrape, dawdle)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


SCENARIOS: dict[str, Callable[[Path], dict[str, Any]]] = {
    one.__name__: one for one in (stopped, killed, flapping, clock, full_disk, blast)
}

if __name__ == "__main__":
    sys.stdout.write(json.dumps(SCENARIOS[sys.argv[1]](Path(sys.argv[2]))))
