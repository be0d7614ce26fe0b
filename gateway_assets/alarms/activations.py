"""Steps of instances as activations: when an alarm became active, was over, was acknowledged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from gateway_assets.alarms.kpi import Activation
from gateway_assets.alarms.rule import Level
from gateway_assets.alarms.scope import nanoseconds
from gateway_assets.alarms.state import RTN_UNACK, Ack, Condition, Reason
from gateway_assets.alarms.store import AT_ONCE
from gateway_assets.registry.alerts import Alert
from gateway_assets.registry.alerts import Transition as Stored
from gateway_assets.registry.words import AlertStatus

_BEGINS = frozenset({str(Condition.NORMAL), RTN_UNACK})


class Step(Protocol):
    """A transition, of the state machine or of the registry."""

    @property
    def from_state(self) -> str: ...
    @property
    def to_state(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def notify(self) -> bool: ...


def activations_of(
    rule: str, series: str, level: Level, steps: Iterable[tuple[int, Step]]
) -> list[Activation]:
    """Of one instance, whose steps come in their order, each with its time (ns). What fired while
    it was suppressed is left out; what only opened again counts.
    """
    found: list[Activation] = []
    is_open = False
    for time, step in steps:
        if step.to_state == Condition.ACTIVE and step.from_state in _BEGINS:
            is_open = step.notify or step.reason == Reason.REOPENED
            if is_open:
                found.append(Activation(time, rule, series, level))
        elif is_open and step.to_state in _BEGINS:
            found[-1] = replace(found[-1], cleared=found[-1].cleared or time)
        elif is_open and step.to_state == Ack.ACK:
            found[-1] = replace(found[-1], acked=time)
    return found


def recorded(session: Session, start: datetime, end: datetime) -> list[Activation]:
    """Those of the registry that began in a range, and those before it that still stood then."""
    first, last = nanoseconds(start), nanoseconds(end)
    standing = list(
        session.scalars(
            select(Alert).where(
                Alert.fired_at < start, Alert.resolved_at.is_(None) | (Alert.resolved_at >= start)
            )
        )
    )
    by_instance: dict[tuple[str, str], list[Stored]] = {}
    for step in _steps(session, standing, first, last):
        by_instance.setdefault((step.rule_id, step.series), []).append(step)
    found = [
        one
        for (rule, series), steps in by_instance.items()
        for one in activations_of(
            rule, series, Level(steps[0].level), [(step.event_ns, step) for step in steps]
        )
    ]
    known = {(one.rule, one.series) for one in found if one.time < first}
    found += [
        _of_row(row, last)
        for row in standing
        if (row.rule_id, row.series) not in known and row.status is not AlertStatus.SUPPRESSED
    ]
    return [one for one in found if one.time >= first or (one.cleared or last) >= first]


def _steps(session: Session, standing: Sequence[Alert], first: int, last: int) -> Iterable[Stored]:
    """Of the range, and of what stood before it since it began; each instance's in their order."""
    order = (Stored.rule_id, Stored.series, Stored.seq)
    for start in range(0, len(standing), AT_ONCE):
        rows = {(row.rule_id, row.series): row for row in standing[start : start + AT_ONCE]}
        query = select(Stored).where(
            Stored.series.in_(sorted({series for _, series in rows})),
            Stored.event_ns < first,
            Stored.event_ns >= min(nanoseconds(row.fired_at) for row in rows.values()),
        )
        for step in session.scalars(query.order_by(*order)):
            if (step.rule_id, step.series) in rows:
                yield step
    query = select(Stored).where(Stored.event_ns < last, Stored.event_ns >= first)
    yield from session.scalars(query.order_by(*order))


def _of_row(row: Alert, last: int) -> Activation:
    """One whose first steps have been archived."""
    cleared, acked = (
        None if at is None or nanoseconds(at) >= last else nanoseconds(at)
        for at in (row.resolved_at, row.acknowledged_at)
    )
    time = nanoseconds(row.fired_at)
    return Activation(time, row.rule_id, row.series, Level(row.level), cleared, acked)
