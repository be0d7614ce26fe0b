"""Histories that once gave a wrong answer, each as short as it could be made."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from gateway_assets import clock
from gateway_assets.bridge import statement
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.errors import ArchiveDamaged
from tests.tiers.places import OLD, archive, at, declare, files, make, run


@pytest.mark.parametrize(
    "condition",
    [
        "note IS NULL",
        "note IS DISTINCT FROM 'x'",
        "COALESCE(note, '') = ''",
        "COALESCE(note, 'q') IN ('q', 'z')",
    ],
)
@pytest.mark.parametrize("notes", [(None, "x"), ("x", None), (None, "x", None), ("x", "x", None)])
def test_the_one_text_of_a_file_is_not_taken_for_null(
    condition: str, notes: tuple[str | None, ...]
) -> None:
    """DuckDB 2.0.0 takes a VARCHAR column whose least and greatest value in the row group are the
    same for constantly NULL once a filter is pushed to it that NULL passes.
    """
    rows = [(number, at(OLD, number), note) for number, note in enumerate(notes)]
    make("CREATE TABLE t (n INTEGER PRIMARY KEY, time INTEGER, note TEXT)", "t", rows)
    query = f"SELECT n, note FROM t WHERE {condition} ORDER BY n"
    in_sqlite = query.replace("DISTINCT FROM", "NOT")
    wanted = run(in_sqlite)
    settings = declare(time="time")
    archive(settings)
    assert [tuple(row.values()) for row in UnifiedQueryBridge(settings).rows(query)] == wanted
    # The same answer when the rows are counted only.
    counted = query.partition(" ORDER")[0].replace("n, note", "count(*) AS n")
    assert UnifiedQueryBridge(settings).rows(counted) == [{"n": len(wanted)}]


def test_the_one_text_of_a_later_row_group_is_not_taken_for_null() -> None:
    """How a column is encoded is settled by the first row group, whose texts all differ."""
    notes = [f"note {number}" for number in range(100)] + [None, "x"] * 50
    rows = [(number, at(OLD, number), note) for number, note in enumerate(notes)]
    make("CREATE TABLE t (n INTEGER PRIMARY KEY, time INTEGER, note TEXT)", "t", rows)
    settings = declare(time="time")
    archive(settings, batch_size=100)
    query = "SELECT n, note FROM t WHERE note IS NULL ORDER BY n"
    answered = [tuple(row.values()) for row in UnifiedQueryBridge(settings).rows(query)]
    assert answered == [(number, None) for number in range(100, 200, 2)]


@pytest.mark.parametrize("looks", range(1, 7))
def test_a_file_that_goes_between_two_looks_at_it_is_told(
    looks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archiver moves a file after its size was looked at: no bare FileNotFoundError."""
    make("CREATE TABLE t (n INTEGER PRIMARY KEY, time INTEGER)", "t", [(1, at(OLD)), (2, at(OLD))])
    settings = declare(time="time")
    archive(settings)
    (path,) = files(settings)
    look: dict[str, Callable[..., Any]] = {"stat": Path.stat, "open": Path.open}
    calls = count(1)

    def gone_at(name: str) -> Any:
        def called(self: Path, *given: Any, **named: Any) -> Any:
            if self.name == path.name and next(calls) > looks:
                path.unlink(missing_ok=True)
            return look[name](self, *given, **named)

        return called

    for name in look:
        monkeypatch.setattr(Path, name, gone_at(name))
    try:
        answered = UnifiedQueryBridge(settings).rows("SELECT n FROM t ORDER BY n")
    except ArchiveDamaged as error:
        assert path.name in error.message
        assert "gateway archive" in error.hint
    else:
        assert answered == [{"n": 1}, {"n": 2}]


def test_a_range_that_ends_at_midnight_does_not_need_the_day_after() -> None:
    """Every question about one day is such a range; a damaged day beside it is not its concern."""
    rows = [(1, at(OLD - 1)), (2, at(OLD))]
    make("CREATE TABLE t (n INTEGER PRIMARY KEY, time INTEGER)", "t", rows)
    settings = declare(time="time")
    archive(settings)
    (after,) = [path for path in files(settings) if clock.day_text(OLD)[-2:] in path.parts[-2]]
    after.unlink()
    day = f"time >= to_timestamp({at(OLD - 1)}) AND time < to_timestamp({at(OLD)})"
    assert UnifiedQueryBridge(settings).rows(f"SELECT n FROM t WHERE {day}") == [{"n": 1}]


def test_a_file_that_is_replaced_before_it_is_opened_is_looked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between the manifest and the file a day is compacted: the answer is asked for again, and is
    not "IO Error: No files found that match the pattern".
    """
    make("CREATE TABLE t (n INTEGER PRIMARY KEY, time INTEGER)", "t", [(1, at(OLD))])
    settings = declare(time="time")
    archive(settings)
    before = files(settings)
    real = statement.show  # type: ignore[attr-defined]
    replaced: list[bool] = []

    def show(*given: Any, **named: Any) -> None:
        real(*given, **named)
        if not replaced:
            replaced.append(True)
            run("INSERT INTO t VALUES (?, ?)", 2, at(OLD, 1))
            archive(settings)

    monkeypatch.setattr(statement, "show", show)
    answered = UnifiedQueryBridge(settings).rows("SELECT n FROM t WHERE n < 2")
    assert answered == [{"n": 1}]
    assert replaced
    assert not set(before) & set(files(settings))
