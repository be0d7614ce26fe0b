"""Points in both tiers: late, doubled and corrected ones, retention; roll-ups stay right."""

from __future__ import annotations

import random
import sqlite3
import time
from unittest import mock

import pytest

from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.errors import QueryError
from gateway_assets.frames.frame import Kind
from gateway_assets.frames.log import FrameLog, open_log
from gateway_assets.points.answer import answer
from gateway_assets.points.floor import raw_floor
from gateway_assets.points.levels import DAY, HOUR, LEVELS, MINUTE
from gateway_assets.points.load import Loader
from gateway_assets.points.query import Aggregation, TimeSeriesQuery
from gateway_assets.points.refresh import refresh
from gateway_assets.points.schema import open_points
from gateway_assets.settings import Settings, load_settings

TODAY = time.time_ns() // DAY
FIRST = TODAY - 12
TABLES = ["points", *(level.table for level in LEVELS)]


@pytest.fixture
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load_settings(
        data_dir=tmp_path_factory.mktemp("data"),
        archive_grace_hours=0,
        archive_backup=False,
        points_hot_days=3,
    )


def append(log: FrameLog, points: dict[tuple[str, int], float]) -> None:
    lines = [f"m,device={name} value={value} {moment}" for (name, moment), value in points.items()]
    log.append(Kind.DATA, "\n".join(lines).encode(), 0)


def stored(bridge: UnifiedQueryBridge) -> list[tuple[str, int, float]]:
    rows = bridge.rows("SELECT device, time, value FROM points")
    return sorted((row["device"], row["time"], row["value"]) for row in rows)


def counts(bridge: UnifiedQueryBridge) -> set[int]:
    """The points that each level knows of."""
    return {
        bridge.rows(f"SELECT coalesce(sum(n + n_bad), 0) AS n FROM {level.table}")[0]["n"]
        for level in LEVELS
    }


@pytest.mark.parametrize("seed", range(4))
def test_points_come_late_twice_and_corrected(settings: Settings, seed: int) -> None:
    rng = random.Random(seed)
    log = open_log(settings.frames / "test")
    truth: dict[tuple[str, int], float] = {}
    with (
        open_points(settings.points_database) as connection,
        UnifiedQueryBridge(settings) as bridge,
    ):
        loader = Loader(connection, settings)
        for _ in range(8):
            new = {
                (rng.choice("ab"), (FIRST + rng.randrange(12)) * DAY + rng.randrange(DAY)): 1.5
                for _ in range(40)
            }
            again = rng.sample(sorted(truth), min(len(truth), 10))
            written = {
                **new,
                **{key: truth[key] for key in again[:5]},
                **{key: rng.random() for key in again[5:]},
            }
            append(log, written)
            truth |= written
            loader.load()
            if rng.random() < 0.6:
                refresh(connection, settings)
            if rng.random() < 0.6:
                UniversalArchiver(settings).archive_all(TABLES)
            assert stored(bridge) == sorted((*key, value) for key, value in truth.items())
        refresh(connection, settings)
        assert counts(bridge) == {len(truth)}
        asked = TimeSeriesQuery(
            start=FIRST * DAY, end=TODAY * DAY, bucket=6 * HOUR, aggregation=Aggregation.SUM
        )
        sums: dict[tuple[str | None, int], float] = {}
        for (name, moment), value in truth.items():
            begin = moment // (6 * HOUR) * 6 * HOUR
            sums[name, begin] = sums.get((name, begin), 0) + value
        found = {
            (one.series.device, begin): value
            for one in answer(connection, bridge, asked)
            for begin, value in zip(one.times, one.values, strict=True)
        }
        assert found == pytest.approx(sums)
    log.close()


def test_the_newest_points_of_both_tiers(settings: Settings) -> None:
    log = open_log(settings.frames / "test")
    truth = {
        **{("fresh", FIRST * DAY + n * 12 * HOUR): float(n) for n in range(24)},
        **{("old", FIRST * DAY + n * HOUR): float(n) for n in range(30)},
        ("seldom", FIRST * DAY): 1.0,
        ("seldom", (TODAY - 1) * DAY): 2.0,
    }
    append(log, truth)
    query = TimeSeriesQuery(start=FIRST * DAY, end=TODAY * DAY, order="-time", limit=2)
    with (
        open_points(settings.points_database) as connection,
        UnifiedQueryBridge(settings) as bridge,
    ):
        Loader(connection, settings).load()
        refresh(connection, settings)
        UniversalArchiver(settings).archive_all(TABLES)
        with mock.patch.object(bridge, "query", wraps=bridge.query) as archived:
            found = {
                one.series.device: list(zip(one.times, one.values, strict=True))
                for one in answer(connection, bridge, query)
            }
    for name in ("fresh", "old", "seldom"):
        own = sorted((moment, value) for (of, moment), value in truth.items() if of == name)
        assert found[name] == own[:-3:-1]
    assert archived.call_count == 2, "the archive is asked for those that have too few hot points"
    log.close()


def test_a_correction_that_comes_again_after_its_day_was_archived(settings: Settings) -> None:
    log = open_log(settings.frames / "test")
    moment = FIRST * DAY
    with (
        open_points(settings.points_database) as connection,
        UnifiedQueryBridge(settings) as bridge,
    ):
        loader = Loader(connection, settings)
        for _ in range(2):
            for value in (1.0, 2.0):
                append(log, {("a", moment): value})
            loader.load()
            refresh(connection, settings)
            UniversalArchiver(settings).archive_all(TABLES)
            assert stored(bridge) == [("a", moment, 2.0)]
            assert counts(bridge) == {1}
    log.close()


def test_moments_at_the_edge_stop_nothing(settings: Settings) -> None:
    log = open_log(settings.frames / "test")
    moments = [-(2**63) + 2, TODAY * DAY, 2**63 - 2]
    append(log, {("a", moment): 1.0 for moment in moments})
    with (
        open_points(settings.points_database) as connection,
        UnifiedQueryBridge(settings) as bridge,
    ):
        Loader(connection, settings).load()
        refresh(connection, settings)
        assert counts(bridge) == {3}
        append(log, {("b", moment): 1.0 for moment in moments})
        Loader(connection, settings).load()
        refresh(connection, settings)
        assert counts(bridge) == {6}
    log.close()


def test_retention_takes_no_rollup_with_it(settings: Settings) -> None:
    settings = settings.model_copy(update={"points_keep_days": 5})
    log = open_log(settings.frames / "test")
    points = {
        ("a", day * DAY + hour * HOUR): float(hour)
        for day in range(FIRST, TODAY)
        for hour in range(24)
    }
    append(log, points)
    with (
        open_points(settings.points_database) as connection,
        UnifiedQueryBridge(settings) as bridge,
    ):
        loader = Loader(connection, settings)
        loader.load()
        UniversalArchiver(settings).archive_all(TABLES)
        assert raw_floor(connection) < 0, "a floor without roll-ups"
        assert len(stored(bridge)) == len(points)

        refresh(connection, settings, days=(FIRST + 1, TODAY))
        assert raw_floor(connection) <= FIRST * DAY, "a floor over an hour that is marked"
        refresh(connection, settings)
        floor = (TODAY - 5) * DAY
        assert raw_floor(connection) == floor
        UniversalArchiver(settings).archive_all(TABLES)
        assert {moment for _, moment, _ in stored(bridge)} == {
            moment for _, moment in points if moment >= floor
        }
        assert counts(bridge) == {len(points)}

        # Whole minutes are answered below the floor, parts of one are not.
        asked = {"device": "a", "aggregation": Aggregation.AVG}
        day = TimeSeriesQuery(start=FIRST * DAY, end=(FIRST + 1) * DAY, **asked)  # type: ignore[arg-type]
        (found,) = answer(connection, bridge, day)
        assert found.values == [pytest.approx(11.5)]
        cut = TimeSeriesQuery(start=FIRST * DAY + 1, end=(FIRST + 1) * DAY, **asked)  # type: ignore[arg-type]
        with pytest.raises(QueryError, match="were removed"):
            answer(connection, bridge, cut)

        # A late point is added once, although nothing can be computed again.
        late = {("a", FIRST * DAY + 30 * MINUTE): 23.0}
        append(log, late)
        append(log, late)
        loader.load()
        refresh(connection, settings)
        assert counts(bridge) == {len(points) + 1}
        (found,) = answer(connection, bridge, day)
        assert found.values == [pytest.approx((11.5 * 24 + 23) / 25)]
        assert levels_of(connection, FIRST * DAY) == [(25, 0.0, 23.0)]
    log.close()


def levels_of(connection: sqlite3.Connection, day: int) -> list[tuple[int, float, float]]:
    return connection.execute("SELECT n, min, max FROM points_1d WHERE time = ?", (day,)).fetchall()
