"""What the histories and the kills found once, each as the shortest history that shows it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from gateway_assets import clock
from gateway_assets.archive import engine, manifest, pace, prune, restore, swap
from gateway_assets.archive.engine import UniversalArchiver
from tests.foreign import COUNTED, DONE, TABLE, ZULU, Event, Foreign, Form, doubled

TODAY = clock.day_of(clock.now())


class BrokenOff(Exception):
    pass


@pytest.fixture(autouse=True)
def _few_rows_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for size in ("FIRST_ROWS", "MOST_ROWS", "LEAST_ROWS"):
        monkeypatch.setattr(pace, size, 3)


def filled(form: Form, folder: Path, days: range, rows: int) -> tuple[Foreign, list[Event]]:
    foreign = Foreign(form, folder / "data")
    foreign.create()
    places = [(day, number) for day in days for number in range(rows)]
    events = [
        Event(key, day * clock.DAY + form.moments[number % len(form.moments)], "ann", DONE, key)
        for key, (day, number) in enumerate(places)
    ]
    with foreign.opened() as connection:
        foreign.insert(connection, events)
    return foreign, events


def archive(foreign: Foreign, grace: float = 0) -> None:
    result = UniversalArchiver(foreign.settings(grace)).archive_table(TABLE)
    assert not result.failed, result.failed


def failing_at(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, call: int) -> None:
    real: Callable[..., Any] = getattr(module, name)
    calls = count(1)

    def broken(*args: Any) -> Any:
        if next(calls) == call:
            raise BrokenOff
        return real(*args)

    monkeypatch.setattr(module, name, broken)


def test_a_monthly_copy_does_not_stand_for_a_day_that_is_half_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign, events = filled(COUNTED, tmp_path, range(TODAY - 65, TODAY - 55), 8)
    archive(foreign)
    failing_at(monkeypatch, restore, "_insert", 2)
    with suppress(BrokenOff):
        UniversalArchiver(foreign.settings()).restore(TABLE, [TODAY - 60])
    assert foreign.answered() == Counter(events)


def test_a_column_that_comes_while_a_run_begins_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ALTER TABLE and UPDATE after the archiver looked at the table, before it reserves a day."""
    foreign, events = filled(COUNTED, tmp_path, range(TODAY - 9, TODAY - 8), 8)
    look = engine.look  # type: ignore[attr-defined]

    def alter_first(*args: Any) -> Any:
        with foreign.opened() as connection, suppress(sqlite3.OperationalError):
            connection.execute(f"ALTER TABLE {TABLE} ADD COLUMN note TEXT")
            connection.execute(f"UPDATE {TABLE} SET note = 'precious'")
        return look(*args)

    monkeypatch.setattr(engine, "look", alter_first)
    archive(foreign)
    archive(foreign)
    assert foreign.answered() == Counter(event._replace(note="precious") for event in events)


@pytest.mark.parametrize("call", range(1, 6))
def test_times_that_sort_otherwise_as_text_are_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    """ "10:00:00Z" stands behind "10:00:00.500000Z" as text, and before it as a moment."""
    foreign, events = filled(ZULU, tmp_path, range(TODAY - 9, TODAY - 8), 20)
    with monkeypatch.context() as broken:
        failing_at(broken, prune, "_boundary", call)
        with suppress(BrokenOff):
            archive(foreign)
    last = max(events, key=lambda event: event.moment)
    with foreign.opened() as connection:
        update = f"UPDATE {TABLE} SET amount = amount WHERE {foreign.form.key_is}"
        connection.execute(update, foreign.form.write_key(last.key))
    assert foreign.answered() == Counter(events)
    archive(foreign)
    assert foreign.answered() == Counter(events)


def test_such_times_come_back(tmp_path: Path) -> None:
    foreign, events = filled(ZULU, tmp_path, range(TODAY - 9, TODAY - 8), 20)
    archive(foreign)
    UniversalArchiver(foreign.settings()).restore(TABLE, [TODAY - 9])
    assert foreign.answered() == Counter(events)


def test_a_glob_finds_no_row_twice_while_a_day_is_compacted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB's glob also looks into directories whose names begin with a dot."""
    foreign, events = filled(COUNTED, tmp_path, range(TODAY - 9, TODAY - 8), 8)
    archive(foreign)
    with foreign.opened() as connection:
        foreign.insert(connection, [events[0]._replace(key=100)])
    failing_at(monkeypatch, swap, "land", 1)
    with suppress(BrokenOff):
        archive(foreign)
    assert not doubled(foreign.in_tree())


@pytest.mark.parametrize("grace", [0, 24])
@pytest.mark.parametrize("verb", ["UPDATE", "UPDATE OR IGNORE", "UPDATE OR REPLACE"])
def test_a_key_that_is_archived_is_not_taken_by_an_update(
    tmp_path: Path, grace: float, verb: str
) -> None:
    foreign, events = filled(COUNTED, tmp_path, range(TODAY - 9, TODAY - 8), 8)
    archive(foreign, grace)
    recent = Event(100, TODAY * clock.DAY, "ann", DONE, 1)
    with foreign.opened() as connection, suppress(sqlite3.IntegrityError):
        foreign.insert(connection, [recent])
        update = f"{verb} {TABLE} SET code = ? WHERE code = ?"
        taken = (*foreign.form.write_key(2), *foreign.form.write_key(100))
        connection.execute(update, taken)
    replaced = verb == "UPDATE OR REPLACE" and grace
    wanted = [event for event in events if not (replaced and event.key == 2)]
    wanted.append(recent._replace(key=2) if replaced else recent)
    assert foreign.answered() == Counter(wanted)
    archive(foreign)
    assert foreign.answered() == Counter(wanted)


def test_a_cut_file_is_shortened_before_its_rows_are_published_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign, events = filled(COUNTED, tmp_path, range(TODAY - 9, TODAY - 8), 12)
    with monkeypatch.context() as broken:
        failing_at(broken, prune, "_boundary", 2)
        with suppress(BrokenOff):
            archive(foreign)
    with foreign.opened() as connection:
        last = max(events, key=lambda event: event.moment)
        update = f"UPDATE {TABLE} SET owner = 'bob' WHERE {foreign.form.key_is}"
        assert connection.execute(update, foreign.form.write_key(last.key)).rowcount
        query = f"SELECT count(*) FROM {manifest.FILES} WHERE answers_until IS NOT NULL"
        assert connection.execute(query).fetchone() == (1,)
    archive(foreign, 24)
    assert not doubled(foreign.in_tree())


def test_a_day_that_expires_leaves_the_keys_of_older_days_known(tmp_path: Path) -> None:
    foreign, (older, _) = filled(COUNTED, tmp_path, range(TODAY - 41, TODAY - 39), 1)
    archive(foreign)
    late = Event(2, older.moment, "ann", DONE, 2)
    again = older._replace(moment=TODAY * clock.DAY)
    with foreign.opened() as connection:
        foreign.insert(connection, [late])
        foreign.declare("keep_days = 39")
        archive(foreign, 24)  # what came late is hidden and not pruned yet, so its day must wait
        assert foreign.insert(connection, [again], "INSERT OR IGNORE") == 0
    assert foreign.answered() == Counter([older, late])


def test_an_erased_row_is_in_no_copy_that_a_kill_left_unknown(tmp_path: Path) -> None:
    foreign, _ = filled(COUNTED, tmp_path, range(TODAY - 65, TODAY - 55), 8)
    archive(foreign)
    with foreign.opened() as connection:
        connection.execute("DELETE FROM gateway_archive_months")  # as if killed before the insert
    copies = foreign.settings().archive.parent / "months"
    assert list(copies.rglob("*.parquet"))
    UniversalArchiver(foreign.settings()).erase(TABLE, {"owner": "ann"})
    assert not list(copies.rglob("*.parquet"))
