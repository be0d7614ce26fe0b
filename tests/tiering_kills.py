"""Kill the archiver with SIGKILL while another application writes and somebody asks.

``python -m tests.tiering_kills SEED KILLS`` tiers tables of a foreign database in a process that
is killed at seeded random moments, KILLS times. Meanwhile a writer inserts recent and late rows
and changes old ones, and a reader asks the bridge. After every kill, and now and then after a run
that nobody killed, all rows are compared. Prints one JSON line.

``python -m tests.tiering_kills WORK KILLS [composite]`` kills one work, without others beside it,
at so many of its calls of SQLite or the operating system, spread evenly over all of them. What is
found is compared after each kill, and after running the work again.

This process holds no SQLite file and no thread, so that its forks are whole.
"""

from __future__ import annotations

import importlib
import json
import mmap
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import count
from multiprocessing.sharedctypes import RawValue
from pathlib import Path
from types import FrameType
from typing import Any
from unittest import mock

from gateway_assets import clock
from gateway_assets.archive import engine, manifest, months, pace, prune
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.errors import ArchiveDamaged, ArchiveError
from gateway_assets.settings import Settings
from tests.foreign import (
    COMPOSITE,
    COUNTED,
    DONE,
    OPEN,
    TABLE,
    Event,
    Foreign,
    Form,
    doubled,
    explained,
)
from tests.spread import spread

TODAY = clock.day_of(clock.now())
PATIENCE = 60.0  # seconds; nothing here takes a tenth of it
GONE = "gone"  # the owner whose rows are erased
FIRST_GONE = 1_000_000

# --- Kills at every call -------------------------------------------------------------------------

DAYS = (TODAY - 41, TODAY - 40)  # both of months that are over; nearly always of one month
KEEP_LINE = "keep_days = 39\n"
COUNTED_CALLS = RawValue("q", 0)  # of the last child whose calls are counted
CALLS = {
    "execute", "executemany", "commit", "open", "write", "fsync", "rename", "replace", "unlink",
    "link", "mkdir", "rmdir", "ftruncate", "pwrite",
}  # fmt: skip
# renameat2 is called through ctypes, which profiling does not tell.
AROUND = {"_exchange"}


def _rows(form: Form, day: int, first: int, count: int) -> list[Event]:
    return [
        Event(
            first + number,
            day * clock.DAY + form.moments[number % len(form.moments)],
            GONE if number % 4 == 3 else "ann",
            OPEN if number % 6 == 5 else DONE,
            number,
        )
        for number in range(count)
    ]


def _fill(foreign: Foreign) -> list[Event]:
    foreign.create()
    recent = _rows(foreign.form, TODAY, 0, 4)
    events = [*recent, *_rows(foreign.form, DAYS[0], 10, 9), *_rows(foreign.form, DAYS[1], 20, 9)]
    with foreign.opened() as connection:
        foreign.insert(connection, events)
    return events


def _archive(foreign: Foreign, grace: float = 0) -> None:
    result = UniversalArchiver(foreign.settings(grace)).archive_table(TABLE)
    assert not result.failed, result.failed


def _publish(foreign: Foreign) -> None:
    _archive(foreign, 24)


def _compact(foreign: Foreign) -> None:
    result = UniversalArchiver(foreign.settings()).compact(TABLE)
    assert not result.failed, result.failed


def _restore(foreign: Foreign) -> None:
    with foreign.opened() as connection:
        query = f"SELECT 1 FROM {manifest.FILES} WHERE day = ? AND state IN (?, ?)"
        there = connection.execute(query, (DAYS[0], "published", "archived")).fetchone()
    if there:
        UniversalArchiver(foreign.settings()).restore(TABLE, [DAYS[0]], 0)
    else:
        _compact(foreign)  # nothing to compact; it sweeps up as any run does


def _erase(foreign: Foreign) -> None:
    receipt = UniversalArchiver(foreign.settings()).erase(TABLE, {"owner": GONE})
    assert receipt.remaining_rows == 0


def _with_published(foreign: Foreign) -> list[Event]:
    events = _fill(foreign)
    _publish(foreign)
    return events


def _with_archived(foreign: Foreign) -> list[Event]:
    events = _fill(foreign)
    _archive(foreign)
    return events


def _with_two_files(foreign: Foreign) -> list[Event]:
    """Late rows in a second file, as the moment before both are made one leaves them."""
    events = _fill(foreign)
    late = _rows(foreign.form, DAYS[0], 30, 5)
    without = mock.patch.multiple(
        engine, compact_day=mock.Mock(return_value=False), build_months=mock.Mock(return_value=[])
    )
    with without, foreign.opened() as connection:
        _archive(foreign)
        foreign.insert(connection, late)
        _archive(foreign)
    return events + late


def _with_a_cut_file(foreign: Foreign) -> list[Event]:
    """A prune breaks off after its first chunk, then a row that is still hidden is updated."""
    events = _with_published(foreign)
    real, calls = prune._boundary, count(1)

    def boundary(*args: Any) -> Any:
        if next(calls) == 2:
            raise InterruptedError
        return real(*args)

    with mock.patch.object(prune, "_boundary", boundary), suppress(InterruptedError):
        _archive(foreign)
    hidden = [e for e in events if clock.day_of(e.moment) == DAYS[0] and e.status == DONE]
    last = max(hidden, key=lambda event: event.moment)
    with foreign.opened() as connection:
        update = f"UPDATE {TABLE} SET owner = 'bob' WHERE {foreign.form.key_is}"
        assert connection.execute(update, foreign.form.write_key(last.key)).rowcount
        query = f"SELECT count(*) FROM {manifest.FILES} WHERE answers_until IS NOT NULL"
        assert connection.execute(query).fetchone() == (1,)
    return [event._replace(owner="bob") if event is last else event for event in events]


def _with_rows_to_erase(foreign: Foreign) -> list[Event]:
    """Also a day of nothing else, and a day whose copies are still hidden."""
    events = _with_archived(foreign)
    more = [event._replace(owner=GONE) for event in _rows(foreign.form, TODAY - 8, 40, 3)]
    hidden = _rows(foreign.form, TODAY - 9, 50, 5)
    for chunk, grace in ((more, 0), (hidden, 24)):
        with foreign.opened() as connection:
            foreign.insert(connection, chunk)
        _archive(foreign, grace)
    return events + more + hidden


def _without_months(foreign: Foreign) -> list[Event]:
    with mock.patch.object(engine, "build_months", return_value=[]):
        return _with_archived(foreign)


def _with_an_old_day(foreign: Foreign) -> list[Event]:
    """Days beyond ``keep_days``, which is declared only now."""
    events = _with_two_files(foreign)
    foreign.declare(KEEP_LINE)
    return events


def _is_expired(event: Event) -> bool:
    return clock.day_of(event.moment) in DAYS and event.status == DONE


def _is_erased(event: Event) -> bool:
    return event.owner == GONE


def _never(event: Event) -> bool:
    del event
    return False


Work = Callable[[Foreign], None]
Prepare = Callable[[Foreign], list[Event]]
# name -> what is prepared, what is killed, which rows it removes
WORKS: dict[str, tuple[Prepare, Work, Callable[[Event], bool]]] = {
    "archive": (_fill, _publish, _never),
    "prune": (_with_published, _archive, _never),
    "restore": (_with_archived, _restore, _never),
    "compact": (_with_two_files, _compact, _never),
    "shorten": (_with_a_cut_file, _archive, _never),
    "erase": (_with_rows_to_erase, _erase, _is_erased),
    "expire": (_with_an_old_day, _archive, _is_expired),
    "months": (_without_months, _compact, _never),
}


def in_child(work: Callable[[], object], kill_at: int | None = None) -> bool:
    """Run work in a fork; whether it was killed. Ends this process when the work fails."""
    child = os.fork()
    if child == 0:
        _as_child(work, kill_at)
    status = _waited(child)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return True
    if status:
        sys.exit(f"child {child} failed, wait status {status}")
    return False


def _as_child(work: Callable[[], object], kill_at: int | None = None) -> None:
    status = 1
    try:
        if kill_at is not None:
            _count_calls(kill_at)
        work()
        sys.setprofile(None)
        status = 0
    except BaseException:  # noqa: BLE001  said, then turned into an exit status
        sys.setprofile(None)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _waited(child: int) -> int:
    """The wait status of a child, which does not take longer than PATIENCE."""
    signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGABRT))
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    _, status = os.waitpid(child, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    return status


def _count_calls(kill_at: int) -> None:
    """Into ``COUNTED_CALLS``; this process ends at one of them, counted from 1."""
    COUNTED_CALLS.value = 0

    def look(frame: FrameType, event: str, arg: Any) -> None:
        if event == "c_call":
            counts = getattr(arg, "__name__", "") in CALLS
        else:
            counts = event in {"call", "return"} and frame.f_code.co_name in AROUND
        if counts:
            COUNTED_CALLS.value += 1
            if COUNTED_CALLS.value == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(look)


def _check_point(
    foreign: Foreign, events: list[Event], goes: Callable[[Event], bool], done: bool
) -> None:
    """Rows that are not removed are answered once; others are, wholly, when the work is done."""
    answered = foreign.answered()
    missing = Counter(events) - answered
    surplus = answered - Counter(events)
    assert not surplus, f"too many: {surplus}"
    assert all(goes(event) for event in missing), f"missing: {missing}"
    found = foreign.in_tree()
    assert not doubled(found), f"twice in the tree: {found}"
    if done:
        assert not [event for event in answered if goes(event)]
        assert not Counter(found) - answered
        check_tidy(foreign)


def check_tidy(foreign: Foreign) -> None:
    """No file lies about that the manifest does not name."""
    root = foreign.settings().archive
    with foreign.opened() as connection:
        named = {path for (path,) in connection.execute(f"SELECT path FROM {manifest.FILES}")}
        copies = {m for (m,) in connection.execute("SELECT path FROM gateway_archive_months")}
    there = {str(path.relative_to(root)) for path in root.rglob("*.*")}
    assert there == named, there ^ named
    beside = months.folder(root)
    there = {str(path.relative_to(beside)) for path in beside.rglob("*.*")}
    assert there == copies, there ^ copies
    staged = root.parent / "staged"
    assert not list(staged.rglob("*.*")), list(staged.rglob("*.*"))


def kill_at_points(name: str, kills: int, form: Form) -> dict[str, Any]:
    """Kill a work at so many of its calls, or at every one when it has fewer."""
    prepare, work, goes = WORKS[name]
    with tempfile.TemporaryDirectory() as folder:
        template = Foreign(form, Path(folder) / "template")
        saved = Path(folder) / "events.json"
        in_child(lambda: saved.write_text(json.dumps(prepare(template)), "utf-8"))
        events = [Event(*values) for values in json.loads(saved.read_text("utf-8"))]

        def trial(kill_at: int) -> bool:
            """Whether the work was killed there."""
            own = Foreign(form, Path(folder) / f"trial{kill_at}")
            shutil.copytree(template.data_dir, own.data_dir)
            print(f"{name}: killed at {kill_at}", file=sys.stderr, flush=True)
            killed = in_child(lambda: work(own), kill_at)

            def after() -> None:
                _check_point(own, events, goes, not killed)
                work(own)
                _check_point(own, events, goes, True)
                if name == "expire":
                    _check_keys_are_free(own, events)

            in_child(after)
            shutil.rmtree(own.data_dir)
            return killed

        trial(0)
        calls = COUNTED_CALLS.value
        killed = sum(trial(call) for call in spread(calls, kills))
    return {"work": name, "form": form.name, "kills": killed, "calls": calls}


def _check_keys_are_free(foreign: Foreign, events: list[Event]) -> None:
    """The key of a row that was removed may come again."""
    old = next(event for event in events if _is_expired(event))
    with foreign.opened() as connection:
        assert foreign.insert(connection, [old]) == 1


# --- Kills at random moments, beside a writer and a reader ---------------------------------------

OLD = tuple(range(TODAY - 42, TODAY - 39)) + tuple(range(TODAY - 7, TODAY - 4))
EPISODE = 50  # kills; then a new database, so that none grows large
EACH = 25  # after so many kills a run is left alone
# Indexes of the shared numbers.
STARTED, COMMITTED, PAUSE, PAUSED, STOP, READS, WRITES, MOVED = range(8)


def _shared() -> Any:
    """Integers that all processes of an episode see."""
    return memoryview(mmap.mmap(-1, 8 * 16)).cast("q")


class Writer:
    """An application that writes all the time and knows what it has committed.

    Rows of GONE have keys of their own. All others have the keys 0, 1, 2, … without a gap, and
    their amounts always add up to the sum of their keys.
    """

    def __init__(self, foreign: Foreign, seed: int, shared: Any) -> None:
        self.foreign = foreign
        self.form = foreign.form
        self.random = random.Random(seed)
        self.shared = shared
        self.rows: dict[int, Event] = {}
        self.next_gone = FIRST_GONE

    def begin(self, connection: sqlite3.Connection) -> None:
        for day in (*OLD, TODAY):
            for _ in range(12):
                self._insert(connection, day)

    def run(self, state: Path) -> None:
        with self.foreign.opened() as connection:
            while not self.shared[STOP]:
                if self.shared[PAUSE]:
                    _save(state, self.rows)
                    self.shared[PAUSED] = 1
                    self._sleep_while(PAUSE)
                    self.shared[PAUSED] = 0
                    continue
                self._write(connection)
                self.shared[WRITES] += 1
                time.sleep(0.002)

    def _sleep_while(self, number: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while self.shared[number] and not self.shared[STOP]:
            assert time.monotonic() < deadline, "nobody goes on"
            time.sleep(0.0005)

    def _write(self, connection: sqlite3.Connection) -> None:
        chosen = self.random.random()
        if chosen < 0.06:
            self._insert(connection, TODAY)
        elif chosen < 0.14:
            self._insert(connection, self.random.choice(OLD))
        elif chosen < 0.18:
            self._insert_gone(connection)
        elif chosen < 0.22:
            self._repeat(connection)
        elif chosen < 0.30:
            self._delete(connection)
        elif chosen < 0.60:
            self._transfer(connection)
        else:
            self._change(connection)

    def _event(self, key: int, day: int, owner: str) -> Event:
        moment = day * clock.DAY + self.random.choice(self.form.moments)
        return Event(key, moment, owner, self.random.choice((DONE, DONE, DONE, OPEN)), key)

    def _insert(self, connection: sqlite3.Connection, day: int) -> None:
        event = self._event(self.shared[STARTED], day, self.random.choice(("ann", "bob")))
        self.shared[STARTED] += 1
        assert self.foreign.insert(connection, [event]) == 1
        self.rows[event.key] = event
        self.shared[COMMITTED] += 1

    def _insert_gone(self, connection: sqlite3.Connection) -> None:
        event = self._event(self.next_gone, self.random.choice(OLD), GONE)
        self.next_gone += 1
        assert self.foreign.insert(connection, [event]) == 1
        self.rows[event.key] = event

    def _repeat(self, connection: sqlite3.Connection) -> None:
        """A key that was there once, hot or archived, is ignored; it says so."""
        event = self._event(self.random.randrange(self.shared[COMMITTED]), TODAY, "cy")
        assert self.foreign.insert(connection, [event], "INSERT OR IGNORE") == 0

    def _delete(self, connection: sqlite3.Connection) -> None:
        """Rows of GONE only: the others are counted."""
        gone = [key for key in self.rows if key >= FIRST_GONE]
        if not gone:
            return
        key = self.random.choice(gone)
        delete = f"DELETE FROM {TABLE} WHERE {self.form.key_is}"
        if connection.execute(delete, self.form.write_key(key)).rowcount:
            del self.rows[key]

    def _transfer(self, connection: sqlite3.Connection) -> None:
        """One transaction changes two rows that are both in the hot table, or none."""
        keys = self.random.sample(range(self.shared[COMMITTED]), 2)
        update = f"UPDATE {TABLE} SET amount = amount + ? WHERE {self.form.key_is}"
        connection.execute("BEGIN IMMEDIATE")
        changed = [
            connection.execute(update, (by, *self.form.write_key(key))).rowcount
            for key, by in zip(keys, (1, -1), strict=True)
        ]
        if changed != [1, 1]:
            connection.execute("ROLLBACK")
            return
        connection.execute("COMMIT")
        for key, by in zip(keys, (1, -1), strict=True):
            self.rows[key] = self.rows[key]._replace(amount=self.rows[key].amount + by)

    def _change(self, connection: sqlite3.Connection) -> None:
        """Another status, or another time."""
        key = self.random.randrange(self.shared[COMMITTED])
        event = self._event(key, self.random.choice(OLD), "ann")
        changes: dict[str, Any] = {"status": event.status}
        if self.random.random() < 0.3:
            changes["moment"] = event.moment
        update = f"UPDATE {TABLE} SET status = ?, at = ? WHERE {self.form.key_is}"
        new = self.rows[key]._replace(**changes)
        params = (new.status, self.form.write_time(new.moment), *self.form.write_key(key))
        if connection.execute(update, params).rowcount:
            self.rows[key] = new


def _save(state: Path, rows: dict[int, Event]) -> None:
    state.write_text(json.dumps(list(rows.values())), "utf-8")


def _loaded(state: Path) -> list[Event]:
    return [Event(*values) for values in json.loads(state.read_text("utf-8"))]


_QUESTION = f"""
    SELECT count(*) AS rows, count(DISTINCT code) AS keys,
        count(*) FILTER (owner <> '{GONE}') AS counted,
        sum(amount) FILTER (owner <> '{GONE}') AS amounts
    FROM {TABLE}
"""


def _answer(settings: Settings, shared: Any) -> dict[str, Any]:
    """Files that are replaced every few milliseconds may be gone three times in a row, which the
    bridge says; but not always.
    """
    for _ in range(30):
        try:
            (row,) = UnifiedQueryBridge(settings).rows(_QUESTION)
        except ArchiveDamaged:
            shared[MOVED] += 1
        else:
            return row
    raise AssertionError("a file stays missing")


def _read(foreign: Foreign, shared: Any) -> None:
    """Ask all the time. What was committed before is there, what began afterwards is not."""
    settings = foreign.settings()
    while not shared[STOP]:
        before = shared[COMMITTED]
        row = _answer(settings, shared)
        after = shared[STARTED]
        counted = row["counted"]
        assert row["rows"] == row["keys"], row
        assert before <= counted <= after, (before, row, after)
        assert row["amounts"] == counted * (counted - 1) // 2, row
        shared[READS] += 1
        time.sleep(0.05)  # the processor is for the archiver


def _work(foreign: Foreign, seed: int) -> None:
    """What the archiver does until it is killed."""
    chance = random.Random(seed)
    while True:
        settings = foreign.settings(chance.choice((0, 0, 24)))
        archiver = UniversalArchiver(settings)
        chosen = chance.random()
        if chosen < 0.55:
            archiver.archive_table(TABLE)
        elif chosen < 0.75:
            # The writer may have taken the only publication of the day back.
            with suppress(ArchiveError):
                archiver.restore(TABLE, [chance.choice(OLD)], 0)
        elif chosen < 0.85:
            archiver.compact(TABLE)
        else:
            archiver.erase(TABLE, {"owner": GONE})


def _check_all(foreign: Foreign, state: Path, absent: set[int]) -> set[int]:
    """Compare every row; which of GONE's have gone. None of them may come back."""
    answered = foreign.answered()
    wanted = Counter(_loaded(state))
    missing, surplus = wanted - answered, answered - wanted
    assert not surplus, f"too many: {surplus}"
    assert all(event.owner == GONE for event in missing), f"missing: {missing}"
    back = absent & {event.key for event in answered}
    assert not back, f"erased, and back again: {back}"
    # A row that was moved to another day while its old day was archived is in both days' files
    # until the next run sweeps; nothing else is.
    days = Counter(
        (event.key, clock.day_of(event.moment)) for event in foreign.in_tree().elements()
    )
    twice = [key for (key, _), times in days.items() if times > 1]
    assert not twice, f"twice in the tree:\n{explained(foreign, twice)}"
    return {event.key for event in missing}


def _run_alone(foreign: Foreign) -> None:
    """A run that nobody disturbs leaves everything in order, and nothing stuck."""
    _archive(foreign)
    _archive(foreign)
    _erase(foreign)
    check_tidy(foreign)
    assert not doubled(foreign.in_tree())


class Episode:
    """One database with its writer and its reader, and an archiver that is killed."""

    def __init__(self, form: Form, folder: Path, seed: int) -> None:
        self.foreign = Foreign(form, folder / "data")
        self.state = folder / "committed.json"
        self.absent = folder / "absent.json"
        self.shared = _shared()
        self.random = random.Random(seed)
        self.writer = Writer(self.foreign, seed, self.shared)

    @contextmanager
    def others(self) -> Iterator[None]:
        """The writer and the reader, until the end of the block."""
        first = self.folder_of_rows()
        self.writer.rows = {event.key: event for event in first}
        self.children = [
            _forked(lambda: self.writer.run(self.state)),
            _forked(lambda: _read(self.foreign, self.shared)),
        ]
        try:
            yield
        finally:
            self.shared[STOP] = 1
            statuses = [_waited(child) for child in self.children]
        if any(statuses):
            sys.exit(f"writer and reader ended with {statuses}")

    def folder_of_rows(self) -> list[Event]:
        def prepare() -> None:
            self.foreign.create()
            with self.foreign.opened() as connection:
                self.writer.begin(connection)
            _save(self.state, self.writer.rows)
            self.absent.write_text("[]", "utf-8")
            # The reader asks from the beginning, and the writer repeats keys.
            _archive(self.foreign, 24)

        in_child(prepare)
        return _loaded(self.state)

    def kill_one(self) -> None:
        seed = self.random.getrandbits(32)
        worker = _forked(lambda: _work(self.foreign, seed))
        time.sleep(self.random.random() ** 2 * 0.25)
        os.kill(worker, signal.SIGKILL)
        status = _waited(worker)
        if not os.WIFSIGNALED(status):
            sys.exit(f"the archiver failed before it was killed (seed {seed})")
        self.check()

    def check(self, also: Callable[[Foreign], None] | None = None) -> None:
        """Compare everything while nobody writes."""
        self.shared[PAUSE] = 1
        deadline = time.monotonic() + PATIENCE
        while not self.shared[PAUSED]:
            self._all_well()
            if time.monotonic() > deadline:
                sys.exit("the writer does not pause")
            time.sleep(0.0005)

        def compare() -> None:
            absent = set(json.loads(self.absent.read_text("utf-8")))
            absent |= _check_all(self.foreign, self.state, absent)
            if also is not None:
                also(self.foreign)
                absent |= _check_all(self.foreign, self.state, absent)
            self.absent.write_text(json.dumps(sorted(absent)), "utf-8")

        in_child(compare)
        self.shared[PAUSE] = 0
        while self.shared[PAUSED]:
            self._all_well()
            time.sleep(0.0005)

    def _all_well(self) -> None:
        for child in self.children:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                self.children.remove(child)
                self.shared[STOP] = 1
                sys.exit(f"the writer or the reader ended with {status}")


def _forked(work: Callable[[], object]) -> int:
    child = os.fork()
    if child == 0:
        _as_child(work)
    return child


def kill_at_random(seed: int, kills: int) -> dict[str, Any]:
    """Kill so many times, in episodes of different tables."""
    forms = (COUNTED, replace(COMPOSITE, journal="WAL"), COUNTED, COMPOSITE)
    done = reads = writes = moved = 0
    number = 0
    while done < kills:
        form = forms[number % len(forms)]
        with tempfile.TemporaryDirectory() as folder:
            episode = Episode(form, Path(folder), seed * 1000 + number)
            with episode.others():
                for _ in range(min(EPISODE, kills - done)):
                    episode.kill_one()
                    done += 1
                    if done % EACH == 0:
                        episode.check(_run_alone)
                episode.check(_run_alone)
            reads += episode.shared[READS]
            writes += episode.shared[WRITES]
            moved += episode.shared[MOVED]
        print(f"{done} kills, {reads} reads, {writes} writes", file=sys.stderr, flush=True)
        number += 1
    return {"seed": seed, "kills": done, "reads": reads, "writes": writes, "moved": moved}


def main(arguments: list[str]) -> None:
    # So few rows must leave and come back in several chunks, not in one.
    pace.FIRST_ROWS = pace.MOST_ROWS = pace.LEAST_ROWS = 3
    for name in ("duckdb", "pandas", "pyarrow.parquet"):
        importlib.import_module(name)  # once, not in every fork
    if arguments[0] in WORKS:
        work, kills, *form = arguments
        chosen = COMPOSITE if form == ["composite"] else COUNTED
        print(json.dumps(kill_at_points(work, int(kills), chosen)))
    else:
        seed, kills = arguments
        print(json.dumps(kill_at_random(int(seed), int(kills))))


if __name__ == "__main__":
    main(sys.argv[1:])
