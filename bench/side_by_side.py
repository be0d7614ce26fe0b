"""Run several ways of doing the same thing in turns, and print medians and ratios.

Turns (A B A B …) instead of one block each, so that a slow minute of the machine meets them all.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

Figures = dict[str, float]


def in_turns(ways: Mapping[str, Callable[[], Figures]], rounds: int) -> dict[str, Figures]:
    """Run every way once a round; the median of each figure, by way."""
    found: dict[str, list[Figures]] = {name: [] for name in ways}
    for number in range(1, rounds + 1):
        for name, run in ways.items():
            progress(f"round {number} of {rounds}: {name}")
            found[name].append(run())
    progress()
    return {name: _medians(runs) for name, runs in found.items()}


def _medians(runs: list[Figures]) -> Figures:
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def progress(text: str = "") -> None:
    """What is going on, on one line that the next text takes the place of."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", flush=True, file=sys.stderr)


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def ratio(one: float, other: float) -> str:
    return f"{one / other:.2f} x" if other else "-"


def peak_memory(process: int | str = "self") -> float:
    """VmHWM in bytes; the kernel's maxrss of a child begins with what its parent had."""
    return int(fields_of(process).get("VmHWM", "0 kB").split()[0]) * 1024


def fields_of(process: int | str) -> dict[str, str]:
    """The fields of ``/proc/PID/status``; none when the process has gone."""
    try:
        lines = Path(f"/proc/{process}/status").read_text("utf-8", "replace").splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def print_heading(about: str | None, *packages: str) -> None:
    """The command as it was given, what it compares, versions and machine."""
    python = os.path.relpath(sys.executable)
    print(f"$ {shlex.join([python, *sys.argv])}")
    print((about or "").strip().splitlines()[0].replace("``", "`"))
    versions = [f"Python {platform.python_version()}", f"SQLite {sqlite3.sqlite_version}"]
    versions += [f"{name} {importlib.metadata.version(name)}" for name in packages]
    print(", ".join(versions))
    print(
        f"{_processor()}, {os.cpu_count()} CPUs, Linux {platform.release()}, "
        f"load {os.getloadavg()[0]:.1f}\n"
    )


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(": ")[2]
    return platform.machine()


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A Markdown table, so that it can be pasted; the first column to the left."""
    lines = [list(head), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    for line in [lines[0], rule, *lines[1:]]:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        print(f"| {' | '.join(cells)} |")


def aims(*wanted: tuple[str, float, str, float]) -> None:
    """Each figure beside its target."""
    rows = []
    for name, value, sign, target in wanted:
        met = value <= target if sign == "<=" else value >= target
        shown = f"{value:,.0f}" if value >= 1_000 else f"{value:.2f}"
        rows.append([name, shown, f"{sign} {target:,}", "met" if met else "MISSED"])
    print()
    print_table(["target", "measured", "wanted", ""], rows)
    print()
