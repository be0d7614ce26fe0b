"""One table in every state that rows can be in, random questions about it, and what is right.

The oracle is all rows as plain dicts, asked row by row: nothing of it knows of tiers, SQL or files.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from unittest import mock

import pyarrow as pa

from gateway_assets import clock
from gateway_assets.archive import pace, prune, restore
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.bridge.where import (
    AllOf,
    AnyOf,
    Compare,
    Condition,
    In,
    IsNull,
    Like,
    Not,
    column,
)
from gateway_assets.settings import Settings, load_settings

Row = dict[str, Any]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TODAY = clock.day_of(clock.now())
HOT_DAYS = 2
TABLE = "happenings"


# --- How an application may write its times ------------------------------------------------------


class Written(NamedTuple):
    """``unit`` is how finely it is written, in microseconds; ``kind`` is what answers hold."""

    declared: str
    unit: int
    raw: Callable[[int], Any]
    kind: str = "time"


def text_of(separator: str, fraction: int, zone: str = "") -> Callable[[int], str]:
    """ISO 8601 in one spelling, with so many digits of the second's fraction."""

    def written(moment: int) -> str:
        whole = clock.iso(moment)[:-1].replace("T", separator)
        return whole[: 20 + fraction if fraction else 19] + zone

    return written


def _without_zeros(moment: int) -> str:
    return text_of(" ", 6)(moment).removesuffix(".000000")


def _here_and_there(moment: int) -> str:
    zone = timezone(timedelta(hours=(0, 5, -7)[moment // clock.SECOND % 3]))
    return moment_at(moment).astimezone(zone).isoformat()


def _as_it_comes(moment: int) -> str:
    """Some with a blank, some with T and Z: no one spelling."""
    return text_of(*((" ", 0, ""), ("T", 0, "Z"))[moment // clock.SECOND % 2])(moment)


SECOND = clock.SECOND
WRITTEN = {
    "seconds": Written("INTEGER", SECOND, lambda moment: moment // SECOND),
    "milliseconds": Written("INTEGER", 1000, lambda moment: moment // 1000),
    "microseconds": Written("BIGINT", 1, lambda moment: moment),
    "nanoseconds": Written("INTEGER", 1, lambda moment: moment * 1000, "integer"),
    "real seconds": Written("REAL", 1000, lambda moment: moment / SECOND, "real"),
    "text": Written("TEXT", SECOND, text_of(" ", 0)),
    "text, numeric affinity": Written("DATETIME", SECOND, text_of("T", 0, "+00:00")),
    "text to milliseconds": Written("TEXT", 1000, text_of("T", 3, "Z")),
    "text to microseconds": Written("TIMESTAMP", 1, text_of(" ", 6)),
    "text without zeros": Written("TEXT", 1, _without_zeros),
    "text with offsets": Written("TEXT", SECOND, _here_and_there, "text"),
    "text as it comes": Written("TEXT", SECOND, _as_it_comes, "text"),
    "date": Written("DATE", clock.DAY, lambda moment: clock.iso(moment)[:10], "text"),
}

KEYS = {
    "counted": ("id INTEGER PRIMARY KEY AUTOINCREMENT", "", ("id",)),
    "plain": ("id INTEGER PRIMARY KEY", "", ("id",)),
    "text": ("id INTEGER, code TEXT NOT NULL PRIMARY KEY", "", ("code",)),
    "pair": ("id INTEGER, code TEXT", ", PRIMARY KEY (code, id)) WITHOUT ROWID", ("code", "id")),
    "none": ("id INTEGER", "", ()),
}


# --- What stands in the columns ------------------------------------------------------------------

TEXTS = (
    "",
    "a",
    "A",
    "ab",
    "a%",
    "a_b",
    "b",
    "B",
    "ä",
    "Ä",
    "it's",
    '"',
    "\N{SNAKE}",
    "\uffff",
    " ",
)
WHOLE = (0, 1, -1, 2, 7, 2**53 + 1, 2**63 - 1, -(2**63), 40)
REALS = (0.0, -0.0, 1.0, 2.5, -2.5, float("inf"), float("-inf"), 1e300, 5e-324, 40.0)
BLOBS = (b"", b"\0", b"\xff", b"a", b"ab")
MIXED = (5, 2.5, "5", "five", b"\x05", "", -1, "0x5", 2**62, 1e300)
ARROW = {
    "time": pa.timestamp("us", "UTC"),
    "integer": pa.int64(),
    "real": pa.float64(),
    "text": pa.string(),
    "blob": pa.binary(),
    "any": pa.string(),
}
ADDED = 7  # what rows have that are older than the added column


def shown(value: Any) -> str:
    """A value of a column of several types, as answers show it."""
    if isinstance(value, str):
        return value
    return value.hex() if isinstance(value, bytes) else repr(value)


def moment_at(moment: int) -> datetime:
    return EPOCH + timedelta(microseconds=moment)


def _month_ago(months: int) -> int:
    first = date.fromisoformat(clock.day_text(TODAY)).replace(day=1)
    for _ in range(months):
        first = (first - timedelta(days=1)).replace(day=1)
    return clock.parse_day(first.isoformat())


COPIED = [_month_ago(4) + n for n in range(3)]  # a month that has a copy
BROKEN = [_month_ago(3) + n for n in range(3)]  # a month with a day that is half restored
RESTORED, LATE, WIDER, HALF, HIDDEN = range(TODAY - 7, TODAY - HOT_DAYS)
RECENT = [TODAY - 1, TODAY, TODAY + 1]
DAYS = [*COPIED, *BROKEN, RESTORED, LATE, WIDER, HALF, HIDDEN, *RECENT]


class World:
    """An application's table, tiered in place; ``rows`` is what must be answered."""

    def __init__(self, folder: Path, form: str, key: str, seed: int, *, drops: bool) -> None:
        self.folder = folder
        self.form = WRITTEN[form]
        self.rows: list[Row] = []
        self.columns, self._ending, self.key = KEYS[key]
        self._drops = drops
        self._is_altered = False
        self._random = Random(seed)
        self._next = 0

    @property
    def kinds(self) -> dict[str, str]:
        """The columns in the order of answers."""
        key = {"id": "integer"} | ({"code": "text"} if "code" in self.columns else {})
        rest = {"at": self.form.kind, "title": "text", "name": "text", "amount": "integer"}
        more = {"size": "real", "data": "blob", "due": "time", "mixed": "any", "extra": "integer"}
        return key | rest | more | ({"gone": "text"} if self._drops else {})

    def settings(self, grace: float = 0) -> Settings:
        return load_settings(
            data_dir=self.folder,
            archive_grace_hours=grace,
            archive_pause_ms=0,
            archive_backup=False,
        )

    def build(self) -> None:
        """Every state that rows can be in, one after another."""
        with mock.patch.multiple(pace, FIRST_ROWS=3, MOST_ROWS=3, LEAST_ROWS=3):
            self._declare()
            self.insert(*COPIED, *BROKEN, RESTORED, LATE)
            self.archive()
            self._alter()
            self.insert(WIDER)
            self.archive()
            self.insert(HALF, HIDDEN)
            self.archive(grace=24)
            self._half(prune, "_boundary", lambda: self.archive(days=[HALF]))
            archiver = UniversalArchiver(self.settings())
            archiver.restore(TABLE, [RESTORED])
            self._half(restore, "_insert", lambda: archiver.restore(TABLE, [BROKEN[0]]))
            self.insert(*RECENT)
            self.insert(COPIED[1], LATE, count=2)

    def archive(self, grace: float = 0, days: Sequence[int] | None = None) -> None:
        result = UniversalArchiver(self.settings(grace)).archive_table(TABLE, days=days)
        assert not result.failed, result

    def insert(self, *days: int, count: int = 6) -> None:
        for day in days:
            for _ in range(count):
                self._put(day)

    def _declare(self) -> None:
        line = (
            f'[[tables]]\nname = "{TABLE}"\ndatabase = "app.db"\ntime = "at"\n'
            f"hot_days = {HOT_DAYS}\n"
        )
        (self.folder / "tables.toml").write_text(line, "utf-8")
        gone = ", gone TEXT" if self._drops else ""
        self._run(
            f"CREATE TABLE {TABLE} ({self.columns}, at {self.form.declared}, label TEXT, "
            f"name TEXT COLLATE NOCASE, amount BIGINT, size REAL, data BLOB, due DATETIME, "
            f"mixed{gone}{self._ending or ')'}"
        )

    def _run(self, statement: str, params: Iterable[Any] = ()) -> None:
        with closing(sqlite3.connect(self.folder / "app.db", isolation_level=None)) as connection:
            connection.execute(statement, tuple(params))

    def _alter(self) -> None:
        self._run(f"ALTER TABLE {TABLE} RENAME COLUMN label TO title")
        if self._drops:
            self._run(f"ALTER TABLE {TABLE} DROP COLUMN gone")
        self._run(f"ALTER TABLE {TABLE} ADD COLUMN extra INTEGER DEFAULT {ADDED}")
        self._is_altered = True

    def _half(self, module: Any, name: str, work: Callable[[], Any]) -> None:
        """Interrupt work at the second call of a function."""
        real, calls = getattr(module, name), iter((False, True))

        def called(*given: Any) -> Any:
            if next(calls):
                raise InterruptedError
            return real(*given)

        with mock.patch.object(module, name, called), suppress(InterruptedError):
            work()

    def _put(self, day: int) -> None:
        pick, self._next = self._random, self._next + 1
        moment = day * clock.DAY + pick.choice((0, 1, 3600, 43_200, 86_399)) * SECOND
        moment += pick.choice((0, 0, 1, 1000, 500_000, 999_999))
        moment -= moment % self.form.unit
        is_timeless = day in RECENT and pick.random() < 0.1  # such a row never leaves
        raw: Row = {"id": self._next, "at": None if is_timeless else self.form.raw(moment)}
        if "code" in self.columns:
            raw["code"] = f"{'abAB'[self._next % 4]}-{self._next}"
        raw["title"] = self._maybe(TEXTS)
        raw["name"] = self._maybe(TEXTS)
        raw["amount"] = self._maybe(WHOLE)
        raw["size"] = self._maybe(REALS)
        raw["data"] = self._maybe(BLOBS)
        due = None if pick.random() < 0.2 else moment // clock.DAY * clock.DAY + pick.randrange(9)
        raw["due"] = None if due is None else text_of("T", 6, "Z")(due)
        raw["mixed"] = MIXED[self._next] if self._next < len(MIXED) else self._maybe(MIXED)
        stays = self._drops and not self._is_altered and day not in {*BROKEN, RESTORED}
        gone = self._maybe(TEXTS) if stays else None
        row = raw | {"mixed": None if raw["mixed"] is None else shown(raw["mixed"])}
        row["due"] = None if due is None else moment_at(due)
        if self.form.kind == "time" and not is_timeless:
            row["at"] = moment_at(moment)
        if self._is_altered:
            row["extra"] = raw["extra"] = self._maybe((ADDED, 8, -8))
        else:
            raw["label"] = raw.pop("title")
            row["extra"] = ADDED
            if self._drops:
                raw["gone"] = gone
        if self._drops:
            row["gone"] = gone
        marks = ", ".join("?" * len(raw))
        self._run(f"INSERT INTO {TABLE} ({', '.join(raw)}) VALUES ({marks})", raw.values())
        self.rows.append({name: row[name] for name in self.kinds})

    def _maybe(self, values: Sequence[Any]) -> Any:
        return None if self._random.random() < 0.15 else self._random.choice(values)


# --- Questions -----------------------------------------------------------------------------------


class Asked(NamedTuple):
    """A question, whose answer ``wanted`` knows."""

    condition: Condition
    order: tuple[str, ...]
    limit: int | None
    offset: int
    columns: tuple[str, ...]


class Asker:
    """Random questions about a world, the same from the same seed."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._random = Random(seed)

    def asked(self) -> Asked:
        pick, names = self._random, list(self._world.kinds)
        order = pick.sample(names, pick.choice((0, 1, 1, 2, 3)))
        if pick.random() < 0.4:
            order = ["at", *(name for name in order if name != "at")]
        return Asked(
            self._condition(pick.choice((0, 0, 1, 2, 3))) if pick.random() < 0.85 else AllOf(()),
            tuple(pick.choice(("", "-")) + name for name in order),
            pick.choice((None, None, 0, 1, 3, 10, 50, 1000)),
            pick.choice((0, 0, 0, 1, 5, 60, 1000)),
            tuple(pick.sample(names, pick.choice((1, 2, 4)))) if pick.random() < 0.5 else (),
        )

    def _condition(self, depth: int) -> Condition:
        pick = self._random
        if not depth:
            return self._leaf()
        parts = tuple(self._condition(depth - 1) for _ in range(pick.choice((0, 1, 2, 2, 2, 3))))
        match pick.randrange(5):
            case 0:
                return Not(self._condition(depth - 1))
            case 1 | 2:
                return AllOf(parts)
            case _:
                return AnyOf(parts)

    def _leaf(self) -> Condition:
        pick = self._random
        names = list(self._world.kinds)
        name = "at" if pick.random() < 0.35 else pick.choice(names)
        kind, word = self._world.kinds[name], column(name)
        match pick.randrange(8):
            case 0:
                return word.is_null()
            case 1:
                return word.is_in([self._value(name) for _ in range(pick.randrange(4))])
            case 2:
                return word.between(self._value(name), self._value(name))
            case 3 if kind in {"text", "any"}:
                return word.like(self._pattern())
            case _:
                operator = pick.choice(("=", "<>", "<", "<=", ">", ">="))
                return Compare(name, operator, self._value(name))

    def _pattern(self) -> str:
        pick = self._random
        parts = ["%", "%", "_", "a", "A", "b", "", "\\", "2026", "\N{SNAKE}", pick.choice(TEXTS)]
        return "".join(pick.choices(parts, k=pick.randrange(4)))

    def _value(self, name: str) -> Any:
        """One that rows have, or one beside or beyond them."""
        pick, kind = self._random, self._world.kinds[name]
        if name == "at":
            return self._time()
        if kind == "time":
            day = pick.choice(DAYS) * clock.DAY
            return self._datetime(day + pick.choice((0, 1, 2, 5, 8, 10, -1)))
        stored = [row[name] for row in self._world.rows if row[name] is not None]
        odd: Sequence[Any] = {
            "integer": (2**63 - 1, -(2**63), 3, 2**62),
            "real": (float("inf"), 3, 0, -1e-300, 2**53 + 1),
            "text": ("", "aa", "\U0010ffff", "%"),
            "blob": (b"zz",),
            "any": (5, 2.5, "4", "\U0010ffff"),
        }[kind]
        return pick.choice(stored) if pick.random() < 0.7 else pick.choice(odd)

    def _time(self) -> Any:
        pick, form = self._random, self._world.form
        moment = pick.choice(DAYS) * clock.DAY + pick.choice((0, 1, 3600, 43_200)) * SECOND
        moment += pick.choice((0, 0, form.unit, form.unit // 2, -1, 1, 1000, -form.unit))
        if form.kind == "text":
            return pick.choice((clock.iso(moment), clock.iso(moment)[:10], form.raw(moment), ""))
        if form.kind != "time":
            raw = form.raw(moment)
            return pick.choice((raw, raw, -raw, 0))
        return self._datetime(moment)

    def _datetime(self, moment: int) -> Any:
        """A moment in one of the ways to say it, or one beyond all rows."""
        known = moment_at(moment)
        return self._random.choice(
            (
                known,
                known,
                known.replace(tzinfo=None),
                known.astimezone(timezone(timedelta(hours=9))),
                known.date(),
                known.isoformat(),
                datetime.min.replace(tzinfo=UTC),
                datetime.max.replace(tzinfo=UTC),
                datetime(1969, 12, 31, 23, 59, 59, 1),
                datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
                datetime.max.replace(tzinfo=timezone(timedelta(hours=-14))),
            )
        )


# --- What is right -------------------------------------------------------------------------------


def wanted(world: World, asked: Asked) -> list[Row]:
    """All rows that meet the condition, in the order asked for; equals as they were inserted."""
    rows = [row for row in world.rows if holds(asked.condition, row)]
    return in_order(rows, asked.order)


def in_order(rows: Iterable[Row], order: Sequence[str]) -> list[Row]:
    found = list(rows)
    for word in reversed(order):
        name = word.lstrip("-")

        def key(row: Row, name: str = name) -> tuple[bool, Any]:
            return row[name] is not None, _ordinal(row[name])

        found.sort(key=key, reverse=word.startswith("-"))
    return found


def order_with_key(world: World, order: Sequence[str]) -> tuple[str, ...]:
    """With the key behind it, which goes the way of the last column."""
    sign = "-" if order and order[-1].startswith("-") else ""
    taken = {word.lstrip("-") for word in order}
    return (*order, *(sign + name for name in world.key if name not in taken))


def _ordinal(value: Any) -> Any:
    """Something that Python puts in the order of values; nothing for NULL."""
    if value is None:
        return 0
    return value.encode() if isinstance(value, str) else value


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda have, given: have == given,
    "<>": lambda have, given: have != given,
    "<": lambda have, given: have < given,
    "<=": lambda have, given: have <= given,
    ">": lambda have, given: have > given,
    ">=": lambda have, given: have >= given,
}


def holds(asked: Condition, row: Row) -> bool | None:
    """Whether a condition is true of a row; None: unknown."""
    match asked:
        case AllOf(parts):
            return _least([holds(part, row) for part in parts])
        case AnyOf(parts):
            return _not(_least([_not(holds(part, row)) for part in parts]))
        case Not(part):
            return _not(holds(part, row))
        case IsNull(name):
            return row[name] is None
        case Compare(name, operator, value):
            return _compared(row[name], operator, value)
        case In(name, values):
            return holds(AnyOf(tuple(Compare(name, "=", value) for value in values)), row)
        case Like(name, pattern):
            return None if row[name] is None else _is_like(row[name], pattern)
    raise TypeError(asked)


def _least(parts: list[bool | None]) -> bool | None:
    if any(part is False for part in parts):
        return False
    return None if None in parts else True


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _compared(have: Any, operator: str, given: Any) -> bool | None:
    if have is None:
        return None
    if isinstance(have, datetime):
        have, given = _since_epoch(have), _since_epoch(given)
    elif isinstance(have, float):
        given = float(given)
    elif isinstance(have, str):
        have, given = have.encode(), shown(given).encode()
    return _COMPARE[operator](have, given)


def _since_epoch(value: Any) -> timedelta:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    elif not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    known: datetime = value if value.tzinfo else value.replace(tzinfo=UTC)
    return known - EPOCH


def _is_like(text: str, pattern: str) -> bool:
    signs = {"%": ".*", "_": "."}
    whole = "".join(signs.get(letter, re.escape(letter)) for letter in pattern)
    return re.fullmatch(whole, text, re.DOTALL) is not None


def comparable(rows: Iterable[Row], names: Sequence[str]) -> list[str]:
    """Rows as text, which tells 1 from 1.0 from True; 0.0 and -0.0 are one number, and one zone
    is as good as another that is UTC.
    """
    return [repr([_plain(row[name]) for name in names]) for row in rows]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        assert value.utcoffset() == timedelta(0)
        return value.replace(tzinfo=UTC)
    return value + 0.0 if isinstance(value, float) else value
