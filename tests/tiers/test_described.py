"""Tables that are read through a view: what it adds is answered and archived, never written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from gateway_assets.archive import prune
from gateway_assets.archive.copy_out import copy_out
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.archive.reading import batches, day_query
from gateway_assets.archive.status import status
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.bridge.scans import Need
from gateway_assets.bridge.tiers import count_visible, visible_rows
from gateway_assets.bridge.where import column
from gateway_assets.errors import ConfigError
from gateway_assets.settings import Settings
from gateway_assets.tiers.catalog import find, open_database, tiered
from gateway_assets.tiers.tiered import Tiered
from tests.tiers.places import (
    APP,
    OLD,
    TODAY,
    Rows,
    answered,
    archive,
    cells,
    declare,
    files,
    make,
    number,
    ordered,
    patient,
    run,
)
from tests.tiers.series import VIEW, Point, declare_series, make_series, ns

POINTS: list[Point] = [
    (1, ns(OLD, 5), 1.0, None),
    (2, ns(OLD, 5), None, "on"),
    (1, ns(OLD, 6), 2.5, None),
    (3, ns(OLD + 1), 3.0, "é"),
    (3, ns(TODAY), 4.0, None),
]
OLD_ROWS = 4
LEFT = VIEW.replace("JOIN", "LEFT JOIN")


@pytest.fixture
def settings() -> Settings:
    make_series(readings=POINTS)
    return declare_series()


def shown() -> Rows:
    return ordered(run("SELECT * FROM described"))


def devices(settings: Settings) -> list[str]:
    return sorted(device for (device,) in answered(settings, "readings", "device"))


# There and back --------------------------------------------------------------------------------


@pytest.mark.parametrize("view", [VIEW, LEFT], ids=["join", "left-join"])
def test_a_described_table_goes_and_comes_back(view: str) -> None:
    make_series(view, POINTS)
    settings = declare_series()
    before, seen = cells("readings"), shown()
    assert answered(settings, "readings") == seen
    assert archive(patient(settings), "readings").rows == OLD_ROWS
    assert answered(settings, "readings") == seen
    assert archive(settings, "readings").pruned_rows == OLD_ROWS
    assert len(cells("readings")) == len(before) - OLD_ROWS
    assert answered(settings, "readings") == seen
    assert all(not wrong for _, wrong in UniversalArchiver(settings).verify("readings"))
    UniversalArchiver(settings).restore("readings", range(OLD, OLD + 2))
    assert cells("readings") == before
    assert answered(settings, "readings") == seen


def test_files_describe_themselves(settings: Settings) -> None:
    archive(settings, "readings")
    first = pq.read_table(files(settings, "readings")[0])
    names = ["series", "time", "value", "text", "device", "tags", "scale"]
    assert first.column_names == names
    assert [str(kind) for kind in first.schema.types] == [
        "int64",
        "int64",
        "double",
        "string",
        "string",
        "string",
        "double",
    ]
    assert first.to_pylist()[0] == dict(
        zip(names, (1, ns(OLD, 5), 1.0, None, "a", '{"room":"1"}', 0.5), strict=True)
    )


def test_a_table_with_an_integer_key() -> None:
    make(
        "CREATE TABLE kinds (id INTEGER PRIMARY KEY, label TEXT);"
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, ts INTEGER, kind INTEGER,"
        " low TEXT AS (kind || '!'));"
        "CREATE VIEW v AS SELECT k.label, t.* FROM t LEFT JOIN kinds k ON k.id = t.kind;"
        "INSERT INTO kinds VALUES (1, 'one')"
    )
    for day, kind in ((OLD, 1), (OLD, 2), (TODAY, 1)):
        run("INSERT INTO t (ts, kind) VALUES (?, ?)", day * 86_400, kind)
    settings = declare(view="v")
    before, seen = cells(), answered(settings)
    assert [row[2:] for row in seen] == [(1, "1!", "one"), (2, "2!", None), (1, "1!", "one")]
    archive(settings)
    assert answered(settings) == seen
    UniversalArchiver(settings).restore("t", [OLD])
    assert (cells(), answered(settings)) == (before, seen)


def test_what_a_view_computes_has_the_kind_of_its_values() -> None:
    computed = "upper(device) AS loud, length(tags) AS long, '1' AS one"
    make_series(VIEW.replace("series.scale", computed), POINTS)
    settings, seen = declare_series(), shown()
    archive(settings, "readings")
    types = pq.read_schema(files(settings, "readings")[0])
    kinds = [str(types.field(name).type) for name in ("loud", "long", "one")]
    assert kinds == ["string", "int64", "string"]
    assert answered(settings, "readings") == seen


def test_one_view_serves_free_sql_and_query(settings: Settings) -> None:
    archive(settings, "readings")
    bridge = UnifiedQueryBridge(settings)
    assert number(settings, "SELECT count(*) FROM readings WHERE tags LIKE '%é%'") == 2
    assert number(settings, "SELECT sum(value * scale) FROM readings") == 15.75
    found = bridge.query("readings", column("device").is_in(["b", "c"]), order="-time", limit=2)
    assert [row["device"] for row in found.rows()] == ["c", "c"]
    assert bridge.count("readings", column("device") == "a") == 2
    assert bridge.count("readings", column("scale").is_null()) == 1


# Its conditions use the table's indexes --------------------------------------------------------


@contextmanager
def looked_at(settings: Settings) -> Iterator[tuple[sqlite3.Connection, Tiered, Callable[[], str]]]:
    """The database, the table, and what tells SQLite's plan of the last statement."""
    with open_database(find(settings, "readings")) as connection:
        table = tiered(connection, find(settings, "readings"), settings)
        said: list[str] = []
        connection.set_trace_callback(said.append)

        def plan() -> str:
            connection.set_trace_callback(None)
            steps = connection.execute(f"EXPLAIN QUERY PLAN {said[-1]}").fetchall()
            return "; ".join(step[-1] for step in steps)

        yield connection, table, plan


def test_a_day_is_found_by_the_index_on_the_time(settings: Settings) -> None:
    archive(patient(settings), "readings")
    with looked_at(settings) as (connection, table, plan):
        query = connection.execute(*day_query(connection, table, OLD))
        assert list(batches(query, table.fields, 10, 10**6)) == []
        assert plan().startswith("SEARCH readings USING INDEX points_time (time>? AND time<?)")
    with looked_at(settings) as (connection, table, plan):
        need = Need(frozenset({"value", "device"}), {"time": ((ns(TODAY), ns(TODAY + 1)),)})
        assert visible_rows(connection, table, need)[0].num_rows == 1
        assert "SEARCH readings USING INDEX points_time (time>? AND time<?)" in plan()


def test_a_series_is_found_by_the_key(settings: Settings) -> None:
    with looked_at(settings) as (connection, table, plan):
        ranges = {"series": ((1, 1),), "time": ((ns(OLD), ns(OLD + 1)),)}
        assert visible_rows(connection, table, Need(frozenset({"device"}), ranges))[0].num_rows == 2
        assert "SEARCH readings USING PRIMARY KEY (series=? AND time>? AND time<?)" in plan()


@pytest.mark.parametrize("names", [("a",), ("a", "b")], ids=["one", "several"])
def test_a_device_is_found_by_the_index_of_the_joined_table(
    settings: Settings, names: tuple[str, ...]
) -> None:
    need = Need(frozenset({"value"}), {"device": tuple((name, name) for name in names)})
    with looked_at(settings) as (connection, table, plan):
        assert visible_rows(connection, table, need)[0].num_rows == 1 + len(names)
        assert "(device=?)" in plan()
        assert "SEARCH readings USING PRIMARY KEY (series=?)" in plan()
    with looked_at(settings) as (connection, table, plan):
        assert count_visible(connection, table, need) == 1 + len(names)
        assert "SCAN" not in plan()


# What is added changes -------------------------------------------------------------------------


def test_archived_rows_keep_what_was_added_and_hot_rows_have_what_is(settings: Settings) -> None:
    archive(patient(settings), "readings")
    run("UPDATE series SET device = 'new' WHERE id IN (1, 3)")
    assert devices(settings) == ["a", "a", "b", "c", "new"]
    assert archive(settings, "readings").pruned_rows == OLD_ROWS
    assert devices(settings) == ["a", "a", "b", "c", "new"]
    UniversalArchiver(settings).restore("readings", [OLD])
    assert devices(settings) == ["b", "c", "new", "new", "new"]
    assert len(cells("readings")) == 4


@pytest.mark.parametrize("view", [VIEW, LEFT], ids=["join", "left-join"])
def test_a_joined_row_that_goes_takes_no_archived_row_with_it(view: str) -> None:
    make_series(view, POINTS)
    settings = declare_series()
    seen = shown()
    archive(patient(settings), "readings")
    run("DELETE FROM series WHERE id = 1")
    assert archive(settings, "readings").pruned_rows == OLD_ROWS
    assert answered(settings, "readings") == seen


def test_a_row_that_differs_from_its_copy_is_still_noticed(settings: Settings) -> None:
    archive(patient(settings), "readings")
    triggers = run(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?", "readings"
    )
    for name, _ in triggers:
        run(f'DROP TRIGGER "{name}"')
    run("UPDATE readings SET value = 7 WHERE series = 1")
    run("UPDATE series SET device = 'new'")
    for _, text in triggers:
        run(text)
    result = UniversalArchiver(settings).archive_table("readings")
    assert list(result.failed.values()) == [
        f"{files(settings, 'readings')[0].relative_to(settings.archive)}: "
        "a hot row differs from its archived copy"
    ]
    assert len(cells("readings")) == len(POINTS) - 1


def test_rows_half_pruned_are_compared_without_what_was_added(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive(patient(settings), "readings")
    run("UPDATE series SET device = 'new'")
    real, calls = prune._prune_chunk, []

    def chunk(source: Any, file: int) -> Any:
        source.pace.rows = 1
        calls.append(file)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(source, file)

    with monkeypatch.context() as patched:
        patched.setattr(prune, "_prune_chunk", chunk)
        with pytest.raises(KeyboardInterrupt):
            archive(settings, "readings")
    assert 0 < len(POINTS) - len(cells("readings")) < OLD_ROWS
    archive(settings, "readings")
    assert len(cells("readings")) == len(POINTS) - OLD_ROWS
    assert devices(settings) == ["a", "a", "b", "c", "new"]


# Views that do not show the rows ---------------------------------------------------------------

WRONG = {
    "misses": "SELECT p.*, s.device FROM readings p JOIN series s ON s.id = p.series AND s.id > 1",
    "doubles": "SELECT p.*, s.device FROM readings p JOIN series s ON s.id >= p.series",
    "misses and doubles": "SELECT p.*, s.device FROM readings p JOIN series s ON p.series = 2",
    "alters": "SELECT series, time, value * 2 AS value, text FROM readings",
}


@pytest.mark.parametrize("select", WRONG.values(), ids=[name.replace(" ", "-") for name in WRONG])
def test_nothing_is_archived_through_a_view_that_does_not_show_every_row_once(select: str) -> None:
    make_series(f"CREATE VIEW described AS {select}", POINTS)
    settings = declare_series()
    before = cells("readings")
    result = UniversalArchiver(settings).archive_table("readings", days=[OLD])
    (why,) = result.failed.values()
    assert "view described does not show" in why
    assert (cells("readings"), files(settings, "readings")) == (before, [])
    (told,) = status(find(settings, "readings"), settings).problems
    assert "answers are wrong" in told
    run("DROP VIEW described")
    run(VIEW)
    assert status(find(settings, "readings"), settings).problems == []
    archive(settings, "readings")
    assert answered(settings, "readings") == ordered(
        shown() + [(*point, *_added(point[0])) for point in POINTS[:OLD_ROWS]]
    )


def _added(series: int) -> tuple[Any, ...]:
    return run("SELECT device, tags, scale FROM series WHERE id = ?", series)[0]


UNUSABLE = {
    "no such view": ({"view": "nothing"}, "there is no view 'nothing'"),
    "a table": ({"view": "series"}, "there is no view 'series'"),
    "without a column": ({"view": "narrow"}, "does not show column 'text'"),
    "broken": ({"view": "broken"}, "cannot be read: no such table: main.gone"),
    "order by what is added": ({"order_by": ["device"]}, "there is no column 'device'"),
    "condition on what is added": ({"where": "device = 'a'"}, "no such column: device"),
    "rowid": ({"table": "plain", "view": "plainly"}, "nothing but its rowid tells rows apart"),
}


@pytest.mark.parametrize(
    ("line", "why"), UNUSABLE.values(), ids=[name.replace(" ", "-") for name in UNUSABLE]
)
def test_views_that_cannot_be_used(line: dict[str, Any], why: str) -> None:
    make_series(readings=POINTS)
    make(
        "CREATE VIEW narrow AS SELECT series, time, value FROM readings;"
        "CREATE VIEW broken AS SELECT * FROM gone;"
        "CREATE TABLE plain (time INTEGER, value REAL);"
        "CREATE VIEW plainly AS SELECT * FROM plain"
    )
    with pytest.raises(ConfigError, match=f"^table readings: .*{why}") as refused:
        answered(declare_series(**line), "readings")
    assert refused.value.hint


# Columns come and go ---------------------------------------------------------------------------


def test_a_view_may_add_other_columns_later(settings: Settings) -> None:
    archive(settings, "readings", days=[OLD])
    run("DROP VIEW described")
    run(VIEW.replace("series.device, series.tags", "series.id * 10 AS tenfold, series.device"))
    result = archive(settings, "readings")
    assert result.changes == ["column tenfold was added", "column tags was dropped"]
    assert answered(settings, "readings", "series, device, tenfold") == [
        (1, "a", None),
        (1, "a", None),
        (2, "b", None),
        (3, "c", 30),
        (3, "c", 30),
    ]
    assert UniversalArchiver(settings).restore("readings", [OLD]) == 3
    assert number(settings, "SELECT sum(tenfold) FROM readings") == 100


def test_a_view_may_come_later_and_go(settings: Settings) -> None:
    Path("gateway.toml").unlink()
    plain = declare_series(view="")
    archive(plain, "readings", days=[OLD])
    Path("gateway.toml").unlink()
    described = declare_series()
    archive(described, "readings")
    assert [row[4] for row in answered(described, "readings")] == [None, None, None, "c", "c"]
    Path("gateway.toml").unlink()
    plain = declare_series(view="")
    assert answered(plain, "readings", "series, time, value, text") == ordered(POINTS)
    assert UniversalArchiver(plain).restore("readings", [OLD, OLD + 1]) == OLD_ROWS


def test_a_column_that_was_added_becomes_one_of_the_table(settings: Settings) -> None:
    archive(settings, "readings")
    run("DROP VIEW described")
    run("ALTER TABLE readings ADD COLUMN device TEXT")
    run("CREATE VIEW described AS SELECT * FROM readings")
    UniversalArchiver(settings).restore("readings", [OLD])
    assert run("SELECT DISTINCT device FROM readings ORDER BY 1") == [(None,), ("a",), ("b",)]


# Erase and export ------------------------------------------------------------------------------


def test_rows_are_erased_by_what_was_added(settings: Settings) -> None:
    archive(settings, "readings")
    assert UniversalArchiver(settings).matching("readings", {"device": "c"}) == (1, 1)
    receipt = UniversalArchiver(settings).erase("readings", {"device": "c"})
    assert (receipt.hot_rows, receipt.archived_rows, receipt.remaining_rows) == (1, 1, 0)
    assert receipt.may_still_hold[-1] == f"{APP.absolute()}: what described adds"
    assert devices(settings) == ["a", "a", "b"]
    assert len(run("SELECT * FROM series")) == 3


def test_hidden_rows_are_erased_by_what_the_view_says_now(settings: Settings) -> None:
    archive(patient(settings), "readings")
    run("UPDATE series SET device = 'new' WHERE id = 1")
    receipt = UniversalArchiver(settings).erase("readings", {"device": "new"})
    assert (receipt.hot_rows, receipt.remaining_rows) == (2, 0)
    assert devices(settings) == ["b", "c", "c"]


def test_more_rows_than_a_chunk_takes_are_erased() -> None:
    many: list[Point] = [(1, ns(TODAY, second), 1.0, None) for second in range(5_000)]
    make_series(readings=many)
    settings = declare_series()
    receipt = UniversalArchiver(settings).erase("readings", {"device": "a"})
    assert (receipt.hot_rows, run("SELECT count(*) FROM readings")) == (5_000, [(0,)])


@pytest.mark.parametrize("strict", ["", ", STRICT"], ids=["plain", "strict"])
def test_an_export_has_the_added_columns(strict: str) -> None:
    make_series(readings=POINTS)
    for statement in ("DROP VIEW described", "ALTER TABLE readings RENAME TO was"):
        run(statement)
    run(
        "CREATE TABLE readings (series INTEGER, time INTEGER, value REAL, text TEXT, "
        f"PRIMARY KEY (series, time)) WITHOUT ROWID{strict}"
    )
    run("INSERT INTO readings SELECT * FROM was")
    run(VIEW)
    seen, settings = shown(), declare_series(create_index=True)
    archive(settings, "readings", days=[OLD])
    out = Path("out.db")
    assert copy_out(find(settings, "readings"), settings, out) == len(POINTS)
    assert ordered(run("SELECT * FROM readings", path=out)) == seen
    kinds = [kind for (kind,) in run("SELECT type FROM pragma_table_info('readings')", path=out)]
    assert kinds[4:] == (["ANY"] * 3 if strict else ["TEXT", "TEXT", "REAL"])
