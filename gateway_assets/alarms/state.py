"""What is remembered of one rule on one series, and the transitions that are told of it.

Condition, data, acknowledgement, suppression and level change apart from each other, as in OPC UA
Part 9. A transition names the one that changed: ``from_state`` and ``to_state`` are conditions
(``RTN_UNACK`` for one that is normal again but waits for people), OK or STALE, or the values of
``Ack``, ``Suppression`` or ``Level``. All times are ns since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, NamedTuple

from gateway_assets.alarms.rule import Level
from gateway_assets.errors import StoreError

Sample = tuple[int, float | None, int | None]  # time, value, quality (None is good)

OK, STALE = "OK", "STALE"
RTN_UNACK = "RTN_UNACK"


class Condition(StrEnum):
    NORMAL = "NORMAL"
    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    RECOVERING = "RECOVERING"


class Ack(StrEnum):
    NONE = "NONE"
    UNACK = "UNACK"
    ACK = "ACK"


class Suppression(StrEnum):
    NONE = "NONE"
    SHELVED = "SHELVED"
    BY_DESIGN = "BY_DESIGN"
    OUT_OF_SERVICE = "OUT_OF_SERVICE"


class Reason(StrEnum):
    """Why a sample or silence changed something; people give reasons in their own words."""

    FIRED = "fired"
    REOPENED = "reopened"
    PERSISTS = "persists"
    CLEARING = "clearing"
    FIRED_AGAIN = "fired_again"
    RESOLVED = "resolved"
    ESCALATED = "escalated"
    NO_DATA = "no_data"
    BAD_QUALITY = "bad_quality"
    DATA_BACK = "data_back"
    SUPPRESS_WHEN = "suppress_when"
    SHELF_EXPIRED = "shelf_expired"


@dataclass(frozen=True, slots=True)
class Transition:
    """``occurrence`` counts the alarm's openings: 1, 2, …; 0 before the first.

    ``value`` is the sample's, None where none was there. ``level`` is that of the occurrence,
    before the first that of the rule, or None where a person acted. ``notify`` says whether to tell
    people.
    """

    seq: int
    event_time: int
    from_state: str
    to_state: str
    value: float | None
    level: Level | None
    reason: str
    actor: str
    occurrence: int
    notify: bool


class Late(NamedTuple):
    """A sample that is not later than one that was seen before; it changes nothing."""

    time: int
    value: float | None
    quality: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """``State()`` is that of a rule that has seen nothing."""

    condition: Condition = Condition.NORMAL
    since: int | None = None  # of PENDING and ACTIVE: since when the condition has been true
    watermark: int | None = None  # the last sample, whatever its quality
    last_value: float | None = None  # of the last good sample
    good_time: int | None = None
    slot: int | None = None  # in which a sample was evaluated last
    window: tuple[tuple[int, float], ...] = ()  # good samples, for avg_over
    stale: bool = False
    bad_since: int | None = None  # the first of the bad samples since the last good one
    ack: Ack = Ack.NONE
    latched: bool = False
    suppression: Suppression = Suppression.NONE
    shelved_until: int | None = None
    by_design: bool = False  # what suppress_when said last, also while something else suppresses
    level: Level | None = None  # of the last occurrence
    occurrence: int = 0
    announced: bool = False  # people were told that it is active; they are told of its end, too
    flap_count: int = 0  # how often the occurrence became active again
    fleeting: int = 0  # how often the condition did not last for the on delay
    peak_value: float | None = None  # of the last occurrence, furthest from normal
    last_fired: int | None = None
    last_resolved: int | None = None
    seq: int = 0

    @property
    def is_active(self) -> bool:
        return self.condition in {Condition.ACTIVE, Condition.RECOVERING}

    @property
    def is_returned(self) -> bool:
        """Normal again, but not acknowledged, or latched and not reset."""
        return not self.is_active and (self.latched or self.ack is Ack.UNACK)

    @property
    def standing(self) -> str:
        """The condition as people see it."""
        return RTN_UNACK if self.is_returned else self.condition

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it; what is as in ``State()`` is left out."""
        given = {name: getattr(self, name) for name in _DEFAULTS}
        told = {name: value for name, value in given.items() if value != _DEFAULTS[name]}
        if self.window:
            told["window"] = [list(sample) for sample in self.window]
        return told

    @classmethod
    def from_dict(cls, kept: dict[str, Any]) -> State:
        """The state of ``to_dict``; what is missing is as in ``State()``.

        Raises StoreError for unknown names and values.
        """
        unknown = sorted(kept.keys() - _DEFAULTS.keys())
        if unknown:
            raise _unreadable(f"does not know {', '.join(unknown)}")
        kinds = {"condition": Condition, "ack": Ack, "suppression": Suppression, "level": Level}
        try:
            enums = {
                name: None if kept[name] is None and name == "level" else kind(kept[name])
                for name, kind in kinds.items()
                if name in kept
            }
            window = tuple((int(time), float(value)) for time, value in kept.get("window", ()))
        except (TypeError, ValueError) as error:
            raise _unreadable(f"cannot take {error}") from error
        return cls(**(kept | enums | {"window": window}))


_DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(State)}


def _unreadable(what: str) -> StoreError:
    return StoreError(
        f"the state of an alarm is of another version: this one {what}",
        hint="run the newest version that has run here",
    )


class Step(NamedTuple):
    """Where something led to, what is told of it, and which samples came too late."""

    state: State
    transitions: tuple[Transition, ...] = ()
    late: tuple[Late, ...] = ()


def told(
    state: State,
    at: int,
    change: tuple[str, str],
    reason: str,
    *,
    value: float | None = None,
    level: Level | None = None,
    actor: str = "",
    notify: bool = False,
) -> tuple[State, Transition]:
    """The next transition of a state; while it is suppressed nobody is notified."""
    transition = Transition(
        seq=state.seq + 1,
        event_time=at,
        from_state=str(change[0]),
        to_state=str(change[1]),
        value=value,
        level=state.level or level,
        reason=str(reason),
        actor=actor,
        occurrence=state.occurrence,
        notify=notify and state.suppression is Suppression.NONE,
    )
    return replace(state, seq=transition.seq), transition


def lifted(
    state: State,
    at: int,
    reason: str,
    *,
    value: float | None,
    level: Level | None = None,
    actor: str = "",
) -> tuple[State, Transition]:
    """It is no longer suppressed, but perhaps by design; what is still active is told again."""
    before = state.suppression
    after = Suppression.BY_DESIGN if state.by_design else Suppression.NONE
    state = replace(state, suppression=after, shelved_until=None)
    change = (before, after)
    state, transition = told(
        state, at, change, reason, value=value, level=level, actor=actor, notify=state.is_active
    )
    return replace(state, announced=state.announced or transition.notify), transition
