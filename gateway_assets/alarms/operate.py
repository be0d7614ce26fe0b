"""What operators do to an alarm: acknowledge, shelve, reset; with who, when and why.

An alarm is named by its id in ``alert_history``, or by the first eight characters of it. Every
deed, and every one that is refused, is in the audit.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from sqlalchemy import String, cast, select
from sqlalchemy.orm import Session

from gateway_assets.alarms import actions
from gateway_assets.alarms.history import Moved
from gateway_assets.alarms.record import record as record_moved
from gateway_assets.alarms.rule import Rule
from gateway_assets.alarms.scope import Place, machine_rule
from gateway_assets.alarms.state import State, Step
from gateway_assets.alarms.store import Key, read_state
from gateway_assets.errors import GatewayError, NotNow, NotThere
from gateway_assets.registry.alerts import Alert, AlertRule
from gateway_assets.registry.audit import Actor, record
from gateway_assets.registry.database import Registry
from gateway_assets.registry.devices import Tag
from gateway_assets.settings import Settings

SHORT = 8
Action = Callable[[Rule, State, int], Step]


class Done(NamedTuple):
    """The alarm after the deed; ``changed`` is False when there was nothing to do."""

    alert: Alert
    changed: bool


def acknowledge(registry: Registry, settings: Settings, name: str, actor: Actor, note: str) -> Done:
    def act(_: Rule, state: State, at: int) -> Step:
        return actions.acknowledge(state, actor.username, note, at)

    return _do(registry, settings, name, actor, "acknowledge", act, {"note": note})


def shelve(
    registry: Registry, settings: Settings, name: str, actor: Actor, reason: str, seconds: float
) -> Done:
    """For so long at most ``shelve_max_hours``. Raises UsageError for more."""
    limit = int(settings.shelve_max_hours * 3_600 * 10**9)

    def act(rule: Rule, state: State, at: int) -> Step:
        until = at + int(seconds * 10**9)
        return actions.shelve(rule, state, actor.username, reason, until, at, limit)

    told = {"reason": reason, "seconds": seconds}
    return _do(registry, settings, name, actor, "shelve", act, told)


def unshelve(registry: Registry, settings: Settings, name: str, actor: Actor, note: str) -> Done:
    def act(_: Rule, state: State, at: int) -> Step:
        return actions.unshelve(state, actor.username, note, at)

    return _do(registry, settings, name, actor, "unshelve", act, {"note": note})


def reset(registry: Registry, settings: Settings, name: str, actor: Actor, note: str) -> Done:
    def act(_: Rule, state: State, at: int) -> Step:
        return actions.reset(state, actor.username, note, at)

    return _do(registry, settings, name, actor, "reset", act, {"note": note})


def found(session: Session, name: str) -> Alert:
    """The alarm of an id, or of its beginning. Raises NotThere for none and for several."""
    query = select(Alert).where(cast(Alert.id, String).startswith(name.lower(), autoescape=True))
    rows = session.scalars(query.limit(2)).all() if len(name) >= SHORT else []
    if len(rows) == 1:
        return rows[0]
    what = "several alarms" if rows else "no alarm"
    raise NotThere(f"{what} of id {name!r}", hint="see: gateway alerts list")


def _do(
    registry: Registry,
    settings: Settings,
    name: str,
    actor: Actor,
    verb: str,
    act: Action,
    told: dict[str, object],
) -> Done:
    try:
        with registry.writing() as session:
            alert = found(session, name)
            changed = _act(session, settings, alert, act)
            record(session, actor, f"alert.{verb}", kind="alert_history", id=alert.id, details=told)
            return Done(alert, changed)
    except GatewayError as error:
        with registry.writing() as session:
            refused = str(error)
            record(
                session,
                actor,
                f"alert.{verb}",
                kind="alert_history",
                id=name,
                details=told,
                error=refused,
            )
        raise


def _act(session: Session, settings: Settings, alert: Alert, act: Action) -> bool:
    key = Key(alert.rule_id, alert.series)
    known = read_state(session, key)
    session.refresh(alert)  # PostgreSQL: the engine may have written it before it let go of those
    if known is None or known.state.occurrence != alert.occurrence:
        raise NotNow(
            f"alarm {alert.id[:SHORT]} was followed by another one", hint="see: gateway alerts list"
        )
    row = session.get_one(AlertRule, alert.rule_id)
    tag = None if row.tag_id is None else session.get(Tag, row.tag_id)
    # The engine has to find that the rule has changed since it evaluated this.
    rule = replace(machine_rule(row, tag), version=known.version)
    step = act(rule, known.state, time.time_ns())
    place = Place(alert.device_id, alert.device_name, alert.tag_id, alert.tag_name)
    moved = Moved(key, rule, place, known.state, step.state, step.transitions)
    if step.transitions:
        record_moved(session, settings, [moved])
    return bool(step.transitions)
