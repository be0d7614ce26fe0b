"""What nobody asks for any more goes: notifications that were dealt with, notes of late samples."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import CursorResult, Delete, delete
from sqlalchemy.orm import Session

from gateway_assets.registry.alerts import LateSample, Notice
from gateway_assets.registry.database import Registry
from gateway_assets.registry.model import utc_now
from gateway_assets.registry.words import NoticeStatus
from gateway_assets.settings import Settings


class Tidied(NamedTuple):
    """Rows that have gone."""

    notices: int
    late_samples: int


def tidy(registry: Registry, settings: Settings, now: datetime | None = None) -> Tidied:
    """Older than ``alerts_hot_days``. A notification that still waits stays, however old."""
    before = (now or utc_now()) - timedelta(days=settings.alerts_hot_days)
    done = (NoticeStatus.SENT, NoticeStatus.DEAD, NoticeStatus.DROPPED)
    with registry.writing() as session:
        return Tidied(
            _gone(
                session, delete(Notice).where(Notice.created_at < before, Notice.status.in_(done))
            ),
            _gone(session, delete(LateSample).where(LateSample.seen_at < before)),
        )


def _gone(session: Session, statement: Delete) -> int:
    result = session.execute(statement)
    assert isinstance(result, CursorResult)
    return result.rowcount
