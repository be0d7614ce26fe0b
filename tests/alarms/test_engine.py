"""Points that were loaded are evaluated, once, whatever happens in between."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text

from gateway_assets.alarms import engine
from gateway_assets.alarms.activations import recorded
from gateway_assets.alarms.engine import GRACE
from gateway_assets.alarms.kpi import Activation
from gateway_assets.alarms.operate import acknowledge, reset, shelve, unshelve
from gateway_assets.alarms.samples import MOST
from gateway_assets.alarms.scope import machine_rule, series_after
from gateway_assets.alarms.simulate import simulate
from gateway_assets.alarms.store import read_states
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.cli.alarms import acknowledging, operate_each
from gateway_assets.errors import UsageError
from gateway_assets.registry.alerts import AlertRule, LateSample
from gateway_assets.registry.audit import Actor
from gateway_assets.registry.devices import Device
from gateway_assets.registry.users import AuditLog
from gateway_assets.registry.words import AlertLevel, AlertStatus, CompareOp, NoData
from tests.alarms.plant import SECOND, STARTED, T0, Plant

ANN = Actor("ann")
HOT, COLD = [(1, 70.0), (2, 85.0), (3, 90.0)], [(4, 70.0)]


def seconds(number: float) -> datetime:
    return STARTED + timedelta(seconds=number)


def test_an_alarm_and_its_end(plant: Plant) -> None:
    tag = plant.device("plc-1")
    plant.rule(tag, level=AlertLevel.CRITICAL)
    plant.channel()
    plant.feed("plc-1", HOT)
    (alert,) = plant.alerts()
    assert (alert.device_name, alert.tag_name, alert.rule_name) == ("plc-1", "temperature", "hot")
    assert (alert.device_id, alert.tag_id) == (tag.device_id, tag.id)
    assert (alert.fired_at, alert.condition_since) == (seconds(2), seconds(2))
    assert (alert.triggered_value, alert.last_value, alert.peak_value) == (85.0, 90.0, 90.0)
    assert (alert.threshold_value, alert.level) == (80.0, AlertLevel.CRITICAL)
    assert (alert.status, alert.resolved_at, alert.duration) == (AlertStatus.ACTIVE, None, None)
    assert alert.message == "hot: plc-1 temperature is 85, above 80"
    plant.feed("plc-1", COLD)
    (alert,) = plant.alerts()
    assert (alert.status, alert.resolved_at) == (AlertStatus.RESOLVED, seconds(4))
    assert (alert.duration, alert.cleared_unack) == (2_000, True)
    assert plant.notices() == ["FIRING", "RESOLVED"]
    assert plant.steps() == [
        (2, "NORMAL", "ACTIVE", "fired"),
        (4, "ACTIVE", "RTN_UNACK", "resolved"),
    ]


def test_points_name_their_device_by_its_id_too(plant: Plant) -> None:
    tag = plant.device("PLC-1")
    plant.rule(tag)
    plant.feed(tag.device_id, HOT)
    assert [one.device_name for one in plant.alerts()] == ["PLC-1"]


def test_what_stands_beside_a_value_is_not_the_value(plant: Plant) -> None:
    plant.rule(plant.device("plc-1"))
    plant.feed("plc-1", [(1, "70.0,raw_value=900,error_code=99i")])
    assert plant.alerts() == []


def test_samples_of_before_the_rule_are_not_its_own(plant: Plant) -> None:
    plant.rule(plant.device("plc-1"))
    plant.feed("plc-1", [(-5, 99.0), (0, 99.0), (1, 70.0)])
    assert plant.alerts() == []


def test_each_device_has_an_alarm_of_its_own(plant: Plant) -> None:
    plant.rule()
    plant.feed("plc-1", HOT)
    plant.feed("plc-2", [(5, 70.0)])  # a healthy device ends no other's alarm
    plant.feed("plc-3", [(6, 99.0)])
    found = [(one.device_name, one.status) for one in plant.alerts()]
    assert found == [("plc-1", AlertStatus.ACTIVE), ("plc-3", AlertStatus.ACTIVE)]


def test_a_device_that_nobody_registered_is_seen_by_a_rule_of_the_fleet(plant: Plant) -> None:
    plant.rule()
    plant.feed("unknown", HOT)
    (alert,) = plant.alerts()
    assert (alert.device_name, alert.device_id) == ("unknown", None)


def test_bad_quality_never_fires(plant: Plant) -> None:
    plant.rule()
    plant.feed("plc-1", [(1, "0,quality=0i"), (2, "99,quality=0i"), (3, "99,quality=1i")])
    assert plant.alerts() == []


@pytest.mark.parametrize("seed", range(4))
def test_any_batching_and_any_restart_give_the_same_steps(plant: Plant, seed: int) -> None:
    delays = {"eval_duration": 3_000, "off_delay": 2_000, "max_gap": 20_000, "deadband": 2.0}
    plant.rule(None, cooldown_duration=10_000, **delays)
    rng = random.Random(seed)
    values = [(at, round(rng.gauss(82, 4), 2)) for at in range(1, 200) if rng.random() < 0.9]
    plant.feed("whole", values)
    at = 0
    while at < len(values):
        size = rng.randint(1, 40)
        plant.write("parts", values[at : at + size])
        at += size
        if rng.random() < 0.3:
            plant.restart()
        if rng.random() < 0.8:
            plant.run()
    plant.run()
    assert plant.steps("whole")
    assert plant.steps("parts") == plant.steps("whole")


def test_evaluated_again_nothing_changes(plant: Plant) -> None:
    plant.rule()
    plant.channel()
    plant.feed("plc-1", HOT + COLD)
    before = plant.steps(), plant.notices(), plant.conditions()
    # A process was killed after it had committed what it saw and before it said so.
    plant.points.execute("UPDATE watched_series SET since = ?", (T0 + 99 * SECOND,))
    plant.restart()
    assert plant.run().series == 1
    assert (plant.steps(), plant.notices(), plant.conditions()) == before


def test_a_late_sample_is_noted_and_changes_nothing(plant: Plant) -> None:
    plant.rule()
    plant.feed("plc-1", [(1, 70.0), (10, 70.0)])
    assert plant.run().late == 0
    plant.write("plc-1", [(5, 99.0)])
    assert plant.run().late == 1
    assert plant.alerts() == []
    with plant.registry.reading() as session:
        late = session.scalars(select(LateSample)).one()
    assert (late.event_ns, late.value) == (T0 + 5 * SECOND, 99.0)


def test_a_rule_that_changes_ends_its_alarms_and_begins_anew(plant: Plant) -> None:
    rule = plant.rule()
    plant.feed("plc-1", HOT)
    with plant.registry.writing() as session:
        row = session.get_one(AlertRule, rule)
        row.threshold_value, row.version = 95.0, 2
    plant.feed("plc-1", [(5, 92.0)])
    (alert,) = plant.alerts()
    assert (alert.status, alert.state_reason) == (AlertStatus.RESOLVED, "rule_changed")
    plant.feed("plc-1", [(6, 96.0)])
    assert [one.rule_version for one in plant.alerts()] == [1, 2]


@pytest.mark.parametrize("change", ["enabled", "deleted_at", "device"])
def test_alarms_of_a_rule_that_is_gone_end_with_that_reason(plant: Plant, change: str) -> None:
    tag = plant.device("plc-1")
    rule = plant.rule(tag)
    plant.feed("plc-1", HOT)
    with plant.registry.writing() as session:
        row = session.get_one(AlertRule, rule)
        if change == "enabled":
            row.enabled = False
        elif change == "deleted_at":
            row.deleted_at = seconds(9)
        else:
            session.get_one(Device, tag.device_id).deleted_at = seconds(9)
    plant.run()
    (alert,) = plant.alerts()
    assert (alert.status, alert.state_reason) == (AlertStatus.RESOLVED, "rule_removed")
    plant.feed("plc-1", [(20, 99.0)])
    assert len(plant.alerts()) == 1


def test_a_device_that_gets_another_name_leaves_no_alarm_behind(plant: Plant) -> None:
    tag = plant.device("plc-1")
    plant.rule(tag, max_gap=10_000, no_data=NoData.ALARM)
    plant.feed("plc-1", HOT)
    with plant.registry.writing() as session:
        session.get_one(Device, tag.device_id).name = "plc-2"
    plant.run()
    (alert,) = plant.alerts()
    assert (alert.status, alert.state_reason) == (AlertStatus.RESOLVED, "out_of_scope")
    plant.run(at=1_000)  # nobody looks at it any more: its silence is no alarm
    assert len(plant.alerts()) == 1


def test_points_that_came_while_a_device_was_disabled_are_evaluated_after_that(
    plant: Plant,
) -> None:
    tag = plant.device("plc-1")
    plant.rule(tag)
    plant.feed("plc-1", [(1, 70.0)])
    for enabled in (False, True):
        with plant.registry.writing() as session:
            session.get_one(Device, tag.device_id).enabled = enabled
        if not enabled:
            plant.run()
            plant.write("plc-1", [(2, 99.0)])
    assert plant.run().late == 0
    assert len(plant.alerts()) == 1


@pytest.mark.parametrize("moved", [timedelta(hours=-1), timedelta(seconds=-3)], ids=str)
def test_a_change_is_seen_whatever_the_clock_said(plant: Plant, moved: timedelta) -> None:
    rule = plant.rule()
    plant.rule(name="the one that changed last", threshold_value=1_000.0)
    plant.feed("plc-1", HOT)
    with plant.registry.writing() as session:
        row = session.get_one(AlertRule, rule)
        row.threshold_value, row.version, row.updated_at = 95.0, 2, row.updated_at + moved
    if plant.registry.is_postgres:  # its trigger says when the transaction began
        with plant.registry.writing() as session:
            session.execute(text("ALTER TABLE alert_rules DISABLE TRIGGER USER"))
            session.get_one(AlertRule, rule).updated_at = row.updated_at
    plant.run()
    assert [one.state_reason for one in plant.alerts()] == ["rule_changed"]


def test_one_sample_of_years_ahead_makes_no_other_late(plant: Plant) -> None:
    plant.rule()
    ahead = datetime.now(UTC) - STARTED + timedelta(days=3_650)
    plant.feed("plc-1", [(1, 70.0), (ahead.total_seconds(), 71.0)])
    plant.feed("plc-1", HOT[1:])
    assert len(plant.alerts()) == 1


def test_whole_numbers_are_compared_exactly(plant: Plant) -> None:
    plant.rule(None, op=CompareOp.EQ, threshold_value=1e10)
    plant.feed("plc-1", [(1, "10000000003i")])
    assert plant.alerts() == []
    with plant.registry.reading() as session:
        rule = machine_rule(session.scalars(select(AlertRule)).one())
    series = series_after(plant.points, 0)
    (found,) = simulate(plant.points, plant.settings, rule, series, T0, T0 + 9 * SECOND)
    assert (found.samples, found.steps) == (1, ())
    plant.feed("plc-1", [(2, "10000000000i")])
    assert len(plant.alerts()) == 1


def test_a_signal_that_chatters_is_evaluated_in_parts(plant: Plant) -> None:
    plant.rule()
    plant.channel()
    values = [(at, 90.0 if at % 2 else 70.0) for at in range(1, 2 * MOST + 2)]
    plant.feed("plc-1", values[:3])
    plant.feed("plc-1", values[3:])
    assert len(plant.steps()) == len(plant.notices()) == len(values)
    assert len(plant.alerts()) == MOST + 1


def test_a_rule_that_cannot_be_stops_no_other(plant: Plant) -> None:
    wrong = plant.rule(None, name="odd", op=None, threshold_value=None, condition_expression="x y")
    plant.rule()
    plant.feed("plc-1", HOT)
    assert len(plant.alerts()) == 1
    assert list(plant.engine.wrong_rules) == [wrong]


def test_an_alarm_gets_worse(plant: Plant) -> None:
    steps = [{"level": "CRITICAL", "threshold": 90}, {"level": "FATAL", "after": 60_000}]
    plant.rule(None, escalations=steps)
    plant.channel()
    plant.feed("plc-1", [(1, 85.0)])
    assert [one.level for one in plant.alerts()] == [AlertLevel.WARNING]
    plant.feed("plc-1", [(2, 95.0)])
    plant.feed("plc-1", [(3, 85.0)])  # levels only go up
    assert [one.level for one in plant.alerts()] == [AlertLevel.CRITICAL]
    plant.feed("plc-1", [(70, 85.0)])
    assert [one.level for one in plant.alerts()] == [AlertLevel.FATAL]
    assert plant.notices() == ["FIRING", "ESCALATED", "ESCALATED"]


@pytest.mark.parametrize(
    "wrong", [{"level": "AWFUL", "after": 1}, {"after": 1}, {"level": "FATAL"}, "FATAL", {}]
)
def test_an_escalation_that_cannot_be_stops_no_other_rule(plant: Plant, wrong: object) -> None:
    odd = plant.rule(None, name="odd", escalations=[wrong])
    plant.rule()
    plant.feed("plc-1", HOT)
    assert [one.rule_name for one in plant.alerts()] == ["hot"]
    assert list(plant.engine.wrong_rules) == [odd]


def test_silence_is_noticed_and_ends_nothing(plant: Plant) -> None:
    plant.rule(None, max_gap=10_000)
    plant.feed("plc-1", HOT)
    plant.run(at=13 + GRACE / SECOND - 0.1)
    assert [one.is_stale for one in plant.alerts()] == [False]
    plant.run(at=13 + GRACE / SECOND)
    plant.run(at=1_000)
    (alert,) = plant.alerts()
    assert (alert.is_stale, alert.status) == (True, AlertStatus.ACTIVE)
    assert plant.steps()[-1] == (13, "OK", "STALE", "no_data")
    plant.feed("plc-1", [(2_000, 85.0)])
    assert [one.is_stale for one in plant.alerts()] == [False]


def test_silence_of_every_series_is_noticed_at_once(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "SERIES_AT_ONCE", 2)
    tag = plant.device("gone")
    plant.rule(tag, name="gone", max_gap=1_000)
    plant.rule(None, metric="temperature", max_gap=2_000)
    for name in ("gone", "plc-1", "plc-2", "plc-3"):
        plant.feed(name, HOT)
    with plant.registry.writing() as session:  # as if points.db was made anew, without it
        session.execute(
            text("UPDATE alert_instances SET series = 'gone' WHERE series LIKE '%gone%'")
        )
    plant.run(at=1_000)
    assert sum(one.is_stale for one in plant.alerts()) == 3


def test_what_waits_to_be_loaded_is_not_silence(plant: Plant) -> None:
    now = datetime.now(UTC) - STARTED
    began, late = now.total_seconds() - 5, now.total_seconds() + 3_600
    plant.rule(None, max_gap=10_000)
    plant.feed("plc-1", [(began, 70.0)])
    plant.send("plc-1", [(began + 5, 99.0)])
    plant.run(at=late)
    assert plant.steps() == []
    plant.load()
    plant.run(at=began + 6)
    assert [step[1:] for step in plant.steps()] == [("NORMAL", "ACTIVE", "fired")]
    plant.run(at=late)
    assert plant.steps()[-1][1:] == ("OK", "STALE", "no_data")


def test_acknowledged_by_whom_when_and_why(plant: Plant) -> None:
    plant.rule()
    plant.feed("plc-1", HOT)
    (alert,) = plant.alerts()
    assert acknowledge(plant.registry, plant.settings, alert.id[:8], ANN, "on my way").changed
    assert not acknowledge(plant.registry, plant.settings, alert.id, ANN, "twice").changed
    (alert,) = plant.alerts()
    assert (alert.status, alert.acknowledged_by) == (AlertStatus.ACKNOWLEDGED, "ann")
    assert alert.ack_note == "on my way"
    assert alert.acknowledged_at is not None
    assert abs(alert.acknowledged_at - datetime.now(UTC)) < timedelta(minutes=5)
    plant.feed("plc-1", COLD)
    (alert,) = plant.alerts()
    assert (alert.status, alert.cleared_unack) == (AlertStatus.RESOLVED, False)


def test_who_acknowledges_does_not_hide_that_the_rule_has_changed(plant: Plant) -> None:
    rule = plant.rule()
    plant.feed("plc-1", HOT)
    with plant.registry.writing() as session:
        row = session.get_one(AlertRule, rule)
        row.threshold_value, row.version = 84.0, 2
    acknowledge(plant.registry, plant.settings, plant.alerts()[0].id, ANN, "")
    plant.run()
    assert [one.state_reason for one in plant.alerts()] == ["rule_changed"]


def test_acknowledged_while_the_engine_ends_it(plant: Plant) -> None:
    if not plant.registry.is_postgres:
        pytest.skip("writers of SQLite wait before they read")
    plant.rule()
    plant.feed("plc-1", HOT)
    (alert,) = plant.alerts()
    plant.write("plc-1", COLD)
    is_held = threading.Event()

    def hold() -> None:
        with plant.registry.writing() as session:
            read_states(session, [alert.series])
            is_held.set()
            wait_for_lock(plant, 2)

    def see() -> None:
        wait_for_lock(plant, 1)
        acknowledge(plant.registry, plant.settings, alert.id, ANN, "")

    with ThreadPoolExecutor() as threads:
        done = [threads.submit(hold)]
        assert is_held.wait(30)
        done.append(threads.submit(see))
        plant.run()
        for one in done:
            one.result()
    (alert,) = plant.alerts()
    assert (alert.resolved_at, alert.duration) == (seconds(4), 2_000)
    assert (alert.acknowledged_by, alert.cleared_unack) == ("ann", False)


def wait_for_lock(plant: Plant, number: int) -> None:
    """Until so many statements wait for a lock."""
    query = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    for _ in range(3_000):
        with plant.registry.reading() as session:
            if (session.scalar(query) or 0) >= number:
                return
        time.sleep(0.01)
    raise AssertionError("nobody waits")


def test_an_alarm_that_is_over_waits_until_somebody_has_seen_it(plant: Plant) -> None:
    plant.rule()
    plant.feed("plc-1", HOT + COLD)
    (alert,) = plant.alerts()
    assert (alert.cleared_unack, plant.conditions()) == (True, ["RTN_UNACK"])
    acknowledge(plant.registry, plant.settings, alert.id, ANN, "seen")
    (alert,) = plant.alerts()
    assert (alert.status, alert.cleared_unack) == (AlertStatus.RESOLVED, False)
    assert plant.conditions() == ["NORMAL"]


def test_a_latched_alarm_stays_until_it_is_reset(plant: Plant) -> None:
    plant.rule(None, latched=True)
    plant.feed("plc-1", HOT)
    (alert,) = plant.alerts()
    with pytest.raises(UsageError, match="while it is active"):
        reset(plant.registry, plant.settings, alert.id, ANN, "too early")
    acknowledge(plant.registry, plant.settings, alert.id, ANN, "")
    plant.feed("plc-1", COLD)
    assert plant.conditions() == ["RTN_UNACK"]
    reset(plant.registry, plant.settings, alert.id, ANN, "valve mended")
    assert plant.conditions() == ["NORMAL"]
    with plant.registry.reading() as session:
        audit = session.scalars(select(AuditLog).order_by(AuditLog.id)).all()
    deeds = [(one.action, one.success) for one in audit]
    assert deeds == [("alert.reset", False), ("alert.acknowledge", True), ("alert.reset", True)]


def test_a_shelved_alarm_tells_nobody_and_is_told_again(plant: Plant) -> None:
    plant.rule()
    plant.channel()
    plant.feed("plc-1", HOT)
    (alert,) = plant.alerts()
    for wrong in (0, 8 * 3_600 + 1):
        with pytest.raises(UsageError, match="cannot be shelved"):
            shelve(plant.registry, plant.settings, alert.id, ANN, "maintenance", wrong)
    with pytest.raises(UsageError, match="needs a reason"):
        shelve(plant.registry, plant.settings, alert.id, ANN, " ", 60)
    shelve(plant.registry, plant.settings, alert.id, ANN, "maintenance", 3_600)
    (alert,) = plant.alerts()
    assert (alert.status, alert.shelved_until is not None) == (AlertStatus.SUPPRESSED, True)
    plant.feed("plc-1", [(4, 70.0), (5, 99.0)])
    assert plant.notices() == ["FIRING"]
    assert [one.status for one in plant.alerts()] == [
        AlertStatus.RESOLVED,
        AlertStatus.SUPPRESSED,
    ]
    now = (datetime.now(UTC) - STARTED).total_seconds()
    plant.run(at=now + 3_590)
    assert plant.notices() == ["FIRING"]
    plant.run(at=now + 3_700)
    assert plant.notices() == ["FIRING", "REMINDER"]
    assert [one.status for one in plant.alerts()][1] == AlertStatus.ACTIVE


def test_unshelved_by_hand(plant: Plant) -> None:
    plant.rule()
    plant.feed("plc-1", HOT)
    (alert,) = plant.alerts()
    shelve(plant.registry, plant.settings, alert.id, ANN, "maintenance", 60)
    unshelve(plant.registry, plant.settings, alert.id, ANN, "done")
    (alert,) = plant.alerts()
    assert (alert.status, alert.shelved_until) == (AlertStatus.ACTIVE, None)


def test_the_past_is_not_operated_on(plant: Plant) -> None:
    plant.rule()
    plant.feed("plc-1", HOT + COLD + [(9, 99.0)])
    first, second = plant.alerts()
    with pytest.raises(UsageError, match="followed by another"):
        acknowledge(plant.registry, plant.settings, first.id, ANN, "")
    for wrong in ("abc", "00000000", first.id[:7], "%%%%%%%%"):
        with pytest.raises(UsageError, match="no alarm"):
            acknowledge(plant.registry, plant.settings, wrong, ANN, "")
    assert acknowledge(plant.registry, plant.settings, second.id, ANN, "").changed


def test_a_rule_out_of_service_tells_nobody(plant: Plant) -> None:
    rule = plant.rule()
    plant.channel()
    plant.run()
    with plant.registry.writing() as session:
        session.get_one(AlertRule, rule).out_of_service = True
    plant.feed("plc-1", [(1, 70.0)])
    plant.restart()
    plant.feed("plc-1", HOT[1:])
    assert [one.status for one in plant.alerts()] == [AlertStatus.SUPPRESSED]
    assert plant.notices() == []
    with plant.registry.writing() as session:
        session.get_one(AlertRule, rule).out_of_service = False
    plant.run()
    assert [one.status for one in plant.alerts()] == [AlertStatus.ACTIVE]
    assert plant.notices() == ["REMINDER"]


def test_an_alarm_that_stands_is_counted_when_its_first_steps_are_archived(plant: Plant) -> None:
    plant.rule()
    plant.feed("plc-1", HOT)
    plant.feed("plc-2", HOT + COLD)

    def standing() -> list[Activation]:
        with plant.registry.reading() as session:
            return recorded(session, seconds(10), seconds(20))

    before = standing()
    assert [one.time for one in before] == [T0 + 2 * SECOND]
    with plant.registry.writing() as session:
        session.execute(text("DELETE FROM alert_transitions"))
    assert standing() == before


def test_what_was_done_is_said_where_the_next_one_is_refused(
    plant: Plant, capsys: pytest.CaptureFixture[str]
) -> None:
    plant.rule()
    plant.feed("plc-1", HOT)
    name = plant.alerts()[0].id[:8]
    with pytest.raises(UsageError, match="no alarm"):
        operate_each(plant.settings, [name, "00000000"], acknowledging(""), as_json=False)
    assert capsys.readouterr().out.startswith(f"{name} ACKNOWLEDGED")


def test_a_history_that_was_archived_is_not_written_again(plant: Plant) -> None:
    plant.rule(None, max_gap=10_000)
    plant.feed("plc-1", HOT + COLD)
    with plant.registry.writing() as session:
        session.execute(text("DELETE FROM alert_history"))
    plant.run(at=100)
    assert plant.alerts() == []
    plant.feed("plc-1", [(200, 99.0)])
    assert [one.occurrence for one in plant.alerts()] == [2]


def test_what_opens_again_after_its_row_was_archived_is_a_new_alarm(plant: Plant) -> None:
    if plant.settings.registry_url.startswith("postgresql"):
        pytest.skip("PostgreSQL keeps its rows")
    plant.rule(cooldown_duration=600_000, max_gap=60_000, no_data=NoData.ALARM)
    plant.channel()
    for device in ("plc-1", "plc-2"):
        plant.feed(device, HOT + COLD)
    plant.run(10)
    for alert in plant.alerts():
        acknowledge(plant.registry, plant.settings, alert.id, ANN, "seen")
    settings = plant.settings.model_copy(update={"archive_grace_hours": 0})
    assert UniversalArchiver(settings).archive_table("alert_history").rows == 2
    assert plant.alerts() == []
    plant.feed("plc-1", [(20, 95.0)])  # a sample opens one of them, silence the other
    plant.run(400)
    assert [(one.occurrence, one.status) for one in plant.alerts()] == [(2, AlertStatus.ACTIVE)] * 2
    assert plant.notices().count("FIRING") == 4
