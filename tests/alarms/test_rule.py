"""What is a rule, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from gateway_assets.alarms.rule import Escalation, Level, NoData, Op, Rule
from gateway_assets.errors import ConfigError

GT = {"op": Op.GT, "threshold": 80.0}
RANGE = {"op": Op.NOT_BETWEEN, "low": 10, "high": 20}

REFUSED: dict[str, dict[str, Any]] = {
    "nothing": {},
    "both": {**GT, "expression": "value > 1"},
    "no threshold": {"op": Op.GT},
    "a range": {**GT, "low": 1},
    "no low": {"op": Op.BETWEEN, "high": 1},
    "backwards": {"op": Op.BETWEEN, "low": 2, "high": 1},
    "with threshold": {**RANGE, "threshold": 1},
    "never clears": {**RANGE, "deadband": 5},
    "NaN": {"op": Op.GT, "threshold": math.nan},
    "infinite": {"op": Op.LT, "threshold": -math.inf},
    "beyond doubles": {"op": Op.EQ, "threshold": 10**400},
    "infinite with deadband": {"op": Op.LT, "threshold": 1.7e308, "deadband": 1e308},
    "negative deadband": {**GT, "deadband": -1},
    "deadband of NE": {"op": Op.NE, "threshold": 1, "deadband": 1},
    "tolerance of GT": {**GT, "tolerance": 1},
    "negative tolerance": {"op": Op.EQ, "threshold": 1, "tolerance": -1},
    "negative time": {**GT, "on_delay": -1},
    "policy without silence": {**GT, "no_data": NoData.ALARM},
    "expression": {"expression": "value >"},
    "expression with deadband": {"expression": "value > 1", "deadband": 1},
    "expression with threshold": {"expression": "value > 1", "threshold": 1},
    "suppression": {**GT, "suppress_when": "valu > 1"},
    "same level": {**GT, "escalations": (Escalation(level=Level.WARNING, after=1),)},
    "lower level": {**GT, "escalations": (Escalation(level=Level.INFO, after=1),)},
    "no condition": {**GT, "escalations": (Escalation(level=Level.FATAL),)},
    "two conditions": {
        **GT,
        "escalations": (Escalation(level=Level.FATAL, after=1, threshold=90),),
    },
    "no time": {**GT, "escalations": (Escalation(level=Level.FATAL, after=0),)},
    "further in": {**GT, "escalations": (Escalation(level=Level.FATAL, threshold=70),)},
    "further in below": {
        "op": Op.LT,
        "threshold": 10,
        "escalations": (Escalation(level=Level.FATAL, threshold=10),),
    },
    "of a range": {**RANGE, "escalations": (Escalation(level=Level.FATAL, threshold=70),)},
    "of an expression": {
        "expression": "value > 1",
        "escalations": (Escalation(level=Level.FATAL, threshold=70),),
    },
    "NaN further out": {**GT, "escalations": (Escalation(level=Level.FATAL, threshold=math.nan),)},
}


@pytest.mark.parametrize("fields", REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as refused:
        Rule(id="pump", **fields)
    assert refused.value.hint


@pytest.mark.parametrize(
    "fields",
    [
        GT,
        RANGE,
        {**RANGE, "deadband": 4.9},
        {"op": Op.BETWEEN, "low": 1, "high": 1, "deadband": 3},
        {"op": Op.EQ, "threshold": 2**63, "tolerance": 0, "deadband": 2},
        {"expression": "value > 1 and rate() < 2", "suppress_when": "quality < 2"},
        {**GT, "no_data": NoData.ALARM, "max_gap": 1},
        {**GT, "escalations": (Escalation(level=Level.FATAL, threshold=90),)},
        {
            "op": Op.LTE,
            "threshold": 0,
            "escalations": (Escalation(level=Level.FATAL, threshold=-1),),
        },
    ],
    ids=["gt", "range", "narrow", "point", "eq", "expression", "no-data", "escalation", "below"],
)
def test_what_can_be_is_a_rule(fields: dict[str, Any]) -> None:
    rule = Rule(id="pump", **fields)
    assert hash(rule) == hash(Rule(id="pump", **fields))


def test_levels_have_an_order() -> None:
    assert [level.rank for level in (Level.INFO, Level.WARNING, Level.CRITICAL, Level.FATAL)] == [
        0, 1, 2, 3,
    ]  # fmt: skip
