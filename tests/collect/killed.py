"""Keep ticks, killed with SIGKILL at every few calls of a function; then go on, and count.

``python -m tests.collect.killed FOLDER STEP`` prints the number of kills as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

from gateway_assets import clock
from gateway_assets.collect.journal import Journal
from gateway_assets.collect.tick import SOURCES, Ticked
from gateway_assets.files.landing import landing_files, read_landing

STEP = 30 * clock.SECOND
MIDNIGHT = 20_000 * clock.DAY
TICKS = "collection_ticks"
LATENCIES = "latency_histogram"


def ticked(number: int) -> Ticked:
    """A tick with two sources, around midnight; the memory is the number of the tick."""
    moment = MIDNIGHT - 2 * STEP + number * STEP
    tick = (moment, "one", "ok", 5, None, None, 3, 3, 10, 0, 0, None)
    rows: dict[str, list[Any]] = {TICKS: [tick], LATENCIES: [(moment, "one", 1, '{"100":[1]}')]}
    return Ticked(moment, rows, {"one": {"number": number}})


def opened(data: Path) -> Journal:
    journal = Journal(data / "collect", data / "landing", "box")
    journal.resume()
    return journal


def landed(data: Path, name: str = TICKS) -> list[int]:
    source = SOURCES[name]
    files = landing_files(data / "landing", source)
    return [row[0] for path in files for row in read_landing(path, source).rows]


def _killed_at(data: Path, number: int, ticks: range) -> bool:
    """Keep ticks in a child that dies at its n-th call; whether it did."""
    child = os.fork()
    if child == 0:
        calls = 0

        def count(frame: FrameType, event: str, arg: Any) -> None:
            nonlocal calls
            calls += event in {"call", "c_call"}
            if calls == number:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.setprofile(count)
        journal = opened(data)
        for each in ticks:
            journal.keep(ticked(each))
        sys.setprofile(None)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status) and status:
        sys.exit(f"the child failed at call {number}")
    return os.WIFSIGNALED(status)


def main(folder: Path, step: int) -> None:
    kills = 0
    while True:
        data = folder / str(kills)
        opened(data).keep(ticked(0))
        at = 1 + kills * step
        was_killed = _killed_at(data, at, range(1, 4))
        if was_killed:
            _killed_at(data, 1 + 7 * kills, range(0))  # and while it goes on from there
        journal = opened(data)
        number = journal.memories["one"]["number"]
        journal.keep(ticked(number + 1))
        expected = Counter(ticked(each).time for each in range(number + 2))
        for name in (TICKS, LATENCIES):
            found = Counter(landed(data, name))
            if found != expected:
                sys.exit(f"killed at call {at}: {name} has {found}, not {expected}")
        if list(data.glob("landing/*/*/*/*/.*")):
            sys.exit(f"killed at call {at}: partial files stay")
        if not was_killed:
            break
        kills += 1
    print(json.dumps({"kills": kills}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
