"""When values fire and clear: the table of operators, its edges, and the same in SQL."""

from __future__ import annotations

import math
from collections.abc import Iterator

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_assets.alarms.predicate import clear_sql, condition_sql, predicate
from gateway_assets.alarms.rule import Op, Rule
from gateway_assets.errors import ConfigError


def _rule(
    op: Op,
    first: float,
    second: float | None = None,
    *,
    deadband: float = 0,
    tolerance: float | None = None,
) -> Rule:
    if second is None:
        return Rule(id="r", op=op, threshold=first, deadband=deadband, tolerance=tolerance)
    return Rule(id="r", op=op, low=first, high=second, deadband=deadband)


def _told(rule: Rule, value: float) -> str:
    tests = predicate(rule)
    fires, clears = tests.fires(value), tests.clears(value)
    assert not (fires and clears)
    return "fires" if fires else "clears" if clears else "neither"


TABLE: list[tuple[Rule, dict[float, str]]] = [
    (_rule(Op.GT, 80, deadband=5), {80.1: "fires", 80: "neither", 75.1: "neither", 75: "clears"}),
    (_rule(Op.GT, 80), {80: "clears", math.nextafter(80, 81): "fires"}),
    (_rule(Op.GTE, 80, deadband=5), {80: "fires", 79.9: "neither", 75: "neither", 74.9: "clears"}),
    (_rule(Op.GTE, 80), {80: "fires", math.nextafter(80, 79): "clears"}),
    (_rule(Op.LT, 10, deadband=2), {9.9: "fires", 10: "neither", 11.9: "neither", 12: "clears"}),
    (_rule(Op.LTE, 10, deadband=2), {10: "fires", 10.1: "neither", 12: "neither", 12.1: "clears"}),
    (_rule(Op.EQ, 3.5), {3.5: "fires", 3.5 + 1e-10: "fires", 3.5 + 1e-7: "clears"}),
    (_rule(Op.EQ, 1e12 + 0.5), {1e12 + 1: "fires", 1e12 + 2000: "clears"}),
    (
        _rule(Op.EQ, 10, tolerance=1, deadband=2),
        {11.0: "fires", 9: "fires", 11.5: "neither", 13: "neither", 13.1: "clears"},
    ),
    (_rule(Op.NE, 10, tolerance=1), {11: "clears", 11.1: "fires", 9: "clears", 8: "fires"}),
    (
        _rule(Op.BETWEEN, 10, 20, deadband=1),
        {10: "fires", 20: "fires", 9.5: "neither", 9: "neither", 21: "neither", 21.1: "clears"},
    ),
    (_rule(Op.BETWEEN, 5, 5), {5: "fires", 5.1: "clears", 4.9: "clears"}),
    (
        _rule(Op.NOT_BETWEEN, 10, 20, deadband=1),
        {9.9: "fires", 20.1: "fires", 10: "neither", 10.5: "neither", 11: "clears", 19: "clears"},
    ),
    (_rule(Op.EQ, 2**60 + 1), {2**60 + 1: "fires", 2**60: "clears", 2**60 + 2: "clears"}),
    (_rule(Op.NE, 2**63 - 1), {2**63 - 1: "clears", 2**63 - 2: "fires"}),
    (_rule(Op.EQ, 1), {True: "fires"}),
    (_rule(Op.NE, True), {False: "fires"}),
]


@pytest.mark.parametrize(
    ("rule", "value", "told"),
    [(rule, value, told) for rule, cases in TABLE for value, told in cases.items()],
    ids=[f"{rule.op}-{n}-{value!r}" for n, (rule, cases) in enumerate(TABLE) for value in cases],
)
def test_the_table(rule: Rule, value: float, told: str) -> None:
    assert _told(rule, value) == told


finite = st.floats(allow_nan=False, allow_infinity=False)
small = st.integers(-8, 8).map(lambda n: n / 2)
limits = st.one_of(small, finite, st.integers(-(2**63), 2**63))
# Near 1e308 a limit and its dead band are refused, which is tested below.
bands = st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1e6))
values = st.one_of(small, finite, st.sampled_from([math.nan, math.inf, -math.inf, None]))


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    op = draw(st.sampled_from(list(Op)))
    first, band = draw(limits), draw(bands)
    if op in {Op.BETWEEN, Op.NOT_BETWEEN}:
        low, high = sorted((float(first), float(draw(limits))))
        wide = high - low > 2 * band
        return _rule(op, low, high, deadband=band if wide else 0) if low < high else _rule(Op.GT, 1)
    tolerance = draw(st.none() | bands) if op in {Op.EQ, Op.NE} else None
    return _rule(op, first, deadband=0 if op is Op.NE else band, tolerance=tolerance)


@pytest.fixture(scope="module")
def duck() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


@given(rule=rules(), value=values)
def test_sql_says_the_same(
    duck: duckdb.DuckDBPyConnection, rule: Rule, value: float | None
) -> None:
    text = f"SELECT {condition_sql(rule, 'v')}, {clear_sql(rule, 'v')} FROM (SELECT ?::DOUBLE AS v)"
    found = duck.execute(text, [value]).fetchone()
    if value is None or not math.isfinite(value):
        assert found == (None, None)
    else:
        tests = predicate(rule)
        assert found == (tests.fires(value), tests.clears(value))


@given(rule=rules(), value=st.one_of(small, finite, st.integers(-(2**63), 2**63)))
def test_quiet_values_do_not_fire(rule: Rule, value: float) -> None:
    tests = predicate(rule)
    if tests.quiet[0] <= value <= tests.quiet[1]:
        assert not tests.fires(value)


def test_an_expression_has_no_predicate() -> None:
    with pytest.raises(ConfigError, match="no operator"):
        condition_sql(Rule(id="r", expression="value > 1"), "v")
