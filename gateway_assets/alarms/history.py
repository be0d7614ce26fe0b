"""The rows of ``alert_history``: what people see of an instance, kept up with its steps.

ACTIVE and ACKNOWLEDGED are alarms whose condition holds, SUPPRESSED one of which nobody is told,
RESOLVED one whose condition is over. One that nobody acknowledged is still in their lists then:
``cleared_unack``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from gateway_assets.alarms.rule import Rule
from gateway_assets.alarms.scope import Place
from gateway_assets.alarms.state import (
    RTN_UNACK,
    STALE,
    Ack,
    Condition,
    Reason,
    State,
    Suppression,
    Transition,
)
from gateway_assets.alarms.store import AT_ONCE, Key
from gateway_assets.alarms.wording import message
from gateway_assets.registry.alerts import Alert
from gateway_assets.registry.words import AlertLevel, AlertStatus

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LEVELS, _SUPPRESSIONS, _ACKS = (
    frozenset(map(str, words)) for words in (AlertLevel, Suppression, Ack)
)
_OVER = frozenset({str(Condition.NORMAL), RTN_UNACK})


class Moved(NamedTuple):
    """An instance, the steps that it made, and where these led."""

    key: Key
    rule: Rule
    place: Place
    before: State
    after: State
    steps: tuple[Transition, ...]


def write_history(session: Session, moved: Sequence[Moved]) -> dict[tuple[Key, int], Alert]:
    """Within the caller's transaction; the rows that the steps are of, by occurrence."""
    rows = _open_rows(session, moved)
    for one in moved:
        suppression = one.before.suppression
        for step in one.steps:
            suppression = _suppression(step, suppression)
            if step.occurrence == 0:
                continue  # nothing has been in alarm here yet
            row = rows.get((one.key, step.occurrence))
            if row is None and step.to_state == Condition.ACTIVE:
                row = rows[one.key, step.occurrence] = _opened(one, step)
                session.add(row)
            if row is not None and _concerns(row, step):
                _apply(row, step)
                row.status = _status(row, suppression)
        row = rows.get((one.key, one.after.occurrence))
        if row is not None and one.steps:
            row.last_value, row.peak_value = one.after.last_value, one.after.peak_value
            row.is_stale = one.after.stale and row.resolved_at is None
            until = one.after.shelved_until
            row.shelved_until = None if until is None else moment(until)
    session.flush()
    return rows


def has_row(session: Session, key: Key, occurrence: int) -> bool:
    """Whether an occurrence has a row: in SQLite those that were archived have gone."""
    query = select(Alert.id).where(
        Alert.rule_id == key.rule, Alert.series == key.series, Alert.occurrence == occurrence
    )
    return session.scalars(query).first() is not None


def moment(nanoseconds: int) -> datetime:
    """To the microsecond."""
    return _EPOCH + timedelta(microseconds=nanoseconds // 1_000)


def _open_rows(session: Session, moved: Sequence[Moved]) -> dict[tuple[Key, int], Alert]:
    """The rows that are there already: later occurrences begin with these steps."""
    wanted = {(one.key, one.before.occurrence) for one in moved if one.before.occurrence}
    series = sorted({key.series for key, _ in wanted})
    numbers = sorted({occurrence for _, occurrence in wanted})
    rows: dict[tuple[Key, int], Alert] = {}
    for start in range(0, len(series), AT_ONCE):
        query = select(Alert).where(Alert.series.in_(series[start : start + AT_ONCE]))
        for row in session.scalars(query.where(Alert.occurrence.in_(numbers))):
            rows[Key(row.rule_id, row.series), row.occurrence] = row
    return {name: row for name, row in rows.items() if name in wanted}


def _opened(one: Moved, step: Transition) -> Alert:
    fired, since = step.event_time, one.after.since
    if since is None or since > fired or step.occurrence != one.after.occurrence:
        since = fired
    return Alert(
        rule_id=one.key.rule,
        rule_name=one.rule.name,
        rule_version=one.rule.version,
        device_id=one.place.device_id,
        device_name=one.place.device,
        tag_id=one.place.tag_id,
        tag_name=one.place.tag,
        series=one.key.series,
        occurrence=step.occurrence,
        condition_since=moment(since),
        fired_at=moment(fired),
        triggered_value=step.value,
        threshold_value=one.rule.threshold,
        level=AlertLevel(step.level or one.rule.level),
        status=AlertStatus.ACTIVE,
        message=message(one.rule, one.place, step.value),
        flap_count=0,
        cleared_unack=False,
        is_stale=False,
        details=_limits(one.rule),
    )


def _limits(rule: Rule) -> dict[str, object]:
    """What the rule looked for on that day."""
    given = {
        "op": rule.op,
        "low": rule.low,
        "high": rule.high,
        "deadband": rule.deadband or None,
        "expression": rule.expression,
    }
    return {name: value for name, value in given.items() if value is not None}


def _concerns(row: Alert, step: Transition) -> bool:
    """An alarm that is over is only opened again or acknowledged: silence and shelves are not of
    it.
    """
    return row.resolved_at is None or step.to_state in {Condition.ACTIVE, Ack.ACK, *_OVER}


def _apply(row: Alert, step: Transition) -> None:
    match step.to_state:
        case Condition.ACTIVE:
            if step.reason == Reason.REOPENED:
                _reopen(row)
            elif step.from_state == Condition.RECOVERING:
                row.flap_count += 1
        case Ack.ACK:
            row.acknowledged_at, row.acknowledged_by = moment(step.event_time), step.actor
            row.ack_note = step.reason or None
        case to if to in _LEVELS:
            row.level = AlertLevel(to)
        case to if to in _OVER:
            _end(row, step)
    if step.to_state not in _ACKS and step.from_state != STALE:
        row.state_reason = step.reason


def _reopen(row: Alert) -> None:
    row.resolved_at = row.duration = None
    row.acknowledged_at = row.acknowledged_by = row.ack_note = None
    row.cleared_unack = False
    row.flap_count += 1


def _end(row: Alert, step: Transition) -> None:
    row.cleared_unack = step.to_state == RTN_UNACK
    if row.resolved_at is None:
        # A rule is closed by this host's clock, which may be behind the one that fired it.
        row.resolved_at = max(moment(step.event_time), row.fired_at)
        row.duration = (row.resolved_at - row.fired_at) // timedelta(milliseconds=1)


def _suppression(step: Transition, before: Suppression) -> Suppression:
    if {step.from_state, step.to_state} <= _SUPPRESSIONS:
        return Suppression(step.to_state)
    return before


def _status(row: Alert, suppression: Suppression) -> AlertStatus:
    if row.resolved_at is not None:
        return AlertStatus.RESOLVED
    if suppression is not Suppression.NONE:
        return AlertStatus.SUPPRESSED
    return AlertStatus.ACTIVE if row.acknowledged_at is None else AlertStatus.ACKNOWLEDGED


def by_rule(moved: Sequence[Moved]) -> Mapping[str, Rule]:
    return {one.key.rule: one.rule for one in moved}
