"""What instances did is written down: their state, steps and late samples, the rows that people
see, and the notifications, all in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from gateway_assets.alarms.history import Moved, by_rule, write_history
from gateway_assets.alarms.state import RTN_UNACK, STALE, Condition, Reason, Transition
from gateway_assets.alarms.store import write_states, write_steps
from gateway_assets.alarms.wording import message
from gateway_assets.notify.outbox import Telling, enqueue_all
from gateway_assets.notify.sink import State as Told
from gateway_assets.registry.alerts import Alert
from gateway_assets.registry.model import utc_now
from gateway_assets.settings import Settings


def record(session: Session, settings: Settings, moved: Sequence[Moved]) -> None:
    write_states(session, by_rule(moved), {one.key: one.after for one in moved})
    stepped = [one for one in moved if one.steps]
    if not stepped:
        return
    write_steps(session, [(one.key, one.rule, step) for one in stepped for step in one.steps])
    rows = write_history(session, stepped)
    tellings = [
        _telling(one, step, row)
        for one in stepped
        for step in one.steps
        # Who was told that it is over need not know that its values have stopped.
        if step.notify
        and (row := rows.get((one.key, step.occurrence))) is not None
        and not (_is_silence(step) and row.resolved_at)
    ]
    enqueue_all(session, settings, utc_now(), tellings)


def _telling(one: Moved, step: Transition, row: Alert) -> Telling:
    text = message(one.rule, one.place, step.value)
    return Telling(row, step.seq, _said(step), step.value, text)


def _is_silence(step: Transition) -> bool:
    return STALE in {step.from_state, step.to_state}


def _said(step: Transition) -> Told:
    if step.to_state == STALE:
        return Told.STALE
    if step.reason == Reason.ESCALATED:
        return Told.ESCALATED
    if step.to_state in {Condition.NORMAL, RTN_UNACK}:
        return Told.RESOLVED
    return Told.FIRING if step.to_state == Condition.ACTIVE else Told.REMINDER
