"""Clusters in Dagster: looked at over real sockets, rules as checks, how full disks are."""

from __future__ import annotations

import base64
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import dagster as dg
import pytest

from gateway_assets import clock
from gateway_assets.clusters.advice import FORGOTTEN
from gateway_assets.clusters.rules import RULES
from gateway_assets.collect.config import clusters_of
from gateway_assets.collect.loop import once
from gateway_assets.defs import advice, automation, picture
from gateway_assets.defs.advice import NOT_COLLECTED
from gateway_assets.defs.clusters import LEAST_WATCHED_PCT, OVERVIEW, WATCHED
from gateway_assets.defs.collected import COLLECTED, NAME
from gateway_assets.defs.execute import execute
from gateway_assets.defs.retention import forget_old_runs
from gateway_assets.defs.runs import ADVICE, ANSWER, LOAD, RANGE_END, RANGE_START, ROLLUP
from gateway_assets.files.landing import landing_files, read_landing
from gateway_assets.files.lock import exclusive
from gateway_assets.hot.store import open_store
from gateway_assets.settings import Settings
from gateway_assets.simulated.cluster import SimulatedCluster
from gateway_assets.sources import collection_ticks, metrics_snapshots
from gateway_assets.starrocks.forecast import forecast
from tests.clusters import land_all, snapshot, tick
from tests.defs.conftest import quietly_built
from tests.defs.test_assets import check, metadata, parents, requests
from tests.traffic import TODAY, land_days

SIMULATED = "simulated"
GIB = 1024**3
CHECKS = len(RULES) + 1  # and not_collected


@pytest.fixture
def simulated(settings: Settings) -> Iterator[SimulatedCluster]:
    with SimulatedCluster(1, 2) as cluster:
        settings.data_dir.mkdir(parents=True)
        (settings.data_dir / "clusters.toml").write_text(cluster.as_toml())
        yield cluster


def look(settings: Settings, defs: dg.Definitions) -> None:
    once(clusters_of(settings), settings)
    execute(defs, LOAD)
    execute(defs, ADVICE)


def days(settings: Settings, cluster: str, numbers: Any, **values: Any) -> None:
    """A snapshot and a tick for each number of days before today."""
    moments = [(TODAY - number) * clock.DAY for number in numbers]
    rows = [
        snapshot(moment, cluster, **{name: value(moment) for name, value in values.items()})
        for moment in moments
    ]
    land_all(settings.landing, metrics_snapshots.SOURCE, rows)
    land_all(settings.landing, collection_ticks.SOURCE, [tick(one, cluster) for one in moments])


# Definitions ------------------------------------------------------------------------------------


def test_every_rule_has_a_check(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    keys = graph.get_check_keys_for_assets({dg.AssetKey(advice.NAME)})
    assert len(keys) == CHECKS == len({key.name for key in keys})
    assert parents(graph, advice.NAME) >= {rule.table for rule in RULES}
    for rule in RULES:
        spec = graph.get_check_spec(dg.AssetCheckKey(dg.AssetKey(advice.NAME), rule.name))
        assert rule.about in (spec.description or "")
        assert rule.advice in (spec.description or "")
        assert not spec.blocking


def test_a_look_by_hand_stands_above_what_is_collected(
    defs: dg.Definitions, simulated: SimulatedCluster, settings: Settings
) -> None:
    for built in (defs, quietly_built(settings)):
        dg.Definitions.validate_loadable(built)
        graph = built.resolve_asset_graph()
        below = graph.get(dg.AssetKey(NAME)).child_keys
        assert {key.to_user_string() for key in below} == {f"raw_{one.name}" for one in COLLECTED}
        assert parents(graph, "raw_ip_traffic") == set()
        assert parents(graph, "cluster_capacity") == {"daily_snapshots"}


# A host without clusters ------------------------------------------------------------------------


def test_a_host_without_clusters(
    instance: dg.DagsterInstance, defs: dg.Definitions, settings: Settings
) -> None:
    land_days(settings.landing, range(TODAY - 1, TODAY + 1))
    request = automation.landing_sensor(settings)(dg.build_sensor_context(instance=instance))
    assert isinstance(request, dg.RunRequest)
    assert request.asset_selection == [dg.AssetKey("raw_ip_traffic"), dg.AssetKey("ip_traffic")]
    assert defs.resolve_job_def(LOAD).execute_in_process(instance=instance).success
    assert requests(automation.advice_schedule(settings), instance) == []
    execute(defs, ADVICE)
    execute(defs, ANSWER)
    passed, _, figures = check(instance, advice.NAME, "backend_down")
    assert (passed, figures) == (True, {"clusters": 0, "findings": 0})
    assert said(instance, advice.NAME, "backend_down") == "no cluster"
    assert check(instance, OVERVIEW, WATCHED)[0]
    for asset in ("cluster_overview", "cluster_capacity"):
        assert metadata(instance, asset)["clusters"] == 0
    assert "metrics_snapshots" not in str(metadata(instance, "overview")["tables"])


def test_a_host_without_capture(instance: dg.DagsterInstance, defs: dg.Definitions) -> None:
    execute(defs, ANSWER)
    passed, _, figures = check(instance, "raw_ip_traffic", "capture_is_complete")
    assert (passed, figures) == (True, {"files": 0})


def said(instance: dg.DagsterInstance, asset: str, name: str) -> str | None:
    key = dg.AssetCheckKey(dg.AssetKey(asset), name)
    records = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])
    event = records[key].event
    assert event
    assert event.dagster_event
    return event.dagster_event.asset_check_evaluation_data.description


def test_a_run_of_the_sensor_loads_without_the_rules(
    instance: dg.DagsterInstance, defs: dg.Definitions, settings: Settings
) -> None:
    days(settings, "red", range(1, 3))
    request = automation.landing_sensor(settings)(dg.build_sensor_context(instance=instance))
    assert isinstance(request, dg.RunRequest)
    job = defs.resolve_job_def(LOAD).get_subset(
        asset_selection=set(request.asset_selection or ()),
        asset_check_selection=set(request.asset_check_keys or ()),
    )
    done = job.execute_in_process(instance=instance)
    names = {one.check_name for one in done.get_asset_check_evaluations()}
    assert names == {"rows_equal_footers"}
    loaded = {event.asset_key.to_user_string() for event in done.get_asset_materialization_events()
              if event.asset_key}  # fmt: skip
    sources = ("metrics_snapshots", "collection_ticks")
    assert loaded == {name for source in sources for name in (source, f"raw_{source}")}


# A look by hand ---------------------------------------------------------------------------------


def looked(instance: dg.DagsterInstance, defs: dg.Definitions) -> dict[str, Any]:
    job = defs.resolve_implicit_global_asset_job_def()
    selection = [dg.AssetKey(NAME)]
    assert job.execute_in_process(instance=instance, asset_selection=selection).success
    return metadata(instance, NAME)


def test_a_look_by_hand(
    instance: dg.DagsterInstance,
    defs: dg.Definitions,
    settings: Settings,
    simulated: SimulatedCluster,
) -> None:
    figures = looked(instance, defs)
    assert (figures["clusters"], figures["nodes"], figures["nodes_answered"]) == (1, 3, 3)
    (file,) = landing_files(settings.landing, collection_ticks.SOURCE)
    (row,) = read_landing(file, collection_ticks.SOURCE).rows
    assert figures["status"] == row[2] in {"ok", "partial"}
    assert figures["looks"].splitlines()[2].startswith(f"| {SIMULATED} | {row[2]} |")
    for table in COLLECTED[:3]:
        assert table.source
        assert len(list(landing_files(settings.landing, table.source))) == 1
    simulated.kill(simulated.backends[0])
    figures = looked(instance, defs)
    assert (figures["status"], figures["nodes_answered"]) == ("partial", 2)
    assert figures["errors"] >= 1
    assert len(list(landing_files(settings.landing, collection_ticks.SOURCE))) == 2


def test_a_collector_that_runs_is_the_only_one_that_looks(
    instance: dg.DagsterInstance,
    defs: dg.Definitions,
    settings: Settings,
    simulated: SimulatedCluster,
) -> None:
    with exclusive(settings.data_dir / "collect" / ".lock", "gateway collect"):
        figures = looked(instance, defs)
    assert figures["status"].startswith("not asked: gateway collect is already running")
    assert not list(landing_files(settings.landing, collection_ticks.SOURCE))


def test_nothing_is_asked_without_clusters(
    instance: dg.DagsterInstance, defs: dg.Definitions
) -> None:
    expected = {"clusters": 0, "status": "not asked: no cluster is declared"}
    assert looked(instance, defs) == expected


# Rules ------------------------------------------------------------------------------------------


def test_a_node_that_dies_is_named_until_it_is_back(
    instance: dg.DagsterInstance,
    defs: dg.Definitions,
    settings: Settings,
    simulated: SimulatedCluster,
) -> None:
    node = simulated.backends[1]
    look(settings, defs)
    assert check(instance, advice.NAME, "node_down")[0]
    simulated.kill(node)
    simulated.step(10)
    look(settings, defs)
    passed, severity, figures = check(instance, advice.NAME, "node_down")
    assert (passed, severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert (figures["clusters"], figures["findings"]) == (1, 1)
    assert node.host in str(figures["where"])
    assert node.host in (said(instance, advice.NAME, "node_down") or "")
    age = clock.now() / clock.SECOND - float(str(figures["since"]))
    assert 0 <= age < 600
    assert requests(automation.advice_schedule(settings), instance)
    simulated.revive(node)
    simulated.step(10)
    look(settings, defs)
    assert check(instance, advice.NAME, "node_down")[0]


def test_rows_that_are_old_say_what_was_wrong_and_that_nobody_looks(
    instance: dg.DagsterInstance, defs: dg.Definitions, settings: Settings
) -> None:
    at = clock.now() - 10 * 60 * clock.SECOND
    rows = [snapshot(at + number * 30 * clock.SECOND, be_total=3, be_alive=2) for number in (0, 5)]
    land_all(settings.landing, metrics_snapshots.SOURCE, rows)
    land_all(settings.landing, collection_ticks.SOURCE, [tick(at)])
    execute(defs, LOAD)
    execute(defs, ADVICE)
    for name in ("backend_down", NOT_COLLECTED):
        passed, _, figures = check(instance, advice.NAME, name)
        assert (passed, figures["where"]) == (False, "red")
    assert check(instance, advice.NAME, "frontend_down")[0]
    assert metadata(instance, advice.NAME)["findings"] == 2
    rules = {rule.name: rule.severity for rule in RULES}
    warned = next(name for name, severity in rules.items() if severity == "warn")
    assert check(instance, advice.NAME, warned)[1] is dg.AssetCheckSeverity.WARN


def test_what_old_runs_said_goes_with_them_but_for_the_newest(
    instance: dg.DagsterInstance, defs: dg.Definitions, settings: Settings
) -> None:
    for _ in range(3):
        execute(defs, ADVICE)
    execute(defs, LOAD)
    kept = Path(instance.root_directory) / "history" / "runs" / "index.db"
    with closing(sqlite3.connect(kept)) as connection:
        count = "SELECT count(*) FROM asset_check_executions"
        assert connection.execute(count).fetchone() == (3 * CHECKS + 8,)
        assert forget_old_runs(instance, datetime.now(UTC), keep_newest=1) == 3
        assert connection.execute(count).fetchone() == (CHECKS + 8,)
    assert check(instance, advice.NAME, "backend_down")[0]


# Answers ----------------------------------------------------------------------------------------


def test_overview_and_capacity(
    instance: dg.DagsterInstance,
    defs: dg.Definitions,
    settings: Settings,
    simulated: SimulatedCluster,
) -> None:
    first = (TODAY - 30) * clock.DAY
    days(
        settings,
        "red",
        range(30, 0, -1),
        is_shared_data=lambda _: 0,
        disk_total_bytes=lambda _: 100 * GIB,
        disk_used_bytes=lambda moment: 30 * GIB + (moment - first) // clock.DAY * GIB,
    )
    days(settings, "blue", range(3, 0, -1), disk_used_bytes=lambda _: GIB)
    simulated.kill(simulated.backends[0])
    once(clusters_of(settings), settings)
    execute(defs, LOAD)
    execute(defs, ROLLUP, "daily_snapshots", (TODAY - 30, TODAY))
    execute(defs, ANSWER)
    seen = metadata(instance, "cluster_overview")
    assert (seen["clusters"], seen[f"{SIMULATED}/be_alive"]) == (1, 1)
    assert f"| {SIMULATED} |" in str(seen["overview"])
    assert simulated.backends[0].host in str(seen["advice"])
    found = metadata(instance, "cluster_capacity")
    assert found["clusters"] == 3
    assert found["red/growth_bytes_a_day"] == GIB
    assert found["red/limit_bytes"] == 95 * GIB
    assert found["red/days_left"] == 95 - 59 - 1  # as of today
    assert "blue/days_left" not in found
    assert "not enough data: 3 of 7 days" in str(found["forecast"])
    assert "data:image/svg+xml;base64," in str(found["red/growth"])


@pytest.mark.parametrize(
    ("sizes", "limit", "lines"),
    [
        pytest.param([5, 6, 7, 8, 9, 10, 11, 12], 20, 3, id="limit near"),
        pytest.param([5, 6, 7, 8, 9, 10, 11, 12], 2000, 2, id="limit far"),
        pytest.param([5, 5, 5], None, 1, id="no forecast"),
        pytest.param([7] * 9, None, 2, id="nothing grows"),
    ],
)
def test_a_picture_of_growth(sizes: list[float], limit: float | None, lines: int) -> None:
    points = list(enumerate(sizes))
    drawn = picture.growth_picture(points, limit, forecast(points, limit))
    shapes = [shape for shape in _shapes(drawn) if shape.get("stroke")]
    assert len(shapes) == lines
    for shape in shapes:
        numbers = [int(number) for number in re.findall(r"-?\d+", str(shape.get("d")))]
        assert all(0 <= number <= picture.WIDTH for number in numbers)
        assert all(number <= picture.HEIGHT for number in numbers[1::2] if "h" not in shape["d"])
    assert picture.growth_picture(points[:1], limit, forecast(points[:1], limit)) == ""


def _shapes(drawn: str) -> list[dict[str, str]]:
    found = re.match(r"!\[growth\]\(data:image/svg\+xml;base64,([\w+/=]+)\)", drawn)
    assert found
    return [one.attrib for one in ElementTree.fromstring(base64.b64decode(found[1]))]


def test_pictures_are_so_small_that_dagster_shows_them_at_once() -> None:
    points = [(TODAY - number, 1e15 + 1e13 * (number * 7 % 11)) for number in range(100, 0, -1)]
    rising = [(day, size + 1e13 * (day - TODAY)) for day, size in points]
    drawn = picture.growth_picture(rising, 1.1e15, forecast(rising, 1.1e15))
    assert len(_shapes(drawn)) == 5
    assert len(drawn) < picture.INLINE


# Days -------------------------------------------------------------------------------------------


def test_clusters_are_asked_after_for_as_long_as_advice_speaks_of_them() -> None:
    assert advice.FORGOTTEN == FORGOTTEN


def test_the_last_word_on_a_removed_cluster_is_that_all_is_well(
    instance: dg.DagsterInstance, defs: dg.Definitions, settings: Settings
) -> None:
    at = clock.now() - FORGOTTEN - clock.HOUR // 2
    land_all(settings.landing, collection_ticks.SOURCE, [tick(at)])
    execute(defs, LOAD)
    schedule = automation.advice_schedule(settings)
    assert requests(schedule, instance)
    execute(defs, ADVICE)
    passed, _, figures = check(instance, advice.NAME, NOT_COLLECTED)
    assert (passed, figures["clusters"]) == (True, 0)
    with open_store(settings.hot_database) as connection:
        connection.execute("UPDATE collection_ticks SET time = time - ?", (clock.HOUR,))
    assert requests(schedule, instance) == []


def test_a_range_of_days_in_one_run(
    instance: dg.DagsterInstance, defs: dg.Definitions, settings: Settings
) -> None:
    days(settings, "red", range(5, 0, -1))
    execute(defs, LOAD)
    key = dg.AssetKey("daily_snapshots")
    wanted = [clock.day_text(TODAY - number) for number in range(5, 0, -1)]
    tags = {RANGE_START: wanted[0], RANGE_END: wanted[-1]}
    job = defs.resolve_implicit_global_asset_job_def()
    done = job.execute_in_process(instance=instance, asset_selection=[key], tags=tags)
    assert done.success
    assert instance.get_materialized_partitions(key) == set(wanted)
    assert len(instance.get_runs()) == 2  # the loader's and this one


@pytest.mark.parametrize(
    ("numbers", "passes"),
    [
        pytest.param([1], True, id="first day"),
        pytest.param([2, 1], False, id="one tick of the day"),
        pytest.param([3, 2], False, id="no tick of the day"),
    ],
)
def test_a_day_that_was_hardly_watched_is_a_warning(
    instance: dg.DagsterInstance,
    defs: dg.Definitions,
    settings: Settings,
    simulated: SimulatedCluster,
    numbers: list[int],
    passes: bool,
) -> None:
    days(settings, SIMULATED, numbers)
    days(settings, "removed", numbers)
    execute(defs, LOAD)
    execute(defs, ROLLUP, "daily_snapshots", (TODAY - 3, TODAY))
    execute(defs, ANSWER)
    passed, severity, figures = check(instance, OVERVIEW, WATCHED)
    assert (passed, severity) == (passes, dg.AssetCheckSeverity.WARN)
    assert figures.keys() == (set() if passes else {SIMULATED})


def test_a_day_that_was_watched(
    instance: dg.DagsterInstance,
    defs: dg.Definitions,
    settings: Settings,
    simulated: SimulatedCluster,
) -> None:
    days(settings, SIMULATED, [2, 1])
    execute(defs, LOAD)
    execute(defs, ROLLUP, "daily_snapshots", (TODAY - 3, TODAY))
    with open_store(settings.hot_database) as connection:
        connection.execute("UPDATE daily_snapshots SET coverage_pct = ?", (LEAST_WATCHED_PCT,))
    execute(defs, ANSWER)
    passed, _, figures = check(instance, OVERVIEW, WATCHED)
    assert (passed, figures) == (True, {SIMULATED: LEAST_WATCHED_PCT})
