"""``gateway alerts`` and ``gateway rules simulate``, as an operator types them."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.cli.main import gateway
from gateway_assets.errors import RegistryError, UsageError
from gateway_assets.settings import Settings, load_settings


def run(*arguments: str, **given: Any) -> Result:
    return CliRunner().invoke(gateway, arguments, **given)


def told(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    return json.loads(result.output)


@pytest.fixture
def hot(registry_settings: Settings) -> int:
    """A boiler that becomes too hot after its rule was made, in both kinds of registry; the second
    before its first sample.
    """
    if registry_settings.registry_url:
        assert run("registry", "upgrade").exit_code == 0
    rule = ["--fleet", "--metric", "steam", "--op", "GT", "--threshold-value", "220"]
    assert run("rules", "add", "hot", *rule, "--level", "CRITICAL").exit_code == 0
    assert run("registry", "status").exit_code == 0
    begin = int(time.time()) + 1
    lines = "".join(
        f"device_data,device_id=boiler,tag_name=steam value={value} {begin + at}\n"
        for at, value in enumerate((200, 230, 219.5, 231, 200), start=1)
    )
    result = run("write", "--precision", "s", input=lines)
    assert result.exit_code == 0, result.output
    return begin


def test_an_operator_at_work(hot: int) -> None:
    assert told("alerts", "evaluate")["samples"] == 5
    found = told("alerts", "list")
    assert [(one["status"], one["cleared_unack"]) for one in found] == [("RESOLVED", True)]
    (alert,) = found
    assert (alert["flap_count"], alert["peak_value"]) == (1, 231.0)  # the cooldown
    assert "hot: boiler steam is 230, above 220" in run("alerts", "list").output
    name = alert["id"][:8]
    assert told("alerts", "ack", name, "--note", "seen")[0]["acknowledged_by"].startswith("os:")
    assert "no alarm" in run("alerts", "list").output
    assert len(told("alerts", "list", "--all", "--since", "1h")) == 1
    assert told("alerts", "list", "--all", "--device", "other") == []
    assert told("alerts", "list", "--all", "--level", "FATAL") == []
    steps = told("alerts", "show", name)["steps"]
    assert [one["to"] for one in steps][:2] == ["ACTIVE", "RTN_UNACK"]
    assert steps[-1]["reason"] == "seen"
    assert "seen" in run("alerts", "show", name).output


def test_what_cannot_be_done_says_what_can(hot: int) -> None:
    run("alerts", "evaluate")
    for command in (
        ["ack", "ffffffff"],
        ["shelve", "ffffffff", "--for", "1h", "--reason", "x"],
        ["show", "1"],
    ):
        result = run("alerts", *command)
        assert isinstance(result.exception, UsageError)
        assert "gateway alerts list" in result.exception.hint
    assert run("alerts", "shelve", "ffffffff", "--for", "soon", "--reason", "x").exit_code == 2
    name = told("alerts", "list")[0]["id"]
    assert "cannot be shelved" in str(
        run("alerts", "shelve", name, "--for", "3d", "--reason", "x").exception
    )


def test_a_rule_over_the_past(hot: int) -> None:
    """Delays and a dead band make one alarm of two, and one delay too many none."""
    window = ("--from", _iso(hot), "--to", _iso(hot + 60))
    found = told("rules", "simulate", "hot", *window, "--cooldown-duration", "0s")
    assert (found["as it is"]["samples"], found["as it is"]["series"]) == (5, 1)
    assert len(found["changed"]["alarms"]) == 2
    assert found["changed"]["kpis"]["chattering"] == 0
    banded = told("rules", "simulate", "hot", *window, "--deadband", "2")
    assert len(banded["changed"]["alarms"]) == 1
    late = told("rules", "simulate", "hot", *window, "--eval-duration", "10s")
    assert late["changed"]["alarms"] == []
    shown = run("rules", "simulate", "hot", *window, "--deadband", "2").output
    assert "changed: above 220; 1 alarms over 5 samples of 1 series" in shown
    assert told("alerts", "list") == []  # nothing was written


def _iso(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


@pytest.mark.parametrize(
    "condition",
    [["--op", "GT", "--threshold-value", "220"], ["--condition-expression", "value > 220"]],
)
def test_a_condition_as_sql(hot: int, condition: list[str]) -> None:
    assert run("rules", "add", "same", "--fleet", "--metric", "steam", *condition).exit_code == 0
    statement = run("rules", "sql", "same").output.splitlines()[0]
    with UnifiedQueryBridge(load_settings()) as bridge:
        rows = bridge.rows(statement)
    assert [row["holds"] for row in rows] == [False, True, False, True, False]


def test_figures(hot: int) -> None:
    run("alerts", "evaluate")
    time.sleep(max(0, hot + 6 - time.time()))  # the alarms lie some seconds ahead
    found = {one["name"]: one for one in told("alerts", "kpi", "--since", "1h")["kpis"]}
    assert found["standing"]["value"] == 0
    assert found["chattering"]["met"] is True
    assert "fleeting" in run("alerts", "kpi").output
    assert found["fleeting"]["met"] is False


def test_an_expression_that_cannot_be_is_refused_at_once(hot: int) -> None:
    wrong = ("--fleet", "--metric", "t", "--condition-expression", "value > __import__('os')")
    result = run("rules", "add", "odd", *wrong)
    assert isinstance(result.exception, RegistryError)
    assert run("rules", "show", "odd").exit_code != 0


def test_a_host_without_a_registry(settings: Settings) -> None:
    for command in (["list"], ["evaluate"], ["kpi"]):
        result = run("alerts", *command)
        assert isinstance(result.exception, RegistryError)
        assert "seed-demo" in result.exception.hint
    assert not settings.registry_database.exists()
