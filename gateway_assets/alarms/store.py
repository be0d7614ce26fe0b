"""Instances and their steps in the registry: read, written, and told of, in one transaction.

A step is written under the number that it has within its instance; a step that is there already is
not written again, so that an evaluation that is repeated changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from gateway_assets.alarms.rule import Rule
from gateway_assets.alarms.state import Late, State, Transition
from gateway_assets.registry.alerts import Instance, LateSample
from gateway_assets.registry.alerts import Transition as Step
from gateway_assets.registry.model import Model, utc_now

AT_ONCE = 500  # instances read or written by one statement


class Key(NamedTuple):
    """An instance: a rule and a series, by the series' key."""

    rule: str
    series: str


class Known(NamedTuple):
    """An instance as it is stored: the version of the rule that it was evaluated by."""

    version: int
    state: State


def read_states(session: Session, series: Sequence[str]) -> dict[Key, Known]:
    """The instances of these series; in PostgreSQL nobody else changes them before the end."""
    found = {}
    for start in range(0, len(series), AT_ONCE):
        query = (
            select(Instance.rule_id, Instance.series, Instance.rule_version, Instance.state)
            .where(Instance.series.in_(series[start : start + AT_ONCE]))
            .with_for_update()
        )
        for rule, key, version, state in session.execute(query):
            found[Key(rule, key)] = Known(version, State.from_dict(state))
    return found


def read_state(session: Session, key: Key) -> Known | None:
    return read_states(session, [key.series]).get(key)


def due_before(session: Session, moment: int) -> list[Key]:
    """Instances to be looked at by ``moment`` (ns), the longest due first."""
    query = select(Instance.rule_id, Instance.series).where(Instance.due <= moment)
    query = query.order_by(Instance.due)
    return [Key(*row) for row in session.execute(query)]


def write_states(session: Session, rules: Mapping[str, Rule], states: Mapping[Key, State]) -> None:
    """What these instances now are."""
    now = utc_now()
    rows = [
        {
            "rule_id": key.rule,
            "series": key.series,
            "rule_version": rules[key.rule].version,
            "condition": state.standing,
            "watermark": state.watermark,
            "due": due(rules[key.rule], state),
            "state": state.to_dict(),
            "updated_at": now,
        }
        for key, state in states.items()
    ]
    if not rows:
        return
    statement = _inserting(session, Instance)
    keys = {"rule_id", "series"}
    changed = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    session.execute(
        statement.on_conflict_do_update(index_elements=sorted(keys), set_=changed), rows
    )


def due(rule: Rule, state: State) -> int | None:
    """When (ns) the instance has to be looked at although no sample comes."""
    moments = [] if state.shelved_until is None else [state.shelved_until]
    if rule.max_gap and state.watermark is not None and not state.stale:
        moments.append(state.watermark + rule.max_gap + 1)
    return min(moments, default=None)


def write_steps(session: Session, steps: Iterable[tuple[Key, Rule, Transition]]) -> None:
    rows = [
        {
            "rule_id": key.rule,
            "series": key.series,
            "seq": step.seq,
            "occurrence": step.occurrence,
            "event_ns": step.event_time,
            "from_state": step.from_state,
            "to_state": step.to_state,
            "value": step.value,
            "level": step.level or rule.level,
            "reason": step.reason,
            "actor": step.actor or None,
            "notify": step.notify,
        }
        for key, rule, step in steps
    ]
    if not rows:
        return
    statement = _inserting(session, Step)
    if session.get_bind().dialect.name == "postgresql":
        statement = statement.on_conflict_do_nothing()
    else:
        # Keys of archived rows are known to a trigger, which only this form obeys.
        statement = statement.prefix_with("OR IGNORE")
    session.execute(statement, rows)


def write_late(session: Session, late: Iterable[tuple[Key, Late]]) -> None:
    """Samples that came too late to change anything, each once."""
    rows: list[dict[str, Any]] = [
        {"rule_id": key.rule, "series": key.series, "event_ns": one.time, "value": one.value}
        for key, one in late
    ]
    if rows:
        session.execute(_inserting(session, LateSample).on_conflict_do_nothing(), rows)


def _inserting(session: Session, model: type[Model]) -> Any:
    """An INSERT that can say what to do where the key is there."""
    kind = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    statement: Insert = kind.insert(model)
    return statement
