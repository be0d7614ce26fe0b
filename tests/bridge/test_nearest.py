"""The first and last rows by time of a table that lies by series, without sorting all of them."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.bridge.where import Condition, column
from gateway_assets.settings import Settings
from tests.tiers.places import APP, OLD, TODAY, archive, patient, run
from tests.tiers.series import DAY, SECOND, SKIPPED, Point, declare_series, make_series, ns

ASKED: dict[str, Condition | None] = {
    "all": None,
    "one-series": column("series") == 2,
    "some-series": column("series").is_in([1, 3]),
    "a-device": column("device") == "b",
    "before": column("time") < ns(TODAY - 3),
    "between": (column("time") >= ns(TODAY - 9)) & (column("time") < ns(TODAY - 2)),
    "rare": column("value") == 7.0,
    "none": column("value") > 1e9,
}


def some_points(seed: int) -> list[Point]:
    """Dense at the ends, with gaps of days in between, many at one moment."""
    rng = random.Random(seed)
    days = [OLD, OLD + 1, TODAY - 8, TODAY - 4, TODAY - 1]
    keys = {
        (series, rng.choice(days) * DAY + rng.randrange(400) * 10 * SECOND)
        for series in (1, 2, 3)
        for _ in range(rng.choice([1, 150]))
    }
    return [(*key, float(n % 40), None) for n, key in enumerate(sorted(keys))]


def answers(settings: Settings, asked: Condition | None) -> list[list[dict[str, Any]]]:
    found = []
    with UnifiedQueryBridge(settings) as bridge:
        for order in ("-time", "time", ("-time", "series"), ("series", "-time")):
            for limit in (1, 20, 1_000):
                page = bridge.query("readings", asked, order=order, limit=limit)
                found.append(page.rows())
                if page.cursor:
                    after = page.cursor
                    page = bridge.query("readings", asked, order=order, limit=limit, after=after)
                    found.append(page.rows())
        found.append(bridge.query("readings", asked, order=("-time", "series")).rows())
        assert len(bridge.query("readings", asked, limit=1_000)) == len(found[-1])
    return found


@pytest.mark.parametrize("asked", list(ASKED))
def test_answers_are_those_of_a_table_with_an_index(asked: str) -> None:
    make_series(readings=some_points(len(asked)), found_by=SKIPPED)
    settings = declare_series()
    for state in ("hot", "hidden", "pruned"):
        if state != "hot":
            archive(patient(settings) if state == "hidden" else settings, "readings")
        run("CREATE INDEX by_time ON readings (time)")
        wanted = answers(settings, ASKED[asked])
        run("DROP INDEX by_time")
        assert answers(settings, ASKED[asked]) == wanted


def test_the_newest_rows_are_found_without_looking_at_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_series(found_by=SKIPPED)
    with closing(sqlite3.connect(APP)) as connection, connection:
        rows = ((n % 3 + 1, ns(TODAY - 5, 2 * n), 0.0, None) for n in range(90_000))
        connection.executemany("INSERT INTO readings VALUES (?, ?, ?, ?)", rows)
    count = 0

    def counted() -> None:
        nonlocal count
        count += 1

    connect = sqlite3.connect

    def watched(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **kwargs)
        connection.set_progress_handler(counted, 100)
        return connection

    monkeypatch.setattr(sqlite3, "connect", watched)
    settings = declare_series(time_format="epoch_ns", hot_days=30)
    with UnifiedQueryBridge(settings) as bridge:
        for order in ("-time", "time"):
            bridge.query("readings", order=order, limit=1)
            count = 0
            (first,) = bridge.query("readings", order=order, limit=1).rows()
            assert len(bridge.query("readings", order=order, limit=50).rows()) == 50
            older = column("time") < ns(TODAY - 4)
            assert len(bridge.query("readings", older, order=order, limit=50).rows()) == 50
            assert count * 100 < 60_000
            assert first["time"] == ns(TODAY - 5, 2 * 89_999 if order == "-time" else 0)
