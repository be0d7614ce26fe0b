"""``gateway notifications`` as people and scripts use it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from gateway_assets.cli.main import gateway
from gateway_assets.errors import ConfigError, RegistryError, SinkRefused, UsageError
from gateway_assets.registry.database import Registry
from gateway_assets.registry.users import AuditLog
from gateway_assets.settings import Settings
from tests.notify.receivers import OK, receiver, status
from tests.notify.told import add_channel, add_rule, notices, statuses, tell

Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    def invoke(*args: str) -> Result:
        return CliRunner().invoke(gateway, ["notifications", *args])

    return invoke


def shown(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_an_embedded_registry_is_made_by_the_first_command(settings: Settings, run: Run) -> None:
    assert shown(run("list", "--json")) == []
    assert settings.registry_database.exists()


def test_a_server_wants_its_upgrade_first(empty_registry: Registry, run: Run) -> None:
    result = run("list")
    if empty_registry.is_postgres:
        assert isinstance(result.exception, RegistryError)
        assert "gateway registry upgrade" in result.exception.hint
    else:
        assert result.exit_code == 0


def test_the_whole_way(registry: Registry, registry_settings: Settings, run: Run) -> None:
    rule = add_rule(registry)
    with receiver(lambda n: status(404) if n == 1 else OK) as there:
        add_channel(registry, "hook", "webhook", url=there.url)
        tell(registry, registry_settings, rule, 1)
        assert shown(run("deliver", "--json")) == {
            "sent": 0,
            "failed": 0,
            "dead": 1,
            "dropped": 0,
            "waiting": 0,
        }
        (row,) = shown(run("list", "--status", "DEAD", "--channel", "hook", "--json"))
        assert (row["channel"], row["attempts"], row["seq"]) == ("hook", 1, 1)
        assert row["last_error"] == "127.0.0.1 answered 404"
        assert row["message"]["rule"] == "hot"
        assert shown(run("list", "--status", "SENT", "--json")) == []
        assert "answered 404" in run("list").output
        assert shown(run("retry", str(row["id"]), "--json")) == {"requeued": 1}
        assert "1 sent, 0 failed" in run("deliver").output
    assert statuses(registry) == ["SENT"]
    assert len(there.calls) == 2
    with registry.reading() as session:
        (entry,) = session.scalars(select(AuditLog))
    assert (entry.action, entry.success) == ("notification.retry", True)
    assert entry.details == {"ids": [row["id"]], "requeued": 1}


def test_the_newest_come_first(registry: Registry, registry_settings: Settings, run: Run) -> None:
    rule = add_rule(registry)
    add_channel(registry, "log")
    for seq in range(1, 5):
        tell(registry, registry_settings, rule, seq)
    assert [row["seq"] for row in shown(run("list", "--limit", "3", "--json"))] == [4, 3, 2]
    assert run("retry", "--all").output.startswith("0 will be tried again")
    assert len(notices(registry)) == 4


def test_a_channel_is_tried(registry: Registry, run: Run) -> None:
    with receiver(lambda n: OK if n == 1 else status(403)) as there:
        add_channel(registry, "hook", "webhook", url=there.url, enabled=False)
        assert run("test", "hook").output == "hook: taken\n"
        refused = run("test", "hook")
    assert isinstance(refused.exception, SinkRefused)
    assert refused.exception.exit_code == 14
    (first, _) = there.calls
    assert first.steps == [("", 1, "TEST")]
    assert notices(registry) == []


def test_a_channel_that_is_not_there_or_wrong(registry: Registry, run: Run) -> None:
    add_channel(registry, "hook", "webhook", url="ftp://x/")
    missing = run("test", "nobody")
    assert isinstance(missing.exception, UsageError)
    assert missing.exception.hint == "channels: hook"
    assert isinstance(run("test", "hook").exception, ConfigError)
    assert isinstance(run("list", "--channel", "nobody").exception, UsageError)


@pytest.mark.parametrize("args", [[], ["--all", "1"]], ids=["neither", "both"])
def test_retry_wants_to_know_which(settings: Settings, run: Run, args: list[str]) -> None:
    assert isinstance(run("retry", *args).exception, UsageError)
