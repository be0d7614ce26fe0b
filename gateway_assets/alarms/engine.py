"""New points are evaluated by the rules that look at them.

What a sample leads to depends on the samples and their own times only. An instance and all that
follows from its samples are committed together, and the mark that a series has new points goes
afterwards: whoever is killed in between evaluates the same samples again, finds them seen, and
changes nothing.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from gateway_assets.alarms import actions
from gateway_assets.alarms.history import Moved, has_row
from gateway_assets.alarms.machine import advance, expire_shelf, silence
from gateway_assets.alarms.pairs import Pairs
from gateway_assets.alarms.record import record
from gateway_assets.alarms.rule import Op, Rule
from gateway_assets.alarms.samples import MOST, after, at
from gateway_assets.alarms.scope import Place, Scoped, Series
from gateway_assets.alarms.state import Late, Reason, Sample, State, Step, Suppression
from gateway_assets.alarms.store import (
    Key,
    Known,
    due_before,
    read_states,
    write_late,
)
from gateway_assets.hot.store import writing
from gateway_assets.points.waiting import waiting_since
from gateway_assets.points.watch import Mark, marked, unmark, watch, watch_only
from gateway_assets.registry.alerts import AlertRule, Instance
from gateway_assets.registry.database import Registry
from gateway_assets.settings import Settings

T = TypeVar("T")
SERIES_AT_ONCE = 500  # evaluated in one transaction of the registry
ROUNDS = 100  # of one run; points may come faster than they are evaluated
# After so many a transaction of the registry ends, because others wait for it.
SAMPLES_AT_ONCE, STEPS_AT_ONCE = 50_000, 2_000
GRACE = 5 * 10**9  # ns that a point may take to come here before its silence is noticed
# ns that a clock may be ahead, such as by its time zone. One sample of years ahead would make all
# that follow it late, so it waits until its time has come.
AHEAD = 86_400 * 10**9
_ENGINE = "gateway"


class Evaluated(NamedTuple):
    """What a run has done."""

    series: int = 0
    samples: int = 0
    transitions: int = 0
    late: int = 0

    def plus(self, other: Evaluated) -> Evaluated:
        return Evaluated(*map(sum, zip(self, other, strict=True)))


class Engine:
    """Evaluates the points of one host. One object may be asked again and again: it goes on.

    Only one at a time may run on a data directory (``alarms.run`` sees to that).
    """

    def __init__(self, settings: Settings, registry: Registry, points: sqlite3.Connection) -> None:
        self._settings = settings
        self.registry = registry
        self._points = points
        self._pairs = Pairs()
        self._unseen: set[int] = set()  # series with a rule that has never looked at them

    @property
    def wrong_rules(self) -> dict[str, str]:
        """Rules that cannot be evaluated, by id, and why."""
        return self._pairs.wrong

    def run(self, now: int | None = None) -> Evaluated:
        """Everything that can be evaluated at ``now`` (ns; this moment unless given)."""
        self._renew()
        done = Evaluated()
        for some in _in_parts(sorted(self._unseen)):
            done = done.plus(self._evaluate([Mark(series, 0, 0) for series in some]))
        self._unseen.clear()
        for _ in range(ROUNDS):
            marks = marked(self._points, SERIES_AT_ONCE)
            if not marks:
                break
            done = done.plus(self._evaluate(marks))
            with writing(self._points):
                unmark(self._points, marks)
        return done.plus(self._look_at_due(time.time_ns() if now is None else now))

    def _renew(self) -> None:
        with self.registry.reading() as session:
            before = set(self._pairs.of_series)
            changed = self._pairs.renew(session, self._points)
            matched = set(self._pairs.of_series)
            if not changed and matched == before:
                return
            known = set(map(tuple, session.execute(select(Instance.rule_id, Instance.series))))
        with writing(self._points):
            watch(self._points, matched)
            watch_only(self._points, matched)
        self._unseen |= {
            number
            for number, rules in self._pairs.of_series.items()
            for one in rules
            if (one.rule.id, self._pairs.series[number].key) not in known
        }
        if changed:
            self._settle_changes()

    def _settle_changes(self) -> None:
        """Instances whose rule is gone or another one are closed; service is as the rule says."""
        with self.registry.reading() as session:
            kept = session.execute(select(Instance.rule_id, Instance.series, Instance.rule_version))
            rows = [(Key(rule, series), version) for rule, series, version in kept]
        suspects = [
            key
            for key, version in rows
            if not self._pairs.looks_at(key)
            or (one := self._pairs.rules[key.rule]).rule.version != version
            or one.out_of_service
        ]
        in_service = self._out_of_service() - {key for key in suspects if self._is_out(key)}
        for some in _in_parts(sorted({*suspects, *in_service})):
            self._settle(some)

    def _is_out(self, key: Key) -> bool:
        one = self._pairs.rules.get(key.rule)
        return one is not None and one.out_of_service

    def _out_of_service(self) -> set[Key]:
        with self.registry.reading() as session:
            found = session.execute(select(Instance.rule_id, Instance.series, Instance.state))
            return {
                Key(rule, series)
                for rule, series, state in found
                if state.get("suppression") == Suppression.OUT_OF_SERVICE
            }

    def _settle(self, keys: Sequence[Key]) -> None:
        now = time.time_ns()
        with self.registry.writing() as session:
            known = read_states(session, sorted({key.series for key in keys}))
            gone = {
                row.id: row
                for row in session.scalars(
                    select(AlertRule).where(AlertRule.id.in_({key.rule for key in keys}))
                )
            }
            moved = []
            for key in keys:
                one = self._pairs.rules.get(key.rule)
                rule = one.rule if one else _former(gone[key.rule])
                step = _settled(one, known[key], now, is_seen=self._pairs.looks_at(key))
                series = self._pairs.by_key.get(key.series)
                place = self._pairs.place(series) if series else Place(None, None, None, None)
                moved.append(
                    Moved(key, rule, place, known[key].state, step.state, step.transitions)
                )
            record(session, self._settings, moved)

    def _evaluate(self, marks: Sequence[Mark]) -> Evaluated:
        """The new samples of these series, in one transaction of the registry; again while one of
        them has more.
        """
        done = Evaluated(series=len(marks))
        rest = [mark for mark in marks if mark.series in self._pairs.of_series]
        while rest:
            with self.registry.writing() as session:
                evaluated, rest = self._evaluate_some(session, rest)
            done = done.plus(evaluated)
        return done

    def _evaluate_some(
        self, session: Session, marks: Sequence[Mark]
    ) -> tuple[Evaluated, list[Mark]]:
        known = read_states(session, [self._pairs.series[mark.series].key for mark in marks])
        moved: list[Moved] = []
        late: list[tuple[Key, Late]] = []
        samples = steps = 0
        more: list[Mark] = []
        until = time.time_ns() + AHEAD
        for number, mark in enumerate(marks):
            if samples >= SAMPLES_AT_ONCE or steps >= STEPS_AT_ONCE:
                more += marks[number:]
                break
            series = self._pairs.series[mark.series]
            rules = self._pairs.of_series[mark.series]
            seen = {
                one.rule.id: _seen(one, known.get(Key(one.rule.id, series.key))) for one in rules
            }
            found = after(self._points, series.id, min(seen.values()), until)
            samples += len(found)
            if len(found) == MOST:
                more.append(mark._replace(since=0))
            for one in rules:
                key = Key(one.rule.id, series.key)
                before = known[key].state if key in known else State()
                late += self._too_late(key, series, mark, before)
                later = _later(found, seen[one.rule.id])
                step = _led(session, key, before, partial(advance, one.rule, samples=later))
                if step.state != before or key not in known:
                    moved.append(self._moved(key, one, series, before, step))
                steps += len(step.transitions)
        record(session, self._settings, moved)
        write_late(session, late)
        return Evaluated(0, samples, steps, len(late)), more

    def _too_late(
        self, key: Key, series: Series, mark: Mark, state: State
    ) -> Iterable[tuple[Key, Late]]:
        """The earliest of the samples that came when the instance was past them."""
        if not mark.since or state.watermark is None or mark.since > state.watermark:
            return
        sample = at(self._points, series.id, mark.since)
        if sample is not None:
            yield key, Late(*sample)

    def _moved(self, key: Key, one: Scoped, series: Series, before: State, step: Step) -> Moved:
        place = self._pairs.place(series) if step.transitions else _NOWHERE
        return Moved(key, one.rule, place, before, step.state, step.transitions)

    def _look_at_due(self, now: int) -> Evaluated:
        """Silence, and shelves that have ended."""
        with self.registry.reading() as session:
            due = due_before(session, now - GRACE)
        series = self._pairs.by_key
        due = [key for key in due if key.series in series and self._pairs.looks_at(key)]
        if not due:
            return Evaluated()
        # What waits to be loaded is not silence, nor what was loaded a moment ago.
        came = waiting_since(self._settings)
        heard = now if came is None else min(now, came)
        loaded = {mark.series for mark in marked(self._points)}
        due = [key for key in due if series[key.series].id not in loaded]
        transitions = sum(self._expire(some, now - GRACE, heard - GRACE) for some in _in_parts(due))
        return Evaluated(transitions=transitions)

    def _expire(self, keys: Sequence[Key], now: int, heard: int) -> int:
        """``heard``: all points of before this moment (ns) have come. The number of transitions."""
        with self.registry.writing() as session:
            known = read_states(session, sorted({key.series for key in keys}))
            moved = []
            for key in keys:
                one, before = self._pairs.rules[key.rule], known[key].state
                first = _led(session, key, before, partial(silence, one.rule, now=heard))
                last = expire_shelf(one.rule, first.state, now)
                step = Step(last.state, first.transitions + last.transitions)
                moved.append(self._moved(key, one, self._pairs.by_key[key.series], before, step))
            record(session, self._settings, [one for one in moved if one.after != one.before])
        return sum(len(one.steps) for one in moved)


_NOWHERE = Place(None, None, None, None)


def _led(session: Session, key: Key, before: State, lead: Callable[..., Step]) -> Step:
    """Where a state is led to. What opens an alarm again whose row was archived opens a new one:
    nobody would see it otherwise.
    """
    step = lead(state=before)
    reopened = any(
        one.reason == Reason.REOPENED and one.occurrence == before.occurrence
        for one in step.transitions
    )
    if reopened and not has_row(session, key, before.occurrence):
        return lead(state=replace(before, last_resolved=None))
    return step


def _seen(one: Scoped, known: Known | None) -> int:
    """Up to when (ns) the instance has seen its samples."""
    if known is None or known.state.watermark is None:
        return one.started
    return max(one.started, known.state.watermark)


def _later(samples: list[Sample], time: int) -> list[Sample]:
    if not samples or samples[0][0] > time:
        return samples
    return [sample for sample in samples if sample[0] > time]


def _in_parts(items: list[T]) -> Iterator[list[T]]:
    for start in range(0, len(items), SERIES_AT_ONCE):
        yield items[start : start + SERIES_AT_ONCE]


def _former(row: AlertRule) -> Rule:
    """A rule that is evaluated no more, perhaps because nobody can: its name and its level."""
    return Rule(
        id=row.id, version=row.version, name=row.name, op=Op.GT, threshold=0.0, level=row.level
    )


def _settled(one: Scoped | None, known: Known, now: int, *, is_seen: bool) -> Step:
    """The state of an instance after what happened to its rule; ``is_seen``: it looks there."""
    if one is None:
        return actions.close(known.state, "rule_removed", now, _ENGINE)
    step = Step(known.state)
    if one.rule.version != known.version:
        step = actions.close(known.state, "rule_changed", now, _ENGINE)
    elif not is_seen:
        step = actions.close(known.state, "out_of_scope", now, _ENGINE)
    is_out = step.state.suppression is Suppression.OUT_OF_SERVICE
    if one.out_of_service and not is_out:
        out = actions.out_of_service(step.state, _ENGINE, "the rule is out of service", now)
        return Step(out.state, step.transitions + out.transitions)
    if is_out and not one.out_of_service:
        back = actions.in_service(step.state, _ENGINE, "the rule is in service", now)
        return Step(back.state, step.transitions + back.transitions)
    return step
