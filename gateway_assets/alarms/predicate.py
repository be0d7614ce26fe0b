"""When a value fires and when it clears, for rules with an operator. In between, neither is so.

d is the dead band, T the threshold:

    op           fires               clears
    GT           v > T               v <= T - d
    GTE          v >= T              v < T - d
    LT           v < T               v >= T + d
    LTE          v <= T              v > T + d
    EQ           |v - T| <= tol      |v - T| > tol + d
    NE           |v - T| > tol       |v - T| <= tol
    BETWEEN      low <= v <= high    v < low - d or v > high + d
    NOT_BETWEEN  v < low or v > high low + d <= v <= high - d

Values are finite: what is not is unknown, and is kept away by whoever asks. In DuckDB and
PostgreSQL NaN > 80 is true.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from gateway_assets.alarms.expression import MAX_FINITE
from gateway_assets.alarms.rule import Op, Rule
from gateway_assets.errors import ConfigError

Test = Callable[[float], bool]


class Predicate(NamedTuple):
    """``quiet``: values from the first to the second, both included, certainly do not fire.

    It is empty (the first above the second) where no one range says so.
    """

    fires: Test
    clears: Test
    quiet: tuple[float, float]


def predicate(rule: Rule) -> Predicate:
    """Raises ConfigError for a rule with an expression."""
    match rule.op:
        case Op.GT | Op.GTE | Op.LT | Op.LTE:
            return _beyond(rule.op, _number(rule.threshold), rule.deadband)
        case Op.EQ | Op.NE:
            return _equal(rule, _number(rule.threshold))
        case Op.BETWEEN | Op.NOT_BETWEEN:
            return _within(rule.op, _number(rule.low), _number(rule.high), rule.deadband)
    raise _no_operator(rule)


def _no_operator(rule: Rule) -> ConfigError:
    return ConfigError(
        f"rule {rule.id} has an expression, no operator",
        hint="expression_sql and expression.compiled are for expressions",
    )


def _number(limit: float | None) -> float:
    assert limit is not None
    return limit


def _beyond(op: Op, threshold: float, deadband: float) -> Predicate:
    limit = float(threshold)
    below, above = limit - deadband, limit + deadband
    match op:
        case Op.GT:
            return Predicate(lambda v: v > limit, lambda v: v <= below, (-MAX_FINITE, limit))
        case Op.GTE:
            quiet = (-MAX_FINITE, math.nextafter(limit, -math.inf))
            return Predicate(lambda v: v >= limit, lambda v: v < below, quiet)
        case Op.LT:
            return Predicate(lambda v: v < limit, lambda v: v >= above, (limit, MAX_FINITE))
        case _:
            quiet = (math.nextafter(limit, math.inf), MAX_FINITE)
            return Predicate(lambda v: v <= limit, lambda v: v > above, quiet)


_NEVER_QUIET = (1.0, 0.0)


def _equal(rule: Rule, threshold: float) -> Predicate:
    distance = _distance(threshold)
    whole, tolerance = _tolerances(rule, threshold)
    deadband = rule.deadband

    def is_equal(value: float) -> bool:
        return distance(value) <= (whole if isinstance(value, int) else tolerance)

    def is_other(value: float) -> bool:
        return distance(value) > (whole if isinstance(value, int) else tolerance) + deadband

    if rule.op is Op.EQ:
        return Predicate(is_equal, is_other, _NEVER_QUIET)
    return Predicate(is_other, is_equal, _NEVER_QUIET)


def _distance(threshold: float) -> Callable[[float], float]:
    """How far values are from a threshold: exact between whole numbers, else as doubles."""
    nearest = float(threshold)
    exact = int(threshold) if threshold == int(threshold) else nearest

    def distance(value: float) -> float:
        return abs(value - exact) if isinstance(value, int) else abs(value - nearest)

    return distance


def _tolerances(rule: Rule, threshold: float) -> tuple[float, float]:
    """For whole numbers and booleans, and for others."""
    if rule.tolerance is not None:
        return rule.tolerance, rule.tolerance
    usual = max(1e-9, 1e-9 * abs(float(threshold)))
    return (0.0 if threshold == int(threshold) else usual), usual


def _within(op: Op, low: float, high: float, deadband: float) -> Predicate:
    low, high = float(low), float(high)
    if op is Op.BETWEEN:
        outer_low, outer_high = low - deadband, high + deadband
        return Predicate(
            lambda v: low <= v <= high, lambda v: v < outer_low or v > outer_high, _NEVER_QUIET
        )
    inner_low, inner_high = low + deadband, high - deadband
    return Predicate(
        lambda v: v < low or v > high, lambda v: inner_low <= v <= inner_high, (low, high)
    )


def condition_sql(rule: Rule, column: str) -> str:
    """Whether the values of a DOUBLE column fire, in DuckDB's SQL; NULL for NULL, NaN, infinity.

    ``column`` is SQL. Raises ConfigError for a rule with an expression.
    """
    return _guarded(column, _sql(rule, column)[0])


def clear_sql(rule: Rule, column: str) -> str:
    """The same for whether they clear."""
    return _guarded(column, _sql(rule, column)[1])


def _guarded(column: str, condition: str) -> str:
    return f"CASE WHEN isfinite({column}) THEN {condition} END"


def _sql(rule: Rule, v: str) -> tuple[str, str]:
    if rule.op is None:
        raise _no_operator(rule)
    d = rule.deadband
    if rule.op in {Op.BETWEEN, Op.NOT_BETWEEN}:
        low, high = float(_number(rule.low)), float(_number(rule.high))
        if rule.op is Op.BETWEEN:
            inside = f"{v} BETWEEN {_literal(low)} AND {_literal(high)}"
            return inside, f"({v} < {_literal(low - d)} OR {v} > {_literal(high + d)})"
        outside = f"({v} < {_literal(low)} OR {v} > {_literal(high)})"
        return outside, f"{v} BETWEEN {_literal(low + d)} AND {_literal(high - d)}"
    limit = float(_number(rule.threshold))
    _, tolerance = _tolerances(rule, limit)
    apart = f"abs({v} - {_literal(limit)})"
    equal, other = (
        f"{apart} <= {_literal(tolerance)}",
        f"{apart} > {_literal(tolerance + d)}",
    )
    return {
        Op.GT: (f"{v} > {_literal(limit)}", f"{v} <= {_literal(limit - d)}"),
        Op.GTE: (f"{v} >= {_literal(limit)}", f"{v} < {_literal(limit - d)}"),
        Op.LT: (f"{v} < {_literal(limit)}", f"{v} >= {_literal(limit + d)}"),
        Op.LTE: (f"{v} <= {_literal(limit)}", f"{v} > {_literal(limit + d)}"),
        Op.EQ: (equal, other),
        Op.NE: (other, equal),
    }[rule.op]


def _literal(number: float) -> str:
    """Digits alone would be a DECIMAL, which compares otherwise."""
    return f"'{number!r}'::DOUBLE"
