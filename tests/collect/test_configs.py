"""Settings of frontends and loads, asked of a simulated cluster: what each frontend has itself."""

from __future__ import annotations

import pytest

from gateway_assets import clock
from gateway_assets.collect.configs import address_of, differing
from gateway_assets.collect.nodes import listed
from gateway_assets.collect.observed import Record
from gateway_assets.collect.tick import ALL
from gateway_assets.simulated.cluster import SimulatedCluster
from tests.collect.looks import frontend
from tests.collect.servers import mysql, serving
from tests.collect.test_ask import MIDNIGHT, one_frontend, refusing
from tests.collect.watching import declared, looked, watched

DIFFERENT = {"qe_max_connection": "100"}


@pytest.mark.parametrize("version", ["2.2.5", "3.3.10"])
def test_a_setting_that_one_frontend_has_not_like_the_others(version: str) -> None:
    """Though every other statement is answered by the leader."""
    with SimulatedCluster(3, 1, version=version) as simulated, watched(simulated) as each:
        other = simulated.frontends[2]
        assert not other.is_leader
        assert looked(each, simulated, everything=True).answers["fe_configs"] == []
        simulated.world.settings_of[other.id] = DIFFERENT
        (row,) = looked(each, simulated, everything=True).answers["fe_configs"]
    assert (row["NAME"], row["SPELLINGS"]) == ("qe_max_connection", "2")
    assert f"100 ({other.host}:{other.query_port})" in str(row["EACH"])


def test_what_differs_is_unknown_unless_all_that_are_alive_answer() -> None:
    with SimulatedCluster(3, 1) as simulated, watched(simulated) as each:
        bad = simulated.frontends[2]
        simulated.fault(bad, "hang", "sql")
        observed = looked(each, simulated, everything=True)
        assert "fe_configs" not in observed.answers
        assert [line for line in observed.errors if "fe_configs" in line] == [
            f"fe_configs: timed out ({bad.host}:{bad.query_port})"
        ]
        assert "be_configs" in observed.answers
        simulated.clear(bad)
        simulated.kill(bad)
        assert looked(each, simulated, everything=True).answers["fe_configs"] == []


def test_a_right_that_is_missing_is_said_once() -> None:
    served = mysql(refusing("ADMIN SHOW", 1227, "Access denied"))
    with serving(served) as port, one_frontend(port) as each:
        first, second = (each.look(MIDNIGHT, ALL, None) for _ in range(2))
    assert first.errors == [f"fe_configs: 1227: Access denied (127.0.0.1:{port})"]
    assert second.errors == []


def test_a_frontend_is_asked_where_it_is_declared() -> None:
    """So that a certificate for its name is good."""
    with SimulatedCluster(1, 1) as simulated:
        cluster = declared(simulated, frontends=["fe1:9030", "fe2:9999", "10.0.0.3"])
    rows = [frontend(1, HostName="fe1"), frontend(2, HostName="fe2"), frontend(3)]
    rows.append(frontend(4, QueryPort=None))
    found = [address_of(each, cluster) for each in listed({"frontends": rows})]
    assert found == ["fe1:9030", "10.0.0.2:9030", "10.0.0.3:9030", "10.0.0.4:9030"]


def test_names_of_columns_in_any_case_and_settings_that_one_lacks() -> None:
    """Another version has other settings: what is lacking is no difference."""
    one: list[Record] = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": None}, {"Key": "c"}]
    other: list[Record] = [{"key": "a", "value": "1"}, {"key": "b", "value": ""}, {"key": "d"}]
    assert differing({"x:1": one, "y:1": other}) == []
    assert differing({}) == []


def test_loads_of_a_window_and_those_that_are_open() -> None:
    start = 1_790_000_100 * clock.SECOND
    end = start + 300 * clock.SECOND
    with SimulatedCluster(1, 1, start=end + 200 * clock.SECOND) as simulated:
        simulated.world.loads.clear()
        for number, (time, state) in enumerate(
            [
                (start - 1 * clock.SECOND, "CANCELLED"),
                (start, "FINISHED"),
                (end - 1 * clock.SECOND, "CANCELLED"),
                (end, "FINISHED"),
                (start, "LOADING"),
                (start, "QUEUEING"),
            ]
        ):
            simulated.world.loads.append((number, time, state, "BROKER"))
        with watched(simulated) as each:
            answers = each.look(simulated.now, ALL, (start, end)).answers
    assert answers["loads"] == [{"ENDED": "2", "CANCELLED": "1", "FILTERED_ROWS": "500"}]
    assert answers["open_loads"] == [{"UNDONE": "2", "WAITING": "1"}]
