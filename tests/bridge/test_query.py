"""``query`` and ``count`` answer what all rows in one list answer, and open no file in vain.

QUERY_EXAMPLES asks for more questions than the suite does, QUERY_SEED for others.
"""

from __future__ import annotations

import base64
import json
import math
import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, Text
from sqlalchemy import Table as SqlTable

from gateway_assets import clock
from gateway_assets.archive.months import folder
from gateway_assets.bridge.answer import Answer
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.bridge.where import Compare, Condition, column
from gateway_assets.errors import ArchiveDamaged, QueryError, UsageError
from gateway_assets.hot.load import load
from gateway_assets.hot.store import open_store
from gateway_assets.settings import Settings, load_settings
from gateway_assets.tables import IP_TRAFFIC
from gateway_assets.tiers.catalog import find
from tests.bridge import asked as asking
from tests.bridge.asked import (
    ARROW,
    KEYS,
    TABLE,
    WRITTEN,
    Asked,
    Asker,
    World,
    comparable,
    in_order,
)
from tests.tiers.places import (
    APP,
    OLD,
    TODAY,
    archive,
    at,
    declare,
    files,
    make,
    patient,
    run,
    text_at,
)
from tests.traffic import land_days, roll_up

EXAMPLES = int(os.environ.get("QUERY_EXAMPLES", "520"))
SEED = int(os.environ.get("QUERY_SEED", "0"))
EACH = max(EXAMPLES // len(WRITTEN), 1)
Row = dict[str, Any]


def world_of(form: str, folder: Path, seed: int = 0, key: str = "") -> World:
    """A world with times in some form; keys and columns that go change from one to the next."""
    place = list(WRITTEN).index(form) + seed
    key = key or list(KEYS)[place % len(KEYS)]
    world = World(folder, form, key, seed, drops=place % 3 == 1)
    world.build()
    return world


# --- Every question has the answer of the plain list ----------------------------------------------


def check(bridge: UnifiedQueryBridge, world: World, asked: Asked) -> None:
    answer = bridge.query(
        TABLE, asked.condition, asked.order, asked.limit, asked.offset, columns=asked.columns
    )
    names = asked.columns or tuple(world.kinds)
    rows = answer.rows()
    assert all(tuple(row) == names for row in rows)
    wanted = asking.wanted(world, asked)
    check_rows(world, asked, rows, wanted)
    table = answer.arrow()
    assert [(field.name, field.type) for field in table.schema] == [
        (name, ARROW[world.kinds[name]]) for name in names
    ]
    assert comparable(table.to_pylist(), names) == comparable(rows, names)
    check_frame(answer, rows, names)
    assert len(answer) == len(rows)
    assert bridge.count(TABLE, asked.condition) == len(wanted)


def check_rows(world: World, asked: Asked, rows: list[Row], wanted: list[Row]) -> None:
    """What the order leaves open may be any; all else is as in the list."""
    names = asked.columns or tuple(world.kinds)
    end = None if asked.limit is None else asked.offset + asked.limit
    if asked.limit is not None and asked.order and world.key:
        whole = in_order(wanted, asking.order_with_key(world, asked.order))
        assert comparable(rows, names) == comparable(whole[asked.offset : end], names)
        return
    ordered = [word.lstrip("-") for word in asked.order]
    expected = wanted[asked.offset : end]
    assert len(rows) == len(expected)
    seen = [name for name in ordered if name in names]
    if seen == ordered:
        assert comparable(rows, seen) == comparable(expected, seen)
    assert Counter(comparable(rows, names)) <= Counter(comparable(wanted, names))


def check_frame(answer: Answer, rows: list[Row], names: tuple[str, ...]) -> None:
    frame = answer.pandas()
    assert list(frame.columns) == list(names)
    for name in names:
        values = [row[name] for row in rows]
        if None not in values:  # pandas has no NULL among whole numbers
            assert list(frame[name]) == values


@pytest.mark.parametrize("form", WRITTEN)
def test_random_questions_have_the_answers_of_a_plain_list(form: str, tmp_path: Path) -> None:
    world = world_of(form, tmp_path, SEED)
    with UnifiedQueryBridge(world.settings()) as bridge:
        for seed in range(SEED, SEED + EACH):
            asked = Asker(world, seed).asked()
            try:
                check(bridge, world, asked)
            except Exception as error:
                error.add_note(f"seed {seed}: {asked}")
                raise


def test_a_world_has_rows_in_every_state(tmp_path: Path) -> None:
    world = world_of("seconds", tmp_path, key="pair")
    with UnifiedQueryBridge(world.settings()) as bridge:
        assert any(folder(world.settings().archive).rglob("*.parquet"))
        assert bridge.count(TABLE) == len(world.rows)
        (use,) = bridge.query(TABLE, columns=["id"]).explained.tables
        assert 0 < use.hot_rows < len(world.rows)
        assert 1 < use.files_opened < use.files_known
    with open_store(tmp_path / "app.db") as connection:
        states = connection.execute(
            "SELECT DISTINCT state, answers_until IS NULL FROM gateway_archive_files"
        ).fetchall()
    assert {("published", 1), ("archived", 0), ("archived", 1)} <= set(states)


@pytest.mark.parametrize("form", ["seconds", "nanoseconds", "text without zeros", "date"])
def test_types_do_not_depend_on_the_tier(form: str, tmp_path: Path) -> None:
    world = world_of(form, tmp_path, 1, "counted")
    newest = [row["id"] for row in world.rows][-20:]
    with UnifiedQueryBridge(world.settings()) as bridge:
        hot = bridge.query(TABLE, column("id") == max(newest) - 4, "id", 1)
        cold = bridge.query(TABLE, column("id").is_in([7, 8, 9]), "id", 3)
        mixed = bridge.query(TABLE, order="id")
        nothing = bridge.query(TABLE, column("id") == -5, "id", 3)
    schemas = [answer.arrow().schema for answer in (hot, cold, mixed, nothing)]
    assert all(schema == schemas[0] for schema in schemas)
    assert (len(hot), len(cold), len(nothing)) == (1, 3, 0)
    assert opened(cold) > opened(hot) == 0


# --- Page by page ---------------------------------------------------------------------------------

ORDERS = [
    ("at",),
    ("-at",),
    ("amount",),
    ("-amount",),
    ("name", "-size"),
    ("-mixed",),
    ("-data", "title", "-at"),
    ("-size",),
    ("-due", "name"),
    ("due",),
    ("extra", "at"),
    ("-id",),
]


def walked(
    bridge: UnifiedQueryBridge,
    order: tuple[str, ...],
    size: int,
    filters: Condition | None = None,
    between: Callable[[int], None] = lambda page: None,
    name: str = TABLE,
) -> list[Row]:
    rows: list[Row] = []
    cursor, page = "", 0
    while page == 0 or cursor:
        answer = bridge.query(name, filters, order, size, after=cursor)
        assert len(answer) <= size
        rows += answer.rows()
        cursor, page = answer.cursor, page + 1
        between(page)
        assert page < 1000
    return rows


@pytest.mark.parametrize(
    ("form", "key"),
    [
        ("milliseconds", "counted"),
        ("text without zeros", "text"),
        ("text with offsets", "pair"),
        ("nanoseconds", "plain"),
    ],
)
def test_page_by_page_every_row_comes_once_and_in_order(
    form: str, key: str, tmp_path: Path
) -> None:
    world = world_of(form, tmp_path, 2, key)
    names = tuple(world.kinds)
    with UnifiedQueryBridge(world.settings()) as bridge:
        for order in ORDERS:
            whole = in_order(world.rows, asking.order_with_key(world, order))
            assert comparable(walked(bridge, order, 13), names) == comparable(whole, names)
        some = column("amount") > 0
        whole = [row for row in in_order(world.rows, ["-at", "-id"]) if asking.holds(some, row)]
        found = walked(bridge, ("-at", "-id"), 5, some)
        assert comparable(found, names) == comparable(whole, names)


LEDGER = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER, v INTEGER, s TEXT)"


def ledger(days: int = 10, each: int = 3, today: int = 5) -> Settings:
    """Some rows a day on old days, some of today; ``v`` is NULL in every fourth row."""
    moments = [at(OLD + day, second) for day in range(days) for second in range(each)]
    moments += [at(TODAY, second) for second in range(today)]
    rows = [
        (number, moment, None if number % 4 == 0 else number % 3, f"s{number % 5}")
        for number, moment in enumerate(moments, start=1)
    ]
    make(LEDGER, "t", rows)
    return declare(time="at")


@pytest.mark.parametrize("order", [("at",), ("-at",), ("v",), ("-v", "s"), ("s", "-v")])
def test_rows_that_are_archived_between_two_pages_come_once(order: tuple[str, ...]) -> None:
    settings = ledger()
    with UnifiedQueryBridge(settings) as bridge:
        whole = [row["id"] for row in bridge.query("t", order=order, limit=1000).rows()]

        def between(page: int) -> None:
            if page <= 10:
                archive(patient(settings) if page % 2 else settings, days=[OLD + 10 - page])

        found = walked(bridge, order, 3, between=between, name="t")
    assert [row["id"] for row in found] == whole
    assert len(files(settings)) == 10


@pytest.mark.parametrize("order", [("at",), ("-at",), ("-v",), ("s", "-v")])
def test_rows_that_come_between_two_pages_disturb_no_other(order: tuple[str, ...]) -> None:
    settings = ledger()
    archive(settings, days=range(OLD, OLD + 5))
    with UnifiedQueryBridge(settings) as bridge:
        whole = [row["id"] for row in bridge.query("t", order=order, limit=1000).rows()]

        def between(page: int) -> None:
            if page < 6:
                moment = at((OLD + 2, OLD + 7, TODAY)[page % 3], 50 + page)
                run("INSERT INTO t (at, v, s) VALUES (?, ?, ?)", moment, page % 2, f"s{page}")

        found = [row["id"] for row in walked(bridge, order, 4, between=between, name="t")]
    assert len(set(found)) == len(found)
    assert [number for number in found if number in set(whole)] == whole


def test_the_last_page_has_no_cursor() -> None:
    settings = ledger(2, 2, 1)
    archive(settings)
    with UnifiedQueryBridge(settings) as bridge:
        assert not bridge.query("t", order="id", limit=6).cursor
        assert not bridge.query("t", order="id", limit=0).cursor
        assert not bridge.query("t", order="id").cursor
        assert not bridge.query("t", limit=2).cursor
        full = bridge.query("t", order="id", limit=5)
        after = bridge.query("t", order="id", limit=5, after=full.cursor)
        assert (len(full), len(after), after.cursor) == (5, 0, "")
        shown = bridge.query("t", order="-at", limit=2, columns=["s"])
        again = bridge.query("t", order="-at", limit=9, columns=["s"], after=shown.cursor)
        assert [list(row) for row in again.rows()] == [["s"]] * 3


def cursor_of(plain: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(plain).encode()).decode()


CURSORS = {
    "no base64": "garbage!",
    "not ASCII": "ü",
    "no JSON": base64.urlsafe_b64encode(b"nothing").decode(),
    "deep": base64.urlsafe_b64encode(b"[" * 100_000).decode(),
    "too few": cursor_of([1]),
    "too many": cursor_of([1, 2, 3]),
    "a number": cursor_of(5),
    "an object": cursor_of({"a": 1, "b": 2}),
    "a text": cursor_of("ab"),
    "no moment": cursor_of(["soon", 1]),
    "a list for a moment": cursor_of([[1], 1]),
    "a moment beyond the calendar": cursor_of([10**30, 1]),
    "a text for a number": cursor_of([1, "x"]),
    "a number beyond 64 bits": cursor_of([1, 2**63]),
    "bytes for a number": cursor_of([1, {"hex": "00"}]),
    "no bytes": cursor_of([{"hex": "zz"}, 1]),
}


@pytest.mark.parametrize("cursor", CURSORS.values(), ids=CURSORS)
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with UnifiedQueryBridge(ledger(1, 1, 1)) as bridge, pytest.raises(QueryError):
        bridge.query("t", order="-at", limit=3, after=cursor)


def test_a_cursor_belongs_to_its_question() -> None:
    make("CREATE TABLE k (at INTEGER, v INTEGER)", "k", [(at(TODAY), 1), (at(TODAY), 2)])
    declare("k", time="at")
    settings = ledger(2, 2, 1)
    with UnifiedQueryBridge(settings) as bridge:
        cursor = bridge.query("t", order="id", limit=2).cursor
        for order in ("at", "-v", "-id"):
            with pytest.raises(QueryError, match="cursor"):
                bridge.query("t", order=order, limit=2, after=cursor)
        with pytest.raises(QueryError, match="offset"):
            bridge.query("t", order="id", limit=2, offset=1, after=cursor)
        with pytest.raises(QueryError, match="limit"):
            bridge.query("t", order="id", after=cursor)
        with pytest.raises(QueryError, match="order"):
            bridge.query("t", limit=2, after=cursor)
        with pytest.raises(QueryError, match="no key"):
            bridge.query("k", order="v", limit=1, after=bridge.query("t", None, "v", 1).cursor)


KEYS_OF_ONE_FACE = {
    "several without a key": ("TEXT PRIMARY KEY", [None, None, "a", None]),
    "keys that look the same": ("PRIMARY KEY", [1, "1", b"1", "31"]),
}


@pytest.mark.parametrize(("key", "values"), KEYS_OF_ONE_FACE.values(), ids=KEYS_OF_ONE_FACE)
def test_no_row_is_passed_over_because_another_has_the_same_key(
    key: str, values: list[Any]
) -> None:
    """SQLite lets any number of NULLs into a key: such a table has no cursor, or a right one."""
    rows = [(value, at(OLD), 1) for value in values] + [("z", at(TODAY), 1)]
    make(f"CREATE TABLE t (k {key}, at INTEGER, v INTEGER)", "t", rows)
    settings = declare(time="at")
    archive(settings)
    with UnifiedQueryBridge(settings) as bridge:
        try:
            found = walked(bridge, ("v",), 1, name="t")
        except QueryError:
            return
        assert len(found) == len(rows)


# --- Hot first, and no file in vain ---------------------------------------------------------------


def opened(answer: Answer) -> int:
    return answer.explained.tables[0].files_opened


@pytest.fixture
def months() -> Settings:
    """Forty archived days without a monthly copy, ten rows each; thirty rows of today."""
    rows = [(None, at(TODAY - 80 + day, n * 3600)) for day in range(40) for n in range(10)]
    rows += [(None, at(TODAY, n)) for n in range(30)]
    make("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER)", "t", rows)
    settings = declare(time="at")
    archive(settings)
    without_copies(settings)
    return settings


def without_copies(settings: Settings) -> None:
    """Days by their own files only."""
    for copy in folder(settings.archive).rglob("*.parquet"):
        copy.unlink()


def day_at(day: int, hour: int = 0) -> datetime:
    return datetime.fromtimestamp(at(TODAY - 80 + day, hour * 3600), UTC)


def test_the_newest_rows_come_from_hot(months: Settings) -> None:
    with UnifiedQueryBridge(months) as bridge:
        for order in ("-at", "-id", ("-at", "id")):
            for limit in (1, 20, 30):
                answer = bridge.query("t", order=order, limit=limit)
                assert (len(answer), opened(answer)) == (limit, 0)
        assert opened(bridge.query("t", limit=30)) == 0
        assert opened(bridge.query("t", column("at") >= day_at(80), "at", 5)) == 0
        (use,) = bridge.query("t", order="-at", limit=1).explained.tables
        assert (use.tier, use.files_known) == ("hot", 40)


def test_a_limit_that_crosses_into_cold_opens_what_it_needs(months: Settings) -> None:
    with UnifiedQueryBridge(months) as bridge:
        for order in ("-at", "-id"):
            assert opened(bridge.query("t", order=order, limit=31)) == 1
            assert opened(bridge.query("t", order=order, limit=55)) == 3
        for order in ("at", "id"):
            # One file may begin where another one ends.
            assert opened(bridge.query("t", order=order, limit=5)) <= 2
            assert opened(bridge.query("t", order=order, limit=25)) <= 4


@pytest.mark.parametrize("order", ["-at", "at", "-id", "id"])
def test_a_page_deep_in_cold_opens_no_more_than_the_first(months: Settings, order: str) -> None:
    with UnifiedQueryBridge(months) as bridge:
        after, most = "", 0
        for page in range(20):
            answer = bridge.query("t", order=order, limit=10, after=after)
            after, most = answer.cursor, max(most, opened(answer))
            assert most <= 3, page


def test_a_lookup_opens_the_files_of_its_time(months: Settings) -> None:
    with UnifiedQueryBridge(months) as bridge:
        time = column("at")
        hour = (time >= day_at(3, 2)) & (time < day_at(3, 3))
        one_day = time.between(day_at(3), day_at(3, 23))
        until_midnight = (time >= day_at(3)) & (time < day_at(4))
        for limit in (None, 100):
            for asked, rows in ((hour, 1), (one_day, 10), (until_midnight, 10)):
                answer = bridge.query("t", asked, "at", limit)
                assert (len(answer), opened(answer)) == (rows, 1)
            answer = bridge.query("t", {"id": 17}, limit=limit)
            assert (len(answer), opened(answer)) == (1, 1)
            answer = bridge.query("t", {"id": [17, 18, 395]}, limit=limit)
            assert (len(answer), opened(answer)) == (3, 2)
        assert opened(bridge.query("t", {"id": 10**9})) == 0


def test_counting_opens_no_file_when_the_manifest_knows(months: Settings) -> None:
    for file in files(months):
        file.unlink()
    with UnifiedQueryBridge(months) as bridge:
        assert bridge.count("t") == 430
        assert bridge.count("t", column("at") >= day_at(10)) == 330
        until = (column("at") >= day_at(3)) & (column("at") < day_at(5))
        assert bridge.count("t", until) == 20
        assert bridge.count("t", column("id") > 400) == 30
        with pytest.raises(ArchiveDamaged):
            bridge.count("t", column("at") >= day_at(10, 1))


def test_a_dropped_column_costs_no_files() -> None:
    rows = [(None, at(OLD + day), "x") for day in range(5)] + [(None, at(TODAY), "y")] * 5
    ddl = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER, note TEXT)"
    make(ddl, "t", rows)
    settings = declare(time="at")
    archive(settings)
    run("ALTER TABLE t DROP COLUMN note")
    with UnifiedQueryBridge(settings) as bridge:
        assert bridge.query("t", None, "id", columns=["note"]).rows()[0] == {"note": "x"}
        for file in files(settings):
            file.unlink()
        assert bridge.count("t") == 10
        assert opened(bridge.query("t", order="-at", limit=3, columns=["id", "at"])) == 0
        assert opened(bridge.query("t", order="-at", limit=3)) == 0


# --- Errors ---------------------------------------------------------------------------------------

NAN = math.nan
REFUSED: dict[str, tuple[Callable[[UnifiedQueryBridge], Any], str]] = {
    "unknown column": (lambda b: b.query("t", column("nope") == 1), "columns: id, at, v, s"),
    "unknown in a mapping": (lambda b: b.count("t", {"nope": 1}), "columns: id, at, v, s"),
    "unknown in NOT": (lambda b: b.count("t", ~(column("nope") == 1)), "columns: id, at, v, s"),
    "unknown, empty IN": (lambda b: b.count("t", {"nope": []}), "columns: id, at, v, s"),
    "unknown order": (lambda b: b.query("t", None, "-nope", 1), "columns: id, at, v, s"),
    "unknown shown": (lambda b: b.query("t", columns=["nope"]), "columns: id, at, v, s"),
    "text for a number": (lambda b: b.query("t", column("v") == "1"), "kind integer"),
    "real for a whole number": (lambda b: b.query("t", column("v") > 1.5), "kind integer"),
    "beyond 64 bits": (lambda b: b.count("t", column("v") < 2**63), "kind integer"),
    "number for a text": (lambda b: b.query("t", column("s") == 1), "kind text"),
    "NaN": (lambda b: b.query("t", column("v") > NAN), "nan"),
    "number for a time": (lambda b: b.count("t", column("at") > 5), "time"),
    "no time": (lambda b: b.count("t", column("at") > "soon"), "2026-11-21T09:30:00Z"),
    "None in a comparison": (lambda b: b.count("t", column("v") < None), "None"),
    "a column for a value": (lambda b: b.count("t", column("v") < column("id")), "column"),
    "LIKE on a number": (lambda b: b.query("t", column("v").like("1%")), "LIKE is for text"),
    "no pattern": (lambda b: b.query("t", column("s").like(5)), ""),  # type: ignore[arg-type]
    "lone surrogate": (lambda b: b.count("t", column("s") == "\ud800"), ""),
    "limit below 0": (lambda b: b.query("t", None, "id", -1), "limit"),
    "limit of a text": (lambda b: b.query("t", None, "id", "3"), "limit"),  # type: ignore[arg-type]
    "limit of a real": (lambda b: b.query("t", None, "id", 1.0), "limit"),  # type: ignore[arg-type]
    "limit of True": (lambda b: b.query("t", None, "id", True), "limit"),
    "limit beyond 64 bits": (lambda b: b.query("t", None, "id", 2**63), "limit"),
    "offset below 0": (lambda b: b.query("t", None, "id", 1, -1), "offset"),
    "offset beyond 64 bits": (lambda b: b.query("t", None, "id", 1, 2**63), "offset"),
    "their sum beyond 64 bits": (lambda b: b.query("t", None, "id", 5, 2**63 - 1), ""),
    "only an offset beyond": (lambda b: b.query("t", None, "id", None, 2**63), "offset"),
    "no filter": (lambda b: b.query("t", 5), "condition"),  # type: ignore[arg-type]
    "False": (lambda b: b.count("t", False), "condition"),  # type: ignore[arg-type]
    "a column": (lambda b: b.count("t", column("v")), "condition"),  # type: ignore[arg-type]
    "SQL": (lambda b: b.count("t", "v = 1"), "condition"),  # type: ignore[arg-type]
    "texts": (lambda b: b.count("t", ["v = 1"]), "condition"),  # type: ignore[list-item]
    "no order": (lambda b: b.query("t", None, [1], 1), ""),  # type: ignore[list-item]
    "a column for an order": (lambda b: b.query("t", None, [column("id")], 1), ""),  # type: ignore[list-item]
    "a pattern too long": (lambda b: b.query("t", column("s").like("%a" * 50_000), "id", 1), ""),
}


@pytest.mark.parametrize("place", ["hot", "cold"])
@pytest.mark.parametrize(("ask", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_answered_is_refused(
    ask: Callable[[UnifiedQueryBridge], Any], said: str, place: str
) -> None:
    settings = ledger(1, 2, 2)
    if place == "cold":
        archive(settings)
    with UnifiedQueryBridge(settings) as bridge:
        with pytest.raises(QueryError) as refused:
            ask(bridge)
        assert said in str(refused.value)
        assert bridge.count("t") == 4


def test_a_table_that_is_not_there() -> None:
    with UnifiedQueryBridge(ledger(1, 1, 1)) as bridge:
        for wanted in ("nope", None, 5):
            with pytest.raises(UsageError, match=r"tables: ip_traffic, .*_hourly, .*, t\)"):
                bridge.query(wanted)
            with pytest.raises(UsageError):
                bridge.count(wanted)


def test_a_condition_is_no_truth() -> None:
    with pytest.raises(QueryError, match="&"):
        bool(column("a") == 1)
    with pytest.raises(QueryError):
        _ = (column("a") == 1) and (column("b") == 2)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "missing": Path.unlink,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "altered": lambda path: path.write_bytes(path.read_bytes().replace(b"PAR1", b"PAR2")),
    "nothing": lambda path: path.write_bytes(b""),
}


@pytest.mark.parametrize("harm", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_told_when_it_is_needed(harm: Callable[[Path], object]) -> None:
    settings = ledger(4, 3, 5)
    archive(settings)
    without_copies(settings)
    file = files(settings)[2]
    harm(file)
    day = [datetime.fromtimestamp(at(OLD + n), UTC) for n in range(6)]
    time = column("at")
    with UnifiedQueryBridge(settings) as bridge:
        assert len(bridge.query("t", order="-at", limit=8)) == 8
        assert len(bridge.query("t", time < day[2], "at")) == 6
        assert len(bridge.query("t", {"id": 10})) == 1
        assert bridge.count("t") == 17
        assert bridge.count("t", time < day[3]) == 9
        message = f"{file.name}.*gateway archive verify t"
        for ask in (
            lambda: bridge.query("t"),
            lambda: bridge.query("t", order="-at", limit=9),
            lambda: bridge.query("t", {"id": 7}),
            lambda: bridge.query("t", time >= day[2], "at", 2),
            lambda: bridge.count("t", {"s": "s2"}),
        ):
            with pytest.raises(ArchiveDamaged, match=message):
                ask()


# --- Large conditions -----------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1_000, 1_001, 5_000, 30_000])
def test_a_long_list_is_answered(size: int) -> None:
    settings = ledger()
    archive(settings)
    with UnifiedQueryBridge(settings) as bridge:
        some = column("id").is_in(range(3, size))
        assert bridge.count("t", some) == 33
        assert len(bridge.query("t", some, "-id", 40)) == 33
        assert len(bridge.query("t", some)) == 33
        assert bridge.count("t", ~some) == 2


@pytest.mark.parametrize("size", [300, 2_000])
@pytest.mark.parametrize("word", ["and", "or"])
def test_a_long_chain_is_answered_or_refused(word: str, size: int) -> None:
    settings = ledger()
    archive(settings)
    asked = column("id") > 0
    for number in range(size):
        more = column("id") != 100 + number
        asked = asked & more if word == "and" else asked | more
    with UnifiedQueryBridge(settings) as bridge:

        def rows(limit: int | None) -> int:
            return len(bridge.query("t", asked, "-id", limit))

        asks: tuple[Callable[[], int], ...] = (
            lambda: bridge.count("t", asked),
            lambda: rows(40),
            lambda: rows(None),
        )
        for ask in asks:
            try:
                assert ask() == 35
            except QueryError:
                assert size > 500  # a few hundred conditions are no odd question


# --- Histories that were once answered wrongly, each as short as it could be made -----------------


@pytest.mark.parametrize("limit", [None, 9])
@pytest.mark.parametrize("operator", ["=", "<>", "<", ">="])
@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 3, 4, 5, 6, 7, 5, UTC),  # between two that the column can hold
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-14))),
    ],
    ids=["between", "before all", "after all"],
)
def test_no_moment_makes_anything_of_null(
    moment: datetime, operator: str, limit: int | None
) -> None:
    rows = [(1, at(OLD), None), (2, at(TODAY), None), (3, at(TODAY), "2026-03-04 05:06:07")]
    make("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER, due DATETIME)")
    for row in rows:
        run("INSERT INTO t VALUES (?, ?, ?)", *row)
    settings = declare(time="at")
    archive(settings)
    one = Compare("due", operator, moment)
    plain = {"due": datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)}
    with UnifiedQueryBridge(settings) as bridge:
        for asked in (one, ~one, ~~one):
            wanted = [3] if asking.holds(asked, plain) else []
            found = bridge.query("t", asked, "id", limit).rows()
            assert [row["id"] for row in found] == wanted
            assert bridge.count("t", asked) == len(wanted)


@pytest.mark.parametrize("odd", [math.inf, -math.inf])
def test_an_infinite_number_is_in_the_way_of_no_other_column(odd: float) -> None:
    rows = [(1, at(OLD), 5, odd), (2, at(OLD + 1), 6, 1.0), (3, at(TODAY), 7, odd)]
    ddl = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER, v INTEGER, r REAL)"
    make(ddl, "t", rows)
    settings = declare(time="at")
    archive(settings)
    with UnifiedQueryBridge(settings) as bridge:
        assert bridge.query("t", {"v": 6}).rows()[0]["id"] == 2
        assert bridge.query("t", None, "-v", 2).rows()[1]["id"] == 2
        assert [row["id"] for row in bridge.query("t", {"r": odd}, "id").rows()] == [1, 3]
        assert bridge.count("t", column("id") > 1) == 2


def test_a_condition_on_a_dropped_column_is_none_on_its_name() -> None:
    """SQLite takes a quoted name that no column has for a text."""
    rows = [(1, at(OLD), "note"), (2, at(OLD), None), (3, at(TODAY), "note")]
    make("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER, note TEXT)", "t", rows)
    settings = declare(time="at")
    archive(settings)
    run("ALTER TABLE t DROP COLUMN note")
    note = column("note")
    with UnifiedQueryBridge(settings) as bridge:
        for asked, wanted in (
            (note == "note", [1]),
            (note > "a", [1]),
            (note.like("n%"), [1]),
            (note.is_null(), [2, 3]),
            (~note.is_null(), [1]),
        ):
            for limit in (None, 9):
                found = bridge.query("t", asked, "id", limit, columns=["id"]).rows()
                assert [row["id"] for row in found] == wanted
            assert bridge.count("t", asked) == len(wanted)


AS_WRITTEN: dict[str, tuple[str, Callable[[int], Any]]] = {
    "nanoseconds": ("INTEGER", lambda day: at(day) * 10**9),
    "real": ("REAL", lambda day: at(day) + 0.5),
    "date": ("TEXT", lambda day: text_at(day)[:10]),
    "offset": ("TEXT", lambda day: text_at(day).replace(" ", "T") + "+02:00"),
    "iso": ("TEXT", lambda day: text_at(day) + ("Z" if day % 2 else "")),
}


@pytest.mark.parametrize("limit", [None, 9])
@pytest.mark.parametrize(("declared", "raw"), AS_WRITTEN.values(), ids=AS_WRITTEN)
def test_a_time_that_is_kept_as_it_is_written_is_compared_as_such(
    declared: str, raw: Callable[[int], Any], limit: int | None
) -> None:
    """The manifest tells files by moments; the column holds numbers or text."""
    days = [OLD, OLD + 1, OLD + 2, OLD + 3, TODAY]
    rows = [(number, raw(day)) for number, day in enumerate(days, start=1)]
    make(f"CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, at {declared})", "t", rows)
    settings = declare(time="at")
    archive(settings)
    run("INSERT INTO t VALUES (6, ?)", raw(OLD))
    time, third = column("at"), raw(OLD + 2)
    with UnifiedQueryBridge(settings) as bridge:
        for asked, order, wanted in (
            (None, "-at", [5, 4, 3, 2]),
            (None, "at", [1, 6, 2, 3, 4, 5]),
            (time < third, "-at", [2]),
            (time > third, "at", [4, 5]),
            (time == third, "at", [3]),
            (time.is_in([third, raw(TODAY)]), "at", [3, 5]),
            (~(time >= third), "-at", [2]),
        ):
            found = [row["id"] for row in bridge.query("t", asked, [order, "id"], limit).rows()]
            assert found[: len(wanted)] == wanted
            expected = 6 if asked is None else len(found)
            assert bridge.count("t", asked) == expected


@pytest.mark.parametrize("limit", [None, 9])
@pytest.mark.parametrize("place", ["hot", "cold", "both"])
def test_the_one_text_of_a_file_is_not_taken_for_null(limit: int | None, place: str) -> None:
    rows = [(1, at(OLD), None), (2, at(OLD), "x"), (3, at(TODAY), None)]
    make("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER, v TEXT)", "t", rows)
    settings = declare(time="at")
    if place != "hot":
        archive(settings)
    with UnifiedQueryBridge(settings) as bridge:
        v = column("v")
        for asked, wanted in (
            (v.is_null(), [1, 3]),
            (~v.is_null(), [2]),
            (v.is_null() | (v == "q"), [1, 3]),
            (v.is_null() | v.like("q%"), [1, 3]),
            (~~v.is_null(), [1, 3]),
        ):
            found = bridge.query("t", asked, "id", limit).rows()
            assert [row["id"] for row in found] == wanted
            assert bridge.count("t", asked) == len(wanted)


@pytest.mark.parametrize("limit", [None, 9])
@pytest.mark.parametrize("pattern", ["a", "a_b", "a%b", "%b", "_", "a\0%", "\\%", "%\\%"])
def test_like_means_the_same_in_both_tiers(pattern: str, limit: int | None) -> None:
    values = ["a\0b", "é", "a\\%b", "a", "A", "\N{SNAKE}"]
    rows = [(None, at(day), value) for day in (OLD, TODAY) for value in values]
    make("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER, v TEXT)", "t", rows)
    settings = declare(time="at")
    archive(settings)
    asked = column("v").like(pattern)
    plain = [{"v": value} for _, _, value in rows]
    wanted = [row["v"] for row in plain if asking.holds(asked, row)]
    with UnifiedQueryBridge(settings) as bridge:
        found = [row["v"] for row in bridge.query("t", asked, "id", limit).rows()]
        assert found == wanted
        assert bridge.count("t", asked) == len(wanted)


@pytest.mark.parametrize("ddl", ["v NUMERIC", "v DATE", "v DECIMAL(9,2)", "v"])
def test_text_is_compared_as_text_whatever_its_column_is_declared_as(ddl: str) -> None:
    values = ["!x", "abc", "n/a"]
    rows = [(None, at(day), value) for day in (OLD, TODAY) for value in values]
    make(f"CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER, {ddl})", "t", rows)
    settings = declare(time="at")
    archive(settings)
    with UnifiedQueryBridge(settings) as bridge:
        for asked in (column("v") < "5", ~(column("v") > "5")):
            for limit in (None, 9):
                found = bridge.query("t", asked, "id", limit).rows()
                assert [row["v"] for row in found] == ["!x", "!x"]
            assert bridge.count("t", asked) == 2


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le", "UTF-16be"])
def test_text_is_ordered_by_its_bytes_in_utf_8(encoding: str) -> None:
    values = ["b", "\u0100", "a", "\uff5e", "\U0001f40d", "\u0101", "\xe4"]
    rows = [(None, at(day), value) for day in (OLD, TODAY) for value in values]
    ddl = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER, v TEXT)"
    make(f"PRAGMA encoding = '{encoding}'; {ddl}", "t", rows)
    settings = declare(time="at")
    wanted = sorted(values * 2, key=str.encode)
    with UnifiedQueryBridge(settings) as bridge:
        for turn in ("hot", "both"):
            if turn == "both":
                archive(settings)
            for limit in (None, 20):
                found = [row["v"] for row in bridge.query("t", None, "v", limit).rows()]
                assert found == wanted
            below = [row["v"] for row in bridge.query("t", column("v") < "c", "v", 20).rows()]
            assert below == ["a", "a", "b", "b"]
            assert bridge.count("t", column("v") < "c") == 4


@pytest.mark.parametrize("limit", [None, 9])
@pytest.mark.parametrize(
    ("value", "wanted"),
    [(b"\x01", [1, 5]), (5, [2]), (2.0, [3]), ("a", [4]), ("01", [1, 5]), (True, [6])],
    ids=repr,
)
def test_a_column_of_several_types_is_compared_as_it_is_shown(
    value: Any, wanted: list[int], limit: int | None
) -> None:
    values = [b"\x01", 5, 2.0, "a", b"\x01", 1]
    rows = [(None, at(TODAY if n > 2 else OLD), value) for n, value in enumerate(values)]
    make("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER, v)", "t", rows)
    settings = declare(time="at")
    archive(settings)
    with UnifiedQueryBridge(settings) as bridge:
        found = bridge.query("t", column("v") == value, "id", limit).rows()
        assert [row["id"] for row in found] == wanted


def test_what_is_no_value_is_refused_for_a_column_of_several_types() -> None:
    rows = [(None, at(TODAY), value) for value in (1, "a", b"b")]
    make("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER, v)", "t", rows)
    with UnifiedQueryBridge(declare(time="at")) as bridge:
        for value in (None, object(), [1], column("id"), NAN):
            with pytest.raises(QueryError):
                bridge.count("t", column("v") < value)


def test_an_odd_value_of_hot_counts_as_it_is_answered() -> None:
    """A text among whole numbers, once met, makes the column one of several types."""
    rows = [(None, at(TODAY), value) for value in (5, 10, "x", 7)]
    make("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER, v INTEGER)", "t", rows)
    with UnifiedQueryBridge(declare(time="at")) as bridge:
        for asked in (column("v") > 7, column("v") <= 7, ~(column("v") > 7)):
            for limit in (None, 9):
                assert len(bridge.query("t", asked, "id", limit)) == bridge.count("t", asked)


def test_a_table_that_was_empty_is_looked_at_again() -> None:
    """The application fills it while a connection of the bridge was closed by a bad question."""
    make("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT)")
    settings = declare(time="at")
    with UnifiedQueryBridge(settings) as bridge:
        assert bridge.query("t").rows() == []
        with pytest.raises(QueryError):
            bridge.query("t", order="nope")
        run("INSERT INTO t (at) VALUES (?)", text_at(TODAY))
        wanted = {"id": 1, "at": datetime.fromtimestamp(at(TODAY), UTC)}
        assert bridge.query("t").rows() == [wanted]


def test_an_added_column_is_looked_at_again_once_it_has_values() -> None:
    ddl = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER)"
    make(ddl, "t", [(1, at(OLD)), (2, at(TODAY))])
    settings = declare(time="at")
    archive(settings)
    run("ALTER TABLE t ADD COLUMN more")
    with UnifiedQueryBridge(settings) as bridge:
        bridge.query("t", order="-id", limit=1)
        run("INSERT INTO t VALUES (3, ?, 2.5)", at(TODAY))
        with UnifiedQueryBridge(settings) as fresh:
            wanted = fresh.query("t", order="-id", limit=1)
        found = bridge.query("t", order="-id", limit=1)
    assert found.rows() == wanted.rows()
    assert found.arrow().schema == wanted.arrow().schema


def test_a_column_shown_twice_is_one() -> None:
    settings = ledger(1, 1, 1)
    archive(settings)
    with UnifiedQueryBridge(settings) as bridge:
        for limit in (None, 1):
            try:
                answer = bridge.query("t", None, "-id", limit, columns=["id", "id"])
            except QueryError:
                continue
            assert answer.arrow().to_pylist() == answer.rows()
            assert list(answer.pandas().columns) == list(answer.rows()[0])
        assert bridge.query("t", None, "-id", 1, columns="id").rows() == [{"id": 2}]


# --- Tables by other names ------------------------------------------------------------------------


def test_a_model_a_table_and_a_name_are_the_same() -> None:
    settings = ledger()
    archive(settings)
    table = SqlTable("t", MetaData(), Column("id", Integer, primary_key=True), Column("s", Text))

    class Model:
        __table__ = table

    with UnifiedQueryBridge(settings) as bridge:
        some = column("v") == 1
        wanted = bridge.query("t", some, "-id", 7)
        assert len(wanted) == 7
        for other in (table, Model, Model(), find(settings, "t")):
            answer = bridge.query(other, some, "-id", 7)
            assert (answer.rows(), answer.cursor) == (wanted.rows(), wanted.cursor)
            assert bridge.count(other, some) == bridge.count("t", some)


def test_a_model_goes_by_the_name_in_its_database() -> None:
    make(LEDGER, "t", [(1, at(TODAY), 2, "x")])
    settings = declare("told", table="t", time="at")
    table = SqlTable("t", MetaData(), Column("id", Integer, primary_key=True))
    with UnifiedQueryBridge(settings) as bridge:
        assert bridge.query(table).rows() == bridge.query("told").rows()
        with pytest.raises(UsageError):
            bridge.query("t")


def test_own_tables_are_asked_like_any_other() -> None:
    settings = load_settings(archive_grace_hours=0, archive_pause_ms=0)
    first = clock.day_of(clock.now()) - 10
    with open_store(settings.hot_database) as store:
        land_days(settings.landing, range(first, first + 11))
        load(store, IP_TRAFFIC, settings)
        roll_up(store, settings)
        ids = [n for (n,) in store.execute("SELECT id FROM ip_traffic ORDER BY time DESC, id DESC")]
    assert archive(settings, "ip_traffic").rows
    with UnifiedQueryBridge(settings) as bridge:
        for wanted in (IP_TRAFFIC, "ip_traffic"):
            assert bridge.count(wanted) == len(ids)
            answer = bridge.query(wanted, order="-time", limit=5)
            assert ([row["id"] for row in answer.rows()], opened(answer)) == (ids[:5], 0)
            found = walked(bridge, ("-time",), 200, name=wanted)  # type: ignore[arg-type]
            assert [row["id"] for row in found] == ids
        asked = {"remote_ip": ["192.0.2.7", "192.0.2.8"], "process": None}
        rows = bridge.query(IP_TRAFFIC, asked).rows()
        assert rows
        assert {(row["remote_ip"], row["process"]) for row in rows} <= {
            (address, None) for address in asked["remote_ip"] or ()
        }


# --- Several at once ------------------------------------------------------------------------------


def test_threads_share_a_bridge(tmp_path: Path) -> None:
    worlds = [World(tmp_path / "a", "seconds", "counted", 5, drops=False)]
    worlds[0].folder.mkdir()
    worlds[0].build()
    world = worlds[0]

    def ask(number: int) -> None:
        pick = Random(number)
        asker = Asker(world, number)
        for _ in range(12):
            check(bridge, world, asker.asked())
        assert bridge.count(TABLE) == len(world.rows)
        order = pick.choice(ORDERS)
        whole = in_order(world.rows, asking.order_with_key(world, order))
        names = tuple(world.kinds)
        assert comparable(walked(bridge, order, 17), names) == comparable(whole, names)

    with UnifiedQueryBridge(world.settings()) as bridge, ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(ask, number) for number in range(8)]:
            done.result()


def test_threads_ask_while_rows_are_archived() -> None:
    settings = ledger(10, 3, 5)
    with UnifiedQueryBridge(settings) as bridge:
        whole = [row["id"] for row in bridge.query("t", None, "-id").rows()]

        def ask(number: int) -> None:
            for _ in range(10):
                assert bridge.count("t") == 35
                found = bridge.query("t", None, "-id", None if number % 2 else 100).rows()
                assert [row["id"] for row in found] == whole

        with ThreadPoolExecutor(8) as pool:
            asking_now = [pool.submit(ask, number) for number in range(8)]
            for day in range(10):
                archive(settings, days=[OLD + day])
            for done in asking_now:
                done.result()
    assert APP.exists()
