"""Every asset in process on an instance of its own; the sensor and the schedules evaluated."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from gateway_assets import clock
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.defs import automation
from gateway_assets.defs.advice import NAME as ADVICE
from gateway_assets.defs.build import build_defs
from gateway_assets.defs.execute import execute
from gateway_assets.defs.partitions import partitions_sensor
from gateway_assets.defs.report import report_sensor
from gateway_assets.defs.retention import forget_old_runs
from gateway_assets.defs.runs import ANSWER, ARCHIVE, BACKUP, LOAD, RANGE_END, RANGE_START, ROLLUP
from gateway_assets.errors import GatewayError
from gateway_assets.files.landing import Stamp, land
from gateway_assets.hot.store import open_store
from gateway_assets.settings import Settings, load_settings
from gateway_assets.sources.ip_traffic import SOURCE
from gateway_assets.tables import TABLES
from gateway_assets.tiers.catalog import catalog
from tests.clusters import land_day, times
from tests.defs.conftest import quietly_built
from tests.traffic import ORIGIN, TODAY, land_days, land_rows, row

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
    execute(defs, ROLLUP, days=(DAYS[0], TODAY))
    execute(defs, ARCHIVE, "ip_traffic_archive", (DAYS[0], DAYS[1]))
    execute(defs, ANSWER)


@pytest.mark.usefixtures("landed")
def test_every_asset_with_its_checks(instance: dg.DagsterInstance, defs: dg.Definitions) -> None:
    run_all(defs)
    execute(defs, BACKUP)
    assert metadata(instance, "raw_ip_traffic")["waiting_files"] == 30
    assert metadata(instance, "ip_traffic")["dagster/row_count"] == 1200
    for rollup in ("ip_traffic_hourly", "ip_traffic_daily"):
        assert metadata(instance, rollup)["merged_rows"] == 1200
    archived = metadata(instance, "ip_traffic_archive")
    assert (archived["rows"], archived["dagster/partition_row_count"]) == (240, 120)
    assert metadata(instance, "overview")["cold_rows"] == 240
    partitions = instance.get_materialized_partitions(dg.AssetKey("ip_traffic_archive"))
    assert partitions == {FIRST, clock.day_text(DAYS[1])}
    checks = {(key.asset_key.to_user_string(), key.name) for key in defs_checks(defs)}
    checks -= {key for key in checks if key[0] == ADVICE}
    rules = ["counts_equal_manifest", "values_equal_hash", "no_overlap", "no_gap"]
    tables = [table.name for table in TABLES]
    sources = [table.name for table in TABLES if table.source]
    assert checks == {
        ("raw_ip_traffic", "capture_is_complete"),
        ("raw_ip_traffic", "capture_covers_the_interface"),
        ("raw_ip_traffic", "counters_equal_files"),
        *((source, "rows_equal_footers") for source in sources),
        *((source, "files_equal_both_tiers") for source in sources),
        *((table.name, "sums_equal_rows_below") for table in TABLES if table.below),
        *((f"{table}_archive", rule) for table in tables for rule in rules),
        ("overview", "every_row_answers_once"),
        ("cluster_overview", "clusters_were_watched"),
        ("backup", "last_backup_is_proven"),
    }
    assert all(check(instance, *key)[0] for key in checks if "archive" not in key[0])


def test_lineage_leads_from_files_to_every_archive(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    for rollup in ("ip_traffic_hourly", "ip_traffic_daily"):
        assert parents(graph, rollup) == {"ip_traffic"}
        assert parents(graph, f"{rollup}_archive") == {rollup}
    above = {"ip_traffic", "ip_traffic_hourly", "ip_traffic_daily"}
    assert parents(graph, "ip_traffic_archive") == above


def test_days_of_clusters(
    instance: dg.DagsterInstance, defs: dg.Definitions, settings: Settings
) -> None:
    """A partition that is materialized is computed again, whatever is dirty."""
    graph = defs.resolve_asset_graph()
    below = {"metrics_snapshots", "collection_ticks", "latency_histogram"}
    assert parents(graph, "daily_snapshots") == below
    assert parents(graph, "metrics_snapshots_archive") == {"metrics_snapshots", "daily_snapshots"}
    for day in DAYS[:3]:
        land_day(settings.landing, day, times(day, 0, 20))
    execute(defs, LOAD)
    requested = requests(automation.rollup_schedule(settings), instance)
    assert [span(request) for request in requested] == [(FIRST, clock.day_text(DAYS[2]))]
    execute(defs, ROLLUP, "daily_snapshots", (DAYS[0], TODAY))
    assert metadata(instance, "daily_snapshots")["computed_rows"] == 3
    assert check(instance, "daily_snapshots", "sums_equal_rows_below")[0]
    with open_store(settings.hot_database) as connection:
        wanted = connection.execute("SELECT * FROM daily_snapshots").fetchall()
        connection.execute("UPDATE daily_snapshots SET query_success = 0 WHERE id > 1")
    execute(defs, ROLLUP, "daily_snapshots", (DAYS[1], DAYS[2]))
    assert metadata(instance, "daily_snapshots")["computed_rows"] == 2
    with open_store(settings.hot_database) as connection:
        assert connection.execute("SELECT * FROM daily_snapshots").fetchall() == wanted
    execute(defs, ARCHIVE, "metrics_snapshots_archive", (DAYS[0], DAYS[1]))
    assert metadata(instance, "metrics_snapshots_archive")["rows"] == 40


def parents(graph: Any, asset: str) -> set[str]:
    return {key.to_user_string() for key in graph.get(dg.AssetKey(asset)).parent_keys}


def defs_checks(defs: dg.Definitions) -> Iterable[dg.AssetCheckKey]:
    return defs.resolve_asset_graph().asset_check_keys


def check(
    instance: dg.DagsterInstance, asset: str, name: str
) -> tuple[bool, dg.AssetCheckSeverity, dict[str, object]]:
    """The last evaluation of a check."""
    key = dg.AssetCheckKey(dg.AssetKey(asset), name)
    records = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])
    event = records[key].event
    assert event and event.dagster_event
    found = event.dagster_event.asset_check_evaluation_data
    figures: dict[str, object] = {label: kept.value for label, kept in found.metadata.items()}
    return found.passed, found.severity, figures


@pytest.mark.parametrize("rollup", ["ip_traffic_hourly", "ip_traffic_daily"])
@pytest.mark.usefixtures("landed")
def test_a_roll_up_that_does_not_add_up_fails_its_check(
    instance: dg.DagsterInstance, defs: dg.Definitions, settings: Settings, rollup: str
) -> None:
    execute(defs, LOAD)
    with pytest.raises(KeyError):  # it reads the whole ledger: not with every run of the loader
        check(instance, "ip_traffic", "files_equal_both_tiers")
    execute(defs, ROLLUP, rollup, (DAYS[0], TODAY))
    assert check(instance, rollup, "sums_equal_rows_below")[0]
    with open_store(settings.hot_database) as connection:
        connection.execute(f"UPDATE {rollup} SET rx_bytes = rx_bytes + 1 WHERE id = 1")
    with pytest.raises(GatewayError, match="blocking asset check failed"):
        execute(defs, ROLLUP, rollup, (DAYS[0], TODAY))
    passed, severity, figures = check(instance, rollup, "sums_equal_rows_below")
    assert (passed, severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert figures["differing"] == [FIRST]


@pytest.mark.usefixtures("landed")
def test_incomplete_files_are_a_warning_that_stops_nothing(
    instance: dg.DagsterInstance, defs: dg.Definitions, settings: Settings
) -> None:
    for sequence in range(100, 102):
        stamp = Stamp(ORIGIN, DAYS[5] * clock.DAY, sequence)
        land(settings.landing, SOURCE, stamp, [row(DAYS[5], 0)], complete=False)
    execute(defs, LOAD)
    execute(defs, ANSWER)
    passed, severity, figures = check(instance, "raw_ip_traffic", "capture_is_complete")
    assert (passed, severity) == (False, dg.AssetCheckSeverity.WARN)
    assert figures == {"files": 32, "incomplete_files": 2, "incomplete_share": 0.0625}
    assert check(instance, "overview", "every_row_answers_once")[0]
    with open_store(settings.hot_database) as connection:
        connection.execute("UPDATE loaded_files SET loaded_at = loaded_at - ?", (clock.DAY,))
    execute(defs, ANSWER)
    passed, _, figures = check(instance, "raw_ip_traffic", "capture_is_complete")
    assert (passed, figures["files"]) == (False, 0)


@pytest.mark.usefixtures("landed")
def test_little_coverage_and_missing_files_are_warnings(
    instance: dg.DagsterInstance, defs: dg.Definitions, settings: Settings
) -> None:
    for number, (total, coverage) in enumerate(((1000, 0.95), (2500, 0.5))):
        stamp = Stamp(ORIGIN, DAYS[5] * clock.DAY, 200 + number)
        counters = {"epoch": 1, "tx_bytes": total, "rx_bytes": 0}
        facts = {"counters": counters, "coverage": coverage}
        land(settings.landing, SOURCE, stamp, [row(DAYS[5], 0)], facts=facts)
    execute(defs, LOAD)
    execute(defs, ANSWER)
    passed, severity, figures = check(instance, "raw_ip_traffic", "capture_covers_the_interface")
    assert (passed, severity) == (False, dg.AssetCheckSeverity.WARN)
    assert figures["least_coverage"] == 0.5
    passed, severity, figures = check(instance, "raw_ip_traffic", "counters_equal_files")
    assert (passed, severity) == (False, dg.AssetCheckSeverity.WARN)
    assert list(figures.values()) == [500]


@pytest.mark.usefixtures("landed")
def test_the_ledger_is_compared_with_both_tiers_and_with_what_was_erased(
    instance: dg.DagsterInstance, defs: dg.Definitions, settings: Settings
) -> None:
    run_all(defs)
    UniversalArchiver(settings).erase("ip_traffic", {"remote_ip": "192.0.2.7"})
    execute(defs, ANSWER)
    passed, _, figures = check(instance, "ip_traffic", "files_equal_both_tiers")
    assert (passed, figures["rows"], figures["missing_rows"]) == (True, 1190, 0)
    with open_store(settings.hot_database) as connection:
        connection.execute("UPDATE ip_traffic SET tx_bytes = tx_bytes - 3 WHERE id = 1000")
    with pytest.raises(GatewayError, match="blocking asset check failed"):
        execute(defs, ANSWER)
    passed, severity, figures = check(instance, "ip_traffic", "files_equal_both_tiers")
    assert (passed, severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert (figures["missing_rows"], figures["missing_tx_bytes"]) == (0, 3)


@pytest.mark.usefixtures("landed")
def test_the_archive_of_a_roll_up(
    instance: dg.DagsterInstance, defs: dg.Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(defs, LOAD)
    execute(defs, ROLLUP, days=(DAYS[0], TODAY))
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
    found = requests(rollups, instance)
    assert [request.asset_selection for request in found] == [
        [dg.AssetKey("ip_traffic_hourly")],
        [dg.AssetKey("ip_traffic_daily")],
    ]
    assert {span(request) for request in found} == {(FIRST, LATE)}
    assert requests(archives, instance) == []
    execute(defs, ROLLUP, days=(DAYS[0], TODAY))
    assert requests(rollups, instance) == []
    (archive,) = requests(archives, instance)
    assert span(archive) == (FIRST, OLD)
    assert archive.asset_selection == [dg.AssetKey("ip_traffic_archive")]
    execute(defs, ARCHIVE, "ip_traffic_archive", (DAYS[0], DAYS[1]))
    assert requests(archives, instance) == []
    land_rows(settings.landing, DAYS[1], 100, 5)
    execute(defs, LOAD)
    assert {span(late) for late in requests(rollups, instance)} == {(OLD, OLD)}


@pytest.mark.usefixtures("landed")
def test_several_tables_and_gaps_are_asked_for_in_one_tick(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, defs: dg.Definitions
) -> None:
    execute(defs, LOAD)
    execute(defs, ROLLUP, days=(DAYS[0], TODAY))
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
        automation.answer_schedule(),
        automation.advice_schedule(settings),
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
