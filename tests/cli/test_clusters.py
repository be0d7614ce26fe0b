"""``gateway clusters``: every answer for people and for scripts, and an error with a hint."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway_assets import clock
from gateway_assets.cli.clusters import clusters
from gateway_assets.cli.main import main
from gateway_assets.cli.pictures import BARS
from gateway_assets.clusters.rules import RULES
from gateway_assets.errors import GatewayError
from gateway_assets.settings import Settings, load_settings
from gateway_assets.simulated.cluster import SimulatedCluster
from gateway_assets.sources import collection_ticks, metrics_snapshots
from tests.clusters import TICK, land_all, snapshot, tick
from tests.clusters.lived import bring, live
from tests.collect.watching import declared
from tests.traffic import TODAY

ASKED_OF_ROWS = (
    ["overview"], ["history", "qps"], ["latency"], ["slow"], ["views"], ["loads"], ["trend"],
    ["growth"], ["forecast"],
)  # fmt: skip


def ask(settings: Settings, *arguments: str) -> Result:
    return CliRunner().invoke(clusters, arguments, obj=settings, env={"COLUMNS": "200"})


def told(settings: Settings, *arguments: str) -> Any:
    result = ask(settings, *arguments, "--json")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, SimulatedCluster]]:
    """A quarter of an hour until now, a backend dead at its end."""
    settings = load_settings(data_dir=tmp_path_factory.mktemp("cli"))
    start = (clock.now() - 31 * TICK) // TICK * TICK
    with SimulatedCluster(2, 2, start=start) as simulated:
        simulated.world.views[0].fails = True
        simulated.workload.median_ms = 900
        live(simulated, settings, 31, {25: lambda one: one.kill(one.backends[0])})
        line = declared(simulated, "simulated")
        text = f'[[clusters]]\nname = "simulated"\nuser = "{line.user}"\n'
        text += f"frontends = {json.dumps(line.frontends)}\nhttp_port = {line.http_port}\n"
        (settings.data_dir / "clusters.toml").write_text(text)
        yield settings, simulated


@pytest.mark.parametrize("arguments", ASKED_OF_ROWS, ids=lambda one: one[0])
@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_before_anything_was_collected(
    settings: Settings, arguments: list[str], as_json: bool
) -> None:
    result = ask(settings, *arguments, *(["--json"] if as_json else []))
    assert isinstance(result.exception, GatewayError)
    assert result.exception.message == "no cluster has been looked at in the last 30 days"
    assert "gateway collect" in result.exception.hint
    assert result.stdout == ""


@pytest.mark.parametrize("arguments", ASKED_OF_ROWS, ids=lambda one: one[0])
def test_an_unknown_cluster(lived: tuple[Settings, Any], arguments: list[str]) -> None:
    result = ask(lived[0], *arguments, "--cluster", "blue")
    assert isinstance(result.exception, GatewayError)
    assert result.exception.message == "there is no cluster 'blue'"
    assert result.exception.hint == "clusters: simulated"


@pytest.mark.parametrize(
    "arguments",
    [["history", "qps"], ["latency"], ["slow"], ["views"], ["loads"], ["trend"],
     ["growth", "--last", "1d"]],
    ids=lambda one: one[0],
)  # fmt: skip
def test_where_there_are_no_rows_the_hint_says_what_to_do(
    settings: Settings, arguments: list[str]
) -> None:
    land_all(settings.landing, collection_ticks.SOURCE, [tick(TODAY * clock.DAY - 9 * clock.DAY)])
    bring(settings)
    result = ask(settings, *arguments)
    assert isinstance(result.exception, GatewayError), result.output
    assert result.exception.message.startswith("there is no ")
    assert result.exception.hint


def test_overview_on_a_page(lived: tuple[Settings, SimulatedCluster]) -> None:
    result = ask(lived[0], "overview")
    assert result.exit_code == 0, result.exception
    assert "simulated  partial  " in result.stdout
    assert " UTC" in result.stdout.splitlines()[0]
    assert "2 of 2 frontends, 1 of 2 backends, 0 of 0 compute nodes" in result.stdout
    assert "DOWN" in result.stdout
    assert "A node is down" in result.stdout
    (one,) = told(lived[0], "overview")
    assert one["overview"]["be_alive"] == 1
    assert [node["is_up"] for node in one["nodes"]] == [1, 1, 0, 1]
    assert "node_down" in {finding["rule"] for finding in one["findings"]}


def test_history_has_a_picture(lived: tuple[Settings, SimulatedCluster]) -> None:
    result = ask(lived[0], "history", "qps", "--last", "1h", "--step", "60s")
    head, *_ = result.stdout.splitlines()
    assert head.startswith("qps of simulated  ")
    assert set(head.split()[-1]) & set(BARS)
    rows = told(lived[0], "history", "query_total", "--last", "1h")
    assert sum(row["sum"] for row in rows) > 1000
    assert all(row["time"].endswith("+00:00") for row in rows)


def test_latency_slow_views_and_loads(lived: tuple[Settings, SimulatedCluster]) -> None:
    assert ask(lived[0], "latency", "--last", "1h").stdout.startswith("p95 of simulated  ")
    assert {"queries", "p50", "p99.9"} <= told(lived[0], "latency", "--last", "1h")[0].keys()
    assert "statement" in ask(lived[0], "slow").stdout
    slow = [row["milliseconds"] for row in told(lived[0], "slow", "--limit", "5")]
    assert len(slow) == 5
    assert slow == sorted(slow, reverse=True)
    assert "is_active" in ask(lived[0], "views").stdout
    assert told(lived[0], "loads")[0]["state"]


def test_trend_of_chosen_numbers(lived: tuple[Settings, SimulatedCluster]) -> None:
    shown = ask(lived[0], "trend", "--last", "5m").stdout
    assert "qps" in shown
    assert "%)" in shown
    (row,) = told(lived[0], "trend", "be_alive", "--last", "2m")
    assert row["now"] == 1
    assert row["yesterday"] is None


def test_growth_and_forecast_of_a_young_cluster(lived: tuple[Settings, SimulatedCluster]) -> None:
    shown = ask(lived[0], "growth").stdout
    assert shown.startswith("disk_used_bytes of simulated  ")
    assert "day (UTC)" in shown
    assert told(lived[0], "growth")[-1]["disk_used_bytes"] > 0
    result = ask(lived[0], "forecast")
    assert result.exit_code == 0
    assert "not enough data" in result.stdout
    assert told(lived[0], "forecast")["forecast"]["state"] == "not enough data"


def test_forecast_of_an_old_cluster(settings: Settings) -> None:
    """Forty days, 10 GiB more each day; the limit is the declared one."""
    gib = 2**30
    for back in range(40, 0, -1):
        time = TODAY * clock.DAY - back * clock.DAY
        rows = [
            snapshot(
                time,
                disk_used_bytes=(1000 - 10 * back) * gib,
                disk_total_bytes=2000 * gib,
                is_shared_data=0,
            )
        ]
        land_all(settings.landing, metrics_snapshots.SOURCE, rows)
    land_all(settings.landing, collection_ticks.SOURCE, [tick(TODAY * clock.DAY)])
    bring(settings)
    (Path(settings.data_dir) / "clusters.toml").write_text(
        '[[clusters]]\nname = "red"\nfrontends = ["fe"]\nstorage_limit_pct = 80\n'
    )
    found = told(settings, "forecast")
    assert found["limit"] == 1600 * gib
    # 990 GiB at the end of yesterday; 61 days of growth, one of which has passed.
    assert found["forecast"]["days"] == {"low": 60, "middle": 60, "high": 60}
    assert found["forecast"]["date"] == clock.day_text(TODAY + 60)
    assert found["backtest"]["horizon_days"] == 7
    shown = ask(settings, "forecast", "--limit-pct", "50").stdout
    assert "red (shared-nothing): full in 0 days" in shown
    assert "earlier forecasts for 7 days later were off by 0 B" in shown
    assert ask(settings, "forecast", "--limit-pct", "49").stdout.startswith(
        "red (shared-nothing): full: 990.0 GiB of 980.0 GiB are in use"
    )


def test_running_is_asked_of_the_cluster(
    lived: tuple[Settings, SimulatedCluster], settings: Settings
) -> None:
    found = told(lived[0], "running")
    assert found["is_whole"]
    assert {"user", "seconds", "scan_bytes", "memory_bytes", "state"} <= found["queries"][0].keys()
    assert "scanned" in ask(lived[0], "running").stdout
    result = ask(settings, "running")
    assert isinstance(result.exception, GatewayError)
    assert result.exception.message == "no cluster is declared"


def test_advice_ends_with_1_when_something_is_wrong(
    lived: tuple[Settings, SimulatedCluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(lived[0], "advice").exit_code == 1
    monkeypatch.setattr(
        sys, "argv", ["gateway", "--data-dir", str(lived[0].data_dir), "clusters", "advice"]
    )
    with pytest.raises(SystemExit, match="1"):
        main()
    rules = {one["rule"]: one for one in told(lived[0], "advice")}
    assert {"node_down", "views_fail"} <= rules.keys()
    assert rules["node_down"]["since"].endswith("+00:00")
    before = clock.iso(clock.now() - clock.HOUR)[:19]
    calm = ask(lived[0], "advice", "--at", before)
    assert (calm.exit_code, calm.stdout) == (0, "Nothing is wrong that a rule knows of.\n")
    result = ask(lived[0], "advice", "--at", "soon")
    assert isinstance(result.exception, GatewayError)
    assert [one["rule"] for one in told(lived[0], "advice", "--rules")] == [
        rule.name for rule in RULES
    ]


@pytest.mark.parametrize("text", ["7", "0d", "1y", "-1d", "1.5h", "٣d", "9999999d"])
def test_a_length_of_time_is_checked(settings: Settings, text: str) -> None:
    result = ask(settings, "growth", "--last", text)
    assert result.exit_code == 2
    assert "a length of time is written as" in result.output


@pytest.mark.parametrize("name", sorted(clusters.commands))
def test_help_has_examples(settings: Settings, name: str) -> None:
    assert f"gateway clusters {name}" in ask(settings, name, "--help").stdout
