"""Ask everything while an archiver moves rows, a writer changes them, and both never stop.

``python -m tests.bridge.promises SEED QUERIES`` asks so many questions, in episodes of fresh
databases. Prints one JSON line; ends with the first answer that is wrong.

The writer notes every change in a mirror, too: plain tables, never archived, in which a row stands
with the versions that it was born and died with. So what the tables held at any version can be
asked of SQLite later. A question is put between two versions, and its answer must be, row for row,
that of one of them. Half of the questions are put while the writer pauses: then that is one only.

An erase takes rows of one owner away bit by bit. While one goes on, questions leave that owner
out, and the writer leaves its rows alone; when it is done, they die in the mirror, all at once.

This process holds no SQLite file and no thread, so that its forks are whole.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import random
import re
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from gateway_assets import clock
from gateway_assets.archive import pace
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.errors import ArchiveDamaged, ArchiveError
from gateway_assets.settings import Settings, load_settings

FORK = multiprocessing.get_context("fork")
TODAY = clock.day_of(clock.now())
HOT_DAYS = 2
OLD = (*range(TODAY - 42, TODAY - 39), *range(TODAY - 7, TODAY - 3))  # also of a month that is over
DAYS = (*OLD, TODAY - 1, TODAY)
SLOTS = (0, 1, 3600, 7 * 3600, 43_200, 86_399)  # seconds of a day, few, so that rows share them
PATIENCE = 60.0  # seconds; nothing here takes a tenth of it
EPISODE = 500  # questions; then new databases, so that none grows large
QUIET = 10  # questions in a row for which the writer pauses, or does not
MOST_ROWS, MOST_PAYMENTS = 700, 400
TRIES = 20  # files that are replaced all the time may be gone again and again, but not for ever
GONE = "gone"  # the owner whose rows are erased
OWNERS = ("ann", "bob", None)
PLACES = ("hall", "Hall", "yard", "a_b", None)
FOREVER = 2**62

Values = dict[str, Any]
Rows = list[tuple[Any, ...]]


def text_of(moment: int) -> str:
    return clock.iso(moment)[:19].replace("T", " ")


def time_of(moment: int) -> datetime:
    return datetime.fromtimestamp(moment / clock.SECOND, UTC)


class Form(NamedTuple):
    """One way in which an application may have made the table, and writes moments."""

    name: str
    create: str
    write_time: Callable[[int], Any]
    journal: str


_REST = (
    "owner TEXT, status TEXT, amount INTEGER, balance INTEGER NOT NULL DEFAULT 0, place TEXT, "
    "size REAL"
)
FORMS = (
    Form(
        "counted",
        "CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, code TEXT NOT NULL UNIQUE, "
        f"time TEXT NOT NULL, {_REST})",
        text_of,
        "WAL",
    ),
    Form(
        "keyed",
        f"CREATE TABLE events (code TEXT PRIMARY KEY, time INTEGER NOT NULL, {_REST}) "
        "WITHOUT ROWID; CREATE INDEX events_time ON events (time)",
        lambda moment: moment // 1000,
        "DELETE",
    ),
)
PAYMENTS = (
    "CREATE TABLE payments (id INTEGER PRIMARY KEY AUTOINCREMENT, code TEXT, "
    "time INTEGER NOT NULL, cents INTEGER)"
)
SHOWN = ("code", "time", "owner", "status", "amount", "balance", "place", "size")
PAID = ("id", "code", "time", "cents")
CITIES = (("hall", "Bonn", OLD[0]), ("yard", "Bonn", OLD[1]), ("a_b", "Wien", TODAY))


@dataclass
class Shared:
    """What the processes tell each other; ``done`` follows ``started`` after each change.

    ``turn`` is the writer's for a change and the reader's for a pause; ``step`` is the writer's
    for a change and the archiver's to begin and to end an erase.
    """

    turn: Any
    step: Any
    started: Any
    done: Any
    erasing: Any  # odd while an erase goes on
    floor: Any  # no question is about an older version
    stop: Any
    counts: Any


COUNTS = (
    "questions", "exact", "again", "moved", "writes", "runs", "exported", "pruned", "compacted",
    "months", "restored", "erased", "failed",
)  # fmt: skip


def _shared() -> Shared:
    started, done, erasing, floor, stop = (FORK.Value("q", 0, lock=False) for _ in range(5))
    counts = FORK.Array("q", len(COUNTS), lock=False)
    return Shared(FORK.Lock(), FORK.Lock(), started, done, erasing, floor, stop, counts)


def _count(shared: Shared, name: str, by: int = 1) -> None:
    shared.counts[COUNTS.index(name)] += by


class House:
    """The applications' databases, declared by their lines, and the mirror."""

    def __init__(self, form: Form, folder: Path) -> None:
        self.form = form
        self.folder = folder

    def settings(self, grace_hours: float = 0) -> Settings:
        return load_settings(
            data_dir=self.folder,
            archive_grace_hours=grace_hours,
            archive_pause_ms=0,
            archive_backup=False,
        )

    def opened(self, name: str) -> closing[sqlite3.Connection]:
        path = self.folder / f"{name}.db"
        return closing(sqlite3.connect(path, timeout=PATIENCE, isolation_level=None))

    def create(self) -> None:
        self.folder.mkdir()
        lines = {
            "events": ("app", "time", "where = \"status = 'done'\""),
            "payments": ("app", "time", ""),
            "places": ("places", "opened_at", ""),
        }
        text = "".join(
            f'[[tables]]\nname = "{name}"\ndatabase = "{database}.db"\ntime = "{column}"\n'
            f"hot_days = {HOT_DAYS}\n{more}\n"
            for name, (database, column, more) in lines.items()
        )
        (self.folder / "tables.toml").write_text(text, "utf-8")
        with self.opened("app") as connection:
            connection.execute(f"PRAGMA journal_mode={self.form.journal}")
            connection.executescript(f"{self.form.create}; {PAYMENTS}")
        with self.opened("places") as connection, self.opened("mirror") as mirror:
            mirror.execute("PRAGMA journal_mode=WAL")
            for name, columns in (("events", SHOWN), ("payments", PAID)):
                mirror.executescript(
                    f"CREATE TABLE past_{name} ({', '.join(columns)}, born, died); "
                    f"CREATE INDEX past_{name}_key ON past_{name} ({columns[0]})"
                )
            for one, time_of_day in ((connection, 1000), (mirror, 1)):
                one.execute("CREATE TABLE places (place TEXT, city TEXT, opened_at INTEGER)")
                one.executemany(
                    "INSERT INTO places VALUES (?, ?, ?)",
                    [(p, city, day * 86_400 * time_of_day) for p, city, day in CITIES],
                )


class Mirror:
    """All rows in plain tables, as of every version that a question may be about."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA case_sensitive_like=ON")
        connection.create_function("date_trunc", 2, _date_trunc, deterministic=True)
        connection.execute("CREATE TEMP TABLE asked (version INTEGER)")
        connection.execute("INSERT INTO asked VALUES (0)")
        for name, columns in (("events", SHOWN), ("payments", PAID)):
            connection.execute(
                f"CREATE TEMP VIEW {name} AS SELECT {', '.join(columns)} FROM past_{name}, asked "
                "WHERE born <= version AND died > version"
            )

    def answer(self, version: int, text: str, params: Sequence[Any]) -> Rows:
        self.connection.execute("UPDATE asked SET version = ?", (version,))
        raw = [_plain(value) for value in params]
        return self.connection.execute(text, raw).fetchall()

    def codes(self, condition: str = "1") -> list[str]:
        """Of the rows that there are now."""
        query = f"SELECT code FROM past_events WHERE died = {FOREVER} AND {condition} ORDER BY code"
        return [code for (code,) in self.connection.execute(query)]

    def row(self, code: str) -> Values:
        query = f"SELECT {', '.join(SHOWN)} FROM past_events WHERE code = ? AND died = {FOREVER}"
        (row,) = self.connection.execute(query, (code,))
        return dict(zip(SHOWN, row, strict=True))

    def put(self, version: int, row: Values) -> None:
        """A new row, or a new state of the row with its code."""
        self.kill(version, "code = ?", row["code"])
        self._insert("events", SHOWN, version, row)

    def pay(self, version: int, row: Values) -> None:
        self._insert("payments", PAID, version, row)

    def kill(self, version: int, condition: str, *params: Any) -> None:
        self.connection.execute(
            f"UPDATE past_events SET died = ? WHERE died = {FOREVER} AND {condition}",
            (version, *params),
        )

    def forget(self, floor: int) -> None:
        self.connection.execute("DELETE FROM past_events WHERE died <= ?", (floor,))

    def _insert(self, name: str, columns: Sequence[str], version: int, row: Values) -> None:
        marks = ", ".join("?" * (len(columns) + 2))
        values = [row[column] for column in columns]
        insert = f"INSERT INTO past_{name} VALUES ({marks})"
        self.connection.execute(insert, (*values, version, FOREVER))


def _date_trunc(unit: str, text: str) -> str:
    assert unit == "day"
    return f"{text[:10]} 00:00:00"


def _plain(value: Any) -> Any:
    """A value of an answer or a parameter as the mirror has it."""
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else value


# --- The writer ----------------------------------------------------------------------------------


class Writer:
    """An application that changes rows wherever they are, and mirrors what took effect.

    Balances add up to nothing at every moment, and amounts to what was paid, but for rows whose
    owner is to be erased.
    """

    def __init__(self, house: House, shared: Shared, seed: int) -> None:
        self.house = house
        self.shared = shared
        self.random = random.Random(seed)
        self.number = 0
        self.payments = 0

    def fill(self) -> None:
        """Rows to begin with; some of them are archived before anybody asks."""
        with self._opened():
            for day in DAYS:
                for _ in range(20):
                    self._change(lambda v, day=day: self._insert(v, day))  # type: ignore[misc]
            for _ in range(60):
                self._change(self._pay)

    def run(self) -> None:
        with self._opened():
            while not self.shared.stop.value:
                with self.shared.turn, self.shared.step:
                    self._change(self._chosen())
                _count(self.shared, "writes")
                if self.shared.started.value % 200 == 0:
                    self.mirror.forget(self.shared.floor.value)
                time.sleep(0.003)

    @contextmanager
    def _opened(self) -> Iterator[None]:
        with self.house.opened("app") as self.app, self.house.opened("mirror") as mirror:
            self.mirror = Mirror(mirror)
            yield

    def _change(self, change: Callable[[int], None]) -> None:
        """One transaction in the application's database, then the same in the mirror."""
        version = self.shared.started.value + 1
        self.shared.started.value = version
        self.mirrored: list[Callable[[], None]] = []
        self.app.execute("BEGIN IMMEDIATE")
        try:
            change(version)
        except sqlite3.IntegrityError:
            self.mirrored = []
        self.app.execute("COMMIT" if self.mirrored else "ROLLBACK")
        self.mirror.connection.execute("BEGIN IMMEDIATE")
        for mirrored in self.mirrored:
            mirrored()
        self.mirror.connection.execute("COMMIT")
        self.shared.done.value = version

    def _chosen(self) -> Callable[[int], None]:
        pick = self.random
        codes = self._codes()
        options: list[tuple[int, Callable[[int], None]]] = [
            (6, self._repeat),
            (6, self._replace),
            (6, self._delete),
            (20, self._transfer),
            (25, self._update),
            (3, self._update_many),
        ]
        if self.payments < MOST_PAYMENTS:
            options.append((10, self._pay))
        if len(codes) < MOST_ROWS:
            options.append((7, lambda version: self._insert(version, TODAY)))
            options.append((9, lambda version: self._insert(version, pick.choice(OLD))))
            if not self._is_erasing():
                options.append((6, lambda version: self._insert(version, pick.choice(OLD), GONE)))
                options.append((2, self._give_away))
        (chosen,) = pick.choices([do for _, do in options], [weight for weight, _ in options])
        return chosen

    def _is_erasing(self) -> bool:
        return bool(self.shared.erasing.value % 2)

    def _codes(self) -> list[str]:
        return self.mirror.codes(f"owner IS NOT '{GONE}'")

    def _row(self, code: str, day: int, owner: str | None) -> Values:
        pick = self.random
        return {
            "code": code,
            "time": text_of(day * clock.DAY + pick.choice(SLOTS) * clock.SECOND),
            "owner": owner,
            "status": pick.choice(("done", "done", "done", "open", None)),
            "amount": 0,
            "balance": 0,
            "place": pick.choice(PLACES),
            "size": pick.choice((None, pick.randrange(-20, 200) / 4)),
        }

    def _new(self, day: int, owner: str | None) -> Values:
        self.number += 1
        return self._row(f"code-{self.number:05}", day, owner)

    def _put(self, row: Values, verb: str = "INSERT") -> int:
        marks = ", ".join("?" * len(row))
        insert = f"{verb} INTO events ({', '.join(row)}) VALUES ({marks})"
        return self.app.execute(insert, self._raw(row)).rowcount

    def _raw(self, values: Values) -> list[Any]:
        """As the application writes it."""
        write = self.house.form.write_time
        return [
            write(clock.parse_moment(value)) if name == "time" else value
            for name, value in values.items()
        ]

    def _insert(self, version: int, day: int, owner: str | None = "") -> None:
        row = self._new(day, self.random.choice(OWNERS) if owner == "" else owner)
        assert self._put(row) == 1
        self.mirrored.append(lambda: self.mirror.put(version, row))

    def _repeat(self, version: int) -> None:
        """A key that is there, hot or archived, does not come again."""
        row = self._row(self.random.choice(self._codes()), TODAY, "cy")
        assert self._put(row, "INSERT OR IGNORE") == 0, row
        with suppress(sqlite3.IntegrityError):
            self._put(row)
            raise AssertionError(row)

    def _replace(self, version: int) -> None:
        """A row that has left is not replaced, any other is."""
        code = self._without_balance()
        row = self._row(code, self.random.choice(DAYS), "dee")
        row["amount"] = self.mirror.row(code)["amount"]
        if self._put(row, "INSERT OR REPLACE"):
            self.mirrored.append(lambda: self.mirror.put(version, row))

    def _without_balance(self, more: str = "1") -> str:
        return self.random.choice(
            self.mirror.codes(f"balance = 0 AND owner IS NOT '{GONE}' AND {more}")
        )

    def _delete(self, version: int) -> None:
        """Only rows that are hot go, and none that was paid."""
        code = self._without_balance("amount = 0")
        if self.app.execute("DELETE FROM events WHERE code = ?", (code,)).rowcount:
            self.mirrored.append(lambda: self.mirror.kill(version, "code = ?", code))

    def _set(self, version: int, code: str, **values: Any) -> bool:
        """Change one row, if it has not left."""
        places = ", ".join(f"{name} = ?" for name in values)
        update = f"UPDATE events SET {places} WHERE code = ?"
        if not self.app.execute(update, (*self._raw(values), code)).rowcount:
            return False
        row = self.mirror.row(code) | values
        self.mirrored.append(lambda: self.mirror.put(version, row))
        return True

    def _transfer(self, version: int) -> None:
        """Both rows, or none."""
        by = self.random.randrange(1, 9)
        for code, change in zip(self.random.sample(self._codes(), 2), (by, -by), strict=True):
            balance = self.mirror.row(code)["balance"] + change
            if not self._set(version, code, balance=balance):
                self.mirrored.clear()
                return

    def _update(self, version: int) -> None:
        code = self.random.choice(self._codes())
        new = self._row(code, self.random.choice(DAYS), None)
        names = self.random.sample(("time", "status", "place", "size"), 2)
        self._set(version, code, **{name: new[name] for name in names})

    def _give_away(self, version: int) -> None:
        self._set(version, self._without_balance("amount = 0"), owner=GONE)

    def _update_many(self, version: int) -> None:
        """One statement changes what is hot, and says what that was."""
        place = self.random.choice(PLACES[:-1])
        update = (
            "UPDATE events SET size = size + 0.25 "
            f"WHERE place = ? AND owner IS NOT '{GONE}' RETURNING code"
        )
        for (code,) in self.app.execute(update, (place,)).fetchall():
            row = self.mirror.row(code)
            if row["size"] is not None:
                row["size"] += 0.25
            self.mirrored.append(lambda row=row: self.mirror.put(version, row))  # type: ignore[misc]

    def _pay(self, version: int) -> None:
        """Rows of two tables in one transaction."""
        code, cents = self.random.choice(self._codes()), self.random.randrange(1, 50)
        if not self._set(version, code, amount=self.mirror.row(code)["amount"] + cents):
            return
        moment = self.random.choice(DAYS) * clock.DAY + self.random.choice(SLOTS) * clock.SECOND
        insert = "INSERT INTO payments (code, time, cents) VALUES (?, ?, ?)"
        number = self.app.execute(insert, (code, moment // clock.SECOND, cents)).lastrowid
        row = {"id": number, "code": code, "time": text_of(moment), "cents": cents}
        self.payments += 1
        self.mirrored.append(lambda: self.mirror.pay(version, row))


# --- The archiver --------------------------------------------------------------------------------


class Archivist:
    """Exports, prunes, merges, restores and erases, a few rows at a time, one after the other."""

    def __init__(self, house: House, shared: Shared, seed: int) -> None:
        self.house = house
        self.shared = shared
        self.random = random.Random(seed)

    def run(self) -> None:
        with self.house.opened("mirror") as connection:
            self.mirror = Mirror(connection)
            while not self.shared.stop.value:
                self._work()
                _count(self.shared, "runs")

    def _work(self) -> None:
        pick = self.random
        rows = pick.choice((3, 3, 25))
        pace.FIRST_ROWS = pace.MOST_ROWS = pace.LEAST_ROWS = rows
        archiver = UniversalArchiver(self.house.settings(pick.choice((0, 0, 0.0001, 24))))
        table = pick.choice(("events", "events", "payments"))
        chosen = pick.random()
        if chosen < 0.5:
            self.archive(archiver, table)
        elif chosen < 0.8:
            # The writer may have taken the only publication of the day back.
            with suppress(ArchiveError):
                days = pick.sample(OLD, 2)
                _count(self.shared, "restored", archiver.restore(table, days, hold_days=0))
        elif chosen < 0.9:
            result = archiver.compact(table)
            _count(self.shared, "compacted", len(result.compacted_days))
            _count(self.shared, "months", len(result.months))
        else:
            self._erase(archiver)

    def archive(self, archiver: UniversalArchiver, table: str) -> None:
        result = archiver.archive_table(table)
        for day, why in result.failed.items():
            # The writer took the publication back before the run compared it.
            assert not self._is_published(why), (day, why)
            _count(self.shared, "failed")
        _count(self.shared, "exported", result.rows)
        _count(self.shared, "pruned", result.pruned_rows)
        _count(self.shared, "compacted", len(result.compacted_days))
        _count(self.shared, "months", len(result.months))

    def _is_published(self, why: str) -> bool:
        """Whether the file that a message names still stands for hidden rows."""
        query = "SELECT path FROM gateway_archive_files WHERE state = 'published'"
        with self.house.opened("app") as connection:
            return any(path in why for (path,) in connection.execute(query))

    def _erase(self, archiver: UniversalArchiver) -> None:
        with self.shared.step:
            self.shared.erasing.value += 1
        receipt = archiver.erase("events", {"owner": GONE})
        assert receipt.remaining_rows == 0, receipt
        with self.shared.step:
            version = self.shared.started.value + 1
            self.shared.started.value = version
            self.mirror.kill(version, "owner = ?", GONE)
            self.shared.done.value = version
            self.shared.erasing.value += 1
        _count(self.shared, "erased", receipt.hot_rows + receipt.archived_rows)


# --- The reader ----------------------------------------------------------------------------------


class Question(NamedTuple):
    """SQL that both engines read alike; ``events`` stands for the table or a part of it."""

    text: str
    params: tuple[Any, ...] = ()
    is_ordered: bool = False


ALL = ", ".join(SHOWN)
_IN_RANGE = "time >= ? AND time < ?"


class Asker:
    """Questions of every shape."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def question(self, codes: Sequence[str]) -> Question:
        pick = self.random
        shapes = [
            self._by_key, self._in_time, self._in_time, self._newest, self._counted, self._figures,
            self._grouped, self._by_text, self._joined, self._windowed, self._combined,
        ]  # fmt: skip
        return pick.choice(shapes)(codes)

    def _moment(self, day: int | None = None) -> datetime:
        day = self.random.choice((*DAYS, TODAY - HOT_DAYS)) if day is None else day
        return time_of(day * clock.DAY + self.random.choice(SLOTS) * clock.SECOND)

    def _range(self) -> tuple[datetime, datetime]:
        """An hour, a day, some days, or what lies around the border of hot days."""
        pick = self.random
        start = time_of(pick.choice(DAYS) * clock.DAY)
        border = TODAY - HOT_DAYS
        return pick.choice(
            [
                (start, start.replace(hour=1)),
                (start.replace(hour=7), start.replace(hour=8)),
                (start, start.replace(hour=23, minute=59, second=59)),
                (start, time_of((pick.choice(DAYS) + 1) * clock.DAY)),
                (self._moment(border - 2), self._moment(border + 2)),
                (self._moment(OLD[0]), self._moment()),
            ]
        )

    def _by_key(self, codes: Sequence[str]) -> Question:
        some = [self.random.choice(codes) for _ in range(self.random.choice((1, 1, 2, 5)))]
        some += ["no such code"] if self.random.random() < 0.1 else []
        marks = ", ".join("?" * len(some))
        condition = "code = ?" if len(some) == 1 else f"code IN ({marks})"
        return Question(f"SELECT {ALL} FROM events WHERE {condition}", tuple(some))

    def _in_time(self, codes: Sequence[str]) -> Question:
        shown = self.random.choice((ALL, ALL, "count(*)", "code, place", "max(time), sum(amount)"))
        return Question(f"SELECT {shown} FROM events WHERE {_IN_RANGE}", self._range())

    def _newest(self, codes: Sequence[str]) -> Question:
        pick = self.random
        where, params = pick.choice((("", ()), (f"WHERE {_IN_RANGE}", self._range())))
        order = pick.choice(("time DESC, code DESC", "time, code", "code DESC"))
        text = f"SELECT {ALL} FROM events {where} ORDER BY {order} LIMIT ? OFFSET ?"
        return Question(text, (*params, pick.choice((1, 10, 50)), pick.choice((0, 0, 7))), True)

    def _counted(self, codes: Sequence[str]) -> Question:
        condition = self.random.choice(
            ("1 = 1", "status = 'done'", "status IS NULL", "owner = 'ann'", "balance <> 0")
        )
        return Question(f"SELECT count(*) FROM events WHERE {condition}")

    def _figures(self, codes: Sequence[str]) -> Question:
        return self.random.choice(
            [
                Question("SELECT count(*), count(DISTINCT code), sum(balance) FROM events"),
                Question(
                    "SELECT count(place), min(time), max(time), min(code), max(size), avg(size), "
                    "sum(amount), count(DISTINCT owner) FROM events"
                ),
                Question("SELECT count(*), sum(cents), min(time), max(time) FROM payments"),
                Question(
                    "SELECT (SELECT sum(amount) FROM events), (SELECT sum(cents) FROM payments)"
                ),
                Question(f"SELECT {ALL} FROM events"),
                Question("SELECT sum(size), sum(size * 2) FROM events WHERE size > ?", (2.25,)),
            ]
        )

    def _grouped(self, codes: Sequence[str]) -> Question:
        pick = self.random
        key = pick.choice(("date_trunc('day', time)", "owner", "place", "status"))
        where, params = pick.choice((("", ()), (f"WHERE {_IN_RANGE}", self._range())))
        having = pick.choice(("", "HAVING count(*) > 5", "HAVING sum(balance) <> 0"))
        figures = "count(*), sum(amount), max(code), count(*) FILTER (WHERE status = 'open')"
        return Question(f"SELECT {key}, {figures} FROM events {where} GROUP BY 1 {having}", params)

    def _by_text(self, codes: Sequence[str]) -> Question:
        code = self.random.choice(codes)
        return self.random.choice(
            [
                Question(f"SELECT {ALL} FROM events WHERE code LIKE ?", (f"{code[:-2]}%",)),
                Question(f"SELECT {ALL} FROM events WHERE place LIKE 'h%'"),
                Question(f"SELECT {ALL} FROM events WHERE place IS NULL"),
                Question(f"SELECT {ALL} FROM events WHERE size IS NOT NULL AND place IS NULL"),
                Question(f"SELECT {ALL} FROM events WHERE place NOT IN ('hall', ?)", ("yard",)),
                Question("SELECT DISTINCT owner, place FROM events"),
            ]
        )

    def _joined(self, codes: Sequence[str]) -> Question:
        return self.random.choice(
            [
                Question(
                    "SELECT e.code, e.amount, sum(p.cents) FROM events AS e "
                    "JOIN payments AS p ON p.code = e.code GROUP BY e.code, e.amount"
                ),
                Question(
                    "SELECT count(*) FROM events AS e LEFT JOIN payments AS p ON p.code = e.code "
                    "WHERE p.code IS NULL AND e.amount <> 0"
                ),
                Question(
                    "SELECT p.city, count(*), sum(e.amount) FROM events AS e "
                    "JOIN places AS p ON p.place = e.place GROUP BY p.city"
                ),
                Question(
                    "SELECT a.code, b.code FROM events AS a JOIN events AS b ON b.time = a.time "
                    "AND b.place = a.place AND b.code > a.code WHERE a.time >= ? AND a.time < ?",
                    self._range(),
                ),
                Question(
                    "SELECT code FROM events AS e WHERE EXISTS "
                    "(SELECT 1 FROM payments AS p WHERE p.code = e.code AND p.cents > ?)",
                    (self.random.randrange(50),),
                ),
            ]
        )

    def _windowed(self, codes: Sequence[str]) -> Question:
        window = self.random.choice(
            (
                "row_number() OVER (PARTITION BY owner ORDER BY time, code)",
                "sum(balance) OVER (ORDER BY time, code)",
                "lag(amount) OVER (ORDER BY code)",
                "max(size) OVER (PARTITION BY place)",
            )
        )
        if self.random.random() < 0.5:
            return Question(f"SELECT code, {window} FROM events")
        return Question(f"SELECT code, {window} FROM events WHERE {_IN_RANGE}", self._range())

    def _combined(self, codes: Sequence[str]) -> Question:
        return self.random.choice(
            [
                Question("SELECT code FROM events EXCEPT SELECT code FROM payments"),
                Question(
                    f"SELECT code FROM events WHERE {_IN_RANGE} UNION "
                    "SELECT code FROM payments WHERE cents < 10",
                    self._range(),
                ),
                Question(
                    "WITH busy AS (SELECT place, count(*) AS n FROM events GROUP BY place) "
                    "SELECT max(n), min(n), count(*) FROM busy"
                ),
                Question(
                    "SELECT code FROM events WHERE time = "
                    "(SELECT max(time) FROM events WHERE time < ?)",
                    (self._moment(),),
                ),
            ]
        )


def _without_gone(text: str) -> str:
    """The same question about all other owners."""
    kept = f"(SELECT * FROM events WHERE COALESCE(owner, '') <> '{GONE}') AS"

    def derived(match: re.Match[str]) -> str:
        return f"{match[1]} {kept} {match[2] or 'events'}"

    return re.sub(r"\b(FROM|JOIN) events\b(?: AS (\w+))?", derived, text)


class Reader:
    """Asks, and compares."""

    def __init__(self, house: House, shared: Shared, seed: int, number: int) -> None:
        self.house = house
        self.shared = shared
        self.random = random.Random(seed)
        self.asker = Asker(seed)
        self.number = number

    def run(self) -> None:
        """So many questions; the writer pauses for every other group of them."""
        self.bridge = UnifiedQueryBridge(self.house.settings())
        with self.house.opened("mirror") as connection:
            self.mirror = Mirror(connection)
            for first in range(0, self.number, QUIET):
                group = range(min(QUIET, self.number - first))
                if first // QUIET % 2:
                    with self.shared.turn:
                        for _ in group:
                            self.ask()
                        _count(self.shared, "exact", len(group))
                else:
                    for _ in group:
                        self.ask()
        self.shared.stop.value = 1

    def ask(self) -> None:
        question = self.asker.question(self.mirror.codes())
        erasing = self.shared.erasing.value
        right = not erasing % 2 and self._is_right(question)
        if not right and self.shared.erasing.value == erasing and not erasing % 2:
            self._differs(question)
        if not right:
            without = question._replace(text=_without_gone(question.text))
            if not self._is_right(without):
                self._differs(without)
            _count(self.shared, "again")
        _count(self.shared, "questions")

    def _is_right(self, question: Question) -> bool:
        """Whether the answer is that of a version between the question and the answer."""
        self.first = self.shared.done.value
        self.shared.floor.value = self.first
        self.answer = self._rows(question)
        self.last = self.shared.started.value
        self._wait_for(self.last)
        for version in range(self.first, self.last + 1):
            wanted = self.mirror.answer(version, question.text, question.params)
            if _comparable(wanted, question) == _comparable(self.answer, question):
                return True
        return False

    def _rows(self, question: Question) -> Rows:
        for _ in range(TRIES):
            try:
                rows = self.bridge.rows(question.text, question.params)
            except ArchiveDamaged as error:
                _count(self.shared, "moved")
                print(error, file=sys.stderr, flush=True)
            else:
                return [tuple(_plain(value) for value in row.values()) for row in rows]
        raise AssertionError("a file stays missing")

    def _wait_for(self, version: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while self.shared.done.value < version:
            assert time.monotonic() < deadline, "a change is never done"
            time.sleep(0.0005)

    def _differs(self, question: Question) -> None:
        wanted = self.mirror.answer(self.last, question.text, question.params)
        missing = Counter(map(repr, wanted)) - Counter(map(repr, self.answer))
        surplus = Counter(map(repr, self.answer)) - Counter(map(repr, wanted))
        raise AssertionError(
            f"{question.text} with {question.params}, between versions {self.first} and "
            f"{self.last}: missing {dict(missing)}, too many {dict(surplus)}"
        )


def _comparable(rows: Iterable[tuple[Any, ...]], question: Question) -> list[str]:
    shown = [repr(row) for row in rows]
    return shown if question.is_ordered else sorted(shown)


# --- All together --------------------------------------------------------------------------------


def _episode(form: Form, folder: Path, seed: int, number: int) -> Counter[str]:
    """One house with its three inhabitants, until the reader has asked all of its questions."""
    house, shared = House(form, folder / "data"), _shared()
    writer = Writer(house, shared, seed)
    archivist = Archivist(house, shared, seed)
    reader = Reader(house, shared, seed, number)

    def prepare() -> None:
        house.create()
        writer.fill()
        for name in ("events", "places"):
            archivist.archive(UniversalArchiver(house.settings()), name)

    _all_well([FORK.Process(target=prepare)], shared)
    # What the child that filled the tables has counted.
    writer.number, writer.payments = len(DAYS) * 20, MOST_PAYMENTS // 4
    _all_well([FORK.Process(target=one.run) for one in (writer, archivist, reader)], shared)

    def settle() -> None:
        """Nobody writes any more; the archiver may finish what it left."""
        quiet = Reader(house, shared, seed + 1, 60)
        for _ in range(2):
            quiet.run()
            for name in ("events", "payments"):
                archivist.archive(UniversalArchiver(house.settings()), name)

    _all_well([FORK.Process(target=settle)], shared)
    return Counter(dict(zip(COUNTS, shared.counts, strict=True)))


def _all_well(processes: list[Any], shared: Shared) -> None:
    """Run them to their ends; the first that fails ends them all."""
    shared.stop.value = 0
    for process in processes:
        process.start()
    try:
        while any(process.is_alive() for process in processes):
            if any(process.exitcode for process in processes):
                break
            time.sleep(0.01)
    finally:
        failed = [process.exitcode for process in processes if process.exitcode]
        shared.stop.value = 1
        for process in processes:
            process.join(None if not failed else 5)
            if process.is_alive():
                process.kill()
        if failed or any(process.exitcode for process in processes):
            sys.exit(f"ended with {[process.exitcode for process in processes]}")


def ask_all(seed: int, questions: int) -> dict[str, Any]:
    total: Counter[str] = Counter()
    number = 0
    left = questions
    while left > 0:
        now = min(left, EPISODE, -(-questions // len(FORMS)))
        with tempfile.TemporaryDirectory() as folder:
            form = FORMS[number % len(FORMS)]
            total += _episode(form, Path(folder), seed * 1000 + number, now)
        left -= now
        number += 1
        print(dict(total), file=sys.stderr, flush=True)
    return {"seed": seed, **{name: total[name] for name in COUNTS}}


def main(arguments: list[str]) -> None:
    for name in ("duckdb", "pandas", "pyarrow.parquet"):
        importlib.import_module(name)  # once, not in every fork
    seed, questions = arguments
    print(json.dumps(ask_all(int(seed), int(questions))))


if __name__ == "__main__":
    main(sys.argv[1:])
