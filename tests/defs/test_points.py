"""Points in Dagster: load, roll up, check, by hand and by themselves; beside another loader."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable

import dagster as dg
import pytest

from gateway_assets import clock
from gateway_assets.defs.cold import archive_asset, pool_of
from gateway_assets.defs.execute import execute
from gateway_assets.defs.points import LOADED, POOL
from gateway_assets.defs.points_overview import FRESH, LAG, NAME, REJECTED, STUCK
from gateway_assets.defs.points_rollups import CHECK, CHECKED_DAYS, ONLY_MARKED, ROLLUPS
from gateway_assets.defs.points_runs import (
    CHECK as CHECK_JOB,
)
from gateway_assets.defs.points_runs import (
    LOAD,
    ROLLUP,
    frames_sensor,
    points_check_schedule,
    points_rollup_schedule,
)
from gateway_assets.defs.runs import RANGE_END, RANGE_START
from gateway_assets.files.lock import exclusive
from gateway_assets.frames.frame import Kind
from gateway_assets.frames.log import open_log
from gateway_assets.points.kinds import EventPoint, MetricPoint
from gateway_assets.points.levels import DAY, HOUR, MINUTE
from gateway_assets.points.load import Loader
from gateway_assets.points.schema import open_points
from gateway_assets.points.writer import PointWriter
from gateway_assets.settings import Settings, load_settings
from gateway_assets.tiers.catalog import Declared
from gateway_assets.tiers.registry import TableLine
from tests.defs.conftest import quietly_built
from tests.defs.test_assets import check, defs_checks, metadata, parents, requests, span

TODAY = clock.day_of(clock.now())
NOON = 12 * HOUR
DAYS = range(TODAY - 3, TODAY)
DEVICES = 5


def write(settings: Settings, days: Iterable[int], *, of: int = DEVICES) -> None:
    """A value of each device at noon, and the one after it a minute later."""
    with PointWriter(settings) as writer:
        writer.write_metrics(
            [
                MetricPoint(device_id=f"pump-{i}", metric_name="flow", metric_value=i / 2, time=at)
                for day in days
                for i in range(of)
                for at in (day * DAY + NOON, day * DAY + NOON + MINUTE)
            ]
        )


@pytest.fixture
def written(settings: Settings) -> None:
    write(settings, DAYS)


@pytest.fixture
def loaded(settings: Settings, written: None) -> None:
    with open_points(settings.points_database) as connection:
        Loader(connection, settings).load()


def keys(defs: dg.Definitions) -> set[str]:
    return {key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()}


def marks(settings: Settings) -> int:
    with open_points(settings.points_database) as connection:
        (count,) = connection.execute("SELECT count(*) FROM dirty_hours").fetchone()
    return int(count)


def scheduled(defs: dg.Definitions, instance: dg.DagsterInstance, first: int, last: int) -> bool:
    """A run as the schedule asks for."""
    tags = {RANGE_START: clock.day_text(first), RANGE_END: clock.day_text(last)}
    job = defs.resolve_job_def(ROLLUP)
    tags = {**tags, ONLY_MARKED: "true"}
    return job.execute_in_process(instance=instance, tags=tags, raise_on_error=False).success


def test_a_host_without_points_shows_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = {"frames", *LOADED, *ROLLUPS, NAME}
    without = quietly_built(settings)
    assert not ours & keys(without)
    assert LOAD not in {job.name for job in without.jobs or ()}
    assert not settings.points_database.exists()
    monkeypatch.setenv("GATEWAY_SERVE", "true")
    assert ours <= keys(quietly_built(load_settings()))
    monkeypatch.delenv("GATEWAY_SERVE")
    write(settings, DAYS)
    assert ours <= keys(quietly_built(load_settings()))


@pytest.mark.usefixtures("written")
def test_every_asset_with_its_checks(instance: dg.DagsterInstance, settings: Settings) -> None:
    with PointWriter(settings) as writer:
        writer.write_event(EventPoint(device_id="pump-1", event_type="start"))
        writer.write_lines(b"no fields\n")
    defs = quietly_built(settings)
    execute(defs, LOAD)
    held = metadata(instance, "frames")
    assert (held["logs"], held["segments"], held["waiting_segments"]) == (1, 2, 2)
    assert held["waiting_bytes"] == held["size_bytes"]
    done = metadata(instance, "points")
    assert (done["frames"], done["points"], done["entries"], done["rejects"]) == (3, 30, 1, 1)
    assert (done["waiting_bytes"], done["removed_segments"]) == (0, 0)
    ever = [metadata(instance, name)["rows_ever"] for name in LOADED[1:]]
    assert ever == [0, 1, 1]
    execute(defs, ROLLUP, days=(DAYS[0], TODAY))
    for name, buckets in zip(ROLLUPS, (10, 5, 5, 5), strict=True):
        figures = metadata(instance, name)
        assert figures["hours"] == 15
        partitions = instance.get_materialized_partitions(dg.AssetKey(name))
        assert partitions == {clock.day_text(day) for day in (*DAYS, TODAY)}
        event = instance.fetch_materializations(
            dg.AssetRecordsFilter(dg.AssetKey(name), asset_partitions=[clock.day_text(DAYS[0])]), 1
        ).records[0]
        assert event.asset_materialization
        count = event.asset_materialization.metadata["dagster/partition_row_count"]
        assert count.value == buckets
    execute(defs, CHECK_JOB)
    seen = metadata(instance, NAME)
    assert (seen["series"], seen["marked_hours"], seen["rejects"]) == (5, 0, 1)
    assert f"| flow | pump-4 | float | {clock.day_text(DAYS[0])}T12:00:00" in str(
        seen["newest_series"]
    )
    ours = {(key.asset_key.to_user_string(), key.name) for key in defs_checks(defs)}
    ours = {one for one in ours if one[0] in {NAME, *ROLLUPS}}
    wanted = {*((name, CHECK) for name in ROLLUPS)}
    wanted |= {(NAME, name) for name in (LAG, STUCK, REJECTED, FRESH)}
    assert ours == wanted
    failed = {one for one in ours if not check(instance, *one)[0]}
    assert failed == {(NAME, REJECTED)}
    _, severity, figures = check(instance, NAME, REJECTED)
    assert severity is dg.AssetCheckSeverity.WARN
    assert figures == {"rejects": 1, "reasons": {"invalid field format": 1}}


@pytest.mark.usefixtures("written")
def test_lineage_leads_from_frames_to_the_days(settings: Settings) -> None:
    graph = quietly_built(settings).resolve_asset_graph()
    for name in LOADED:
        assert parents(graph, name) == {"frames"}
    for below, name in zip(("points", *ROLLUPS), ROLLUPS, strict=False):
        assert parents(graph, name) == {below}
    assert parents(graph, NAME) == {"point_rejects", "points_1d"}


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
@pytest.mark.usefixtures("loaded")
def test_archives_of_points_come_after_them_and_share_their_pool(settings: Settings) -> None:
    for name in (*LOADED, *ROLLUPS):
        line = TableLine.model_validate({"name": name, "database": settings.points_database})
        declared = Declared(name, settings.points_database, line)
        assert pool_of(declared) == POOL
        archived = archive_asset(declared, settings)
        assert archived.asset_deps[archived.key] == {dg.AssetKey(name)}


@pytest.mark.usefixtures("loaded")
def test_any_level_of_any_day_is_computed_again_by_hand(
    instance: dg.DagsterInstance, settings: Settings
) -> None:
    defs = quietly_built(settings)
    execute(defs, ROLLUP, days=(DAYS[0], DAYS[-1]))
    with open_points(settings.points_database) as connection:
        wanted = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in ROLLUPS}
        for name in ROLLUPS:
            connection.execute(f"UPDATE {name} SET mean = 99 WHERE time >= ?", (DAYS[1] * DAY,))
    assert scheduled(defs, instance, DAYS[1], DAYS[1])
    assert metadata(instance, "points_1h")["hours"] == 0
    execute(defs, ROLLUP, "points_1h", (DAYS[1], DAYS[1]))
    assert metadata(instance, "points_1h")["hours"] == DEVICES
    assert metadata(instance, "points_1d")["hours"] == 0  # was not asked for
    end = (DAYS[1] + 1) * DAY
    with open_points(settings.points_database) as connection:
        for name in ROLLUPS:
            rows = connection.execute(f"SELECT * FROM {name}").fetchall()
            # Every level was computed, of this day only.
            assert [row for row in rows if row[1] < end] == [
                row for row in wanted[name] if row[1] < end
            ]
            assert all(row[5] == 99 for row in rows if row[1] >= end)


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("table", ["points", "points_1m", "points_1d"])
def test_levels_that_do_not_count_the_points_fail(
    instance: dg.DagsterInstance, settings: Settings, table: str
) -> None:
    defs = quietly_built(settings)
    assert scheduled(defs, instance, DAYS[0], DAYS[-1])
    with open_points(settings.points_database) as connection:
        row = f"SELECT series, max(time) FROM {table} WHERE time < {DAYS[1] * DAY}"
        connection.execute(f"DELETE FROM {table} WHERE (series, time) = ({row})")
    assert not scheduled(defs, instance, DAYS[0], DAYS[-1])
    found = {name: check(instance, name, CHECK) for name in ROLLUPS}
    failed = [name for name in ROLLUPS if not found[name][0]]
    assert failed == (list(ROLLUPS) if table == "points" else [table])
    _, severity, figures = found[failed[0]]
    assert severity is dg.AssetCheckSeverity.ERROR
    assert (figures["differing"], figures["days"]) == ([clock.day_text(DAYS[0])], 3)


def test_of_many_days_the_newest_are_counted(
    instance: dg.DagsterInstance, settings: Settings
) -> None:
    write(settings, range(TODAY - 9, TODAY), of=1)
    defs = quietly_built(settings)
    execute(defs, LOAD)
    execute(defs, ROLLUP, days=(TODAY - 10, TODAY))
    _, _, figures = check(instance, "points_1m", CHECK)
    assert (figures["days"], figures["points"]) == (CHECKED_DAYS, 2 * (CHECKED_DAYS - 1))
    assert len(instance.get_runs()) == 2


@pytest.mark.usefixtures("written")
def test_the_sensor_asks_while_frames_wait_and_nobody_loads(
    instance: dg.DagsterInstance, settings: Settings
) -> None:
    sensor, defs = frames_sensor(settings), quietly_built(settings)
    asked = sensor(dg.build_sensor_context(instance=instance))
    assert isinstance(asked, dg.RunRequest)
    assert int(asked.tags["gateway/waiting_bytes"]) > 0
    flying = instance.create_run_for_job(
        defs.resolve_job_def(LOAD), status=dg.DagsterRunStatus.STARTED
    )
    assert _skipped(sensor, instance) == "a load run is queued or running"
    instance.report_run_failed(flying)
    execute(defs, LOAD)
    assert _skipped(sensor, instance) == "every frame is loaded"
    write(settings, DAYS)
    assert _skipped(sensor, instance) == "another process is loading"
    with open_points(settings.points_database) as connection:
        connection.execute("UPDATE segments SET loaded_at = loaded_at - ?", (MINUTE,))
    assert isinstance(sensor(dg.build_sensor_context(instance=instance)), dg.RunRequest)


def _skipped(sensor: dg.SensorDefinition, instance: dg.DagsterInstance) -> str | None:
    found = sensor(dg.build_sensor_context(instance=instance))
    assert isinstance(found, dg.SkipReason)
    return found.skip_message


def test_the_schedule_asks_for_marked_days_and_takes_every_time(
    instance: dg.DagsterInstance, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = points_rollup_schedule(settings)
    assert requests(schedule, instance) == []
    assert requests(points_check_schedule(settings), instance) == []
    write(settings, [DAYS[0], DAYS[1], TODAY + 400])
    monkeypatch.setenv("GATEWAY_FIRST_DAY", clock.day_text(TODAY - 30))
    narrow = load_settings()
    with PointWriter(settings) as writer:
        writer.write_lines(b"cpu,host=a usage=1 -86400000000000\n")
    defs = quietly_built(narrow)
    execute(defs, LOAD)
    found = requests(points_rollup_schedule(narrow), instance)
    first, today = clock.day_text(TODAY - 30), clock.day_text(TODAY)
    middle = clock.day_text(DAYS[0]), clock.day_text(DAYS[1])
    assert [span(one) for one in found] == [(first, first), middle, (today, today)]
    assert {one.tags[ONLY_MARKED] for one in found} == {"true"}
    assert len({one.run_key for one in found}) == 3
    assert len(requests(points_check_schedule(narrow), instance)) == 1
    for one in found:
        job = defs.resolve_job_def(ROLLUP)
        assert job.execute_in_process(instance=instance, tags=one.tags).success
    assert marks(settings) == 0
    assert requests(points_rollup_schedule(narrow), instance) == []


@pytest.mark.usefixtures("loaded")
def test_what_another_process_is_at_is_left_to_it(
    instance: dg.DagsterInstance, settings: Settings
) -> None:
    defs = quietly_built(settings)
    with exclusive(settings.points_database.with_suffix(".rollups.lock"), "a test"):
        execute(defs, ROLLUP, days=(DAYS[0], DAYS[-1]))
    assert not instance.get_materialized_partitions(dg.AssetKey("points_1h"))
    assert marks(settings) == DEVICES * len(DAYS)
    assert requests(points_rollup_schedule(settings), instance)


@pytest.mark.usefixtures("loaded")
def test_points_that_wait_too_long_or_stay_away_fail_their_checks(
    instance: dg.DagsterInstance, settings: Settings
) -> None:
    defs = quietly_built(settings)
    lag = settings.points_max_lag_minutes

    def failing() -> list[str]:
        execute(defs, CHECK_JOB)
        names = (LAG, STUCK, REJECTED, FRESH)
        return [name for name in names if not check(instance, NAME, name)[0]]

    assert failing() == []
    with open_points(settings.points_database) as connection:
        later = time.time_ns() - (lag + 1) * MINUTE
        connection.execute("UPDATE dirty_hours SET since = ? WHERE series = 1", (later,))
        connection.execute("UPDATE segments SET loaded_at = ?", (later,))
    assert failing() == [LAG, FRESH]
    assert check(instance, NAME, LAG)[1] is dg.AssetCheckSeverity.ERROR
    assert check(instance, NAME, FRESH)[1] is dg.AssetCheckSeverity.WARN
    with open_points(settings.points_database) as connection:
        connection.execute("UPDATE segments SET loaded_at = ?", (time.time_ns() - 8 * DAY,))
    assert failing() == [LAG]
    log = open_log(settings.frames / "old")
    log.append(Kind.DATA, b"cpu usage=1", time.time_ns() - DAY - HOUR)
    log.close()
    assert failing() == [LAG, STUCK]
    assert check(instance, NAME, STUCK)[2]["waiting_minutes"] == 25 * 60
    execute(defs, LOAD)
    execute(defs, ROLLUP, days=(DAYS[0], TODAY))
    assert failing() == []


def test_names_that_clients_sent_stay_in_their_cell(
    instance: dg.DagsterInstance, settings: Settings
) -> None:
    with PointWriter(settings) as writer:
        writer.write_metric(MetricPoint(device_id="a|b  # c", metric_name="m", metric_value=1.0))
    defs = quietly_built(settings)
    execute(defs, LOAD)
    execute(defs, CHECK_JOB)
    rows = str(metadata(instance, NAME)["newest_series"]).splitlines()
    assert len(rows) == 3
    assert rows[2].startswith("| m | a\\|b # c | float |")


@pytest.mark.usefixtures("written")
def test_definitions_with_points_load_without_pandas_pyarrow_and_duckdb() -> None:
    code = "import sys, gateway_assets.definitions; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.strip("[]\n").split(", "))
    assert not {"'pandas'", "'pyarrow'", "'duckdb'"} & loaded
    assert "'gateway_assets.points.levels'" in loaded


def test_everything_of_points_starts_by_itself(settings: Settings) -> None:
    assert frames_sensor(settings).default_status is dg.DefaultSensorStatus.RUNNING
    for schedule in (points_rollup_schedule(settings), points_check_schedule(settings)):
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
