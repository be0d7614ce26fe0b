"""gateway registry snapshot, history and as-of, as people and scripts call them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from gateway_assets import clock
from gateway_assets.cli.main import gateway
from gateway_assets.errors import RegistryError, UsageError
from gateway_assets.registry.opened import opened_registry
from gateway_assets.settings import Settings
from tests.registry.test_schema import added, device
from tests.registry.test_snapshot import set_device


def run(*arguments: str) -> str:
    result = CliRunner().invoke(gateway, ["registry", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def json_of(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json"))


def test_the_way_of_a_device(settings: Settings) -> None:
    with opened_registry(settings) as registry:
        added(registry, device(name="PLC-1"))
        assert "devices: 1 added" in run("snapshot")
        assert "nothing has changed" in run("snapshot")
        set_device(registry, "PLC-1", location="hall 4")
    found = json_of("snapshot")
    assert (found["snapshot"], found["changes"]) == (2, {"devices": {"changed": 1}})
    assert 'location: null → "hall 4"' in run("history")
    told = json_of("history", "devices", "PLC-1")
    assert [one["change"] for one in told] == ["added", "changed"]
    assert json_of("history", "--since", "2100-01-01") == []
    today = clock.day_text(clock.day_of(clock.now()))
    (row,) = json_of("as-of", today, "devices")
    assert row["content"]["location"] == "hall 4"
    assert json_of("as-of", today, "devices", "other") == []
    (then,) = json_of("as-of", told[0]["time"])
    assert then["content"]["location"] is None


def test_what_cannot_be_answered_is_an_error(settings: Settings) -> None:
    with pytest.raises(RegistryError, match="there is no registry yet"):
        run("snapshot")
    assert not settings.registry_database.exists()
    with pytest.raises(UsageError, match="'yesterday' is not a time"):
        run("as-of", "yesterday")
    with pytest.raises(UsageError, match="no history of 'sessions'"):
        run("history", "sessions")
