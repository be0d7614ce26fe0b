"""The state machine once more, straight from its table: plain, slow, and written apart.

It knows nothing of batches: it is given all samples and says what happened.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from gateway_assets.alarms.rule import NoData, Op, Rule

# What the expressions of the tests mean, of a value and the good value before.
MEANINGS: dict[str, Any] = {
    "value > 3": lambda v, p: v > 3,
    "delta() > 1": lambda v, p: None if p is None else v - p > 1,
    "value < -3": lambda v, p: v < -3,
    "changed()": lambda v, p: None if p is None else v != p,
}


def fires(rule: Rule, value: float, limit: float | None = None) -> bool:
    t = limit if limit is not None else rule.threshold
    match rule.op:
        case Op.GT:
            return value > t  # type: ignore[operator]
        case Op.GTE:
            return value >= t  # type: ignore[operator]
        case Op.LT:
            return value < t  # type: ignore[operator]
        case Op.LTE:
            return value <= t  # type: ignore[operator]
        case Op.EQ:
            return value == t
        case Op.NE:
            return value != t
        case Op.BETWEEN:
            return rule.low <= value <= rule.high  # type: ignore[operator]
        case _:
            return value < rule.low or value > rule.high  # type: ignore[operator]


def clears(rule: Rule, value: float) -> bool:
    """A value clears if nothing within the dead band of it fires; limits are halves here."""
    d = rule.deadband
    near = [value - d, value, value + d] + [value + step / 4 for step in range(-40, 41)]
    near = [other for other in near if abs(other - value) <= d]
    if rule.op in {Op.GTE, Op.LTE, Op.EQ, Op.BETWEEN}:
        return not any(fires(rule, other) for other in near)
    # The strict ones clear at the limit itself.
    inner = [other for other in near if abs(other - value) < d] or [value]
    return not any(fires(rule, other) for other in inner) and not fires(rule, value)


@dataclass
class Reference:
    rule: Rule
    condition: str = "NORMAL"
    since: int | None = None
    stale: bool = False
    acked: str = "NONE"
    latched: bool = False
    suppression: str = "NONE"
    by_design: bool = False
    shelf: int | None = None
    level: str = ""
    occurrence: int = 0
    flaps: int = 0
    fleeting: int = 0
    announced: bool = False
    peak: float | None = None
    fired: int | None = None
    resolved: int | None = None
    last: int | None = None
    slot: int | None = None
    good: float | None = None
    bad_from: int | None = None
    told: list[tuple[Any, ...]] = field(default_factory=list)
    late: list[int] = field(default_factory=list)

    def say(
        self, at: int, a: str, b: str, why: str, value: float | None, notify: bool = False
    ) -> bool:
        notify = notify and self.suppression == "NONE"
        level = self.level or str(self.rule.level)
        self.told.append((at, a, b, why, value, level, self.occurrence, notify))
        return notify

    def see(self, time: int, value: float | None, quality: int | None) -> None:
        rule = self.rule
        if self.last is not None and time <= self.last:
            self.late.append(time)
            return
        if rule.max_gap and self.last is not None and time > self.last + rule.max_gap:
            self.lose(self.last + rule.max_gap, "no_data")
        self.last = time
        least = 1 if rule.use_uncertain else 2
        usable = quality is None or quality >= least
        if value is None or not math.isfinite(value) or not usable:
            self.see_bad(time)
        else:
            self.unshelve(time)
            self.see_good(time, value)

    def see_bad(self, time: int) -> None:
        self.bad_from = time if self.bad_from is None else self.bad_from
        if self.rule.max_gap and time > self.bad_from + self.rule.max_gap:
            self.lose(self.bad_from + self.rule.max_gap, "bad_quality")
        self.unshelve(time)

    def see_good(self, time: int, value: float) -> None:
        rule = self.rule
        previous, self.good, self.bad_from = self.good, value, None
        if self.stale:
            self.stale = False
            self.say(time, "STALE", "OK", "data_back", value, True)
            if self.condition == "RECOVERING":
                self.since = time
        if self.condition in {"ACTIVE", "RECOVERING"}:
            self.peak = value if self.peak is None else self.worse(value, self.peak)
        if rule.eval_interval:
            slot = math.floor(time / rule.eval_interval)
            if slot == self.slot:
                return
            self.slot = slot
        self.design(time, value, previous)
        self.judge(time, value, previous)
        if self.condition == "ACTIVE":
            self.climb(time, value)
            self.insist(time, value)

    def worse(self, a: float, b: float) -> float:
        if self.rule.op in {Op.LT, Op.LTE}:
            return min(a, b)
        if self.rule.op is Op.NOT_BETWEEN:
            middle = (self.rule.low + self.rule.high) / 2  # type: ignore[operator]
            return a if abs(a - middle) > abs(b - middle) else b
        return max(a, b)

    def unshelve(self, time: int) -> None:
        if self.shelf is not None and self.shelf <= time:
            at, self.shelf = self.shelf, None
            self.lift(at, "SHELVED", "shelf_expired", self.good)

    def lift(self, at: int, before: str, why: str, value: float | None) -> None:
        self.suppression = "BY_DESIGN" if self.by_design else "NONE"
        active = self.condition in {"ACTIVE", "RECOVERING"}
        if self.say(at, before, self.suppression, why, value, active):
            self.announced = True

    def design(self, time: int, value: float, previous: float | None) -> None:
        if self.rule.suppress_when is None:
            return
        holds = MEANINGS[self.rule.suppress_when](value, previous)
        if holds is True and not self.by_design:
            self.by_design = True
            if self.suppression == "NONE":
                self.suppression = "BY_DESIGN"
                self.say(time, "NONE", "BY_DESIGN", "suppress_when", value)
        elif holds is False and self.by_design:
            self.by_design = False
            if self.suppression == "BY_DESIGN":
                self.lift(time, "BY_DESIGN", "suppress_when", value)

    def judge(self, time: int, value: float, previous: float | None) -> None:
        rule = self.rule
        if rule.expression is not None:
            holds = MEANINGS[rule.expression](value, previous)
            if holds is None:
                return
            fire, clear = holds, not holds
        else:
            fire, clear = fires(rule, value), clears(rule, value)
        if self.condition in {"NORMAL", "PENDING"}:
            self.judge_normal(time, value, fire)
        else:
            self.judge_active(time, value, fire, clear)

    def judge_normal(self, time: int, value: float, fire: bool) -> None:
        rule = self.rule
        if self.condition == "NORMAL" and fire:
            if rule.on_delay > 0:
                self.condition, self.since = "PENDING", time
            else:
                self.open(time, time, value, "fired")
        elif self.condition == "PENDING" and not fire:
            self.condition, self.since = "NORMAL", time
            self.fleeting += 1
        elif self.condition == "PENDING":
            assert self.since is not None
            if time - self.since >= rule.on_delay:
                self.open(time, self.since, value, "fired")

    def judge_active(self, time: int, value: float, fire: bool, clear: bool) -> None:
        rule = self.rule
        if self.condition == "ACTIVE" and clear:
            if rule.off_delay > 0:
                self.condition, self.since = "RECOVERING", time
                self.say(time, "ACTIVE", "RECOVERING", "clearing", value)
            else:
                self.end(time, value, "resolved")
        elif self.condition == "RECOVERING" and fire:
            self.back_to_active(time, value, "fired_again")
        elif self.condition == "RECOVERING":
            assert self.since is not None
            if time - self.since >= rule.off_delay:
                self.end(time, value, "resolved")

    def waiting(self) -> bool:
        return self.latched or self.acked == "UNACK"

    def open(self, time: int, since: int, value: float | None, why: str) -> None:
        before = "RTN_UNACK" if self.waiting() else self.condition
        again = (
            self.rule.cooldown > 0
            and self.resolved is not None
            and time - self.resolved <= self.rule.cooldown
        )
        if again:
            self.flaps += 1
            if value is not None:
                self.peak = value if self.peak is None else self.worse(value, self.peak)
        else:
            self.occurrence += 1
            self.flaps = 0
            self.level = str(self.rule.level)
            self.peak = value
        self.condition, self.since, self.fired = "ACTIVE", since, time
        self.acked, self.latched = "UNACK", self.rule.latched
        if self.say(time, before, "ACTIVE", "reopened" if again else why, value, not again):
            self.announced = True

    def back_to_active(self, time: int, value: float | None, why: str) -> None:
        self.condition, self.since = "ACTIVE", time
        self.flaps += 1
        self.say(time, "RECOVERING", "ACTIVE", why, value)

    def end(self, time: int, value: float | None, why: str) -> None:
        before, self.condition, self.since = self.condition, "NORMAL", time
        self.resolved = time
        if not self.waiting():
            self.acked = "NONE"
        after = "RTN_UNACK" if self.waiting() else "NORMAL"
        self.say(time, before, after, why, value, self.announced)
        self.announced = False

    def climb(self, time: int, value: float) -> None:
        assert self.fired is not None
        order = ["INFO", "WARNING", "CRITICAL", "FATAL"]
        highest = self.level
        for each in self.rule.escalations:
            if each.threshold is not None:
                reached = fires(self.rule, value, each.threshold)
            else:
                assert each.after is not None
                reached = time >= self.fired + each.after
            if reached and order.index(each.level) > order.index(highest):
                highest = str(each.level)
        if highest != self.level:
            before, self.level = self.level, highest
            if self.say(time, before, highest, "escalated", value, True):
                self.announced = True

    def insist(self, time: int, value: float) -> None:
        assert self.fired is not None
        silent = not self.announced and self.acked == "UNACK" and self.suppression == "NONE"
        if silent and time > self.fired + self.rule.cooldown:
            self.announced = self.say(time, "ACTIVE", "ACTIVE", "persists", value, True)

    def lose(self, at: int, why: str) -> None:
        if self.stale:
            return
        self.unshelve(at)
        self.stale = True
        self.say(at, "OK", "STALE", why, None, True)
        if self.condition == "PENDING":
            self.condition, self.since = "NORMAL", at
        if self.rule.no_data is NoData.ALARM:
            if self.condition == "NORMAL":
                self.open(at, at, None, why)
            elif self.condition == "RECOVERING":
                self.back_to_active(at, None, why)
        elif self.rule.no_data is NoData.RESOLVE and self.condition in {"ACTIVE", "RECOVERING"}:
            self.end(at, None, why)
