"""Tables as other applications make them: every shape of table, key, name and change."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text

from gateway_assets import clock
from gateway_assets.archive import manifest
from gateway_assets.archive.copy_out import copy_out
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.archive.months import folder
from gateway_assets.errors import ArchiveError, ConfigError, GatewayError
from gateway_assets.hot.sql import quoted
from gateway_assets.settings import Settings
from gateway_assets.tiers.catalog import find
from tests.tiers.places import (
    APP,
    OLD,
    TODAY,
    Rows,
    answered,
    archive,
    at,
    cells,
    declare,
    files,
    make,
    number,
    patient,
    run,
    text_at,
)

COUNTED = "id INTEGER PRIMARY KEY AUTOINCREMENT, ts INTEGER"


def there_and_back(settings: Settings, name: str = "t", table: str = "t", leave: int = 2) -> None:
    """Archive, ask, restore; nothing may differ, hidden or not."""
    before, shown = cells(table), answered(settings, name)
    assert archive(patient(settings), name).rows == leave
    assert answered(settings, name) == shown
    assert archive(settings, name).pruned_rows == leave
    assert len(cells(table)) == len(before) - leave
    assert answered(settings, name) == shown
    UniversalArchiver(settings).restore(name, range(OLD, OLD + 3))
    assert cells(table) == before
    assert answered(settings, name) == shown


SHAPES = {
    "rowid": f"({COUNTED}, v TEXT)",
    "without rowid": "(id INTEGER PRIMARY KEY, ts INTEGER, v TEXT) WITHOUT ROWID",
    "text key": "(id TEXT PRIMARY KEY, ts INTEGER, v TEXT)",
    "text key without rowid": "(id TEXT PRIMARY KEY, ts INTEGER, v TEXT) WITHOUT ROWID",
    "composite key": "(id INTEGER, ts INTEGER, v TEXT, PRIMARY KEY (ts, id))",
    "composite key without rowid": (
        "(id INTEGER, ts INTEGER, v TEXT, PRIMARY KEY (v DESC, id)) WITHOUT ROWID"
    ),
    "no key": "(id INTEGER, ts INTEGER, v TEXT)",
    "descending key": "(id INTEGER PRIMARY KEY DESC, ts INTEGER, v TEXT)",
    "strict": "(id INTEGER PRIMARY KEY AUTOINCREMENT, ts INT, v TEXT) STRICT",
    "collated": "(id INTEGER, ts INTEGER, v TEXT COLLATE NOCASE, PRIMARY KEY (v, id))",
}


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_shape_of_table_goes_and_comes_back(shape: str, indexed: bool) -> None:
    rows = [(1, at(OLD, 5), "a"), (2, at(OLD + 1), "B"), (3, at(TODAY), "c"), (4, at(TODAY), "é")]
    make(f"CREATE TABLE t {shape}", "t", rows)
    if indexed:
        run("CREATE INDEX by_time ON t (ts)")
    there_and_back(declare())


def test_rows_that_are_equal_in_everything() -> None:
    rows = [(at(OLD), "x")] * 5 + [(at(OLD), "y"), (at(OLD), None), (at(TODAY), "x")]
    make("CREATE TABLE t (ts INTEGER, v TEXT)", "t", rows)
    there_and_back(declare(), leave=7)


def test_a_new_index_does_not_change_the_order_in_which_rows_are_compared() -> None:
    """Rows of one time and without a key have no order but that in which SQLite finds them."""
    make("CREATE TABLE t (ts INTEGER, v INTEGER)", "t", [(at(OLD), v) for v in (3, 1, 2, 5, 4)])
    settings = declare()
    archive(patient(settings))
    run("CREATE INDEX by_value ON t (ts, v)")
    assert archive(settings).pruned_rows == 5


@pytest.mark.parametrize("kind", ["VIRTUAL", "STORED"])
def test_generated_columns(kind: str) -> None:
    make(
        f"CREATE TABLE t ({COUNTED}, a TEXT, low TEXT GENERATED ALWAYS AS (lower(a)) {kind}, "
        f"day TEXT AS (date(ts, 'unixepoch')) {kind}, b INTEGER)"
    )
    for second, day in enumerate((OLD, OLD + 1, TODAY)):
        run("INSERT INTO t (ts, a, b) VALUES (?, 'ABC', ?)", at(day, second), second)
    settings = declare()
    assert number(settings, "SELECT count(*) FROM t WHERE low = 'abc'") == 3
    there_and_back(settings)


def test_a_unique_generated_column() -> None:
    make(f"CREATE TABLE t ({COUNTED}, a TEXT, low TEXT AS (lower(a)) UNIQUE)")
    for day, value in ((OLD, "A"), (OLD + 1, "B"), (TODAY, "C")):
        run("INSERT INTO t (ts, a) VALUES (?, ?)", at(day), value)
    there_and_back(declare())


NAMES = [
    'we"ird group',
    "group",
    "📦 of 'things'",
    "file",  # also an alias in the bridge's own SQL
    "child",
    "there",
    "t; DROP TABLE t; --",
    "a.b",
    "[x]",
    "UPPER",
]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_a_table(name: str) -> None:
    """Some columns have names that the manifest's columns also have."""
    make(
        f"CREATE TABLE {quoted(name)} (id INTEGER PRIMARY KEY AUTOINCREMENT, "
        f"changed_at INTEGER, state TEXT UNIQUE, day INTEGER)",
        name,
        [(1, at(OLD), "a", 1), (2, at(OLD), "b", 1), (3, at(TODAY), "c", 2)],
    )
    settings = declare(table=name, time="changed_at")
    there_and_back(settings, table=name)


@pytest.mark.parametrize("name", NAMES)
def test_a_hidden_row_of_every_table_can_be_changed(name: str) -> None:
    make(f"CREATE TABLE {quoted(name)} ({COUNTED}, k TEXT UNIQUE)", name)
    for key, day in (("a", OLD), ("b", OLD), ("c", TODAY)):
        run(f"INSERT INTO {quoted(name)} (ts, k) VALUES (?, ?)", at(day), key)
    settings = declare(table=name)
    archive(patient(settings))
    run(f"UPDATE {quoted(name)} SET k = 'z' WHERE k = 'a'")
    run(f"INSERT OR REPLACE INTO {quoted(name)} (ts, k) VALUES (?, 'b')", at(OLD, 7))
    assert sorted(k for (k,) in answered(settings, columns="k")) == ["b", "c", "z"]
    archive(settings)
    assert sorted(k for (k,) in answered(settings, columns="k")) == ["b", "c", "z"]


COLUMN_NAMES = [
    "order",
    "my col",
    'q"q',
    "é",
    "📦",
    "x.y",
    "a;b",
    "'",
    "SELECT",
    "1",
    "a,b",
    "%s",
    "{}",
]


@pytest.mark.parametrize("name", COLUMN_NAMES)
def test_every_name_of_a_column(name: str) -> None:
    """Conditions on it find hot and archived rows alike."""
    make(
        f"CREATE TABLE t ({COUNTED}, {quoted(name)} TEXT, other INTEGER)",
        "t",
        [(1, at(OLD), "x", 1), (2, at(OLD), "y", 1), (3, at(TODAY), "x", 1)],
    )
    settings = declare(order_by=[name])
    conditions = [
        f"{quoted(name)} = 'x'",
        f"{quoted(name)} LIKE 'x%'",
        f"upper({quoted(name)}) = 'X'",
    ]
    for condition in conditions:
        assert number(settings, f"SELECT sum(other) FROM t WHERE {condition}") == 2, condition
    there_and_back(settings)
    archive(settings)
    for condition in conditions:
        assert number(settings, f"SELECT sum(other) FROM t WHERE {condition}") == 2, condition
    assert UniversalArchiver(settings).erase("t", {name: "x"}).remaining_rows == 0
    assert len(answered(settings)) == 1


def test_a_column_that_is_called_rowid() -> None:
    """Only the rows that match are erased, not others whose column of that name is equal."""
    rows = [(5, at(day, second), who) for day in (OLD, TODAY) for second, who in enumerate("abc")]
    make("CREATE TABLE t (rowid INTEGER, ts INTEGER, who TEXT)", "t", rows)
    settings = declare()
    archive(settings)
    UniversalArchiver(settings).erase("t", {"who": "a"})
    assert sorted(who for (who,) in answered(settings, columns="who")) == ["b", "b", "c", "c"]


def test_names_of_lines_that_resemble_each_other() -> None:
    make("CREATE TABLE x (id INTEGER PRIMARY KEY, ts INTEGER)", "x", [(1, at(TODAY))])
    make("CREATE TABLE x_hot (id INTEGER PRIMARY KEY, ts INTEGER)", "x_hot", [(77, at(TODAY))])
    declare("x_hot")
    settings = declare("x")
    query = "SELECT (SELECT max(id) FROM x_hot) * 1000 + (SELECT max(id) FROM x)"
    assert number(settings, query) == 77_001


def test_two_lines_must_not_tier_one_table() -> None:
    """Rows that one of them has let go would be missing for the other."""
    make(f"CREATE TABLE t ({COUNTED})", "t", [(1, at(OLD)), (2, at(TODAY))])
    declare("one", table="t")
    settings = declare("two", table="t")
    with pytest.raises(ConfigError):
        archive(settings, "one")


FAMILY = """
CREATE TABLE parent (id INTEGER PRIMARY KEY AUTOINCREMENT, ts INTEGER);
CREATE TABLE child (
    id INTEGER PRIMARY KEY AUTOINCREMENT, ts INTEGER,
    of INTEGER REFERENCES parent (id) ON DELETE CASCADE ON UPDATE CASCADE
);
"""


@pytest.fixture
def family() -> Settings:
    """An old parent with an old child, one with a child of today, one without any."""
    make(FAMILY, "parent", [(n, at(OLD + n)) for n in (1, 2, 3)])
    make("", "child", [(1, at(OLD + 1), 1), (2, at(TODAY), 2), (3, at(TODAY), None)])
    make("", "parent", [(4, at(TODAY))])
    declare("parent", priority=20)
    return declare("child", priority=10)


def test_parents_stay_while_a_child_refers_to_them(family: Settings) -> None:
    kept = archive(family, "parent").kept
    for day in (OLD + 1, OLD + 2):
        assert "rows of child still refer to it" in kept[clock.day_text(day)]
    assert run("SELECT id FROM parent") == [(1,), (2,), (4,)]
    assert run("SELECT count(*) FROM child") == [(3,)], "no CASCADE"
    archive(family, "child")
    archive(family, "parent")
    assert run("SELECT id FROM parent") == [(2,), (4,)]
    assert run("SELECT id, of FROM child") == [(2, 2), (3, None)]
    run("DELETE FROM child WHERE id = 2")
    archive(family, "parent")
    assert run("SELECT id FROM parent") == [(4,)]
    assert len(answered(family, "parent")) == 4
    assert [row[0] for row in answered(family, "child")] == [1, 3]


def test_one_run_takes_children_first(family: Settings) -> None:
    results = UniversalArchiver(family).archive_all(["parent", "child"])
    assert [result.failed for result in results] == [{}, {}]
    assert run("SELECT id FROM parent") == [(2,), (4,)]


def test_a_child_comes_back_after_its_parent_or_says_why_not(family: Settings) -> None:
    archive(family, "child")
    archive(family, "parent")
    archiver = UniversalArchiver(family)
    with pytest.raises(ArchiveError, match="FOREIGN KEY"):
        archiver.restore("child", [OLD + 1])
    assert len(answered(family, "child")) == 3
    archiver.restore("parent", [OLD + 1])
    assert archiver.restore("child", [OLD + 1]) == 1
    assert run("SELECT of FROM child WHERE id = 1") == [(1,)]


def test_a_table_that_refers_to_itself() -> None:
    rows = [(1, at(OLD), None), (2, at(OLD, 1), 1), (3, at(OLD + 1), 2), (4, at(TODAY), None)]
    make(f"CREATE TABLE t ({COUNTED}, above INTEGER REFERENCES t (id))", "t", rows)
    settings = declare()
    archive(settings)
    archive(settings)
    assert run("SELECT id FROM t") == [(4,)]
    assert answered(settings, columns="id, above") == [(1, None), (2, 1), (3, 2), (4, None)]


def test_foreign_keys_that_sqlite_cannot_follow() -> None:
    """Nobody notices them in an application that leaves foreign keys off, as is the default."""
    make("CREATE TABLE t (id INTEGER, ts INTEGER)", "t", [(1, at(OLD)), (2, at(TODAY))])
    make("CREATE TABLE other (id INTEGER PRIMARY KEY, of INTEGER REFERENCES t (id))")
    settings = declare()
    result = UniversalArchiver(settings).archive_table("t")
    assert result.rows == 1
    assert len(answered(settings)) == 2


def test_erasing_a_row_that_others_refer_to_says_so() -> None:
    make(f"CREATE TABLE t ({COUNTED}, who INTEGER)", "t", [(1, at(TODAY), 5)])
    make("CREATE TABLE other (of INTEGER REFERENCES t (id))", "other", [(1,)])
    settings = declare()
    with pytest.raises(GatewayError, match="other"):
        UniversalArchiver(settings).erase("t", {"who": "5"})


TRIGGER = "CREATE TRIGGER watch AFTER {} ON t BEGIN INSERT INTO log VALUES ('{}'); END"


@pytest.fixture
def watched() -> None:
    make(f"CREATE TABLE t ({COUNTED}); CREATE TABLE log (what TEXT)")
    for day in (OLD, OLD + 1, TODAY):
        run("INSERT INTO t (ts) VALUES (?)", at(day))


def test_delete_triggers_are_refused_unless_told(watched: None) -> None:
    run(TRIGGER.format("DELETE", "gone"))
    settings = declare()
    with pytest.raises(ArchiveError, match="trigger watch") as refused:
        archive(settings)
    assert 'triggers = "fire"' in refused.value.hint
    assert len(run("SELECT * FROM t")) == 3
    Path("gateway.toml").unlink()
    archive(declare(triggers="fire"))
    assert run("SELECT * FROM log") == [("gone",)] * 2
    assert len(run("SELECT * FROM t")) == 1


@pytest.mark.parametrize("event", ["INSERT", "UPDATE", "UPDATE OF ts"])
def test_other_triggers_do_not_fire(watched: None, event: str) -> None:
    """What the application did once is not done again because rows were away for a while."""
    run(TRIGGER.format(event, "seen"))
    settings = declare()
    archive(settings)
    assert UniversalArchiver(settings).restore("t", [OLD]) == 1
    assert run("SELECT * FROM log") == []


@pytest.mark.parametrize(
    ("ddl", "why"),
    [
        ("CREATE VIEW t AS SELECT 1 AS ts", "is a view"),
        ("CREATE VIRTUAL TABLE t USING fts5 (ts)", "is a virtual table"),
        ("CREATE TABLE u (ts INTEGER)", "no table 't'"),
    ],
)
def test_what_is_no_ordinary_table_is_refused(ddl: str, why: str) -> None:
    make(ddl)
    settings = declare(time="ts")
    with pytest.raises(ConfigError, match=why) as refused:
        archive(settings)
    assert refused.value.message.startswith("table t: ")
    assert refused.value.hint


def duplicate(statement: str, *params: Any) -> bool:
    """Whether SQLite refuses a statement as it refuses a key that is there already."""
    try:
        run(statement, *params)
    except sqlite3.IntegrityError:
        return True
    return False


UNIQUE = {
    "column": ("k TEXT UNIQUE", ""),
    "primary key": ("k TEXT, PRIMARY KEY (k)", ""),
    "index": ("k TEXT", "CREATE UNIQUE INDEX u ON t (k)"),
    "two columns": ("k TEXT, UNIQUE (k, v)", ""),
    "case does not matter": ("k TEXT COLLATE NOCASE UNIQUE", ""),
    "case does not matter to the index": (
        "k TEXT",
        "CREATE UNIQUE INDEX u ON t (k COLLATE NOCASE)",
    ),
    "numbers": ("k NUMERIC UNIQUE", ""),
}


@pytest.mark.parametrize(("column", "index"), UNIQUE.values(), ids=UNIQUE)
def test_a_key_stays_known_after_its_row_has_left(column: str, index: str) -> None:
    """What SQLite refuses while a row is there is refused after it was archived, and no more."""
    make(f"CREATE TABLE t (ts INTEGER, v INTEGER, {column}); {index}")
    insert = "INSERT {} INTO t (ts, v, k) VALUES (?, ?, ?)"
    for day, key in ((OLD, "Abc"), (OLD + 1, "7"), (OLD + 1, None), (OLD + 1, None)):
        run(insert.format(""), at(day), 1, key)
    tried = ["Abc", "aBC", "7", 7, 7.0, "7.0", None, "new"]
    with closing(sqlite3.connect(APP)) as plain:
        plain.isolation_level = None
        before = []
        for value in tried:
            plain.execute("BEGIN")
            try:
                plain.execute(insert.format(""), (at(TODAY), 1, value))
                before.append(False)
            except sqlite3.IntegrityError:
                before.append(True)
            plain.execute("ROLLBACK")
    assert before[0] and not before[-1]
    settings = declare()
    archive(settings)
    assert run("SELECT count(*) FROM t") == [(0,)]
    for value, refused in zip(tried, before, strict=True):
        run(insert.format("OR IGNORE"), at(TODAY), 1, value)
        assert run("SELECT count(*) FROM t") == [(int(not refused),)], value
        run("DELETE FROM t")
        assert duplicate(insert.format(""), at(TODAY), 1, value) is refused, value
        run("DELETE FROM t")
    UniversalArchiver(settings).restore("t", [OLD, OLD + 1])
    for value, refused in zip(tried, before, strict=True):
        assert duplicate(insert.format(""), at(TODAY), 1, value) is refused, value
        run("DELETE FROM t WHERE ts = ?", at(TODAY))


def test_a_row_cannot_take_the_key_of_an_archived_one() -> None:
    make(
        f"CREATE TABLE t ({COUNTED}, k TEXT UNIQUE)", "t", [(1, at(OLD), "a"), (2, at(TODAY), "b")]
    )
    settings = declare()
    archive(settings)
    assert duplicate("UPDATE t SET k = 'a' WHERE id = 2")
    assert duplicate("INSERT INTO t (ts, k) VALUES (1, 'a') ON CONFLICT (k) DO UPDATE SET ts = 5")
    assert duplicate("INSERT OR REPLACE INTO t (ts, k) VALUES (1, 'a')")
    assert len(answered(settings)) == 2


def test_replacing_a_hidden_row_by_an_update() -> None:
    """UPDATE OR REPLACE removes the row in its way without firing any trigger."""
    make(
        f"CREATE TABLE t ({COUNTED}, k TEXT UNIQUE)", "t", [(1, at(OLD), "a"), (2, at(TODAY), "b")]
    )
    settings = declare()
    archive(patient(settings))
    run("UPDATE OR REPLACE t SET k = 'a' WHERE id = 2")
    assert answered(settings, columns="id, k") == run("SELECT id, k FROM t") == [(2, "a")]
    assert archive(settings).failed == {}


def test_keys_are_forgotten_after_dedup_days() -> None:
    make(f"CREATE TABLE t ({COUNTED}, k TEXT UNIQUE)")
    for day in (OLD, TODAY - 40):
        run("INSERT INTO t (ts, k) VALUES (?, ?)", at(day), str(day))
    settings = declare(dedup_days=50)
    archive(settings)
    insert = "INSERT INTO t (ts, k) VALUES (?, ?)"
    assert duplicate(insert, at(TODAY), str(TODAY - 40))
    assert not duplicate(insert, at(TODAY), str(OLD))


def test_dedup_as_declared() -> None:
    """A key of two columns that the table itself does not watch; the UNIQUE one is let go."""
    make(f"CREATE TABLE t ({COUNTED}, k TEXT UNIQUE, a, b)", "t", [(1, at(OLD), "k", 1, 2)])
    archive(declare(dedup=[["a", "b"]]))
    insert = "INSERT INTO t (ts, k, a, b) VALUES (?, ?, ?, ?)"
    assert duplicate(insert, at(TODAY), "other", 1, 2)
    assert not duplicate(insert, at(TODAY), "k", 1, 3)


@pytest.mark.parametrize(
    "index",
    [
        "CREATE UNIQUE INDEX u ON t (k) WHERE v > 0",
        "CREATE UNIQUE INDEX u ON t (lower(k))",
        "CREATE UNIQUE INDEX u ON t (k, lower(v))",
    ],
)
def test_partial_and_expression_indexes_are_no_keys_to_remember(index: str) -> None:
    """A restored row that another one has replaced meanwhile is told, and nothing is lost."""
    make(f"CREATE TABLE t ({COUNTED}, k TEXT, v INTEGER); {index}", "t", [(1, at(OLD), "a", 1)])
    settings = declare()
    archive(settings)
    run("INSERT INTO t (ts, k, v) VALUES (?, 'a', 1)", at(TODAY))
    assert len(answered(settings)) == 2
    with pytest.raises(ArchiveError, match="UNIQUE"):
        UniversalArchiver(settings).restore("t", [OLD])
    assert len(answered(settings)) == 2
    run("DELETE FROM t WHERE ts = ?", at(TODAY))
    assert UniversalArchiver(settings).restore("t", [OLD]) == 1
    assert len(answered(settings)) == 1


def test_a_unique_column_that_came_later() -> None:
    make(f"CREATE TABLE t ({COUNTED})", "t", [(1, at(OLD))])
    settings = declare()
    archive(settings)
    run("ALTER TABLE t ADD COLUMN k TEXT")
    run("CREATE UNIQUE INDEX u ON t (k)")
    run("INSERT INTO t (ts, k) VALUES (?, 'a')", at(OLD + 1))
    archive(settings)
    assert UniversalArchiver(settings).restore("t", [OLD, OLD + 1]) == 2


def test_a_unique_column_that_was_renamed() -> None:
    make(f"CREATE TABLE t ({COUNTED}, k TEXT UNIQUE, who INTEGER)", "t", [(1, at(OLD), "a", 1)])
    settings = declare()
    archive(settings)
    run("ALTER TABLE t RENAME COLUMN k TO renamed")
    assert duplicate("INSERT INTO t (ts, renamed) VALUES (?, 'a')", at(TODAY))
    archive(settings)
    assert duplicate("INSERT INTO t (ts, renamed) VALUES (?, 'a')", at(TODAY))
    assert UniversalArchiver(settings).erase("t", {"who": "1"}).archived_rows == 1
    assert not duplicate("INSERT INTO t (ts, renamed) VALUES (?, 'a')", at(TODAY))


def test_ids_are_not_given_twice() -> None:
    make("CREATE TABLE t (id INTEGER PRIMARY KEY, ts INTEGER)")
    for day in (OLD, OLD + 1, OLD + 2):
        run("INSERT INTO t (ts) VALUES (?)", at(day))
    settings = declare()
    kept = archive(settings).kept
    assert "largest id" in kept[clock.day_text(OLD + 2)]
    run("INSERT INTO t (ts) VALUES (?)", at(TODAY))
    archive(settings)
    run("INSERT INTO t (ts) VALUES (?)", at(TODAY))
    assert [row[0] for row in answered(settings)] == [1, 2, 3, 4, 5]
    assert run("SELECT id FROM t") == [(4,), (5,)]


def test_a_restored_row_whose_id_was_given_again() -> None:
    make(f"CREATE TABLE t ({COUNTED})", "t", [(1, at(OLD)), (2, at(TODAY))])
    settings = declare()
    archive(settings)
    run("INSERT INTO t VALUES (1, ?)", at(TODAY))
    with pytest.raises(ArchiveError, match="UNIQUE"):
        UniversalArchiver(settings).restore("t", [OLD])
    assert len(answered(settings)) == 3


@pytest.mark.parametrize("mode", ["delete", "truncate", "persist", "wal"])
def test_every_journal_mode_stays_as_it_is(mode: str) -> None:
    make(
        f"PRAGMA journal_mode={mode}; CREATE TABLE t ({COUNTED})",
        "t",
        [(1, at(OLD)), (2, at(OLD)), (3, at(TODAY))],
    )
    there_and_back(declare())
    if mode in {"delete", "wal"}:  # the others are not kept in the file
        assert run("PRAGMA journal_mode") == [(mode,)]


def test_a_live_application_keeps_writing() -> None:
    """Another connection inserts, and changes archived days, all the while; no row is missing."""
    make(f"PRAGMA journal_mode=WAL; CREATE TABLE t ({COUNTED}, v INTEGER)")
    make(
        "CREATE INDEX by_time ON t (ts)", "t", [(None, at(OLD + n % 5, n), n) for n in range(2_000)]
    )
    settings = declare()
    stop = threading.Event()
    wrote: list[int] = []

    def work() -> None:
        with closing(sqlite3.connect(APP, timeout=30, isolation_level=None)) as other:
            while not stop.is_set():
                n = 10_000 + len(wrote)
                other.execute("INSERT INTO t (ts, v) VALUES (?, ?)", (at(OLD + n % 5), n))
                wrote.append(n)
                stop.wait(0.002)

    writer = threading.Thread(target=work)
    writer.start()
    try:
        for _ in range(3):
            UniversalArchiver(settings).archive_table("t")
            seen = len(wrote)
            rows = answered(settings, columns="v")
            assert len(rows) == len(set(rows)) >= 2_000 + seen
    finally:
        stop.set()
        writer.join()
    archive(settings)
    archive(settings)
    everything = [*range(2_000), *wrote]
    assert sorted(v for (v,) in answered(settings, columns="v")) == everything


def three_days() -> Settings:
    """Two old days and today, columns a and b."""
    rows = [(n, at(day), f"a{n}", n) for n, day in enumerate((OLD, OLD + 1, TODAY), start=1)]
    make(f"CREATE TABLE t ({COUNTED}, a TEXT, b INTEGER)", "t", rows)
    return declare()


def test_columns_that_come_and_go() -> None:
    settings = three_days()
    archive(settings, days=[OLD])
    run("ALTER TABLE t ADD COLUMN c TEXT")
    run("UPDATE t SET c = 'c' || id")
    assert answered(settings, columns="id, c") == [(1, None), (2, "c2"), (3, "c3")]
    run("ALTER TABLE t RENAME COLUMN a TO renamed")
    assert "column a is now called renamed" in archive(settings).changes
    assert answered(settings, columns="id, renamed") == [(1, "a1"), (2, "a2"), (3, "a3")]
    run("ALTER TABLE t DROP COLUMN b")
    assert answered(settings, columns="id, b") == [(1, 1), (2, 2), (3, None)]
    run("INSERT INTO t (ts, renamed) VALUES (?, 'a4')", at(OLD + 2))
    assert archive(settings).changes == ["column b was dropped"]
    run("ALTER TABLE t ADD COLUMN b REAL")
    run("UPDATE t SET b = 0.5")
    assert answered(settings, columns="id, b, b_4") == [
        (1, None, 1),
        (2, None, 2),
        (3, 0.5, None),
        (4, None, None),
    ]
    assert archive(settings).changes == ["column b was added"]
    with pytest.raises(ArchiveError, match="values of column b"):
        UniversalArchiver(settings).restore("t", [OLD])
    assert UniversalArchiver(settings).restore("t", [OLD + 2]) == 1
    assert run("SELECT renamed, c, b FROM t WHERE id = 4") == [("a4", None, None)]


def test_another_column_at_the_place_of_a_dropped_one_is_not_its_new_name() -> None:
    make(f"CREATE TABLE t ({COUNTED}, note TEXT)", "t", [(1, at(OLD), "hello")])
    settings = declare()
    archive(settings)
    run("ALTER TABLE t DROP COLUMN note")
    run("ALTER TABLE t ADD COLUMN amount REAL")
    run("INSERT INTO t (ts, amount) VALUES (?, 2.5)", at(TODAY))
    assert answered(settings, columns="id, amount") == [(1, None), (2, 2.5)]
    assert answered(settings, columns="id, note") == [(1, "hello"), (2, None)]


def test_a_column_that_comes_back_in_another_case() -> None:
    make(f"CREATE TABLE t ({COUNTED}, A TEXT)", "t", [(1, at(OLD), "x")])
    settings = declare()
    archive(settings)
    run("ALTER TABLE t DROP COLUMN A")
    run("INSERT INTO t (ts) VALUES (?)", at(OLD + 1))
    archive(settings)
    run("ALTER TABLE t ADD COLUMN a TEXT")
    assert len(answered(settings)) == 2


@pytest.mark.parametrize(
    ("old", "new"), [("ts", "timestamp"), ("b", "renamed"), ("id", "ident"), ("a", "renamed")]
)
def test_a_column_renamed_while_rows_are_hidden(old: str, new: str) -> None:
    """The time, what ``where`` and ``order_by`` name, the key: nothing is answered twice."""
    three_days()
    Path("gateway.toml").unlink()
    settings = declare(where="b > 0", order_by=["a"])
    archive(patient(settings))
    run(f"ALTER TABLE t RENAME COLUMN {old} TO {new}")
    Path("gateway.toml").unlink()
    settings = declare(
        where="b > 0" if old != "b" else f"{new} > 0", order_by=["a" if old != "a" else new]
    )
    assert number(settings, "SELECT count(*) FROM t") == 3
    archive(settings)
    assert len(run("SELECT * FROM t")) == 1
    assert number(settings, "SELECT count(*) FROM t") == 3


def test_a_column_dropped_while_rows_are_hidden() -> None:
    settings = three_days()
    archive(patient(settings))
    run("ALTER TABLE t DROP COLUMN b")
    assert answered(settings, columns="id, b") == [(1, 1), (2, 2), (3, None)]
    archive(settings)
    assert answered(settings, columns="id, b") == [(1, 1), (2, 2), (3, None)]


def test_a_model_of_sqlalchemy(settings: Settings) -> None:
    meta = MetaData()
    model = Table("task", meta, Column("id", Integer, primary_key=True), Column("created_at", Text))
    rows: Rows = [(n, text_at(TODAY - age)) for n, age in enumerate((9, 8, 6), start=1)]
    make("CREATE TABLE task (id INTEGER PRIMARY KEY, created_at TEXT)", "task", rows)

    class Task:
        __table__ = model

    archiver = UniversalArchiver(settings, database=APP)
    result = archiver.archive_table(Task, hot_days=7)
    assert result.days == [clock.day_text(TODAY - 9), clock.day_text(TODAY - 8)]
    assert archiver.archive_table(model, hot_days=7).rows == 0
    assert result.table == "task"
    named = declare("task")
    shown = "id, strftime(created_at, '%Y-%m-%d %H:%M:%S')"
    assert answered(named, "task", shown) == rows
    assert UniversalArchiver(named).restore(Task, [TODAY - 9]) == 1
    assert answered(named, "task", shown) == rows


def test_the_order_of_rows_in_a_file() -> None:
    rows = [(n, at(OLD, n), "xyz"[n % 3], n) for n in range(1, 10)]
    make(f"CREATE TABLE t ({COUNTED}, a TEXT, b INTEGER)", "t", rows)
    settings = declare(order_by=["a"])
    archive(settings)
    import pyarrow.parquet as pq  # noqa: PLC0415  as the code does: only where it is used

    (file,) = files(settings)
    found = pq.read_table(file, partitioning=None).to_pydict()
    assert found["a"] == sorted(found["a"])
    assert found["id"] == [3, 6, 9, 1, 4, 7, 2, 5, 8]


def test_old_days_expire() -> None:
    rows = [(n, at(TODAY - age), str(n)) for n, age in enumerate((100, 80, 60, 40, 0), start=1)]
    make(f"CREATE TABLE t ({COUNTED}, k TEXT UNIQUE)", "t", rows)
    settings = declare(keep_days=70)
    result = archive(settings)
    assert result.expired_rows == 2
    assert [row[0] for row in answered(settings)] == [3, 4, 5]
    assert len(files(settings)) == 2
    assert not duplicate("INSERT INTO t (ts, k) VALUES (?, '1')", at(TODAY))
    assert duplicate("INSERT INTO t (ts, k) VALUES (?, '3')", at(TODAY))


@pytest.fixture
def month() -> Settings:
    """A closed month: five days archived, of three people; the last day today."""
    first = clock.parse_day(clock.day_text(OLD)[:8] + "01")
    rows = [(n, at(first + n % 5, n), "pqr"[n % 3], f"key {n}") for n in range(1, 61)]
    make(
        f"CREATE TABLE t ({COUNTED}, who TEXT, k TEXT UNIQUE)",
        "t",
        [*rows, (61, at(TODAY), "p", "x")],
    )
    return declare()


def test_months_are_used_and_answer_the_same(month: Settings) -> None:
    shown = answered(month)
    assert archive(month).months == [clock.day_text(OLD)[:7]]
    (copy,) = folder(month.archive).rglob("*.parquet")
    assert answered(month) == shown
    days = files(month)
    away = days[0].rename(days[0].with_suffix(".away"))
    assert answered(month) == shown, "the monthly copy answers for all of the month"
    away.rename(days[0])
    copy.unlink()
    assert answered(month) == shown, "without it the days do"
    run("INSERT INTO t (ts, who, k) VALUES (?, 'p', 'late')", at(OLD))
    assert len(answered(month)) == len(shown) + 1
    UniversalArchiver(month).compact("t")
    archive(month)
    assert len(answered(month)) == len(shown) + 1


def test_late_rows_are_compacted_into_one_file() -> None:
    settings = three_days()
    for late in range(3):
        archive(settings)
        run("INSERT INTO t (ts, a, b) VALUES (?, 'late', ?)", at(OLD, late), late)
    shown = answered(settings)
    assert archive(settings).compacted_days == [clock.day_text(OLD)]
    assert len(files(settings)) == 2
    assert answered(settings) == shown
    assert UniversalArchiver(settings).restore("t", [OLD]) == 4
    assert answered(settings) == shown


def erased(settings: Settings) -> dict[str, Any]:
    receipt = UniversalArchiver(settings).erase("t", {"who": "p"})
    content: dict[str, Any] = json.loads(Path(receipt.path).read_text())
    return content


@pytest.mark.parametrize("grace", [0, 24])
def test_a_person_is_erased_everywhere(month: Settings, grace: int) -> None:
    """Hot rows, hidden copies, archived files, monthly copies, known keys."""
    settings = month.model_copy(update={"archive_grace_hours": grace})
    archive(settings)
    archive(settings)
    content = erased(settings)
    assert content["hot_rows"] + content["archived_rows"] == 21
    assert content["remaining_rows"] == 0
    assert len(content["value_sha256"]) == 64
    assert len(content["may_still_hold"]) == 1, "the backup before the first archive"
    assert {who for (who,) in answered(month, columns="who")} == {"q", "r"}
    assert len(answered(month)) == 40
    for file in [*files(month), *folder(month.archive).rglob("*.parquet")]:
        import pyarrow.parquet as pq  # noqa: PLC0415  as the code does: only where it is used

        assert "p" not in pq.read_table(file, partitioning=None).column("who").to_pylist()
    assert b"key 3\x00" not in APP.read_bytes()
    known = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE '%archive_known%'"
    for (table,) in run(known):
        remembered = {value for row in run(f"SELECT * FROM {quoted(table)}") for value in row}
        assert grace or "key 4" in remembered
        assert not {f"key {n}" for n in range(3, 61, 3)} & remembered
    assert not duplicate("INSERT INTO t (ts, who, k) VALUES (?, 'p', 'key 3')", at(TODAY))
    assert archive(month).failed == {}


def test_a_sample_is_verified(month: Settings) -> None:
    archive(month)
    archiver = UniversalArchiver(month)
    assert len(list(archiver.verify("t", sample=2))) == 2
    assert len(list(archiver.verify("t", sample=99))) == 5
    files(month)[0].write_bytes(b"PAR1")
    assert [bool(wrong) for _, wrong in archiver.verify("t")].count(True) == 1


def test_a_range_of_days_comes_back() -> None:
    settings = three_days()
    archive(settings)
    assert UniversalArchiver(settings).restore("t", range(OLD - 100, TODAY)) == 2
    assert len(run("SELECT * FROM t")) == 3
    assert files(settings) == []


WITH_ALL = f"""
CREATE TABLE "the group" ({COUNTED}, "my col" TEXT NOT NULL DEFAULT 'd', r REAL, n NUMERIC,
    x, low TEXT AS (lower("my col")), CHECK (id > 0));
"""


def test_export_equals_the_original() -> None:
    """Archived, hidden and hot rows together are what the table was, types and all."""
    make(WITH_ALL)
    values = [1, 2.5, "x", b"y", None, "a\0b", 2**53 + 1]
    for place, value in enumerate(values * 3):
        insert = 'INSERT INTO "the group" (ts, "my col", r, n, x) VALUES (?, ?, ?, ?, ?)'
        day = (OLD, OLD + 1, TODAY)[place // len(values)]
        run(insert, at(day, place), f"A{place}", place / 3, value, value)
    run('INSERT INTO "the group" (ts, "my col") VALUES (?, CAST(x\'ff41\' AS TEXT))', at(OLD))
    before = cells("the group")
    settings = declare(table="the group")
    archive(settings, days=[OLD])
    archive(patient(settings))
    out = Path("out.db")
    assert copy_out(find(settings, "t"), settings, out) == len(before)
    assert repr(cells("the group", out)) == repr(before)
    query = "SELECT sql FROM sqlite_schema WHERE name = 'the group'"
    assert run(query, path=out) == run(query)


def test_export_of_rows_that_are_older_than_a_column() -> None:
    """What SQLite shows of rows that were there before: the column's default."""
    settings = three_days()
    archive(settings)
    run("ALTER TABLE t ADD COLUMN flag INTEGER NOT NULL DEFAULT 7")
    copy_out(find(settings, "t"), settings, Path("out.db"))
    assert run("SELECT id, flag FROM t ORDER BY id", path=Path("out.db")) == [
        (1, 7),
        (2, 7),
        (3, 7),
    ]


def test_the_database_is_backed_up_before_anything_is_archived() -> None:
    settings = three_days()
    make("CREATE TABLE another (x)", "another", [(n,) for n in range(50)])
    before = {table: cells(table) for table in ("t", "another")}
    result = archive(settings)
    (copy,) = settings.backups.iterdir()
    assert result.backup == str(copy)
    assert {table: cells(table, copy) for table in before} == before
    query = "SELECT name FROM sqlite_schema WHERE name LIKE 'gateway%'"
    assert run(query, path=copy) == [], "it was made before the first change"
    archive(settings)
    assert list(settings.backups.iterdir()) == [copy]


def states() -> Iterator[str]:
    yield from (state for (state,) in run(f"SELECT state FROM {manifest.FILES}"))


def test_rows_that_do_not_meet_where_stay() -> None:
    three_days()
    Path("gateway.toml").unlink()
    settings = declare(where="b <> 1")
    shown = answered(settings)
    assert archive(settings).rows == 1
    assert [row[0] for row in run("SELECT * FROM t")] == [1, 3]
    assert answered(settings) == shown
    run("UPDATE t SET b = 9 WHERE id = 1")
    assert archive(settings).rows == 1
    assert [row[0] for row in answered(settings)] == [1, 2, 3]
    assert set(states()) == {"archived"}
