"""Logs of the registry in both tiers: its own tables, and the copy of those in PostgreSQL."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text, update

from gateway_assets import clock
from gateway_assets.archive.engine import ArchiveResult, UniversalArchiver
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.errors import ConfigError, RegistryError, UsageError
from gateway_assets.history.copied import create
from gateway_assets.history.mirror import mirror
from gateway_assets.registry.alerts import Alert, AlertRule, Transition
from gateway_assets.registry.database import Registry
from gateway_assets.registry.model import new_id
from gateway_assets.registry.opened import opened_registry
from gateway_assets.registry.upgrade import upgrade
from gateway_assets.registry.users import AuditLog
from gateway_assets.registry.words import AlertLevel, AlertStatus
from gateway_assets.settings import Settings, load_settings
from gateway_assets.tiers.catalog import catalog
from tests.registry.test_schema import added, alert, rule

LOGS = ("alert_history", "alert_transitions", "audit_logs")
NOW = datetime.now(UTC)
OLD, YOUNG = NOW - timedelta(days=200), NOW - timedelta(days=3)


@pytest.fixture
def settings(registry_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Rows leave at once when their day is archived."""
    monkeypatch.setenv("GATEWAY_ARCHIVE_GRACE_HOURS", "0")
    monkeypatch.setenv("GATEWAY_DATA_DIR", str(registry_settings.data_dir))
    return load_settings()


def finished(of: AlertRule, occurrence: int, fired: datetime, **given: Any) -> Alert:
    ended = {"resolved_at": fired + timedelta(minutes=5), "duration": 300_000}
    fields = {"status": AlertStatus.RESOLVED, "fired_at": fired, "condition_since": fired, **ended}
    return alert(of, None, occurrence, id=new_id(), **{**fields, **given})


def step(of: AlertRule, seq: int, at: datetime) -> Transition:
    return Transition(
        rule_id=of.id,
        series="s",
        seq=seq,
        occurrence=seq,
        event_ns=int(at.timestamp()) * 10**9 + 7,
        from_state="NORMAL",
        to_state="FIRING",
        value=81.5,
        level=AlertLevel.WARNING,
        reason="above",
        notify=True,
    )


def audit(at: datetime, action: str = "device.update") -> AuditLog:
    return AuditLog(username="ann", action=action, success=True, created_at=at, details={"a": 1})


@pytest.fixture
def of(registry: Registry) -> AlertRule:
    """A rule with a long past: alerts that may leave and such that may not."""
    made = rule()
    added(registry, made)
    added(
        registry,
        finished(made, 1, OLD, message="left"),
        finished(made, 2, OLD, message="seen", acknowledged_at=NOW),
        finished(made, 3, OLD, message="latched", cleared_unack=True, acknowledged_at=NOW),
        finished(made, 4, YOUNG, message="young"),
        alert(made, None, 5, fired_at=OLD, condition_since=OLD, message="lasts"),
        *(step(made, seq, at) for seq, at in enumerate((OLD, OLD, YOUNG), start=1)),
        *(audit(at) for at in (OLD, OLD, YOUNG)),
    )
    return made


def mirrored(settings: Settings) -> dict[str, tuple[int, int, int]]:
    """Rows read, added and changed, by table; nothing to do for a registry in SQLite."""
    if not settings.registry_url:
        return {}
    return {one.table: (one.read, one.added, one.changed) for one in mirror(settings)}


def archive(settings: Settings) -> dict[str, ArchiveResult]:
    found = {name: UniversalArchiver(settings).archive_table(name) for name in LOGS}
    assert not any(result.failed for result in found.values()), found
    return found


def told(settings: Settings, column: str, table: str = "alert_history") -> list[Any]:
    with UnifiedQueryBridge(settings) as bridge:
        rows = bridge.rows(f"SELECT {column} AS told FROM {table}")
    return sorted(row["told"] for row in rows)


def counts(settings: Settings, table: str) -> tuple[int, int]:
    """Rows in the hot table and in the archive."""
    with UnifiedQueryBridge(settings) as bridge:
        (row,) = bridge.rows(
            f"SELECT (SELECT count(*) FROM {table}_hot) AS hot, "
            f"(SELECT count(*) FROM {table}_cold) AS cold"
        )
    return row["hot"], row["cold"]


ALERTS = ["lasts", "latched", "left", "seen", "young"]


@pytest.mark.usefixtures("of")
def test_only_what_is_finished_leaves_and_all_is_answered_once(settings: Settings) -> None:
    mirrored(settings)
    results = archive(settings)
    assert {name: result.pruned_rows for name, result in results.items()} == dict.fromkeys(LOGS, 2)
    assert [counts(settings, name) for name in LOGS] == [(3, 2), (1, 2), (1, 2)]
    assert told(settings, "message") == ALERTS
    assert told(settings, "seq", "alert_transitions") == [1, 2, 3]
    assert told(settings, "id", "audit_logs") == [1, 2, 3]
    # A second run finds nothing to do, and a refresh brings nothing back.
    assert all(not result.days for result in archive(settings).values())
    mirrored(settings)
    assert told(settings, "message") == ALERTS


@pytest.mark.usefixtures("of")
def test_days_come_back(settings: Settings) -> None:
    mirrored(settings)
    archive(settings)
    day = clock.parse_day(OLD.date().isoformat())
    for name in LOGS:
        assert UniversalArchiver(settings).restore(name, {day}, hold_days=0) == 2
        assert counts(settings, name)[1] == 0
    assert told(settings, "message") == ALERTS
    assert told(settings, "id", "audit_logs") == [1, 2, 3]
    archive(settings)
    assert [counts(settings, name) for name in LOGS] == [(3, 2), (1, 2), (1, 2)]


def test_a_step_that_is_archived_cannot_come_again(
    registry: Registry, of: AlertRule, settings: Settings
) -> None:
    """What an engine that evaluates again would write."""
    if settings.registry_url:
        pytest.skip("the engine writes to PostgreSQL, from which nothing is removed")
    archive(settings)
    row = {"rule": of.id, "series": "s"}
    insert = (
        "INSERT {how} INTO alert_transitions SELECT :rule, :series, 1, 1, 7, 'a', 'b', NULL, "
        "'INFO', '', NULL, 0, '2026-01-01T00:00:00.000000Z'"
    )
    with registry.writing() as session:
        session.execute(text(insert.format(how="OR IGNORE")), row)
    assert told(settings, "seq", "alert_transitions") == [1, 2, 3]
    with pytest.raises(Exception, match="its key is archived"), registry.writing() as session:
        session.execute(text(insert.format(how="")), row)


def test_the_audit_goes_on_counting(registry: Registry, settings: Settings) -> None:
    """Also when everything is old: the row with the largest number stays until another comes."""
    added(registry, audit(OLD), audit(OLD))
    mirrored(settings)
    archive(settings)
    added(registry, audit(NOW, "later"))
    mirrored(settings)
    archive(settings)
    assert told(settings, "id", "audit_logs") == [1, 2, 3]
    assert counts(settings, "audit_logs") == (1, 2)


def test_a_log_is_not_there_before_its_table_is(
    registry_settings: Settings, empty_registry: Registry
) -> None:
    with empty_registry.reading() as session:
        session.execute(text("SELECT 1"))  # in SQLite the file is there from now on
    assert not {one.name for one in catalog(registry_settings)} & set(LOGS)


def lined(settings: Settings) -> None:
    """A line of an application that has a log of its own, of the same name."""
    other = settings.data_dir / "other.db"
    other.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE audit_logs (id INTEGER PRIMARY KEY, at INTEGER)")
        connection.execute("INSERT INTO audit_logs VALUES (7, 1700000000)")
        connection.commit()
    file = settings.data_dir / "tables.toml"
    file.write_text('[[tables]]\nname = "audit_logs"\ndatabase = "other.db"\ntime = "at"\n')


def test_an_application_may_have_a_log_of_the_same_name(
    registry: Registry, settings: Settings
) -> None:
    lined(settings)
    added(registry, audit(OLD), audit(YOUNG, "later"))
    mirrored(settings)
    assert not UniversalArchiver(settings).archive_table("registry_audit_logs").failed
    assert told(settings, "id", "audit_logs") == [7]
    assert told(settings, "id", "registry_audit_logs") == [1, 2]
    added(registry, audit(NOW))
    mirrored(settings)
    assert told(settings, "id", "registry_audit_logs") == [1, 2, 3]


def test_a_name_under_which_rows_were_archived_stays(
    registry: Registry, settings: Settings
) -> None:
    added(registry, audit(OLD), audit(YOUNG))
    mirrored(settings)
    archive(settings)
    lined(settings)
    with pytest.raises(ConfigError, match="'audit_logs' is one of this project's own"):
        catalog(settings)


def test_a_change_of_an_archived_row_comes_once(
    registry: Registry, of: AlertRule, settings: Settings
) -> None:
    if not settings.registry_url:
        pytest.skip("only a copy is refreshed")
    mirrored(settings)
    archive(settings)
    with registry.writing() as session:
        session.execute(update(Alert).where(Alert.message == "left").values(message="noted"))
    assert mirrored(settings)["alert_history"] == (1, 0, 1)
    wanted = sorted([*(name for name in ALERTS if name != "left"), "noted"])
    assert told(settings, "message") == wanted
    assert counts(settings, "alert_history") == (5, 0)
    archive(settings)
    assert counts(settings, "alert_history") == (3, 2)
    assert told(settings, "message") == wanted
    assert mirrored(settings)["alert_history"][1:] == (0, 0)


def test_everything_read_again_changes_nothing(
    registry: Registry, of: AlertRule, settings: Settings
) -> None:
    if not settings.registry_url:
        pytest.skip("only a copy is refreshed")
    assert mirrored(settings)["alert_history"] == (5, 5, 0)
    archive(settings)
    with closing(sqlite3.connect(settings.registry_database, isolation_level=None)) as copy:
        copy.execute("DELETE FROM registry_mirror")
    assert mirrored(settings) == {name: (n, 0, 0) for name, n in zip(LOGS, (5, 3, 3), strict=True)}
    assert counts(settings, "alert_history") == (3, 2)
    assert mirrored(settings) == dict.fromkeys(LOGS, (0, 0, 0))


def test_a_transaction_that_commits_late_is_not_missed(
    registry: Registry, of: AlertRule, settings: Settings
) -> None:
    if not settings.registry_url:
        pytest.skip("only a copy is refreshed")
    with registry.writing() as late:
        late.add(audit(NOW - timedelta(days=9), "late"))
        late.flush()
        added(registry, audit(NOW, "in time"))
        assert mirrored(settings)["audit_logs"] == (4, 4, 0)
        added(registry, audit(NOW, "after"))
        assert mirrored(settings)["audit_logs"][1] == 1
    assert mirrored(settings)["audit_logs"][1] == 1
    assert told(settings, "id", "audit_logs") == [1, 2, 3, 4, 5, 6]
    assert mirrored(settings)["audit_logs"][1:] == (0, 0)


def test_a_column_that_a_release_adds_is_filled(
    registry: Registry, of: AlertRule, settings: Settings
) -> None:
    if not settings.registry_url:
        pytest.skip("only a copy is refreshed")
    with registry.writing() as session:
        session.execute(update(Alert).where(Alert.message == "left").values(ack_note="checked"))
    mirrored(settings)
    with closing(sqlite3.connect(settings.registry_database, isolation_level=None)) as copy:
        copy.execute("ALTER TABLE alert_history DROP COLUMN ack_note")
        assert mirrored(settings)["alert_history"] == (5, 0, 1)
        query = "SELECT message, ack_note FROM alert_history WHERE ack_note IS NOT NULL"
        assert copy.execute(query).fetchall() == [("left", "checked")]


def test_a_registry_is_never_taken_for_a_copy(
    registry: Registry, of: AlertRule, settings: Settings
) -> None:
    if not settings.registry_url:
        pytest.skip("only a copy is refreshed")
    own = settings.model_copy(update={"registry_url": ""})
    with opened_registry(own) as other:
        added(other, audit(OLD))
    with pytest.raises(RegistryError, match="is a registry of its own"):
        mirror(settings)
    with opened_registry(own) as other, other.reading() as session:
        assert session.scalar(text("SELECT count(*) FROM audit_logs")) == 1


def test_a_registry_in_sqlite_needs_no_copy(registry_settings: Settings) -> None:
    if registry_settings.registry_url:
        pytest.skip("of the other kind")
    with pytest.raises(UsageError, match="nothing to copy"):
        mirror(registry_settings)


def test_a_copy_is_never_taken_for_a_registry(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    registry = Registry(settings)
    with closing(sqlite3.connect(settings.registry_database, isolation_level=None)) as copy:
        create(copy)
    with pytest.raises(RegistryError, match=r"is a copy of the logs.*GATEWAY_REGISTRY_URL"):
        upgrade(registry)
    registry.close()
