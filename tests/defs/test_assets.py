"""Every asset in process on an instance of its own; the sensor and the schedules evaluated."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from gateway_assets import clock
from gateway_assets.defs import automation
from gateway_assets.defs.build import build_defs
from gateway_assets.defs.execute import execute
from gateway_assets.defs.partitions import partitions_sensor
from gateway_assets.defs.report import report_sensor
from gateway_assets.defs.retention import forget_old_runs
from gateway_assets.defs.runs import ANSWER, ARCHIVE, LOAD, RANGE_END, RANGE_START, ROLLUP
from gateway_assets.errors import GatewayError
from gateway_assets.hot.store import open_store
from gateway_assets.settings import Settings, load_settings
from gateway_assets.tiers.catalog import catalog
from tests.defs.conftest import quietly_built
from tests.traffic import TODAY, land_days, land_rows

OLD, LATE = clock.day_text(TODAY - 8), clock.day_text(TODAY)
DAYS = range(TODAY - 9, TODAY + 1)
FIRST = clock.day_text(DAYS[0])


@pytest.fixture
def landed(settings: Settings) -> None:
    land_days(settings.landing, DAYS)


def metadata(instance: dg.DagsterInstance, asset: str) -> dict[str, object]:
    event = instance.get_latest_materialization_event(dg.AssetKey(asset))
    assert event and event.asset_materialization
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def run_all(defs: dg.Definitions) -> None:
    execute(defs, LOAD)
    execute(defs, ROLLUP, "ip_traffic_daily", (DAYS[0], TODAY))
    execute(defs, ARCHIVE, "ip_traffic_archive", (DAYS[0], DAYS[1]))
    execute(defs, ANSWER)


@pytest.mark.usefixtures("landed")
def test_every_asset_with_its_checks(instance: dg.DagsterInstance, defs: dg.Definitions) -> None:
    run_all(defs)
    assert metadata(instance, "raw_ip_traffic")["waiting_files"] == 30
    assert metadata(instance, "ip_traffic")["dagster/row_count"] == 1200
    assert metadata(instance, "ip_traffic_daily")["merged_rows"] == 1200
    archived = metadata(instance, "ip_traffic_archive")
    assert (archived["rows"], archived["dagster/partition_row_count"]) == (240, 120)
    assert metadata(instance, "overview")["cold_rows"] == 240
    partitions = instance.get_materialized_partitions(dg.AssetKey("ip_traffic_archive"))
    assert partitions == {FIRST, clock.day_text(DAYS[1])}
    checks = [key.name for key in defs.resolve_asset_graph().asset_check_keys]
    rules = ["counts_equal_manifest", "values_equal_hash", "no_overlap", "no_gap"]
    assert sorted(checks) == sorted(
        ["every_row_answers_once", "rows_equal_footers", "sums_equal_rows_below", *rules, *rules]
    )


@pytest.mark.usefixtures("landed")
def test_the_archive_of_a_roll_up(
    instance: dg.DagsterInstance, defs: dg.Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(defs, LOAD)
    execute(defs, ROLLUP, "ip_traffic_daily", (DAYS[0], TODAY))
    monkeypatch.setenv("GATEWAY_HOT_DAYS", '{"ip_traffic_daily": 7}')
    shorter = quietly_built(load_settings())
    execute(shorter, ARCHIVE, "ip_traffic_daily_archive", (DAYS[0], DAYS[1]))
    partitions = instance.get_materialized_partitions(dg.AssetKey("ip_traffic_daily_archive"))
    assert partitions == {FIRST, clock.day_text(DAYS[1])}
    execute(shorter, ANSWER)
    rows = metadata(instance, "ip_traffic_daily_archive")["rows"]
    assert metadata(instance, "overview")["cold_rows"] == rows != 0


@pytest.mark.usefixtures("landed", "instance")
def test_a_day_that_must_stay_hot_fails_and_says_why(defs: dg.Definitions) -> None:
    execute(defs, LOAD)
    with pytest.raises(GatewayError, match="not rolled up yet"):
        execute(defs, ARCHIVE, "ip_traffic_archive", (DAYS[0], DAYS[0]))
    with pytest.raises(GatewayError, match="the day is not over"):
        execute(defs, ARCHIVE, "ip_traffic_archive", (TODAY, TODAY))


@pytest.mark.usefixtures("landed", "instance")
def test_a_damaged_archive_fails_its_blocking_check(
    defs: dg.Definitions, settings: Settings
) -> None:
    run_all(defs)
    file = next(settings.archive.rglob("*.parquet"))
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(GatewayError, match=file.name):
        execute(defs, ANSWER)
    with pytest.raises(GatewayError):
        execute(defs, ARCHIVE, "ip_traffic_archive", (DAYS[0], DAYS[1]))


@pytest.mark.usefixtures("landed", "instance")
def test_a_lost_row_fails_the_check_of_the_answers(
    defs: dg.Definitions, settings: Settings
) -> None:
    run_all(defs)
    with open_store(settings.hot_database) as connection:
        connection.execute("DELETE FROM ip_traffic WHERE id = 1000")
    with pytest.raises(GatewayError):
        execute(defs, ANSWER)


@pytest.mark.usefixtures("landed")
def test_the_sensor_asks_once_for_all_that_landed(
    instance: dg.DagsterInstance, settings: Settings, defs: dg.Definitions
) -> None:
    sensor = automation.landing_sensor(settings)
    request = sensor(dg.build_sensor_context(instance=instance))
    assert isinstance(request, dg.RunRequest)
    assert request.tags == {"gateway/waiting_files": "30"}
    waiting = instance.create_run_for_job(
        defs.resolve_job_def(LOAD), status=dg.DagsterRunStatus.STARTED
    )
    skipped = sensor(dg.build_sensor_context(instance=instance))
    assert isinstance(skipped, dg.SkipReason)
    instance.report_run_failed(waiting)
    assert isinstance(sensor(dg.build_sensor_context(instance=instance)), dg.RunRequest)
    execute(defs, LOAD)
    assert isinstance(sensor(dg.build_sensor_context(instance=instance)), dg.SkipReason)


def requests(schedule: dg.ScheduleDefinition, instance: dg.DagsterInstance) -> list[dg.RunRequest]:
    context = dg.build_schedule_context(instance, scheduled_execution_time=datetime.now(UTC))
    return list(schedule.evaluate_tick(context).run_requests or ())


def span(request: dg.RunRequest) -> tuple[str, str]:
    return request.tags[RANGE_START], request.tags[RANGE_END]


@pytest.mark.usefixtures("landed")
def test_the_schedules_ask_for_what_is_due_and_nothing_else(
    instance: dg.DagsterInstance, settings: Settings, defs: dg.Definitions
) -> None:
    rollups, archives = (
        automation.rollup_schedule(settings),
        automation.archive_schedule(settings, catalog(settings)),
    )
    assert requests(rollups, instance) == requests(archives, instance) == []
    execute(defs, LOAD)
    (rollup,) = requests(rollups, instance)
    assert span(rollup) == (FIRST, LATE)
    assert requests(archives, instance) == []
    execute(defs, ROLLUP, "ip_traffic_daily", (DAYS[0], TODAY))
    assert requests(rollups, instance) == []
    (archive,) = requests(archives, instance)
    assert span(archive) == (FIRST, OLD)
    assert archive.asset_selection == [dg.AssetKey("ip_traffic_archive")]
    execute(defs, ARCHIVE, "ip_traffic_archive", (DAYS[0], DAYS[1]))
    assert requests(archives, instance) == []
    land_rows(settings.landing, DAYS[1], 100, 5)
    execute(defs, LOAD)
    (late,) = requests(rollups, instance)
    assert span(late) == (OLD, OLD)


@pytest.mark.usefixtures("landed")
def test_several_tables_and_gaps_are_asked_for_in_one_tick(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, defs: dg.Definitions
) -> None:
    execute(defs, LOAD)
    execute(defs, ROLLUP, "ip_traffic_daily", (DAYS[0], TODAY))
    execute(defs, ARCHIVE, "ip_traffic_archive", (DAYS[1], DAYS[1]))
    monkeypatch.setenv("GATEWAY_HOT_DAYS", '{"ip_traffic": 6, "ip_traffic_daily": 0}')
    archives = automation.archive_schedule(load_settings(), catalog(load_settings()))
    asked = [(request.asset_selection, span(request)) for request in requests(archives, instance)]
    assert asked == [
        ([dg.AssetKey("ip_traffic_archive")], (FIRST, FIRST)),
        ([dg.AssetKey("ip_traffic_archive")], (clock.day_text(DAYS[2]),) * 2),
        ([dg.AssetKey("ip_traffic_daily_archive")], (FIRST, clock.day_text(TODAY - 1))),
    ]


@pytest.mark.usefixtures("landed")
def test_old_runs_go_and_partitions_stay(
    instance: dg.DagsterInstance, defs: dg.Definitions, tmp_path: Path
) -> None:
    run_all(defs)
    newest = [execute(defs, LOAD) for _ in range(3)][-1]
    before = {path.stem for path in (tmp_path / "home" / "history" / "runs").glob("*-*.db")}
    assert forget_old_runs(instance, datetime.now(UTC), keep_newest=1) == 3
    after = {path.stem for path in (tmp_path / "home" / "history" / "runs").glob("*-*.db")}
    assert len(before - after) == 3
    assert newest in after
    assert {run.run_id for run in instance.get_runs()} == after
    assert metadata(instance, "ip_traffic")["dagster/row_count"] == 960
    for asset in ("ip_traffic_archive", "ip_traffic_daily"):
        assert instance.get_materialized_partitions(dg.AssetKey(asset))
    assert forget_old_runs(instance, datetime.now(UTC), keep_newest=1) == 0
    assert defs.resolve_job_def("forget_old_runs").execute_in_process(instance=instance).success


def test_unbroken_ranges() -> None:
    assert automation.ranges([]) == []
    assert automation.ranges([1, 2, 3, 5, 8, 9]) == [(1, 3), (5, 5), (8, 9)]


@pytest.mark.usefixtures("instance")
def test_dagster_loads_the_code_location_as_its_servers_do() -> None:
    program = str(Path(sys.executable).with_name("dagster"))
    command = [program, "definitions", "validate", "-m", "gateway_assets.definitions"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_everything_starts_by_itself(settings: Settings) -> None:
    assert automation.landing_sensor(settings).default_status is dg.DefaultSensorStatus.RUNNING
    tables = catalog(settings)
    for schedule in (
        automation.rollup_schedule(settings),
        automation.archive_schedule(settings, tables),
    ):
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    for sensor in (partitions_sensor(settings, tables), report_sensor()):
        assert sensor.default_status is dg.DefaultSensorStatus.RUNNING


def test_definitions_load_without_pandas_pyarrow_and_duckdb() -> None:
    code = "import sys, gateway_assets.definitions; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"'pandas'", "'pyarrow'", "'duckdb'"} & set(done.stdout.strip("[]\n").split(", "))


def test_unknown_tables_in_hot_days_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_HOT_DAYS", '{"no_such_table": 3}')
    with pytest.raises(GatewayError, match="no_such_table"):
        build_defs(load_settings())
