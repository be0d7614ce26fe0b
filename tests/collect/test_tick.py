"""A tick: all clusters at once, within its time, whatever one of them does."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway_assets import clock
from gateway_assets.collect.ask import failed
from gateway_assets.collect.config import Cluster
from gateway_assets.collect.journal import Journal
from gateway_assets.collect.tick import SOURCES, Memory, Ticked, Ticker, _digested, due
from gateway_assets.files.landing import landing_files
from gateway_assets.model import misfit
from gateway_assets.simulated.cluster import SimulatedCluster
from gateway_assets.starrocks.definitions import Every
from tests.collect.servers import Handler, black_hole, serving, silent, trickling
from tests.collect.watching import SLACK, declared, quick

STEP = 30 * clock.SECOND
START = 20_000 * clock.DAY + STEP  # not the turn of anything but the fast group


def column(ticked: Ticked, source: str, name: str) -> dict[str, object]:
    """The values of a column by cluster, or by node."""
    names = [each.name for each in SOURCES[source].columns]
    key = names.index("node" if "node" in names else "cluster")
    return {row[key]: row[names.index(name)] for row in ticked.rows.get(source, [])}


def bad_cluster(port: int) -> Cluster:
    return Cluster.model_validate({"name": "bad", "frontends": [f"127.0.0.1:{port}"]})


@pytest.mark.parametrize("fault", ["hang", "trickle", "kill"])
def test_a_bad_node_is_an_error_and_the_others_have_their_data(tmp_path: Path, fault: str) -> None:
    began = time.monotonic()
    with SimulatedCluster(3, 3) as simulated:
        bad = simulated.backends[1]
        with closing(Ticker([declared(simulated)], quick(tmp_path))) as ticker:
            if fault == "kill":
                simulated.kill(bad)
            else:
                simulated.fault(bad, fault)
            ticked = ticker.tick(START, {}, everything=False)
            simulated.step(30)
            ticked = ticker.tick(START + STEP, ticked.memories, everything=False)
    assert column(ticked, "collection_ticks", "status") == {"one": "partial"}
    assert column(ticked, "collection_ticks", "nodes_answered") == {"one": 5}
    errors = str(column(ticked, "collection_ticks", "errors")["one"])
    assert bad.host in errors
    assert all(node.host not in errors for node in simulated.world.nodes if node is not bad)
    assert column(ticked, "metrics_snapshots", "query_total")["one"] is not None
    assert time.monotonic() - began < SLACK


@pytest.mark.parametrize("what", ["silent", "trickling", "black hole"])
def test_a_bad_cluster_takes_nothing_from_another(tmp_path: Path, what: str) -> None:
    handler: Handler = silent if what == "silent" else trickling(b"\xff\xff\xff\0\x0a", b"x")
    server = black_hole() if what == "black hole" else serving(handler)
    began = time.monotonic()
    with server as port, SimulatedCluster(2, 2) as simulated:
        clusters = [bad_cluster(port), declared(simulated)]
        with closing(Ticker(clusters, quick(tmp_path))) as ticker:
            ticked = ticker.tick(START, {}, everything=False)
    assert column(ticked, "collection_ticks", "status") == {"bad": "failed", "one": "ok"}
    assert column(ticked, "metrics_snapshots", "be_alive") == {"one": 2}
    assert time.monotonic() - began < SLACK


def test_a_look_that_hangs_is_left_behind_and_its_cluster_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that takes for ever to be looked up cannot be stopped by any deadline of a socket."""
    hangs, looking = threading.Event(), threading.Event()
    real = socket.getaddrinfo

    def slow(host: str, *args: Any, **given: Any) -> Any:
        if host == "slow.invalid":
            looking.set()
            hangs.wait(60)
            raise OSError("no such name")
        return real(host, *args, **given)

    monkeypatch.setattr("socket.getaddrinfo", slow)
    bad = Cluster.model_validate({"name": "bad", "frontends": ["slow.invalid"]})
    with SimulatedCluster(1, 1) as simulated:
        settings = quick(tmp_path, collect_tick_seconds=1.0)
        with closing(Ticker([bad, declared(simulated)], settings)) as ticker:
            first = ticker.tick(START, {}, everything=False)
            assert looking.is_set()
            second = ticker.tick(START + STEP, first.memories, everything=False)
            hangs.set()
            while ticker._looks["bad"].is_running:
                time.sleep(0.01)
            third = ticker.tick(START + 2 * STEP, second.memories, everything=False)
    assert column(first, "collection_ticks", "status") == {"bad": "failed", "one": "ok"}
    assert "did not end" in str(column(first, "collection_ticks", "errors")["bad"])
    assert column(second, "collection_ticks", "status") == {"one": "ok"}
    assert column(third, "collection_ticks", "status") == {"bad": "failed", "one": "ok"}
    assert column(third, "collection_ticks", "skipped") == {"bad": 1, "one": 0}


def test_a_memory_that_cannot_be_used_is_said_and_begun_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with SimulatedCluster(1, 1) as simulated:
        clusters = [declared(simulated), declared(simulated, "two")]
        memories: dict[str, Memory] = {"two": {"seen": {"counters": 7}, "time": START - STEP}}
        with closing(Ticker(clusters, quick(tmp_path))) as ticker:
            first = ticker.tick(START, memories, everything=False)
            second = ticker.tick(START + STEP, first.memories, everything=False)
    assert column(first, "collection_ticks", "status") == {"one": "ok", "two": "partial"}
    assert "counters begin anew" in str(column(first, "collection_ticks", "errors")["two"])
    assert "two: " in capsys.readouterr().err
    assert column(second, "collection_ticks", "status") == {"one": "ok", "two": "ok"}
    assert column(second, "metrics_snapshots", "query_total")["two"] is not None


def test_answers_that_cannot_be_digested_are_a_failed_tick(
    capsys: pytest.CaptureFixture[str],
) -> None:
    broken: Any = {"frontends": [None]}
    observed = failed("two", START, 5, "")._replace(answers=broken)
    known = {"asked_until": 7, "interval": STEP}
    memory = {"seen": {"nodes": {}}, "time": START - STEP, **known}
    rows, after = _digested(observed, memory)
    assert column(Ticked(START, rows, {}), "collection_ticks", "status") == {"two": "failed"}
    assert "two: " in capsys.readouterr().err
    assert after == {**memory, "time": START}


def test_all_rows_can_land(tmp_path: Path) -> None:
    memories: dict[str, Memory] = {}
    with (
        SimulatedCluster(2, 2, 1) as simulated,
        closing(Ticker([declared(simulated)], quick(tmp_path))) as ticker,
    ):
        for number in range(3):
            ticked = ticker.tick(START + number * STEP, memories, everything=True)
            memories = ticked.memories
            simulated.step(30)
            for name, rows in ticked.rows.items():
                for row in rows:
                    pairs = zip(SOURCES[name].columns, row, strict=True)
                    assert not any(misfit(column, value) for column, value in pairs)


def test_queries_of_a_restarted_frontend_are_counted(tmp_path: Path) -> None:
    """The sum over all ticks is what really happened, but for what nobody could see."""
    with (
        SimulatedCluster(3, 2, start=START) as simulated,
        closing(Ticker([declared(simulated)], quick(tmp_path))) as ticker,
    ):
        memories = ticker.tick(START, {}, everything=False).memories
        before, counted = simulated.truth.queries, 0
        for number in range(1, 6):
            simulated.step(30)
            ticked = ticker.tick(START + number * STEP, memories, everything=False)
            memories = ticked.memories
            counted += int(str(column(ticked, "metrics_snapshots", "query_total")["one"]))
            if number == 2:
                simulated.restart(simulated.frontends[1])
        assert counted == simulated.truth.queries - before


def test_a_collector_that_was_down_over_midnight(tmp_path: Path) -> None:
    """What was counted meanwhile is in the first tick after, and each file in its own day."""
    before = 20_000 * clock.DAY - 3 * STEP
    after = 20_000 * clock.DAY + 121 * STEP
    settings = quick(tmp_path)
    with SimulatedCluster(2, 1, start=before) as simulated:
        truth = simulated.truth.queries
        for moment in (before, after):
            journal = Journal(tmp_path / "collect", settings.landing, "box")
            journal.resume()
            with closing(Ticker([declared(simulated)], settings)) as ticker:
                ticked = ticker.tick(moment, journal.memories, everything=False)
                journal.keep(ticked)
            if moment == before:
                simulated.step(124 * 30)
    assert column(ticked, "collection_ticks", "skipped") == {"one": 123}
    source = SOURCES["metrics_snapshots"]
    days = [path.parent.name for path in landing_files(settings.landing, source)]
    assert len(set(days)) == 2
    counted = column(ticked, "metrics_snapshots", "query_total")["one"]
    assert counted == simulated.truth.queries - truth > 0


@pytest.mark.parametrize(
    ("seconds", "interval", "groups"),
    [
        (30, 30, {Every.FAST}),
        (120, 30, {Every.FAST, Every.MEDIUM}),
        (300, 30, {Every.FAST, Every.SLOW}),
        (600, 30, {Every.FAST, Every.MEDIUM, Every.SLOW}),
        (119, 1, {Every.FAST}),
        (120, 1, {Every.FAST, Every.MEDIUM}),
        (90, 45, {Every.FAST}),
        (135, 45, {Every.FAST, Every.MEDIUM}),
        (315, 45, {Every.FAST, Every.SLOW}),
        (300, 300, {Every.FAST, Every.MEDIUM, Every.SLOW}),
    ],
)
def test_what_is_due(seconds: int, interval: int, groups: set[Every]) -> None:
    """The same time after time, however often clusters are looked at."""
    assert due(seconds * clock.SECOND, interval * clock.SECOND) == groups


def test_ticks_are_skipped_by_the_interval_of_the_one_before(tmp_path: Path) -> None:
    """And each says how long it stands for."""
    with SimulatedCluster(1, 1) as simulated:
        memories: dict[str, Memory] = {}
        told = []
        for moment, interval in ((0, 60), (60, 30), (90, 30), (180, 60), (300, 60)):
            settings = quick(tmp_path, collect_interval_seconds=interval)
            with closing(Ticker([declared(simulated)], settings)) as ticker:
                at = START + moment * clock.SECOND
                ticked = ticker.tick(at, memories, everything=False)
            memories = ticked.memories
            told += [
                column(ticked, "collection_ticks", name)["one"]
                for name in ("interval_seconds", "skipped")
            ]
    assert told == [60, 0, 30, 0, 30, 0, 60, 2, 60, 1]
