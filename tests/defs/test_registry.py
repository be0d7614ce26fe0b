"""Snapshots of the registry in Dagster: what changed is shown and becomes rows."""

from __future__ import annotations

from uuid import uuid4

import dagster as dg
import psycopg
import pytest

from gateway_assets.defs.execute import execute
from gateway_assets.defs.registry import JOB, NAME, NO_REGISTRY, registry_schedule
from gateway_assets.files.lock import exclusive
from gateway_assets.history import mirror as mirroring
from gateway_assets.registry.database import Registry
from gateway_assets.registry.opened import opened_registry
from gateway_assets.registry.upgrade import upgrade
from gateway_assets.registry.users import AuditLog
from gateway_assets.settings import Settings, load_settings
from tests.defs.conftest import quietly_built
from tests.defs.test_assets import check, metadata, parents
from tests.registry.test_schema import added, device


def due(settings: Settings, instance: dg.DagsterInstance) -> object:
    with dg.build_schedule_context(instance=instance) as context:
        return registry_schedule(settings)(context)


def test_without_a_registry_nothing_is_taken_and_nothing_made(
    instance: dg.DagsterInstance, defs: dg.Definitions, settings: Settings
) -> None:
    skipped = due(settings, instance)
    assert isinstance(skipped, dg.SkipReason)
    assert skipped.skip_message == NO_REGISTRY
    execute(defs, JOB)
    assert metadata(instance, NAME) == {"status": f"not taken: {NO_REGISTRY}"}
    assert not settings.registry_database.exists()


def test_what_changed_is_shown_and_becomes_rows(
    instance: dg.DagsterInstance, defs: dg.Definitions, settings: Settings
) -> None:
    with opened_registry(settings) as registry:
        added(registry, device(name="a|b"), device(name="c"))
    assert isinstance(due(settings, instance), dg.RunRequest)
    execute(defs, JOB)
    found = metadata(instance, NAME)
    assert (found["status"], found["changes"], found["snapshot"]) == ("changed", 2, 1)
    assert found["changes_by_table"] == {"devices": {"added": 2}}
    assert "| added | devices | a\\|b |" in str(found["what_changed"])
    assert metadata(instance, "registry_history")["dagster/row_count"] == 2
    assert check(instance, "registry_history", "rows_equal_footers")[0]
    execute(defs, JOB)
    again = metadata(instance, NAME)
    assert (again["status"], again["changes"], again["rows"]) == ("as before", 0, 2)
    assert metadata(instance, "registry_history")["dagster/row_count"] == 2


def test_logs_in_postgres_are_copied_with_it(
    instance: dg.DagsterInstance, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"registry_{uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        url = postgres_url.replace("/postgres?", f"/{name}?")
        monkeypatch.setenv("GATEWAY_REGISTRY_URL", url)
        settings = load_settings()
        registry = Registry(settings)
        upgrade(registry)
        added(registry, device(), AuditLog(username="ann", action="x", success=True))
        registry.close()
        execute(quietly_built(settings), JOB)
        found = metadata(instance, NAME)
        assert (found["status"], found["copied_rows"]) == ("changed", 1)
        assert {"audit_logs_archive", "alert_history_archive"} <= {
            key.to_user_string()
            for key in quietly_built(settings).resolve_asset_graph().get_all_asset_keys()
        }
        with exclusive(settings.data_dir / "registry" / ".mirror", "a test"):
            monkeypatch.setattr(mirroring, "WAIT_SECONDS", 0.0)
            execute(quietly_built(settings), JOB)
        assert str(metadata(instance, NAME)["copied"]).startswith("not now: ")
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_lineage_leads_from_the_snapshot_to_the_archive(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    assert parents(graph, "raw_registry_history") == {NAME}
    assert parents(graph, "registry_history") == {"raw_registry_history"}
    assert parents(graph, "registry_history_archive") == {"registry_history"}
