"""What was in alarm, asked by SQL, hot and archived."""

from __future__ import annotations

from datetime import timedelta

from gateway_assets.alarms.operate import acknowledge
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.history.mirror import mirror
from gateway_assets.registry.audit import Actor
from tests.alarms.plant import STARTED, Plant


def test_alarms_as_events(plant: Plant) -> None:
    """Two are over and seen, and archived; one stands."""
    settings = plant.settings.model_copy(
        update={"archive_grace_hours": 0, "alerts_hot_days": 2, "archive_backup": False}
    )
    plant.rule()
    for device in ("plc-1", "plc-2"):
        plant.feed(device, [(1, 90.0), (4, 70.0)])
        (over,) = [one for one in plant.alerts() if one.device_name == device]
        acknowledge(plant.registry, settings, over.id, Actor("ann"), "")
    plant.feed("plc-3", [(2, 95.0)])
    if settings.registry_url:
        mirror(settings)
    assert not UniversalArchiver(settings).archive_table("alert_history").failed
    with UnifiedQueryBridge(settings) as bridge:
        told = bridge.rows(
            "SELECT status, duration, triggered_value FROM alert_events ORDER BY ALL"
        )
        when = bridge.rows(
            "SELECT count(*) AS n, min(time) AS first FROM alert_events"
            f" WHERE time >= '{STARTED.isoformat()}'"
        )
        cold = bridge.rows("SELECT count(*) AS n FROM alert_history_cold")
    assert [tuple(row.values()) for row in told] == [
        ("ACTIVE", None, 95.0),
        ("RESOLVED", 3.0, 90.0),
        ("RESOLVED", 3.0, 90.0),
    ]
    assert (when[0]["n"], when[0]["first"]) == (3, STARTED + timedelta(seconds=1))
    assert cold[0]["n"] == 2
