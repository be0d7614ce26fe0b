"""What ``gateway-capture`` counts, and what it costs: accuracy, memory, CPU, a scrape.

    accuracy  known packets and TCP payload: the backends, beside iftop, ss and nethogs in scripts
    memory    a daemon that met 100,000 remotes, without and with databases of places
    cpu       a daemon with iftop while 3,000 remotes are live
    render    one scrape of 100,000 series
    soak      1,000,000 remotes pass through; ``--minutes 10`` lets them take their time
    ss        ``--backend sockdiag`` against a shell loop that runs ``ss -tinpH`` each second

Both sides of ``ss`` watch the same loopback traffic (``loopback.py``) for the same time, in turns.
The loop's output goes to /dev/null: adding it up would cost more, and the connections that came
and went between two polls (twenty a second here) are not in it. The capture counts them and lands
files. CPU is that of the process and all its children (``wait4``), starting Python included;
"start" is a capture of a tenth of a second. Memory is the largest VmHWM seen among the processes,
because the kernel's maxrss of a child begins with what its parent had when it forked.

A MB is 1,000,000 bytes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from capture_memory import memory, render, soak
from capture_traffic import accuracy, cpu_part
from loopback import SHORT_LIVED
from side_by_side import Figures, fields_of, in_turns, print_heading, print_table, ratio

HERE = Path(__file__).parent
CAPTURE = str(Path(sys.executable).with_name("gateway-capture"))
SS_LOOP = "i=0; while [ $i -lt {seconds} ]; do ss -tinpH >/dev/null; sleep 1; i=$((i+1)); done"
LOOK_SECONDS = 0.02


def capture(seconds: float, connections: int) -> Figures:
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        command = [CAPTURE, "--backend", "sockdiag", "--data-dir", folder]
        return watched([*command, "--duration", str(seconds)], seconds, connections)


def ss_loop(seconds: int, connections: int) -> Figures:
    return watched(["sh", "-c", SS_LOOP.format(seconds=seconds)], seconds, connections)


def watched(command: list[str], seconds: float, connections: int) -> Figures:
    """Run a command while traffic goes over loopback; its CPU seconds and peak memory."""
    traffic = [sys.executable, str(HERE / "loopback.py"), str(seconds + 1), str(connections)]
    with subprocess.Popen(traffic, stdout=subprocess.PIPE) as source:
        assert source.stdout is not None
        source.stdout.readline()  # all connections are open
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        peak = Peak(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        peak.stop()
    assert process.returncode == 0
    return {"cpu": usage.ru_utime + usage.ru_stime, "rss": float(peak.kilobytes)}


class Peak:
    """The largest VmHWM of a process and its children, looked at again and again in a thread."""

    def __init__(self, pid: int) -> None:
        self.kilobytes = 0
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            pids = (int(path.name) for path in Path("/proc").glob("[0-9]*"))
            for pid in (pid for pid in pids if pid >= self._pid):  # children are younger
                status = fields_of(pid)
                if str(self._pid) in (status.get("Pid"), status.get("PPid")):
                    self.kilobytes = max(self.kilobytes, int(status.get("VmHWM", "0 kB")[:-3]))


def compare_ss(seconds: int, connections: int, rounds: int) -> None:
    found = in_turns(
        {
            "gateway-capture": partial(capture, seconds, connections),
            "ss loop": partial(ss_loop, seconds, connections),
            "gateway-capture, start": partial(capture, 0.1, connections),
        },
        rounds,
    )
    base = found["ss loop"]
    print_table(
        ["", "CPU s", "CPU / ss", "peak RSS MB", "RSS / ss"],
        [
            [
                name,
                f"{figures['cpu']:.2f}",
                ratio(figures["cpu"], base["cpu"]),
                f"{figures['rss'] * 1024 / 1e6:.1f}",
                ratio(figures["rss"], base["rss"]),
            ]
            for name, figures in found.items()
        ],
    )
    print(
        f"\n{seconds} s, {connections} connections open (both ends on this host) and "
        f"{SHORT_LIVED} short ones a second, median of {rounds}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = ["accuracy", "memory", "cpu", "render", "soak", "ss"]
    parser.add_argument("what", nargs="*", default=names, metavar="what", help=", ".join(names))
    parser.add_argument("--minutes", type=float, default=0, help="of soak (default: no pauses)")
    parser.add_argument("--seconds", type=int, default=10, help="of ss")
    parser.add_argument("--connections", type=int, default=200, help="of ss")
    parser.add_argument("--rounds", type=int, default=3, help="of ss")
    asked = parser.parse_args()
    print_heading(__doc__)
    parts: dict[str, Callable[[], None]] = {
        "accuracy": accuracy,
        "memory": memory,
        "cpu": cpu_part,
        "render": render,
        "soak": partial(soak, asked.minutes),
        "ss": partial(compare_ss, asked.seconds, asked.connections, asked.rounds),
    }
    for what in asked.what:
        parts[what]()


if __name__ == "__main__":
    main()
