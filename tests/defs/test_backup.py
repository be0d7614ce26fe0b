"""The daily backup as an asset: taken, proven when it is time, told when it was not."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from gateway_assets import clock
from gateway_assets.backups.bring import bring
from gateway_assets.backups.record import backups_in, newest_proven, read_record
from gateway_assets.cli.dagster import environment
from gateway_assets.defs.backup import CHECK, NAME, backup_schedule
from gateway_assets.defs.execute import execute
from gateway_assets.defs.runs import ANSWER, BACKUP, LOAD
from gateway_assets.errors import GatewayError
from gateway_assets.settings import Settings, load_settings
from tests.backups.filled import fill
from tests.defs.conftest import quietly_built


def figures(instance: dg.DagsterInstance) -> dict[str, Any]:
    event = instance.get_latest_materialization_event(dg.AssetKey(NAME))
    assert event and event.asset_materialization
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def said(instance: dg.DagsterInstance) -> tuple[bool, str]:
    """What the check said last."""
    key = dg.AssetCheckKey(dg.AssetKey(NAME), CHECK)
    record = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)[0]
    assert record.event and record.event.dagster_event
    evaluation = record.event.dagster_event.asset_check_evaluation_data
    return evaluation.passed, evaluation.severity.value


def proven_days_ago(folder: Path, days: float) -> None:
    path = folder / "proven.json"
    moment = clock.now() - int(days * clock.DAY)
    path.write_text(json.dumps({**json.loads(path.read_text()), "time_us": moment}))


def test_a_backup_a_day_a_proof_a_week(
    instance: dg.DagsterInstance, defs: dg.Definitions, settings: Settings
) -> None:
    fill(settings)
    execute(defs, BACKUP)
    first = figures(instance)
    assert first["proven"] is True
    assert first["bytes"] > 0 < first["seconds"]
    assert first["files"] == len(
        json.loads((Path(first["path"]) / "backup.json").read_text())["parts"]
    )
    assert said(instance) == (True, "WARN")
    execute(defs, BACKUP)
    assert figures(instance)["proven"] is False, "the first is proven, and young enough"
    one, two = backups_in(settings.backups)
    proven_days_ago(one, 7)
    execute(defs, BACKUP)
    assert figures(instance)["proven"] is True
    assert newest_proven(settings.backups) == backups_in(settings.backups)[-1]
    assert two in backups_in(settings.backups)


def test_an_old_proof_is_a_warning(
    instance: dg.DagsterInstance, defs: dg.Definitions, settings: Settings
) -> None:
    """Looked at also in the run of each day that does not depend on backups."""
    fill(settings)
    execute(defs, ANSWER)
    assert said(instance) == (False, "WARN"), "none was ever made"
    execute(defs, BACKUP)
    (one,) = backups_in(settings.backups)
    for days, passes in ((7.9, True), (8.1, False)):
        proven_days_ago(one, days)
        execute(defs, ANSWER)
        assert said(instance) == (passes, "WARN")


def test_a_backup_that_fails_fails_its_run(
    instance: dg.DagsterInstance, defs: dg.Definitions, settings: Settings
) -> None:
    settings.data_dir.mkdir()
    (settings.data_dir / "gateway.db").write_bytes(b"no database" * 1000)
    with pytest.raises(GatewayError, match=r"gateway\.db: file is not a database"):
        execute(defs, BACKUP)
    assert backups_in(settings.backups) == []


def test_dagsters_history_comes_back(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is copied by a run that is being written to it meanwhile."""
    monkeypatch.setenv("DAGSTER_HOME", environment(settings)["DAGSTER_HOME"])
    defs = quietly_built(settings)
    fill(settings)
    earlier = execute(defs, LOAD)
    execute(defs, BACKUP)
    (one,) = backups_in(settings.backups)
    brought = bring(read_record(one), tmp_path / "restored", settings)
    restored = load_settings(data_dir=brought.path)
    monkeypatch.setenv("DAGSTER_HOME", environment(restored)["DAGSTER_HOME"])
    with dg.DagsterInstance.get() as instance:
        run = instance.get_run_by_id(earlier)
        assert run and run.is_success
        logs = instance.all_logs(earlier)
        assert any(entry.dagster_event for entry in logs)


def test_the_schedule(instance: dg.DagsterInstance, settings: Settings) -> None:
    schedule = backup_schedule(settings)
    assert (schedule.cron_schedule, schedule.job_name) == ("45 2 * * *", BACKUP)
    context = dg.build_schedule_context(instance, scheduled_execution_time=datetime.now(UTC))
    asked = schedule.evaluate_tick(context)
    assert len(asked.run_requests or []) == 1
    instance.create_run_for_job(_job(), status=dg.DagsterRunStatus.STARTED)
    assert not schedule.evaluate_tick(context).run_requests


def _job() -> dg.JobDefinition:
    @dg.op
    def nothing() -> None:
        pass

    @dg.job(name=BACKUP)
    def backing_up() -> None:
        nothing()

    return backing_up
