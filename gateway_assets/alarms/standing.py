"""What stands in alarm, the worst first."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from gateway_assets.alarms.scope import rules_of
from gateway_assets.registry.alerts import Alert, AlertRule
from gateway_assets.registry.words import AlertLevel, AlertStatus

_URGENT = frozenset({AlertLevel.CRITICAL, AlertLevel.FATAL})


class Standing(NamedTuple):
    """An alarm that holds, or is over and that nobody has seen."""

    since: datetime
    level: AlertLevel
    status: AlertStatus
    message: str
    is_acknowledged: bool

    @property
    def is_urgent(self) -> bool:
        """Bad, and somebody should have seen it."""
        return (
            self.level in _URGENT
            and not self.is_acknowledged
            and self.status is not AlertStatus.SUPPRESSED
        )


def standing(session: Session) -> list[Standing]:
    query = select(Alert).where(or_(Alert.resolved_at.is_(None), Alert.cleared_unack))
    rows = session.scalars(query.order_by(Alert.fired_at)).all()
    found = [
        Standing(row.fired_at, row.level, row.status, row.message, row.acknowledged_at is not None)
        for row in rows
    ]
    return sorted(found, key=lambda one: -one.level.rank)


def wrong_rules(session: Session) -> dict[str, str]:
    """Rules that cannot be evaluated, by name, and why."""
    names = {row.id: row.name for row in session.scalars(select(AlertRule))}
    return {names[rule]: why for rule, why in rules_of(session).wrong.items()}
