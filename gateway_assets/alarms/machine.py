"""Samples and silence move the state of an alarm, in the samples' own time.

    from        sample                                to
    NORMAL      fires                                 PENDING, or ACTIVE without an on delay
    PENDING     does not fire                         NORMAL; nothing is told
    PENDING     fires, on_delay after the first       ACTIVE
    ACTIVE      clears                                RECOVERING, or NORMAL without an off delay
    RECOVERING  fires                                 ACTIVE, the same occurrence
    RECOVERING  does not fire, off_delay after        NORMAL
                the first that cleared

A sample that is bad, or of which an expression knows nothing, does none of that. The first good
sample of each slot ``time // eval_interval`` is evaluated. Normal again, but not acknowledged or
latched, is told as RTN_UNACK. What fires within ``cooldown`` of the last end is reopened, of which
nobody is notified until it has lasted for the cooldown, too.

After ``max_gap`` without a sample, or with bad ones only, the data is STALE, from that very moment
on, whoever finds out and when. PENDING is given up, the off delay starts again with the next good
sample, and the rule's policy says whether the alarm is raised, ended or kept. No alarm ends by age.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import lru_cache

from gateway_assets.alarms import expression
from gateway_assets.alarms.expression import Window, is_good
from gateway_assets.alarms.predicate import Test, predicate
from gateway_assets.alarms.rule import BELOW, Escalation, NoData, Op, Rule
from gateway_assets.alarms.state import (
    OK,
    STALE,
    Ack,
    Condition,
    Late,
    Reason,
    Sample,
    State,
    Step,
    Suppression,
    Transition,
    lifted,
    told,
)

NORMAL, PENDING = Condition.NORMAL, Condition.PENDING
ACTIVE, RECOVERING = Condition.ACTIVE, Condition.RECOVERING


class Outcome(Enum):
    """``HOLD`` lies between firing and clearing; ``UNKNOWN`` is neither, nor in between."""

    FIRE = auto()
    HOLD = auto()
    CLEAR = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class _Compiled:
    judge: Callable[[Window], Outcome]
    suppress: Callable[[Window], bool | None] | None
    span: int
    quiet: tuple[float, float] | None  # values that change nothing while all is normal
    further_out: tuple[tuple[Escalation, Test | None], ...]
    is_worse: Callable[[float, float], bool]


@lru_cache(maxsize=65_536)
def _compiled(rule: Rule) -> _Compiled:
    nodes = [expression.parse(text) for text in (rule.expression, rule.suppress_when) if text]
    suppress = expression.compiled(nodes[-1]) if rule.suppress_when else None
    if rule.expression:
        judge, quiet = _by_expression(expression.compiled(nodes[0])), None
    else:
        tests = predicate(rule)
        judge = _by_operator(tests.fires, tests.clears)
        quiet = None if suppress or tests.quiet[0] > tests.quiet[1] else tests.quiet
    return _Compiled(
        judge,
        suppress,
        max((expression.longest_span(node) for node in nodes), default=0),
        quiet,
        tuple((each, _further_out(rule, each)) for each in rule.escalations),
        _worse(rule),
    )


def _by_expression(holds: Callable[[Window], bool | None]) -> Callable[[Window], Outcome]:
    outcomes = {True: Outcome.FIRE, False: Outcome.CLEAR, None: Outcome.UNKNOWN}
    return lambda window: outcomes[holds(window)]


def _by_operator(fires: Test, clears: Test) -> Callable[[Window], Outcome]:
    def judge(window: Window) -> Outcome:
        value = window.last
        assert value is not None
        if fires(value):
            return Outcome.FIRE
        return Outcome.CLEAR if clears(value) else Outcome.HOLD

    return judge


def _further_out(rule: Rule, escalation: Escalation) -> Test | None:
    if escalation.threshold is None:
        return None
    limit = replace(rule, threshold=escalation.threshold, escalations=())
    return predicate(limit).fires


def _worse(rule: Rule) -> Callable[[float, float], bool]:
    """Which of two values is further from normal."""
    if rule.op in BELOW:
        return lambda value, other: value < other
    if rule.op is Op.NOT_BETWEEN:
        assert rule.low is not None
        assert rule.high is not None
        middle = rule.low / 2 + rule.high / 2
        return lambda value, other: abs(value - middle) > abs(other - middle)
    return lambda value, other: value > other


def advance(rule: Rule, state: State, samples: Sequence[Sample]) -> Step:
    """The state after samples in the order of time: any split of them gives the same.

    A sample that is not later than the one before, or than ``state.watermark``, is late.
    """
    state, seen = _past_quiet(rule, state, samples)
    if seen == len(samples):
        return Step(state)
    run = _Run(rule, state)
    for time, value, quality in samples[seen:]:
        run.sample(time, value, quality)
    return run.step()


def silence(rule: Rule, state: State, now: int) -> Step:
    """The state at a moment up to which there is no sample but those that were seen."""
    run = _Run(rule, state)
    run.gap(now)
    return run.step()


def expire_shelf(rule: Rule, state: State, now: int) -> Step:
    """A shelf that has ended by now is lifted; an alarm that is still active is told again."""
    run = _Run(rule, state)
    run.unshelve(now)
    return run.step()


def _past_quiet(rule: Rule, state: State, samples: Sequence[Sample]) -> tuple[State, int]:
    """The state after the samples at the beginning that only move the watermark; their number."""
    quiet = _compiled(rule).quiet
    if quiet is None or not samples or not _is_calm(state):
        return state, 0
    low, high = quiet
    least = 1 if rule.use_uncertain else 2
    last = samples[0][0] - 1 if state.watermark is None else state.watermark
    gap = rule.max_gap or 2**63
    value, seen = state.last_value, 0
    for time, found, quality in samples:
        if (
            found is None
            or not low <= found <= high
            or not 0 < time - last <= gap
            or (quality is not None and quality < least)
        ):
            break
        last, value = time, found
        seen += 1
    if not seen:
        return state, 0
    slot = last // rule.eval_interval if rule.eval_interval else None
    return replace(state, watermark=last, last_value=value, good_time=last, slot=slot), seen


def _is_calm(state: State) -> bool:
    return (
        state.condition is NORMAL
        and not state.stale
        and state.bad_since is None
        and not state.window
        and not state.by_design
        and state.suppression in {Suppression.NONE, Suppression.OUT_OF_SERVICE}
    )


class _Run:
    """A state on its way. What every sample changes is kept beside it, and put back in the end."""

    def __init__(self, rule: Rule, state: State) -> None:
        self._rule = rule
        self._compiled = _compiled(rule)
        self._least = 1 if rule.use_uncertain else 2
        self._state = state
        self._window = Window(
            self._compiled.span, state.watermark, state.last_value, state.good_time, state.window
        )
        self._slot = state.slot
        self._bad_since = state.bad_since
        self._peak = state.peak_value
        self._transitions: list[Transition] = []
        self._late: list[Late] = []

    def step(self) -> Step:
        state = replace(
            self._state,
            watermark=self._window.time,
            last_value=self._window.last,
            good_time=self._window.good_time,
            window=tuple(self._window.recent),
            slot=self._slot,
            bad_since=self._bad_since,
            peak_value=self._peak,
        )
        return Step(state, tuple(self._transitions), tuple(self._late))

    def sample(self, time: int, value: float | None, quality: int | None) -> None:
        if self._window.time is not None and time <= self._window.time:
            self._late.append(Late(time, value, quality))
            return
        self.gap(time)
        if value is None or not is_good(value, quality, self._least):
            self._bad(time, quality)
            self.unshelve(time)
            return
        self.unshelve(time)
        self._window.push(time, value, quality)
        self._good(time, value)

    def gap(self, time: int) -> None:
        """Nothing came until now."""
        last, longest = self._window.time, self._rule.max_gap
        if longest and last is not None and time - last > longest:
            self._stale(last + longest, Reason.NO_DATA)

    def unshelve(self, time: int) -> None:
        until = self._state.shelved_until
        if until is not None and until <= time:
            self._lift(until, Reason.SHELF_EXPIRED, self._window.last)

    def _bad(self, time: int, quality: int | None) -> None:
        self._window.push(time, None, quality)
        if self._bad_since is None:
            self._bad_since = time
        longest = self._rule.max_gap
        if longest and time - self._bad_since > longest:
            self._stale(self._bad_since + longest, Reason.BAD_QUALITY)

    def _good(self, time: int, value: float) -> None:
        self._bad_since = None
        if self._state.stale:
            self._back(time, value)
        if self._state.is_active and (
            self._peak is None or self._compiled.is_worse(value, self._peak)
        ):
            self._peak = value
        interval = self._rule.eval_interval
        if interval:
            slot = time // interval
            if slot == self._slot:
                return
            self._slot = slot
        self._suppress(time, value)
        self._move(self._compiled.judge(self._window), time, value)
        if self._state.condition is ACTIVE:
            self._escalate(time, value)
            self._persist(time, value)

    def _move(self, outcome: Outcome, time: int, value: float) -> None:
        if outcome is Outcome.UNKNOWN:
            return
        fires = outcome is Outcome.FIRE
        match self._state.condition:
            case Condition.NORMAL if fires:
                if self._rule.on_delay:
                    self._become(PENDING, time)
                else:
                    self._fire(time, time, value, Reason.FIRED)
            case Condition.PENDING:
                self._wait(fires, time, value)
            case Condition.ACTIVE if outcome is Outcome.CLEAR:
                if self._rule.off_delay:
                    self._become(RECOVERING, time)
                    self._tell(time, (ACTIVE, RECOVERING), Reason.CLEARING, value=value)
                else:
                    self._resolve(time, value, Reason.RESOLVED)
            case Condition.RECOVERING:
                self._recover(fires, time, value)

    def _wait(self, fires: bool, time: int, value: float) -> None:
        since = self._since()
        if not fires:
            fleeting = self._state.fleeting + 1
            self._state = replace(self._state, condition=NORMAL, since=time, fleeting=fleeting)
        elif time - since >= self._rule.on_delay:
            self._fire(time, since, value, Reason.FIRED)

    def _recover(self, fires: bool, time: int, value: float) -> None:
        if fires:
            self._again(time, value, Reason.FIRED_AGAIN)
        elif time - self._since() >= self._rule.off_delay:
            self._resolve(time, value, Reason.RESOLVED)

    def _since(self) -> int:
        assert self._state.since is not None
        return self._state.since

    def _become(self, condition: Condition, since: int) -> None:
        self._state = replace(self._state, condition=condition, since=since)

    def _fire(self, time: int, since: int, value: float | None, reason: Reason) -> None:
        before, state = self._state.standing, self._state
        resolved, cooldown = state.last_resolved, self._rule.cooldown
        reopens = bool(cooldown) and resolved is not None and time - resolved <= cooldown
        if reopens:
            state = replace(state, flap_count=state.flap_count + 1)
            if self._peak is None or (
                value is not None and self._compiled.is_worse(value, self._peak)
            ):
                self._peak = value
        else:
            level, occurrence = self._rule.level, state.occurrence + 1
            state = replace(state, flap_count=0, level=level, occurrence=occurrence)
            self._peak = value
        self._state = replace(
            state,
            condition=ACTIVE,
            since=since,
            ack=Ack.UNACK,
            latched=self._rule.latched,
            last_fired=time,
        )
        self._announce(
            time,
            (before, ACTIVE),
            Reason.REOPENED if reopens else reason,
            value,
            notify=not reopens,
        )

    def _again(self, time: int, value: float | None, reason: Reason) -> None:
        self._become(ACTIVE, time)
        self._state = replace(self._state, flap_count=self._state.flap_count + 1)
        self._tell(time, (RECOVERING, ACTIVE), reason, value=value)

    def _resolve(self, time: int, value: float | None, reason: Reason) -> None:
        before, told_before = self._state.condition, self._state.announced
        self._become(NORMAL, time)
        self._state = replace(self._state, last_resolved=time, announced=False)
        if not self._state.is_returned:
            self._state = replace(self._state, ack=Ack.NONE)
        self._tell(time, (before, self._state.standing), reason, value=value, notify=told_before)

    def _escalate(self, time: int, value: float) -> None:
        state = self._state
        level = state.level or self._rule.level
        assert state.last_fired is not None
        for escalation, fires in self._compiled.further_out:
            reached = (
                fires(value)
                if fires is not None
                else time - state.last_fired >= (escalation.after or 0)
            )
            if reached and escalation.level.rank > level.rank:
                level = escalation.level
        if level is not state.level:
            before = state.level or self._rule.level
            self._state = replace(state, level=level)
            self._announce(time, (before, level), Reason.ESCALATED, value, notify=True)

    def _persist(self, time: int, value: float) -> None:
        """What was reopened in silence and stays is no chattering, so people are told after all."""
        state = self._state
        if state.announced or state.ack is Ack.ACK or state.suppression is not Suppression.NONE:
            return
        assert state.last_fired is not None
        if time - state.last_fired > self._rule.cooldown:
            self._announce(time, (ACTIVE, ACTIVE), Reason.PERSISTS, value, notify=True)

    def _stale(self, time: int, reason: Reason) -> None:
        if self._state.stale:
            return
        self.unshelve(time)
        self._state = replace(self._state, stale=True)
        self._tell(time, (OK, STALE), reason, notify=True)
        if self._state.condition is PENDING:
            self._become(NORMAL, time)
        condition, policy = self._state.condition, self._rule.no_data
        if policy is NoData.ALARM and condition is NORMAL:
            self._fire(time, time, None, reason)
        elif policy is NoData.ALARM and condition is RECOVERING:
            self._again(time, None, reason)
        elif policy is NoData.RESOLVE and self._state.is_active:
            self._resolve(time, None, reason)

    def _back(self, time: int, value: float) -> None:
        self._state = replace(self._state, stale=False)
        self._tell(time, (STALE, OK), Reason.DATA_BACK, value=value, notify=True)
        if self._state.condition is RECOVERING:
            self._become(RECOVERING, time)

    def _suppress(self, time: int, value: float) -> None:
        suppress = self._compiled.suppress
        holds = suppress(self._window) if suppress else False
        if holds is None or holds is self._state.by_design:
            return
        self._state = replace(self._state, by_design=holds)
        before = self._state.suppression
        if holds and before is Suppression.NONE:
            self._state = replace(self._state, suppression=Suppression.BY_DESIGN)
            self._tell(time, (before, Suppression.BY_DESIGN), Reason.SUPPRESS_WHEN, value=value)
        elif not holds and before is Suppression.BY_DESIGN:
            self._lift(time, Reason.SUPPRESS_WHEN, value)

    def _lift(self, time: int, reason: Reason, value: float | None) -> None:
        self._take(lifted(self._state, time, reason, value=value, level=self._rule.level))

    def _tell(
        self,
        time: int,
        change: tuple[str, str],
        reason: Reason,
        *,
        value: float | None = None,
        notify: bool = False,
    ) -> None:
        level = self._rule.level
        self._take(told(self._state, time, change, reason, value=value, level=level, notify=notify))

    def _announce(
        self,
        time: int,
        change: tuple[str, str],
        reason: Reason,
        value: float | None,
        *,
        notify: bool,
    ) -> None:
        self._tell(time, change, reason, value=value, notify=notify)
        if self._transitions[-1].notify:
            self._state = replace(self._state, announced=True)

    def _take(self, found: tuple[State, Transition]) -> None:
        self._state, transition = found
        self._transitions.append(transition)
