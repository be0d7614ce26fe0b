"""Anything that an application and the archive may do to a table, in any order, against a dict.

After each step the bridge answers exactly the rows of the dict, and a glob over the archive's
tree finds none of them twice. TIERING_EXAMPLES sets how many histories are tried (the suite takes
few), TIERING_STEPS how long each may become, TIERING_FORMS which forms of the table they are
tried on (names, see ``tests.foreign``). With TIERING_NO_SHRINK a failure is told as it was found.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gateway_assets import clock
from gateway_assets.archive import (
    compact,
    erase,
    export,
    manifest,
    monthly,
    pace,
    prune,
    restore,
    swap,
)
from gateway_assets.archive import sweep as sweeping
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.errors import ArchiveError
from gateway_assets.tiers.catalog import has_table
from tests.foreign import DONE, FORMS, HOT_DAYS, OPEN, TABLE, Event, Foreign, Form, doubled

EXAMPLES = int(os.environ.get("TIERING_EXAMPLES", "8"))
STEPS = int(os.environ.get("TIERING_STEPS", "30"))
CHOSEN = os.environ.get("TIERING_FORMS", "counted,composite").split(",")

TODAY = clock.day_of(clock.now())
# Old days of months that are over, so that monthly copies are made; old days; days that stay hot.
LONG_AGO = (TODAY - 41, TODAY - 40, TODAY - 39)
LATELY = (TODAY - 5, TODAY - 4)
RECENT = (TODAY - 1, TODAY)

KEYS = st.integers(0, 9)
OWNERS = st.sampled_from(["ann", "bob", "cy"])
STATUSES = st.sampled_from([DONE, DONE, DONE, OPEN])
AMOUNTS = st.integers(-3, 2**60)
SLOTS = st.integers(0, 4)
OLD_DAYS = st.sampled_from(LONG_AGO + LATELY)
DAYS = st.sampled_from(LONG_AGO + LATELY + RECENT)
KEEPS = st.sampled_from([39, 40])
GRACES = st.sampled_from([0, 0, 24])
# Where a run may break off: before or after the n-th call of one of these.
Place = tuple[Any, str]
RESTORING: tuple[Place, ...] = (
    (restore, "forget_rows"),
    (manifest, "update"),
    (restore, "_insert"),
    (restore, "take_back"),
    (sweeping, "_remove"),
)
ERASING: tuple[Place, ...] = (
    (erase, "_erase_from"),
    (erase, "_erase_hot"),
    (erase, "forget_rows"),
    (manifest, "fill"),
    (manifest, "forget"),
    (manifest, "reserve"),
    (manifest, "update"),
    (swap, "_write"),
    (swap, "land"),
    (sweeping, "_remove"),
)
ARCHIVING: tuple[Place, ...] = (
    (export, "_check_written"),
    (export, "_publish"),
    (prune, "remember"),
    (manifest, "fill"),
    (manifest, "forget"),
    (manifest, "reserve"),
    (manifest, "update"),
    (monthly, "_build"),
    (prune, "_compare"),
    (prune, "_prune_chunk"),
    (swap, "_exchange"),
    (swap, "_write"),
    (swap, "land"),
    (sweeping, "_remove"),
)


EXPIRING: tuple[Place, ...] = (
    *ARCHIVING,
    (compact, "forget_day"),
    (manifest, "count_removed"),
)


class BrokenOff(Exception):
    """What a run is broken off with, as a bug or a full disk would."""


class Application:
    """The program that owns the table: what it writes, and the rows that it therefore has."""

    def __init__(self, foreign: Foreign, connection: sqlite3.Connection) -> None:
        self.foreign = foreign
        self.form = foreign.form
        self.connection = connection
        self.rows: dict[int, Event] = {}
        self.ever: set[Event] = set()
        self.has_note = False

    def put(self, event: Event) -> None:
        self.rows[event.key] = event
        self.ever.add(event)

    def hot(self) -> dict[int, bool]:
        return self.foreign.in_hot(self.connection)

    def insert(self, event: Event, verb: str) -> None:
        """A key that is there, hot, hidden or archived, does not come a second time."""
        is_free = event.key not in self.rows
        replaces = verb == "INSERT OR REPLACE" and event.key in self.hot()
        try:
            inserted = self.foreign.insert(self.connection, [event], verb)
        except sqlite3.IntegrityError:
            assert not is_free
            assert not replaces
            assert verb != "INSERT OR IGNORE"
            return
        assert bool(inserted) == (is_free or replaces)
        if inserted:
            self.put(event)

    def update(self, key: int, changes: dict[str, Any], day: int | None, slot: int) -> None:
        """Rows that have left cannot be updated; all others can, hidden or not."""
        values = dict(changes)
        if day is not None:
            values["moment"] = moment_of(self.form, day, slot)
        columns = {"at" if name == "moment" else name: value for name, value in values.items()}
        if "at" in columns:
            columns["at"] = self.form.write_time(columns["at"])
        places = ", ".join(f"{name} = ?" for name in columns)
        there = key in self.hot()
        done = self.connection.execute(
            f"UPDATE {TABLE} SET {places} WHERE {self.form.key_is}",
            (*columns.values(), *self.form.write_key(key)),
        )
        assert done.rowcount == there
        if there:
            self.put(self.rows[key]._replace(**values))

    def rekey(self, old: int, new: int, verb: str) -> None:
        hot = self.hot()
        places = ", ".join(f"{name} = ?" for name in self.form.keys)
        statement = f"{verb} {TABLE} SET {places} WHERE {self.form.key_is}"
        params = (*self.form.write_key(new), *self.form.write_key(old))
        may = old in hot and old != new
        is_free = new not in self.rows
        try:
            changed = self.connection.execute(statement, params).rowcount
        except sqlite3.IntegrityError:
            assert may
            assert not is_free
            assert verb == "UPDATE" or new not in hot
            return
        if not may:
            assert changed == (old in hot)
        elif is_free or (verb == "UPDATE OR REPLACE" and new in hot):
            assert changed
            self.put(self.rows.pop(old)._replace(key=new))
        else:
            assert verb == "UPDATE OR IGNORE"
            assert not changed

    def add_everywhere(self, owner: str, amount: int) -> None:
        """One statement that updates many rows."""
        touched = [key for key in self.hot() if self.rows[key].owner == owner]
        done = self.connection.execute(
            f"UPDATE {TABLE} SET amount = ? WHERE owner = ?", (amount, owner)
        )
        assert done.rowcount == len(touched)
        for key in touched:
            self.put(self.rows[key]._replace(amount=amount))

    def delete(self, key: int) -> None:
        """Only visible rows can be deleted."""
        is_shown = self.hot().get(key, False)
        done = self.connection.execute(
            f"DELETE FROM {TABLE} WHERE {self.form.key_is}", self.form.write_key(key)
        )
        assert done.rowcount == is_shown
        if is_shown:
            del self.rows[key]

    def change_mind(self, event: Event) -> None:
        """A transaction that is rolled back leaves nothing."""
        self.connection.execute("BEGIN")
        self.connection.execute(f"UPDATE {TABLE} SET amount = 0, status = ?", (OPEN,))
        self.connection.execute(f"DELETE FROM {TABLE} WHERE owner = ?", (event.owner,))
        with suppress(sqlite3.IntegrityError):
            self.foreign.insert(self.connection, [event], "INSERT OR REPLACE")
        self.connection.execute("ROLLBACK")

    def add_column(self) -> None:
        if not self.has_note:
            self.connection.execute(f"ALTER TABLE {TABLE} ADD COLUMN note TEXT")
            self.has_note = True

    def annotate(self, key: int, note: str) -> None:
        self.add_column()
        self.update(key, {"note": note}, None, 0)


Action = Callable[[Application], None]


def moment_of(form: Form, day: int, slot: int) -> int:
    return day * clock.DAY + form.moments[slot % len(form.moments)]


def _insertion(
    key: int, day: int, slot: int, owner: str, status: str, amount: int, verb: str
) -> Action:
    def insert(application: Application) -> None:
        event = Event(key, moment_of(application.form, day, slot), owner, status, amount)
        application.insert(event, verb)

    return insert


INSERTIONS = st.builds(
    _insertion,
    KEYS,
    DAYS,
    SLOTS,
    OWNERS,
    STATUSES,
    AMOUNTS,
    st.sampled_from(["INSERT", "INSERT OR IGNORE", "INSERT OR REPLACE"]),
)
UPDATES = st.builds(
    lambda key, changes, day, slot: lambda application: application.update(key, changes, day, slot),
    KEYS,
    st.one_of(
        st.fixed_dictionaries({"amount": AMOUNTS}), st.fixed_dictionaries({"status": STATUSES})
    ),
    st.one_of(st.none(), st.none(), DAYS),
    SLOTS,
)
REKEYS = st.builds(
    lambda old, new, verb: lambda application: application.rekey(old, new, verb),
    KEYS,
    KEYS,
    st.sampled_from(["UPDATE", "UPDATE OR IGNORE", "UPDATE OR REPLACE"]),
)
DELETES = st.builds(lambda key: lambda application: application.delete(key), KEYS)
NOTES = st.builds(
    lambda key, note: lambda application: application.annotate(key, note), KEYS, st.text(max_size=3)
)
ACTIONS = st.one_of(INSERTIONS, UPDATES, UPDATES, REKEYS, DELETES, NOTES)


@contextmanager
def breaking_off(place: Place, call: int, after: bool) -> Iterator[None]:
    """Make the n-th call of a step fail, before or after it did its work."""
    module, name = place
    real = getattr(module, name)
    calls = 0

    def broken(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls != call:
            return real(*args, **kwargs)
        if after:
            real(*args, **kwargs)
        raise BrokenOff

    setattr(module, name, broken)
    try:
        with suppress(BrokenOff):
            yield
    finally:
        setattr(module, name, real)


@contextmanager
def acting_before(call: int, act: Callable[[], None]) -> Iterator[None]:
    """Do something just before the n-th write transaction of a run."""
    real = pace.Pace.wait
    calls = 0

    def wait(self: pace.Pace, rows: int = 0) -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            act()
        real(self, rows)

    pace.Pace.wait = wait  # type: ignore[method-assign]
    try:
        yield
    finally:
        pace.Pace.wait = real  # type: ignore[method-assign]


class Tiering(RuleBasedStateMachine):
    """One history of one table."""

    form: ClassVar[Form]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="tiering-"))
        self.foreign = Foreign(self.form, self.folder / "data")
        self.foreign.create()
        self.connection = sqlite3.connect(
            self.foreign.database, timeout=5, isolation_level=None, check_same_thread=False
        )
        self.app = Application(self.foreign, self.connection)
        for key in (*range(8), *range(20, 24)):
            day = (LONG_AGO + LATELY)[key % 5]
            owner = "zoe" if key >= 20 else ("ann", "bob", "cy")[key % 3]
            event = Event(key, moment_of(self.form, day, key), owner, DONE, key)
            self.app.insert(event, "INSERT")
        for key in (40, 41):  # nobody touches these, so the table is never empty
            event = Event(key, moment_of(self.form, TODAY, key), "kim", OPEN, key)
            self.app.insert(event, "INSERT")

    def teardown(self) -> None:
        try:
            self.settle()
        finally:
            self.connection.close()
            shutil.rmtree(self.folder)

    def archiver(self, grace: float = 0) -> UniversalArchiver:
        return UniversalArchiver(self.foreign.settings(grace))

    @contextmanager
    def keeping(self, keep_days: int) -> Iterator[int]:
        """Let days expire meanwhile; the first day that is kept."""
        self.foreign.declare(f"keep_days = {keep_days}")
        try:
            yield TODAY - keep_days
        finally:
            self.foreign.declare()

    def archived_days(self) -> list[int]:
        if not has_table(self.connection, manifest.FILES):
            return []
        query = (
            f"SELECT DISTINCT day FROM {manifest.FILES} "
            "WHERE state IN ('published', 'archived') ORDER BY 1"
        )
        return [day for (day,) in self.connection.execute(query)]

    def run(self, grace: float) -> None:
        result = self.archiver(grace).archive_table(TABLE)
        assert not result.failed, result.failed

    @rule(action=INSERTIONS)
    def insert(self, action: Action) -> None:
        action(self.app)

    @rule(actions=st.lists(INSERTIONS, min_size=3, max_size=6))
    def insert_several(self, actions: list[Action]) -> None:
        for action in actions:
            action(self.app)

    @rule(action=UPDATES)
    def update(self, action: Action) -> None:
        action(self.app)

    @rule(action=REKEYS)
    def rekey(self, action: Action) -> None:
        action(self.app)

    @rule(owner=OWNERS, amount=AMOUNTS)
    def update_many(self, owner: str, amount: int) -> None:
        self.app.add_everywhere(owner, amount)

    @rule(action=DELETES)
    def delete(self, action: Action) -> None:
        action(self.app)

    @rule(action=NOTES)
    def annotate(self, action: Action) -> None:
        action(self.app)

    @rule(key=KEYS, day=DAYS, slot=SLOTS, owner=OWNERS)
    def change_mind(self, key: int, day: int, slot: int, owner: str) -> None:
        self.app.change_mind(Event(key, moment_of(self.form, day, slot), owner, DONE, 1))

    @rule(grace=GRACES)
    def archive(self, grace: float) -> None:
        self.run(grace)

    @rule()
    def compact(self) -> None:
        result = self.archiver().compact(TABLE)
        assert not result.failed, result.failed

    @precondition(lambda self: self.archived_days())
    @rule(data=st.data(), hold_days=st.sampled_from([0, 0, 7]))
    def restore(self, data: st.DataObject, hold_days: int) -> None:
        day = data.draw(st.sampled_from(self.archived_days()))
        self.archiver().restore(TABLE, [day], hold_days)
        assert day not in self.archived_days()

    @rule(keep_days=KEEPS, grace=GRACES)
    def expire(self, keep_days: int, grace: float) -> None:
        """A day that is hidden and not pruned yet stays; others go."""
        with self.keeping(keep_days) as first:
            self.run(grace)
        self.forget_expired(first)

    @rule(keep_days=KEEPS)
    def expire_all(self, keep_days: int) -> None:
        with self.keeping(keep_days) as first:
            self.run(0)
            self.run(0)  # what stood in the way of a day's leaving may have gone with the first
        self.forget_expired(first)
        for event in self.app.rows.values():
            assert not (self.may_leave(event) and clock.day_of(event.moment) < first)

    @rule(
        keep_days=KEEPS,
        place=st.sampled_from(EXPIRING),
        call=st.integers(1, 4),
        after=st.booleans(),
    )
    def expire_breaks_off(self, keep_days: int, place: Place, call: int, after: bool) -> None:
        with self.keeping(keep_days) as first, breaking_off(place, call, after):
            self.run(0)
        self.forget_expired(first)

    def forget_expired(self, first: int) -> None:
        """Old rows that are not answered any more have expired; only such may be missing."""
        left = {event.key for event in self.foreign.answered()}
        for key in self.app.rows.keys() - left:
            assert clock.day_of(self.app.rows.pop(key).moment) < first

    @rule(key=KEYS)
    def erase_one(self, key: int) -> None:
        self.erase({"code": str(self.form.write_key(key)[-1])}, {key})

    @rule(owner=OWNERS)
    def erase_owner(self, owner: str) -> None:
        self.erase({"owner": owner}, self.keys_of(owner))

    @rule(
        grace=GRACES,
        place=st.sampled_from(ARCHIVING),
        call=st.integers(1, 4),
        after=st.booleans(),
    )
    def archive_breaks_off(self, grace: float, place: Place, call: int, after: bool) -> None:
        with breaking_off(place, call, after):
            self.run(grace)

    @precondition(lambda self: self.archived_days())
    @rule(
        data=st.data(),
        place=st.sampled_from(RESTORING),
        call=st.integers(1, 4),
        after=st.booleans(),
    )
    def restore_breaks_off(self, data: st.DataObject, place: Place, call: int, after: bool) -> None:
        day = data.draw(st.sampled_from(self.archived_days()))
        with breaking_off(place, call, after):
            self.archiver().restore(TABLE, [day], 0)

    @rule(
        owner=OWNERS,
        place=st.sampled_from(ERASING),
        call=st.integers(1, 3),
        after=st.booleans(),
    )
    def erase_breaks_off(self, owner: str, place: Place, call: int, after: bool) -> None:
        with breaking_off(place, call, after):
            self.archiver().erase(TABLE, {"owner": owner})
        left = {event.key for event in self.foreign.answered()}
        for key in self.keys_of(owner) - left:
            del self.app.rows[key]

    @rule(grace=GRACES, call=st.integers(1, 8), action=ACTIONS)
    def write_while_archiving(self, grace: float, call: int, action: Action) -> None:
        with acting_before(call, lambda: action(self.app)):
            self.archiver(grace).archive_table(TABLE)

    @precondition(lambda self: self.archived_days())
    @rule(data=st.data(), call=st.integers(1, 4), action=ACTIONS)
    def write_while_restoring(self, data: st.DataObject, call: int, action: Action) -> None:
        day = data.draw(st.sampled_from(self.archived_days()))
        with acting_before(call, lambda: action(self.app)), suppress(ArchiveError):
            self.archiver().restore(TABLE, [day], 0)

    @rule(call=st.integers(1, 4), action=ACTIONS)
    def write_while_erasing(self, call: int, action: Action) -> None:
        """Rows of somebody else change; nobody's of those that are erased."""
        gone = self.keys_of("zoe")
        with acting_before(call, lambda: self.unless_of(gone, action)):
            self.archiver().erase(TABLE, {"owner": "zoe"})
        for key in gone:
            del self.app.rows[key]

    def unless_of(self, gone: set[int], action: Action) -> None:
        """Every action is of a key below 20, Zoe's are above unless they were moved there."""
        if not any(key < 20 for key in gone):
            action(self.app)

    def keys_of(self, owner: str) -> set[int]:
        return {key for key, event in self.app.rows.items() if event.owner == owner}

    def erase(self, given: dict[str, str], keys: set[int]) -> None:
        receipt = self.archiver().erase(TABLE, given)
        assert receipt.remaining_rows == 0
        for key in keys:
            self.app.rows.pop(key, None)

    @invariant()
    def every_row_is_answered_once(self) -> None:
        answered = self.foreign.answered()
        wanted = Counter(self.app.rows.values())
        assert answered == wanted, {"missing": wanted - answered, "too many": answered - wanted}

    @invariant()
    def no_row_is_twice_in_the_tree(self) -> None:
        found = self.foreign.in_tree()
        assert not doubled(found), found
        plain = {event._replace(note=None) for event in self.app.ever}
        assert {event._replace(note=None) for event in found} <= plain

    def settle(self) -> None:
        """In the end everything that may leave has left, and nothing lies about."""
        self.run(0)
        self.run(0)
        self.every_row_is_answered_once()
        left = set(self.app.hot())
        due = {event.key for event in self.app.rows.values() if self.may_leave(event)}
        assert not due & left
        assert sorted(self.foreign.in_tree().elements()) == sorted(
            self.app.rows[key] for key in self.app.rows.keys() - left
        )
        files = {str(path) for path in (self.folder / "data/archive/parquet").rglob("*.*")}
        query = f"SELECT path FROM {manifest.FILES}"
        root = self.foreign.settings().archive
        assert files == {str(root / path) for (path,) in self.connection.execute(query)}

    def may_leave(self, event: Event) -> bool:
        day = clock.day_of(event.moment)
        holds = "SELECT 1 FROM gateway_archive_holds WHERE day = ? AND until > ?"
        held = self.connection.execute(holds, (day, clock.now())).fetchone()
        return event.status == DONE and day < TODAY - HOT_DAYS and not held


@pytest.mark.parametrize("name", CHOSEN)
def test_any_history_of_a_table(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # So few rows must leave and come back in several chunks, not in one.
    for size in ("FIRST_ROWS", "MOST_ROWS", "LEAST_ROWS"):
        monkeypatch.setattr(pace, size, 2)
    machine = type(f"Tiering_{name}", (Tiering,), {"form": FORMS[name]})
    run_state_machine_as_test(
        machine,
        settings=hypothesis_settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            phases=[Phase.generate] if os.environ.get("TIERING_NO_SHRINK") else list(Phase),
            suppress_health_check=list(HealthCheck),
        ),
    )
