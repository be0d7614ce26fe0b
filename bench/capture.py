"""``gateway-capture --backend sockdiag`` against a shell loop that runs ``ss -tinpH`` each second.

Both watch the same loopback traffic (``loopback.py``) for the same time, in turns. The loop's
output goes to /dev/null: adding it up would cost more, and the connections that came and went
between two polls (twenty a second here) are not in it. The capture counts them and lands files.
CPU is that of the process and all its children (``wait4``), starting Python included; "start"
is a capture of a tenth of a second. Memory is the largest VmHWM seen among the processes, because
the kernel's maxrss of a child begins with what its parent had when it forked.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
from functools import partial
from pathlib import Path

from loopback import SHORT_LIVED
from side_by_side import Figures, in_turns, print_heading, print_table, ratio

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
                status = status_of(pid)
                if str(self._pid) in (status.get("Pid"), status.get("PPid")):
                    self.kilobytes = max(self.kilobytes, int(status.get("VmHWM", "0 kB")[:-3]))


def status_of(pid: int) -> dict[str, str]:
    """The fields of ``/proc/PID/status``; none when the process has gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text("utf-8", "replace").splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    print_heading(__doc__)
    found = in_turns(
        {
            "gateway-capture": partial(capture, asked.seconds, asked.connections),
            "ss loop": partial(ss_loop, asked.seconds, asked.connections),
            "gateway-capture, start": partial(capture, 0.1, asked.connections),
        },
        asked.rounds,
    )
    base = found["ss loop"]
    print_table(
        ["", "CPU s", "CPU / ss", "peak RSS MB", "RSS / ss"],
        [
            [
                name,
                f"{figures['cpu']:.2f}",
                ratio(figures["cpu"], base["cpu"]),
                f"{figures['rss'] / 1024:.1f}",
                ratio(figures["rss"], base["rss"]),
            ]
            for name, figures in found.items()
        ],
    )
    print(
        f"\n{asked.seconds} s, {asked.connections} connections open (both ends on this host) and "
        f"{SHORT_LIVED} short ones a second, median of {asked.rounds}"
    )


if __name__ == "__main__":
    main()
