"""A rule's condition as a question over the points of one series, hot and archived."""

from __future__ import annotations

from gateway_assets.alarms.expression_sql import condition_rows
from gateway_assets.alarms.predicate import condition_sql
from gateway_assets.alarms.rule import Rule

_TIME = "make_timestamptz(time // 1000)"


def rule_sql(rule: Rule, series: int) -> str:
    """A SELECT for the bridge: every sample with whether the condition holds of it, NULL where that
    is not known. Delays, dead band and cooldown are not part of a condition.
    """
    points = f"(SELECT time, value, quality FROM points WHERE series = {series})"
    if rule.expression is not None:
        rows = condition_rows(rule.expression, points, use_uncertain=rule.use_uncertain)
        return f"SELECT {_TIME} AS time, holds FROM ({rows}) ORDER BY time"
    least = 1 if rule.use_uncertain else 2
    holds = f"CASE WHEN coalesce(quality, 2) >= {least} THEN {condition_sql(rule, 'value')} END"
    return f"SELECT {_TIME} AS time, value, {holds} AS holds FROM {points} ORDER BY time"
