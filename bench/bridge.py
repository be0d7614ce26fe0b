"""UnifiedQueryBridge over ten years and one of daily files, against DuckDB and SQLite.

1,170 rows of 8 columns a day, the last week hot. Every side keeps its connection open, has read
its files once and answered each question once. Then all are asked in turns, at the same random
moments and ids: ten times in a row and once before, so that nobody pays for what others did to the
processor's caches.

    query()        the bridge from Python: dicts, or Arrow where a day is counted by status
    sql()          the bridge's free SQL, as Arrow
    DuckDB glob    the same tree with hive_partitioning, with the days named where they are known
    UNION ALL      that and the hot rows, attached by DuckDB's sqlite extension where it is at hand
    SQLite         all rows in one table with the same index, never archived
    DuckDB table   all rows in one table of its own format

What holds all rows must answer the same each time. The glob does not see hot rows, so some of its
answers are wrong; neither it nor UNION ALL checks anything: a file that is missing goes unnoticed,
and a day counts twice while its hot rows wait to be pruned. A side that has spent 20 s on a
question is not asked it again. The last figures are of ``gateway query``, a process of its own:
from its start to the first byte of the answer, and the most memory of its processes together.
"""

from __future__ import annotations

import argparse
import math
import sqlite3
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
from made_tables import tasks_history
from side_by_side import (
    Figures,
    aims,
    print_heading,
    print_table,
    progress,
    ratio,
)

from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.bridge.where import Condition, column
from gateway_assets.settings import load_settings

COLUMNS = "id, created_at, task_type, status, unique_key, priority, score, task_data"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TURN, FULL_SCANS, MOST_SECONDS, STARTS = 10, 10, 20, 5
LOOK_SECONDS = 0.002
MB = 1e6

Params = tuple[Any, ...]
Row = tuple[Any, ...]
Found = dict[str, dict[str, Figures]]  # by question and side


class History:
    """Rows of tasks up to ``last``, those from ``boundary`` on hot; ids count from 1."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with closing(sqlite3.connect(folder / "everything.db")) as connection:
            query = "SELECT count(*), min(created_at), max(created_at) FROM tasks"
            self.rows, *ends = connection.execute(query).fetchone()
        with closing(sqlite3.connect(folder / "app.db")) as connection:
            query = "SELECT count(*), min(created_at) FROM tasks"
            self.hot, hot_from = connection.execute(query).fetchone()
        self.first, self.last, self.boundary = map(_moment, (*ends, hot_from))


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# What is asked.


def an_hour(random: Random, history: History) -> Params:
    begin = history.first + random.random() * (history.last - HOUR - history.first)
    return begin, begin + HOUR


def a_day(random: Random, history: History) -> Params:
    begin = history.first + random.randrange((history.last - history.first).days) * DAY
    return begin, begin + DAY


def two_days(random: Random, history: History) -> Params:
    begin = history.boundary - HOUR - random.random() * 46 * HOUR
    return begin, begin + 2 * DAY


def an_id(random: Random, history: History) -> Params:
    return (random.randint(1, history.rows),)


def nothing(random: Random, history: History) -> Params:
    del random, history
    return ()


def within(begin: datetime, end: datetime) -> Condition:
    return (column("created_at") >= begin) & (column("created_at") < end)


def rows_within(bridge: UnifiedQueryBridge, begin: datetime, end: datetime) -> Any:
    return bridge.query("tasks", within(begin, end)).rows()


def by_status(bridge: UnifiedQueryBridge, begin: datetime, end: datetime) -> Any:
    found = bridge.query("tasks", within(begin, end), columns=["status"]).arrow()
    return list(Counter(found["status"].to_pylist()).items())


def newest(bridge: UnifiedQueryBridge) -> Any:
    return bridge.query("tasks", order="-created_at", limit=50).rows()


def by_id(bridge: UnifiedQueryBridge, number: int) -> Any:
    return bridge.query("tasks", {"id": number}).rows()


def count(bridge: UnifiedQueryBridge) -> Any:
    return [(bridge.count("tasks"),)]


def rare(bridge: UnifiedQueryBridge) -> Any:
    return bridge.query("tasks", {"status": "expired"}).rows()


@dataclass(frozen=True)
class Question:
    """``{rows}`` and ``{day}`` of the text are what a side has for them; ``ours`` asks query()."""

    text: str
    given: Callable[[Random, History], Params] = nothing
    ours: Callable[..., Any] | None = None
    is_full: bool = False


WITHIN = "created_at >= ? AND created_at < ?"
QUESTIONS = {
    "one hour": Question(f"SELECT {COLUMNS} FROM {{rows}} WHERE {WITHIN}", an_hour, rows_within),
    "one day by status": Question(
        f"SELECT status, count(*) FROM {{rows}} WHERE {WITHIN} GROUP BY 1", a_day, by_status
    ),
    "newest 50": Question(
        f"SELECT {COLUMNS} FROM {{rows}} ORDER BY created_at DESC LIMIT 50", ours=newest
    ),
    "two days, hot and cold": Question(
        f"SELECT {COLUMNS} FROM {{rows}} WHERE {WITHIN}", two_days, rows_within
    ),
    "by id": Question(f"SELECT {COLUMNS} FROM {{rows}} WHERE id = ?", an_id, by_id),
    "count(*)": Question("SELECT count(*) FROM {rows}", ours=count),
    "all by day": Question("SELECT {day}, count(*) FROM {rows} GROUP BY 1", is_full=True),
    "rare value": Question(
        f"SELECT {COLUMNS} FROM {{rows}} WHERE status = 'expired'", ours=rare, is_full=True
    ),
}
TARGETS = [
    ("one hour", "query()", "p95", 5),
    ("one hour", "sql()", "p95", 20),
    ("one day by status", "query()", "p95", 5),
    ("one day by status", "sql()", "p95", 20),
    ("newest 50", "query()", "p95", 1),
    ("two days, hot and cold", "query()", "p95", 10),
    ("by id", "query()", "p95", 5),
    ("count(*)", "query()", "p95", 1),
    ("all by day", "sql()", "p50", 100),
]
BOUNDED = ["one hour", "one day by status", "two days, hot and cold", "by id"]


# Who is asked.


class Side(NamedTuple):
    """``ready`` makes of a question what is timed; None when this side is not asked it."""

    ready: Callable[[Question, Params], Callable[[], Any] | None]
    holds_all: bool = True


def in_python(
    bridge: UnifiedQueryBridge, question: Question, params: Params
) -> Callable[[], Any] | None:
    return partial(question.ours, bridge, *params) if question.ours else None


def in_duckdb(
    run: Callable[[str, Params], Any], rows: str, question: Question, params: Params
) -> Callable[[], Any]:
    """``{named}`` of the rows is which days of the tree can hold any, where that is known."""
    named = "true"
    if len(params) == 2:
        first, last = params[0].date(), (params[1] - timedelta(microseconds=1)).date()
        named = f"make_date(year, month, day) BETWEEN DATE '{first}' AND DATE '{last}'"
    rows = rows.format(named=named)
    return partial(
        run, question.text.format(rows=rows, day="date_trunc('day', created_at)"), params
    )


def in_sqlite(
    connection: sqlite3.Connection, question: Question, params: Params
) -> Callable[[], Any]:
    text = question.text.format(rows="tasks", day="substr(created_at, 1, 10)")
    given = [_written(value) for value in params]
    return lambda: connection.execute(text, given).fetchall()


def opened(history: History, stack: ExitStack) -> dict[str, Side]:
    """Every side, with its connection open until the end."""
    folder = history.folder
    bridge = stack.enter_context(UnifiedQueryBridge(load_settings(data_dir=folder)))
    glob = (
        f"SELECT {COLUMNS} FROM read_parquet('{folder}/archive/parquet/tasks/*/*/*/*.parquet', "
        "hive_partitioning = true, hive_types = {{'year': INT, 'month': INT, 'day': INT}}) "
        "WHERE {named}"
    )
    session = stack.enter_context(closing(duckdb.connect()))
    session.execute("SET parquet_metadata_cache = true")  # as the bridge does
    table = stack.enter_context(
        closing(duckdb.connect(folder / "everything.duckdb", read_only=True))
    )
    lite = stack.enter_context(closing(sqlite3.connect(folder / "everything.db")))
    sides = {
        "query()": Side(partial(in_python, bridge)),
        "sql()": Side(partial(in_duckdb, bridge.sql, "tasks")),
        "DuckDB glob": Side(partial(in_duckdb, answers_of(session), f"({glob})"), holds_all=False),
    }
    try:
        session.execute("LOAD sqlite")
    except duckdb.Error:
        pass  # there is nowhere to take it from offline
    else:
        session.execute(f"ATTACH '{folder}/app.db' AS hot (TYPE sqlite, READ_ONLY)")
        hot = COLUMNS.replace("created_at", "created_at::TIMESTAMPTZ AS created_at")
        union = f"(SELECT {hot} FROM hot.tasks UNION ALL {glob})"
        sides["UNION ALL"] = Side(partial(in_duckdb, answers_of(session), union))
    sides["SQLite"] = Side(partial(in_sqlite, lite))
    sides["DuckDB table"] = Side(partial(in_duckdb, answers_of(table), "tasks"))
    return sides


def answers_of(session: duckdb.DuckDBPyConnection) -> Callable[[str, Params], Any]:
    session.execute("SET TimeZone = 'UTC'")
    return lambda text, params: session.execute(text, params).fetchall()


def plain(answer: Any) -> list[Row]:
    """The same for the same rows, whoever tells them and in whatever order."""
    if isinstance(answer, pa.Table):
        answer = answer.to_pylist()
    rows = (row.values() if isinstance(row, dict) else row for row in answer)
    return sorted(tuple(map(_short, row)) for row in rows)


def _short(value: Any) -> Any:
    """A midnight as its day, because SQLite groups by text."""
    text = _written(value)
    return text.removesuffix(" 00:00:00.000000") if isinstance(text, str) else text


def _written(value: Any) -> Any:
    """A moment as SQLite has it."""
    return f"{value:%Y-%m-%d %H:%M:%S.%f}" if isinstance(value, datetime) else value


# What is measured.


def measure(histories: dict[int, History], repeats: int) -> dict[int, Found]:
    with ExitStack() as stack:
        sides = {years: opened(history, stack) for years, history in histories.items()}
        for history in histories.values():
            for path in filter(Path.is_file, history.folder.rglob("*")):
                path.read_bytes()
        found: dict[int, Found] = {years: {} for years in histories}
        for title in QUESTIONS:
            for years, times in _asked(title, histories, sides, repeats).items():
                found[years][title] = {name: _figures(took) for name, took in times.items() if took}
    progress()
    return found


def _asked(
    title: str, histories: dict[int, History], sides: dict[int, dict[str, Side]], repeats: int
) -> dict[int, dict[str, list[float]]]:
    """Seconds by history and side."""
    question, random = QUESTIONS[title], Random(title)
    times: dict[int, dict[str, list[float]]] = {
        years: {name: [] for name in some} for years, some in sides.items()
    }
    for turn in range(0, min(repeats, FULL_SCANS) if question.is_full else repeats, TURN):
        for years, history in histories.items():
            params = [question.given(random, history) for _ in range(TURN + 1)]
            told = {}
            for name, side in sides[years].items():
                progress(f"{title}: {turn} of {repeats}, {years} years, {name}")
                asks = [side.ready(question, one) for one in params]
                taken = times[years][name]
                if asks[0] is None or sum(taken) > MOST_SECONDS:
                    continue
                asks[0]()
                answers = [_timed(ask, taken) for ask in asks[1:]]
                if side.holds_all:
                    told[name] = [plain(answer) for answer in answers]
            for place, one in enumerate(params[1:]):
                _check_same(title, one, {name: rows[place] for name, rows in told.items()})
    return times


def _timed(ask: Callable[[], Any], times: list[float]) -> Any:
    started = time.perf_counter()
    answer = ask()
    times.append(time.perf_counter() - started)
    return answer


def _check_same(title: str, params: Params, answers: dict[str, list[Row]]) -> None:
    (first, wanted), *others = answers.items()
    for name, rows in others:
        other = [*set(wanted) ^ set(rows)][:4]
        assert rows == wanted, (title, params, first, len(wanted), name, len(rows), other)


def _figures(times: list[float]) -> Figures:
    ordered = sorted(times)
    p95 = ordered[math.ceil(0.95 * len(ordered)) - 1]
    return {"p50": statistics.median(times) * 1000, "p95": p95 * 1000, "times": len(times)}


def print_found(history: History, years: int, found: Found) -> None:
    print_table(
        [f"years: {years}", "p50 ms", "p95 ms", "times", "query() / this", "sql() / this"],
        [
            [
                f"{title}: {name}",
                f"{run['p50']:.2f}",
                f"{run['p95']:.2f}",
                f"{run['times']}",
                *(
                    ratio(sides[ours]["p50"], run["p50"]) if ours in sides else ""
                    for ours in ("query()", "sql()")
                ),
            ]
            for title, sides in found.items()
            for name, run in sides.items()
        ],
    )
    files = history.last.date() - history.first.date()
    print(f"{history.rows:,} rows, {history.hot:,} of them hot, {files.days + 1:,} days\n")


def starts(history: History) -> list[tuple[str, float, str, float]]:
    """Seconds and memory of ``gateway query``, with targets."""
    begin, end = an_hour(Random(1), history)
    text = (
        f"SELECT {COLUMNS} FROM tasks WHERE created_at >= TIMESTAMPTZ '{begin}' "
        f"AND created_at < TIMESTAMPTZ '{end}'"
    )
    gateway = str(Path(sys.executable).with_name("gateway"))
    command = [gateway, "--data-dir", str(history.folder), "query", text]
    first_byte = statistics.median(_until_first_byte(command) for _ in range(STARTS))
    memory = max(_memory_of(command) for _ in range(STARTS))
    return [
        ("gateway query, s to the first byte", first_byte, "<=", 0.6),
        ("gateway query, peak MB", memory / MB, "<=", 150),
    ]


def _until_first_byte(command: list[str]) -> float:
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        first = process.stdout.read(1)
        took = time.perf_counter() - started
        _, errors = process.communicate()
    assert first, errors
    return took


def _memory_of(command: list[str]) -> float:
    """The most that its processes took together, looked at until they end."""
    most, quiet = 0.0, subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet) as process:
        while process.poll() is None:
            most = max(most, sum(map(_memory_now, _with_children(process.pid))))
            time.sleep(LOOK_SECONDS)
    assert process.returncode == 0, command
    return most


def _memory_now(process: int) -> float:
    """Bytes. What processes share, after a fork for one, is counted once: PSS of proc(5)."""
    with suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _with_children(process: int) -> Iterator[int]:
    yield process
    with suppress(OSError):
        for path in Path(f"/proc/{process}/task").glob("*/children"):
            for child in path.read_text().split():
                yield from _with_children(int(child))


def print_targets(found: dict[int, Found], cold: list[tuple[str, float, str, float]]) -> None:
    """Those of the longest history, and how it compares with the shortest."""
    longest, shortest = found[max(found)], found[min(found)]
    wanted: list[tuple[str, float, str, float]] = [
        (f"{title}, {side} {figure} ms", longest[title][side][figure], "<=", most)
        for title, side, figure, most in TARGETS
    ]
    if longest is not shortest:
        for side in ("query()", "sql()"):
            grown = {
                title: longest[title][side]["p50"] / shortest[title][side]["p50"]
                for title in BOUNDED
            }
            worst = max(grown, key=lambda title: grown[title])
            name = f"{side} p50, {max(found)} / {min(found)} years, worst ({worst})"
            wanted.append((name, grown[worst], "<=", 1.2))
    aims(*wanted, *cold)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--years", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--repeats", type=int, default=100)
    asked = parser.parse_args()
    print_heading(__doc__, "duckdb", "pyarrow")
    histories = {years: History(tasks_history(years)) for years in sorted(asked.years)}
    found = measure(histories, asked.repeats)
    for years, history in histories.items():
        print_found(history, years, found[years])
        if "UNION ALL" not in found[years]["count(*)"]:
            print("DuckDB's sqlite extension is not at hand: no UNION ALL.\n")
    print_targets(found, starts(histories[max(histories)]))


if __name__ == "__main__":
    main()
