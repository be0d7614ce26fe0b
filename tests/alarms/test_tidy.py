"""What was dealt with long ago goes; what waits stays."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select, update

from gateway_assets.alarms.tidy import Tidied, tidy
from gateway_assets.registry.alerts import LateSample, Notice
from gateway_assets.registry.model import utc_now
from gateway_assets.registry.words import NoticeStatus
from tests.alarms.plant import Plant


def test_only_what_was_dealt_with_goes(plant: Plant) -> None:
    plant.rule()
    plant.channel()
    for at, device in enumerate(("plc-1", "plc-2", "plc-3", "plc-4"), start=1):
        plant.feed(device, [(at, 99.0)])
    plant.feed("plc-1", [(0.5, 70.0)])  # late
    with plant.registry.writing() as session:
        first = list(session.scalars(select(Notice.id).order_by(Notice.id)))
        for number, status in zip(first, ("SENT", "DEAD", "DROPPED"), strict=False):
            session.execute(
                update(Notice).where(Notice.id == number).values(status=NoticeStatus(status))
            )
    keep = timedelta(days=plant.settings.alerts_hot_days)
    now = utc_now()
    assert tidy(plant.registry, plant.settings, now + keep - timedelta(hours=1)) == Tidied(0, 0)
    assert tidy(plant.registry, plant.settings, now + keep + timedelta(hours=1)) == Tidied(3, 1)
    with plant.registry.reading() as session:
        assert session.scalars(select(Notice.status)).all() == [NoticeStatus.PENDING]
        assert session.scalar(select(func.count()).select_from(LateSample)) == 0
