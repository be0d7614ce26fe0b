"""Which rules look at which series at this moment, kept up with the registry and the points."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from gateway_assets.alarms.scope import (
    Place,
    Places,
    Scoped,
    Series,
    matches,
    rules_of,
    series_after,
)
from gateway_assets.registry.alerts import AlertRule
from gateway_assets.registry.devices import Device, Tag


class Pairs:
    """Empty until it is brought up to date."""

    def __init__(self) -> None:
        self.rules: dict[str, Scoped] = {}
        self.wrong: dict[str, str] = {}
        self.series: dict[int, Series] = {}
        self.of_series: dict[int, list[Scoped]] = {}
        self._places: Places | None = None
        self._seen: object = None

    def renew(self, session: Session, points: sqlite3.Connection) -> bool:
        """Read the rules again where something changed; whether it did. Then, and when new series
        have come, ``of_series`` is as it has to be.
        """
        seen = [_standing(session, kind) for kind in (AlertRule, Device, Tag)]
        changed = seen != self._seen
        if changed:
            found = rules_of(session)
            self.rules = {one.rule.id: one for one in found.rules}
            self.wrong = found.wrong
            self._places = Places(session)
            self.of_series = {}
            self._seen = seen
        new = series_after(points, max(self.series, default=0))
        self.series |= {one.id: one for one in new}
        self._match(self.series.values() if changed else new)
        return changed

    def place(self, series: Series) -> Place:
        assert self._places is not None
        return self._places.of(series)

    def _match(self, series: Iterable[Series]) -> None:
        for rule, one in matches(self.rules.values(), series):
            self.of_series.setdefault(one.id, []).append(rule)


def _standing(session: Session, kind: type[AlertRule | Device | Tag]) -> tuple[object, ...]:
    """Another one after every change. PostgreSQL dates rows by the begin of their transaction, so
    one that commits late is not the newest, but it moves the sum.
    """
    moved: ColumnElement[object] = func.max(kind.updated_at)
    if session.get_bind().dialect.name == "postgresql":
        moved = func.sum(func.extract("epoch", kind.updated_at))
    return tuple(session.execute(select(func.count(), moved)).one())
