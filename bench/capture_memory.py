"""Parts of ``capture.py`` about many remotes: memory, for how long it stays so, and one scrape."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from made_remotes import SIZE, address
from side_by_side import aims, fields_of, print_table, progress, seconds

from gateway_assets.capture.addresses import address_of
from gateway_assets.capture.metrics.counters import Counters, Letter, Policy
from gateway_assets.capture.metrics.meter import Meter

HERE = Path(__file__).parent
DATABASES = HERE.parent / "tests/cases/geoip"
GEOIP = ("GeoIP2-City-Test.mmdb", "GeoLite2-ASN-Test.mmdb")
MB = 1e6

FIELDS = ("RssAnon", "VmRSS", "VmHWM")  # the last is the peak of the second
HEAD = ("RssAnon MB", "VmRSS MB", "its peak MB")
REMOTES = 100_000
SOAK, SOAK_STEP, SOAK_FIRST = 1_000_000, 100_000, 200_000
REPORTS = 1_500 + 200  # of the soak: those with remotes, those that wait until all has landed
RENDERED, ROUNDS = 50_000, 9


def memory() -> None:
    databases = [option for name in GEOIP for option in ("--geoip", str(DATABASES / name))]
    without = passed([REMOTES])[-1]
    placed = passed([REMOTES], *databases)[-1]
    print_table(
        [f"gateway-capture, {REMOTES:,} remotes in 10 intervals", *HEAD],
        [["no GeoIP", *shown(without)], ["City and ASN databases", *shown(placed)]],
    )
    aims(
        ("RssAnon, MB", without[0], "<=", 16),
        ("VmRSS, MB", without[1], "<=", 24),
        ("RssAnon with GeoIP, MB", placed[0], "<=", 20),
    )


def soak(minutes: float) -> None:
    stops = list(range(SOAK_STEP, SOAK + 1, SOAK_STEP))
    found = dict(zip(stops, passed(stops, pause=minutes * 60 / REPORTS), strict=True))
    print_table(
        ["distinct remotes that passed", *HEAD],
        [[f"{stop:,}", *shown(figures)] for stop, figures in found.items()],
    )
    first, last = found[SOAK_FIRST][0], found[SOAK][0]
    aims((f"RssAnon, change after {SOAK_FIRST:,}, %", abs(last / first - 1) * 100, "<=", 5))


def shown(figures: list[float]) -> list[str]:
    return [f"{figure:.1f}" for figure in figures]


def passed(stops: list[int], *options: str, pause: float = 0.0) -> list[list[float]]:
    """FIELDS of a daemon in MB, after each number of remotes and a scrape."""
    found = []
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        listen = ["--listen", f"127.0.0.1:{port}", "--data-dir", folder]
        command = [sys.executable, str(HERE / "made_remotes.py"), str(pause)]
        command += [",".join(map(str, stops)), *listen, *options]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
            assert process.stdin
            assert process.stdout
            for stop in stops:
                progress(f"up to {stop:,} remotes")
                if process.stdout.readline() != f"{stop}\n":
                    sys.exit(process.communicate()[1])
                check_counted(scrape(port), stop)
                fields = fields_of(process.pid)
                found.append([megabytes(fields[name]) for name in FIELDS])
                process.stdin.write("\n")
                process.stdin.flush()
            process.communicate()
        assert process.returncode == 0
    progress()
    return found


def check_counted(metrics: str, remotes: int) -> None:
    values = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if line[0] != "#")
    for way in ("tx", "rx"):
        assert int(values[f'ip_traffic_interface_{way}_bytes_total{{device="lo"}}']) == (
            remotes * SIZE
        )
    tracked = int(values["ip_traffic_tracked_remotes"])
    assert tracked + int(values["ip_traffic_evicted_remotes_total"]) == remotes


def scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        return str(answer.read().decode())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def megabytes(kilobytes: str) -> float:
    return int(kilobytes.removesuffix(" kB")) * 1024 / MB


def render() -> None:
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        policy = Policy(series=RENDERED, admit_bytes=1)
        counters = Counters(Path(folder, "counters"), policy, os.urandom(16), 0)
        remotes = {address_of(address(number)): [SIZE, SIZE] for number in range(RENDERED)}
        for sequence in range(2):  # series begin at zero: the second letter moves them
            counters.add(Letter(b"12345678", sequence, 0, remotes, {}, {}))
        meter = Meter(counters, "packet", "ip", None)
        first, *later = [timed(meter.render) for _ in range(1 + ROUNDS)]
        text = meter.render()
        meter.close()
    assert text.count(b'_bytes_total{remote_ip="') == 2 * (RENDERED + 1)  # and all others
    print_table(
        [f"one scrape of {2 * RENDERED:,} series, {len(text) / MB:.1f} MB", "s", "CPU s"],
        [
            [name, *(f"{figure:.3f}" for figure in figures)]
            for name, figures in (
                ("first", first),
                (f"later, median of {ROUNDS}", map(statistics.median, zip(*later, strict=True))),
                (f"later, fastest of {ROUNDS}", map(min, zip(*later, strict=True))),
            )
        ],
    )
    aims(("later, median, s of CPU", statistics.median(cpu for _, cpu in later), "<=", 0.1))


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds that pass, and those of CPU time."""
    before = time.process_time()
    passed = seconds(work)
    return passed, time.process_time() - before
