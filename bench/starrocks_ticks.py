"""Parts of ``starrocks.py`` about ticks: what one costs with many nodes, and with many clusters."""

from __future__ import annotations

import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from side_by_side import aims, fields_of, print_table, progress

from gateway_assets import clock
from gateway_assets.collect.ask import SETTLED, WINDOW
from gateway_assets.collect.config import clusters_of
from gateway_assets.collect.journal import Journal
from gateway_assets.collect.tick import SOURCES, Ticked, Ticker, due
from gateway_assets.files.landing import Origin, Stamp, land
from gateway_assets.hot.load import load
from gateway_assets.hot.store import open_store
from gateway_assets.settings import Settings, load_settings
from gateway_assets.starrocks.definitions import TICK_SECONDS, Every
from gateway_assets.tables import TABLES

HERE = Path(__file__).parent
TICK = TICK_SECONDS * clock.SECOND
STAGES = ("look, rows", "journal, land", "load")
LOADED = [table for table in TABLES if table.name in SOURCES]


def tick() -> None:
    """40 ticks, one after the other: 28 fast ones, 8 medium, 4 slow ones with a window each.

    Files of a day are there, as they stay for ``landing_keep_hours``: each load looks at them.
    """
    found: dict[str, list[list[float]]] = {"fast": [], "medium": [], "slow": []}
    with serving("live", 3, 20) as settings, closing(_ticker(settings)) as ticker:
        journal = Journal(settings.data_dir / "collect", settings.landing, "bench")
        with open_store(settings.hot_database) as connection:
            _land_a_day(settings)
            for number in range(41):
                progress(f"tick {number} of 40")
                moment = (2_000_000 * 20 + number) * ticker.interval
                groups = due(moment, ticker.interval)
                _ask_window(journal, number, is_slow=Every.SLOW in groups)
                times = [time.process_time()]
                ticked = ticker.tick(moment, journal.memories, everything=False)
                times.append(time.process_time())
                journal.keep(ticked)
                times.append(time.process_time())
                for table in LOADED:
                    load(connection, table, settings)
                times.append(time.process_time())
                if number:  # the first one opens sessions, loads modules, creates tables
                    _check(ticked)
                    found[_name(groups)].append(
                        [1000 * (b - a) for a, b in itertools.pairwise(times)]
                    )
                time.sleep(0.1)
    progress()
    medians = {
        name: [statistics.median(stage) for stage in zip(*runs, strict=True)]
        for name, runs in found.items()
    }
    print_table(
        ["CPU ms of a tick, 3 FE + 20 BE", "ticks", *STAGES, "all", "worst"],
        [
            [
                name,
                str(len(found[name])),
                *(f"{one:.0f}" for one in (*stages, sum(stages), max(map(sum, found[name])))),
            ]
            for name, stages in medians.items()
        ],
    )
    aims(*((f"CPU ms of a {name} tick", sum(one), "<=", 150) for name, one in medians.items()))


def many(clusters: int = 100, ticks: int = 3) -> None:
    """Ticks of many clusters beside their servers; the first one opens all sessions, and meets a
    table that version 3.3 does not have.
    """
    rows, cores, walls = [], [], []
    with serving("recorded", clusters, 3, 10) as settings, closing(_ticker(settings)) as ticker:
        journal = Journal(settings.data_dir / "collect", settings.landing, "bench")
        for number in range(ticks):
            moment = (2_000_000 * 20 + 4 * number) * ticker.interval  # slow, then medium ones
            began, cpu = time.monotonic(), time.process_time()
            ticked = ticker.tick(moment, journal.memories, everything=False)
            journal.keep(ticked)
            wall, cpu = time.monotonic() - began, time.process_time() - cpu
            names = [column.name for column in SOURCES["collection_ticks"].columns]
            at = [names.index(name) for name in ("status", "nodes_answered")]
            told = [tuple(row[place] for place in at) for row in ticked.rows["collection_ticks"]]
            well = [sum(status == one for status, _ in told) for one in ("ok", "partial")]
            nodes = sum(answered for _, answered in told)
            label = _name(due(moment, ticker.interval))
            rows.append([f"{label}", f"{wall:.1f}", f"{cpu:.1f}", *map(str, well), f"{nodes}"])
            walls.append(wall)
            cores.append(cpu / 20)
        size = (settings.data_dir / "collect/journal.json").stat().st_size
    print_table([f"tick of {clusters} clusters", "s", "CPU s", "ok", "partial", "nodes"], rows)
    print(
        f"\njournal {size / 1e6:.1f} MB; peak memory {fields_of('self').get('VmHWM')}; the servers "
        "took the other processor"
    )
    aims(
        ("longest tick, s", max(walls), "<=", 20),
        ("CPU of a tick, cores over 20 s", max(cores), "<=", 1),
    )


@contextmanager
def serving(*what: object) -> Iterator[Settings]:
    """Settings of a data directory whose clusters another process stands for."""
    command = [sys.executable, str(HERE / "made_servers.py"), *map(str, what)]
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        with process:
            assert process.stdout
            assert process.stdin
            lines: list[str] = []
            while len(lines) < 2 or lines[-2:] != ["\n", "\n"]:
                lines.append(process.stdout.readline())
                assert lines[-1], "the servers have ended"
            (Path(folder) / "clusters.toml").write_text("".join(lines), "utf-8")
            try:
                yield load_settings(data_dir=Path(folder))
            finally:
                process.stdin.close()


def _land_a_day(settings: Settings) -> None:
    """Two files a tick, as there always are; loaded by the first load."""
    looked = ("ok", 120, None, None, 13, 13, 86_669, 0, 0, None, 30)
    unknown = (None,) * (len(SOURCES["metrics_snapshots"].columns) - 2)
    day = clock.day_of(clock.now()) * clock.DAY
    for number in range(2_880):
        time = day + number * TICK
        stamp = Stamp(Origin("before", "collect", "0" * 16), time, number)
        land(settings.landing, SOURCES["collection_ticks"], stamp, [(time, "before", *looked)])
        land(settings.landing, SOURCES["metrics_snapshots"], stamp, [(time, "before", *unknown)])


def _ticker(settings: Settings) -> Ticker:
    return Ticker(clusters_of(settings), settings)


def _ask_window(journal: Journal, number: int, *, is_slow: bool) -> None:
    """Let each slow tick have a window that nobody has asked about, and the others none."""
    until = (clock.now() - SETTLED) // WINDOW * WINDOW - (9 - number // 10) * WINDOW
    for memory in journal.memories.values():
        memory["asked_until"] = until if is_slow else None


def _name(groups: frozenset[Every]) -> str:
    if Every.SLOW in groups:
        return "slow"
    return "medium" if Every.MEDIUM in groups else "fast"


def _check(ticked: Ticked) -> None:
    names = [column.name for column in SOURCES["collection_ticks"].columns]
    for row in ticked.rows["collection_ticks"]:
        told = dict(zip(names, row, strict=True))
        assert told["status"] == "ok", told
