"""What an alarm says."""

from __future__ import annotations

from gateway_assets.alarms.rule import Op, Rule
from gateway_assets.alarms.scope import Place

_SIGNS = {
    Op.GT: "above",
    Op.GTE: "at or above",
    Op.LT: "below",
    Op.LTE: "at or below",
    Op.EQ: "equal to",
    Op.NE: "not equal to",
}


def message(rule: Rule, place: Place, value: float | None) -> str:
    """The rule's own words with ``{device}``, ``{tag}``, ``{value}`` and ``{threshold}`` put in, or
    what it looks for.
    """
    said = "no value" if value is None else f"{value:g}"
    if not rule.message:
        return f"{rule.name}: {place.device or '?'} {place.tag or '?'} is {said}, {wanted(rule)}"
    given = {
        "{device}": place.device or "?",
        "{tag}": place.tag or "?",
        "{value}": said,
        "{threshold}": wanted(rule),
    }
    text = rule.message
    for name, content in given.items():
        text = text.replace(name, content)
    return text


def wanted(rule: Rule) -> str:
    """The condition in words, such as ``above 80``."""
    if rule.op is None:
        return str(rule.expression)
    if rule.op is Op.BETWEEN:
        return f"between {rule.low:g} and {rule.high:g}"
    if rule.op is Op.NOT_BETWEEN:
        return f"not between {rule.low:g} and {rule.high:g}"
    return f"{_SIGNS[rule.op]} {rule.threshold:g}"
