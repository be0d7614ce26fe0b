"""Which devices are there, told by their points."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from gateway_assets.alarms.pairs import Pairs
from gateway_assets.alarms.presence import renew_presences
from gateway_assets.registry.alerts import AlertRule
from gateway_assets.registry.devices import Device
from gateway_assets.registry.words import DeviceStatus
from tests.alarms.plant import SECOND, STARTED, T0, Plant

ONLINE, OFFLINE, UNKNOWN = DeviceStatus.ONLINE, DeviceStatus.OFFLINE, DeviceStatus.UNKNOWN


def noted(plant: Plant, at: float) -> int:
    return renew_presences(plant.settings, plant.registry, plant.points, T0 + round(at * SECOND))


def found(plant: Plant) -> dict[str, tuple[DeviceStatus, float | None]]:
    """Status, and seconds after the start at which it was seen."""
    with plant.registry.reading() as session:
        return {one.name: (one.status, _after(one)) for one in session.scalars(select(Device))}


def _after(device: Device) -> float | None:
    return None if device.last_seen is None else (device.last_seen - STARTED).total_seconds()


def test_a_device_is_online_while_its_points_come(plant: Plant) -> None:
    plant.device("PLC-1")
    slow = plant.device("slow", scan_rate=200_000)  # three of them are 600 s
    plant.device("silent")
    assert noted(plant, 0) == 0
    plant.write("plc-1", [(10, 1.0), (9_999, 2.0)])  # the other is of the future: it tells nothing
    plant.write(slow.device_id, [(20, 1.0)])
    assert noted(plant, 30) == 2
    assert found(plant) == {"PLC-1": (ONLINE, 10), "slow": (ONLINE, 20), "silent": (UNKNOWN, None)}
    assert noted(plant, 310) == 0
    assert noted(plant, 311) == 1
    assert found(plant)["PLC-1"] == (OFFLINE, 10)
    assert noted(plant, 620) == 0
    assert noted(plant, 621) == 1
    assert found(plant)["slow"] == (OFFLINE, 20)
    plant.write("PLC-1", [(700, 1.0)])
    noted(plant, 701)
    assert found(plant)["PLC-1"] == (ONLINE, 700)
    plant.write("PLC-1", [(710, 1.0)])
    assert noted(plant, 711) == 0  # so soon it is not worth a write
    plant.write("PLC-1", [(760, 1.0)])
    assert noted(plant, 761) == 1


def test_what_people_said_stays(plant: Plant) -> None:
    plant.device("PLC-1")
    with plant.registry.writing() as session:
        session.execute(update(Device).values(status=DeviceStatus.MAINTENANCE))
    plant.write("PLC-1", [(10, 1.0)])
    noted(plant, 11)
    assert found(plant) == {"PLC-1": (DeviceStatus.MAINTENANCE, 10)}
    noted(plant, 5_000)
    assert found(plant) == {"PLC-1": (DeviceStatus.MAINTENANCE, 10)}


def test_another_gateway_has_seen_it(plant: Plant) -> None:
    plant.device("PLC-1")
    plant.write("PLC-1", [(10, 1.0)])
    with plant.registry.writing() as session:
        seen = STARTED + timedelta(seconds=500)
        session.execute(update(Device).values(last_seen=seen, status=ONLINE))
    assert noted(plant, 600) == 0
    assert found(plant) == {"PLC-1": (ONLINE, 500)}


def test_rules_are_not_read_again_because_points_come(plant: Plant) -> None:
    plant.rule(plant.device("PLC-1"))
    pairs = Pairs()
    with plant.registry.reading() as session:
        assert pairs.renew(session, plant.points)
    plant.write("PLC-1", [(10, 1.0)])
    assert noted(plant, 11) == 1
    with plant.registry.reading() as session:
        assert not pairs.renew(session, plant.points)


def test_a_change_that_commits_late_is_seen(plant: Plant) -> None:
    """PostgreSQL dates a row by the begin of its transaction, which others may overtake."""
    if not plant.registry.is_postgres:
        pytest.skip("transactions of SQLite that write do not overtake each other")
    late, early = plant.rule(name="late", metric="a"), plant.rule(name="early", metric="b")
    pairs = Pairs()
    with plant.registry.writing() as slow:
        slow.execute(update(AlertRule).where(AlertRule.id == late).values(threshold_value=1.0))
        with plant.registry.writing() as session:
            changed = update(AlertRule).where(AlertRule.id == early)
            session.execute(changed.values(threshold_value=2.0))
        with plant.registry.reading() as session:
            assert pairs.renew(session, plant.points)
    with plant.registry.reading() as session:
        assert pairs.renew(session, plant.points)
    assert pairs.rules[late].rule.threshold == 1.0
