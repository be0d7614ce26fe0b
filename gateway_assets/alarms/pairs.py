"""Which rules look at which series at this moment, kept up with the registry and the points."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Integer, String, cast, extract, func, select
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
from gateway_assets.alarms.store import Key
from gateway_assets.registry.alerts import AlertRule
from gateway_assets.registry.devices import Device, Tag


class Pairs:
    """Empty until it is brought up to date."""

    def __init__(self) -> None:
        self.rules: dict[str, Scoped] = {}
        self.wrong: dict[str, str] = {}
        self.series: dict[int, Series] = {}
        self.by_key: dict[str, Series] = {}
        self.of_series: dict[int, list[Scoped]] = {}
        self._places: Places | None = None
        self._seen: object = None

    def renew(self, session: Session, points: sqlite3.Connection) -> bool:
        """Read the rules again where something changed; whether it did. Then, and when new series
        have come, ``of_series`` is as it has to be.
        """
        seen = [_version(session, kind) for kind in (AlertRule, Device, Tag)]
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
        self.by_key |= {one.key: one for one in new}
        self._match(self.series.values() if changed else new)
        return changed

    def looks_at(self, key: Key) -> bool:
        """Whether the instance's rule is evaluated and looks at the series, as far as it is known:
        one that points.db does not have may come back.
        """
        rule, series = self.rules.get(key.rule), self.by_key.get(key.series)
        return rule is not None and (series is None or rule.holds(series))

    def place(self, series: Series) -> Place:
        assert self._places is not None
        return self._places.of(series)

    def _match(self, series: Iterable[Series]) -> None:
        for rule, one in matches(self.rules.values(), series):
            self.of_series.setdefault(one.id, []).append(rule)


def _version(session: Session, kind: type[AlertRule | Device | Tag]) -> tuple[Any, ...]:
    """Another one after every change. The latest change alone would not do: a transaction that
    commits late and a clock that was set back write earlier moments.
    """
    part: ColumnElement[int]
    if session.get_bind().dialect.name == "postgresql":
        part = extract("epoch", kind.updated_at)
    else:  # the digits of the time of the day
        text = cast(kind.updated_at, String)
        digits = [func.substr(text, *place) for place in ((12, 2), (15, 2), (18, 2), (21, 6))]
        part = cast(digits[0] + digits[1] + digits[2] + digits[3], Integer)
    query = select(func.count(), func.max(kind.updated_at), func.sum(part))
    return tuple(session.execute(query).one())
