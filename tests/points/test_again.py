"""Days are marked again where there are points; roll-ups are compared where they are settled."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from gateway_assets.frames.frame import Kind
from gateway_assets.frames.log import open_log
from gateway_assets.points.again import mark_again
from gateway_assets.points.compare import counted
from gateway_assets.points.dirty import marked_days, oldest_mark
from gateway_assets.points.load import Loader
from gateway_assets.points.refresh import refresh
from gateway_assets.points.schema import open_points
from gateway_assets.settings import Settings, load_settings
from tests.points.made import DAY, HOUR, NS

FIRST = 20_000  # a day of 2024
LINES = b"""
room,device=a celsius=20.5,open=true %d
room,device=a celsius=21.5 %d
room,device=b note="dry" %d
""".strip()


@pytest.fixture
def settings() -> Settings:
    return load_settings(points_keep_days=36_500)  # what is old here stays


@pytest.fixture
def points(settings: Settings) -> Iterator[sqlite3.Connection]:
    """Two hours of the first day have points of one device, one hour of another; so has the next
    day, and a day before 1970.
    """
    log = open_log(settings.frames / "a")
    for day in (FIRST, FIRST + 1, -2):
        begin = day * DAY
        times = begin, begin + 5 * HOUR - NS, begin + 23 * HOUR
        log.append(Kind.DATA, LINES % times, 1)
    log.append(Kind.DATA, b"device_data,device=a value=1,quality=0i %d" % (FIRST * DAY), 1)
    log.close()
    with open_points(settings.points_database) as connection:
        Loader(connection, settings).load()
        yield connection


def marks(connection: sqlite3.Connection) -> list[tuple[int, int]]:
    query = "SELECT hour, series FROM dirty_hours ORDER BY hour, series"
    return connection.execute(query).fetchall()


def test_the_hours_that_have_points_are_marked_again(
    points: sqlite3.Connection, settings: Settings
) -> None:
    first = marks(points)
    assert marked_days(points) == [-2, FIRST, FIRST + 1]
    refresh(points, settings)
    assert (marks(points), marked_days(points), oldest_mark(points)) == ([], [], None)
    days = [-2, FIRST, FIRST + 1]
    assert mark_again(points, settings, days) == len(first)
    assert marks(points) == first
    refresh(points, settings)
    assert mark_again(points, settings, [FIRST, FIRST + 2]) == 5
    assert marked_days(points) == [FIRST]


def test_nothing_below_the_floor_is_marked(points: sqlite3.Connection, settings: Settings) -> None:
    refresh(points, settings)
    points.execute("INSERT INTO floors VALUES ('points', ?)", ((FIRST + 1) * DAY,))
    assert mark_again(points, settings, [-2, FIRST, FIRST + 1]) == 4
    assert marked_days(points) == [FIRST + 1]


def test_settled_days_are_counted_on_every_level(
    points: sqlite3.Connection, settings: Settings
) -> None:
    days = [-2, FIRST, FIRST + 1, FIRST + 2]
    assert [one.day for one in counted(points, days)] == [FIRST + 2]
    refresh(points, settings, days=(FIRST, FIRST + 1))
    found = counted(points, days)
    assert [one.day for one in found] == [FIRST, FIRST + 2]
    # Numbers, booleans, strings and bad values count; five minutes hold what minutes do here.
    assert (found[0].points, set(found[0].rolled_up.values())) == (5, {5})
    assert list(found[0].buckets.values()) == [5, 5, 5, 4]
    points.execute("INSERT INTO floors VALUES ('points', ?)", ((FIRST + 1) * DAY,))
    assert [one.day for one in counted(points, days)] == [FIRST + 2]


def test_an_hour_marked_again_meanwhile_waits_since_then(
    points: sqlite3.Connection, settings: Settings
) -> None:
    """As when points come while their hour is computed."""
    points.execute("UPDATE dirty_hours SET since = 1")
    points.execute(
        "CREATE TRIGGER meanwhile AFTER INSERT ON points_1d BEGIN "
        "UPDATE dirty_hours SET marks = marks + 1; END"
    )
    refresh(points, settings)
    assert marks(points)
    since = oldest_mark(points)
    assert since is not None
    assert since > FIRST * DAY
