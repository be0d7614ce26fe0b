"""What makes an alarm: a limit or an expression, times to settle, and what silence means.

The terms are those of ISA-18.2 / IEC 62682: on delay, off delay, dead band, latching, suppression
by design. A dead band and delays keep a noisy signal from chattering; a cooldown only hides that
it does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gateway_assets.alarms.expression import parse
from gateway_assets.errors import ConfigError
from gateway_assets.registry.words import AlertLevel as Level
from gateway_assets.registry.words import CompareOp as Op
from gateway_assets.registry.words import NoData

__all__ = ["ABOVE", "BELOW", "RANGES", "Escalation", "Level", "NoData", "Op", "Rule"]

RANGES = frozenset({Op.BETWEEN, Op.NOT_BETWEEN})
ABOVE = frozenset({Op.GT, Op.GTE})
BELOW = frozenset({Op.LT, Op.LTE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """A higher level: by a limit further out, or once the alarm is active for ``after`` ns."""

    level: Level
    threshold: float | None = None
    after: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule has ``op`` or ``expression``. Limits are in the value's unit, times in ns, 0 is none.

    ``eval_interval``: one good sample of each such interval is evaluated, the first. ``max_gap``:
    silence for longer is stale; 0 never notices it. ``cooldown``: fired again so soon after it was
    resolved, the same occurrence opens again, without a notification. ``tolerance`` is of EQ and
    NE; without one, whole numbers and booleans compare exactly, others within max(1e-9, 1e-9 *
    abs(threshold)). ``suppress_when`` is an expression over the same samples.

    Raises ConfigError for what cannot be.
    """

    id: str
    version: int = 1
    name: str = ""
    op: Op | None = None
    threshold: float | None = None
    low: float | None = None
    high: float | None = None
    tolerance: float | None = None
    deadband: float = 0.0
    expression: str | None = None
    level: Level = Level.WARNING
    eval_interval: int = 0
    on_delay: int = 0
    off_delay: int = 0
    cooldown: int = 0
    max_gap: int = 0
    no_data: NoData = NoData.KEEP
    use_uncertain: bool = False
    latched: bool = False
    escalations: tuple[Escalation, ...] = ()
    suppress_when: str | None = None
    message: str = ""

    def __post_init__(self) -> None:
        self._check_numbers()
        if (self.op is None) == (self.expression is None):
            self._refuse("needs an op or an expression", "give one of them, not both")
        if self.expression is not None:
            self._check_expression()
        elif self.op in RANGES:
            self._check_range()
        else:
            self._check_threshold()
        if self.suppress_when is not None:
            parse(self.suppress_when)
        for escalation in self.escalations:
            self._check_escalation(escalation)

    def _refuse(self, what: str, hint: str) -> None:
        raise ConfigError(f"rule {self.name or self.id}: {what}", hint=hint)

    def _check_numbers(self) -> None:
        limits = [self.threshold, self.low, self.high, self.tolerance, self.deadband]
        limits += [escalation.threshold for escalation in self.escalations]
        if not all(limit is None or _is_finite(limit) for limit in limits):
            self._refuse("its numbers are not all finite", "give finite numbers")
        for name in ("eval_interval", "on_delay", "off_delay", "cooldown", "max_gap"):
            if getattr(self, name) < 0:
                self._refuse(f"{name} is below 0", "0 is none")
        if self.deadband < 0 or (self.tolerance or 0) < 0:
            self._refuse("deadband or tolerance is below 0", "0 is none")
        if self.tolerance is not None and self.op not in {Op.EQ, Op.NE}:
            self._refuse("tolerance is for EQ and NE", "leave it out; deadband is for all but NE")
        if self.no_data is not NoData.KEEP and not self.max_gap:
            self._refuse("no_data without max_gap says nothing", "give max_gap, too")

    def _check_expression(self) -> None:
        limits = (self.threshold, self.low, self.high, self.tolerance)
        if any(limit is not None for limit in limits) or self.deadband:
            self._refuse("an expression has its own limits", "leave threshold and others out")
        assert self.expression is not None
        parse(self.expression)

    def _check_range(self) -> None:
        if self.low is None or self.high is None or self.threshold is not None:
            self._refuse(f"{self.op} needs low and high", "give both, and no threshold")
            return
        if self.low > self.high:
            self._refuse(f"its range goes from {self.low} to {self.high}", "low comes first")
        if self.op is Op.NOT_BETWEEN and not self.high - self.low > 2 * self.deadband:
            self._refuse(
                "its dead bands leave nothing between low and high: it would never clear",
                "high - low must be more than twice the deadband",
            )
        self._check_distance(self.low)
        self._check_distance(self.high)

    def _check_threshold(self) -> None:
        if self.threshold is None or self.low is not None or self.high is not None:
            self._refuse(f"{self.op} needs a threshold", "give it, and no low and high")
            return
        if self.op is Op.NE and self.deadband:
            self._refuse("NE has no deadband", "give a tolerance")
        self._check_distance(self.threshold)

    def _check_distance(self, limit: float) -> None:
        if not _is_finite(abs(float(limit)) + self.deadband):
            self._refuse("its limits are too large", "they must be finite with the deadband added")

    def _check_escalation(self, escalation: Escalation) -> None:
        if escalation.level.rank <= self.level.rank:
            self._refuse(
                f"it escalates from {self.level} to {escalation.level}", "levels only go up"
            )
        if (escalation.threshold is None) == (escalation.after is None):
            self._refuse("an escalation needs a threshold or a time", "give one, not both")
        if escalation.after is not None and escalation.after <= 0:
            self._refuse("an escalation's time is not above 0", "raise the rule's level instead")
        if escalation.threshold is not None:
            self._check_further_out(escalation.threshold)

    def _check_further_out(self, threshold: float) -> None:
        if self.threshold is None or self.op not in ABOVE | BELOW:
            self._refuse(
                "an escalation's threshold is for GT, GTE, LT and LTE", "give it a time instead"
            )
            return
        distance = threshold - self.threshold
        if (distance if self.op in ABOVE else -distance) <= 0:
            self._refuse(
                f"it escalates at {threshold}, within its threshold {self.threshold}",
                "the limit of a higher level lies further out",
            )


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer beyond every double
        return False
