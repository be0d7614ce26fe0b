"""People move the state of an alarm: each action says who, why and when (ns).

An action that finds nothing to do gives the same state and no transition. One that cannot be done
raises UsageError.
"""

from __future__ import annotations

from dataclasses import replace

from gateway_assets.alarms.rule import Rule
from gateway_assets.alarms.state import (
    RTN_UNACK,
    Ack,
    Condition,
    State,
    Step,
    Suppression,
    Transition,
    lifted,
    told,
)
from gateway_assets.errors import NotNow, UsageError


def acknowledge(state: State, actor: str, note: str, at: int) -> Step:
    """Somebody has seen it. One that is normal again and not latched is over by that."""
    _check_actor(actor)
    if state.ack is not Ack.UNACK:
        return Step(state)
    seen = replace(state, ack=Ack.ACK)
    seen, transition = _told(seen, at, (Ack.UNACK, Ack.ACK), note, actor)
    if seen.is_active or seen.latched:
        return Step(seen, (transition,))
    over, end = _told(seen, at, (RTN_UNACK, Condition.NORMAL), note, actor)
    return Step(replace(over, ack=Ack.NONE), (transition, end))


def reset(state: State, actor: str, note: str, at: int) -> Step:
    """A latched alarm is over, acknowledged or not. NotNow while its condition is true."""
    _check_actor(actor)
    if not state.latched:
        return Step(state)
    if state.is_active:
        raise NotNow(
            "a latched alarm cannot be reset while it is active",
            hint="acknowledge it, and reset it when its condition has cleared",
        )
    over = replace(state, latched=False, ack=Ack.NONE)
    over, transition = _told(over, at, (RTN_UNACK, Condition.NORMAL), note, actor)
    return Step(over, (transition,))


def shelve(
    rule: Rule, state: State, actor: str, reason: str, until: int, at: int, limit: int
) -> Step:
    """Nobody is notified until a moment, at most ``limit`` ns away; the last shelving counts."""
    _check_actor(actor)
    _check_reason(reason)
    if not at < until <= at + limit:
        raise UsageError(
            f"rule {rule.id} cannot be shelved for {(until - at) / 1e9:g} seconds",
            hint=f"give a moment that is later than now, by {limit / 1e9:g} seconds at most",
        )
    if state.suppression is Suppression.OUT_OF_SERVICE:
        raise NotNow(
            f"rule {rule.id} is out of service here", hint="put it in service, then shelve it"
        )
    shelved = replace(state, suppression=Suppression.SHELVED, shelved_until=until)
    change = (state.suppression, Suppression.SHELVED)
    shelved, transition = _told(shelved, at, change, reason, actor)
    return Step(shelved, (transition,))


def unshelve(state: State, actor: str, note: str, at: int) -> Step:
    """An alarm that is still active is told again."""
    return _lift(state, Suppression.SHELVED, actor, note, at)


def out_of_service(state: State, actor: str, reason: str, at: int) -> Step:
    """Nobody is notified until it is in service again; a shelf ends by that."""
    _check_actor(actor)
    _check_reason(reason)
    if state.suppression is Suppression.OUT_OF_SERVICE:
        return Step(state)
    out = replace(state, suppression=Suppression.OUT_OF_SERVICE, shelved_until=None)
    change = (state.suppression, Suppression.OUT_OF_SERVICE)
    out, transition = _told(out, at, change, reason, actor)
    return Step(out, (transition,))


def in_service(state: State, actor: str, note: str, at: int) -> Step:
    """An alarm that is still active is told again."""
    return _lift(state, Suppression.OUT_OF_SERVICE, actor, note, at)


def close(state: State, reason: str, at: int, actor: str = "") -> Step:
    """The rule is gone, or another one now: what is open is over, also if nobody has seen it.

    What fires later is a new occurrence, whatever the cooldown.
    """
    _check_reason(reason)
    over = replace(
        state,
        condition=Condition.NORMAL,
        since=at,
        ack=Ack.NONE,
        latched=False,
        announced=False,
        slot=None,
        last_resolved=None,
    )
    if not (state.is_active or state.is_returned):
        return Step(over)
    change = (state.standing, Condition.NORMAL)
    over, transition = _told(over, at, change, reason, actor, notify=state.announced)
    return Step(over, (transition,))


def _lift(state: State, kind: Suppression, actor: str, note: str, at: int) -> Step:
    _check_actor(actor)
    if state.suppression is not kind:
        return Step(state)
    state, transition = lifted(state, at, note, value=state.last_value, actor=actor)
    return Step(state, (transition,))


def _told(
    state: State, at: int, change: tuple[str, str], reason: str, actor: str, *, notify: bool = False
) -> tuple[State, Transition]:
    return told(state, at, change, reason, value=state.last_value, actor=actor, notify=notify)


def _check_actor(actor: str) -> None:
    if not actor.strip():
        raise UsageError("an action on an alarm needs a name", hint="say who does it")


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise UsageError("this needs a reason", hint="say why; it is kept with the alarm")
