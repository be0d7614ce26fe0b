"""Expressions: what they mean, that SQL says the same, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_assets.alarms.expression import (
    MAX_DEPTH,
    MAX_LENGTH,
    MAX_WINDOW,
    SECOND,
    Window,
    compiled,
    is_good,
    longest_span,
    parse,
)
from gateway_assets.alarms.expression_sql import condition_rows
from gateway_assets.errors import ConfigError

Sample = tuple[int, float | None, int | None]
Truths = list[bool | None]


def in_python(text: str, samples: Sequence[Sample], *, use_uncertain: bool = False) -> Truths:
    node = parse(text)
    holds, window = compiled(node), Window(longest_span(node))
    found = []
    for time, value, quality in samples:
        good = is_good(value, quality, 1 if use_uncertain else 2)
        window.push(time, value if good else None, quality)
        found.append(holds(window))
    return found


@pytest.fixture(scope="module")
def duck() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        connection.execute("CREATE TABLE samples (time BIGINT, value DOUBLE, quality UTINYINT)")
        yield connection


def in_sql(
    duck: duckdb.DuckDBPyConnection,
    text: str,
    samples: Sequence[Sample],
    *,
    use_uncertain: bool = False,
) -> Truths:
    duck.execute("DELETE FROM samples")
    if samples:
        rows = ", ".join(["(?, ?, ?)"] * len(samples))
        duck.execute(f"INSERT INTO samples VALUES {rows}", [x for row in samples for x in row])
    query = condition_rows(text, "samples", use_uncertain=use_uncertain)
    found = duck.execute(query).fetchall()
    assert [time for time, _ in found] == [time for time, _, _ in samples]
    return [holds for _, holds in found]


def _each_second(*values: float | None) -> list[Sample]:
    return [(second * SECOND, value, None) for second, value in enumerate(values)]


NAN, INF = math.nan, math.inf
STEADY = _each_second(1, 2, 2, 5)


@pytest.mark.parametrize(
    ("text", "samples", "truths"),
    [
        ("value > 1", STEADY, [False, True, True, True]),
        ("1 < value <= 2", STEADY, [False, True, True, False]),
        ("value % 3 == 2 and not value == 5", STEADY, [False, True, True, False]),
        ("(0 - value) % 3 == -2", STEADY, [False, True, True, True]),
        ("value / 2 == 2.5", STEADY, [False, False, False, True]),
        ("1 / (value - 2) > 0", STEADY, [False, None, None, True]),
        ("value % (value - 2) == 0 or true", STEADY, [True, True, True, True]),
        ("1 / (value - 2) > 0 and false", STEADY, [False, False, False, False]),
        ("not 1 / (value - 2) > 0", STEADY, [True, None, None, False]),
        ("value > 0 > 1 / (value - 2) > 0", STEADY, [False, None, None, False]),
        ("delta() > 0", STEADY, [None, True, False, True]),
        ("changed()", STEADY, [None, True, False, True]),
        ("changed() == true", STEADY, [None, True, False, True]),
        ("changed() + changed() == 2", STEADY, [None, True, False, True]),
        ("previous == 2", STEADY, [None, False, True, True]),
        ("avg_over(1) >= 2", STEADY, [False, False, True, True]),
        ("avg_over(0.5) == value", STEADY, [True, True, True, True]),
        ("abs(-value) == clamp(value, 2, 3)", STEADY, [False, True, True, False]),
        ("min(value, 2, 3) == max(2, 1)", STEADY, [False, True, True, True]),
        ("value > 1", _each_second(NAN, INF, -INF, None, 2), [None, None, None, None, True]),
        ("quality < 2", [(0, 1, 2), (1, 1, 1), (2, 1, 0), (3, NAN, None)],
         [False, True, True, False]),
        ("value > 0", [(0, 1, 2), (1, 1, 1), (2, 1, 0)], [True, None, None]),
        ("previous == 1", [(0, 1, 2), (1, 9, 0), (2, NAN, 2), (3, 3, 2)],
         [None, True, True, True]),
        ("rate() == 0.5", [(0, 1, None), (SECOND, NAN, None), (4 * SECOND, 3, None)],
         [None, None, True]),
        ("age == 3", [(0, 1, None), (SECOND, NAN, None), (4 * SECOND, 3, None)],
         [None, False, True]),
        ("value * 1e300 * 1e300 * 0 == 0", _each_second(1, 0), [None, True]),
        ("1 / (value * 1e300) == 0", _each_second(1e300), [None]),
        ("value == -0", _each_second(-0.0, 0.0), [True, True]),
        ("value == 9007199254740993", _each_second(2.0**53, 2.0**53 + 2), [True, False]),
        ("avg_over(60) > 0", _each_second(1e308, 1e308, -1.0), [True, None, None]),
    ],
    ids=str,
)  # fmt: skip
def test_what_an_expression_means(
    duck: duckdb.DuckDBPyConnection, text: str, samples: list[Sample], truths: Truths
) -> None:
    assert in_python(text, samples) == truths
    assert in_sql(duck, text, samples) == truths


def test_uncertain_samples_count_where_they_may(duck: duckdb.DuckDBPyConnection) -> None:
    samples: list[Sample] = [(0, 1, 1), (1, 2, 0), (2, 3, 2)]
    for text, truths in (("value > 0", [True, None, True]), ("previous == 1", [None, True, True])):
        assert in_python(text, samples, use_uncertain=True) == truths
        assert in_sql(duck, text, samples, use_uncertain=True) == truths


def test_a_mean_is_of_the_newest_samples_at_most(duck: duckdb.DuckDBPyConnection) -> None:
    ones = [(n, 1.0, None) for n in range(1, MAX_WINDOW)]
    samples: list[Sample] = [(0, 1e9, None), *ones, (MAX_WINDOW, 1.0, None)]
    truths = [False] * MAX_WINDOW + [True]  # the large one has just left
    assert in_python("avg_over(60) == 1", samples) == truths
    assert in_sql(duck, "avg_over(60) == 1", samples) == truths


numbers = st.one_of(
    st.sampled_from(["0", "1", "2", "0.5", "3", "1e300", "1e-300", "9007199254740993", ".25"]),
    st.integers(0, 20).map(str),
)
names = st.sampled_from(["value", "value", "previous", "quality", "age", "rate()", "delta()"])
means = st.sampled_from(["avg_over(1)", "avg_over(2.5)", "avg_over(60)"])


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def call(args: tuple[str, str, str]) -> st.SearchStrategy[str]:
        a, b, c = args
        return st.sampled_from(
            [
                f"abs({a})",
                f"min({a}, {b})",
                f"max({a}, {b}, {c})",
                f"clamp({a}, {b}, {c})",
                f"(-{a})",
                f"(+{a})",
            ]
        )

    def join(args: tuple[str, str, str]) -> str:
        return f"({args[0]} {args[1]} {args[2]})"

    compared = st.tuples(inner, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), inner)
    return st.one_of(
        st.tuples(inner, st.sampled_from("+-*/%"), inner).map(join),
        st.tuples(inner, inner, inner).flatmap(call),
        compared.map(join),  # a truth as a number
    )


arithmetic = st.recursive(st.one_of(numbers, names, means), _grown, max_leaves=6)
comparisons = st.lists(arithmetic, min_size=2, max_size=3).flatmap(
    lambda parts: st.sampled_from(["<", "<=", ">", ">=", "==", "!="]).map(
        lambda sign: "(" + f" {sign} ".join(parts) + ")"
    )
)
conditions = st.recursive(
    st.one_of(comparisons, st.sampled_from(["true", "false", "changed()"])),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda t: f"({' '.join(t)})"),
        inner.map(lambda text: f"(not {text})"),
    ),
    max_leaves=4,
)
readings = st.one_of(
    st.integers(-3, 3).map(float),
    st.sampled_from([-0.0, 2.0**53, 2.0**53 + 2, -(2.0**53) + 1, 0.1, 0.30000000000000004]),
    st.floats(),
    st.none(),
)
gaps = st.sampled_from([1, SECOND // 2, SECOND, SECOND, 2 * SECOND, 100 * SECOND])


@st.composite
def series(draw: st.DrawFn) -> list[Sample]:
    time, samples = draw(st.integers(-5, 5)) * SECOND, []
    for _ in range(draw(st.integers(0, 8))):
        time += draw(gaps)
        samples.append((time, draw(readings), draw(st.sampled_from([None, 2, 2, 2, 1, 0]))))
    return samples


@settings(max_examples=300)
@given(text=conditions, samples=series(), use_uncertain=st.booleans())
def test_sql_says_the_same(
    duck: duckdb.DuckDBPyConnection, text: str, samples: list[Sample], use_uncertain: bool
) -> None:
    if len(text) > MAX_LENGTH:
        return
    in_both = in_python(text, samples, use_uncertain=use_uncertain)
    assert in_sql(duck, text, samples, use_uncertain=use_uncertain) == in_both


HOSTILE = {
    "signs": "-" * 900 + "1 > 0",
    "too long": "-" * 5000 + "1",
    "nots": "not " * 240 + "true",
    "powers": "9**9**9**9 > 1",
    "parentheses": "(" * 480 + "1" + ")" * 480 + " > 0",
    "open": "(" * 20,
    "calls": "abs(" * 200 + "1" + ")" * 200 + " > 0",
    "sum": "+".join(["value"] * 150) + " > 0",
    "many": " or ".join(["value>1"] * 90),
    "attribute": "value.__class__ == 1",
    "attribute of a number": "1 .real == 1",
    "subscript": "value[0] == 1",
    "lambda": "lambda: 1",
    "comprehension": "[x for x in value]",
    "generator": "max(value for value in value) > 1",
    "string": "'a' * 1000000000 == 'b'",
    "quoted": 'value == "1"',
    "formatted": "f'{value}' == 1",
    "walrus": "(value := 1) == 1",
    "ternary": "1 if value else 2",
    "ternary of truths": "true if true else false",
    "import": "__import__('os').system('true')",
    "builtin": "eval(1) > 0",
    "unknown": "valu > 1",
    "full width digits": "value > \uff11",
    "look-alike": "v\u0430lue > 1",
    "normalised": "\ufb01 > 1",
    "no-break space": "value\u00a0> 1",
    "nul": "value > 1\0",
    "huge integer": "value > " + "9" * 900,
    "huge": "value > 1e301",
    "infinite": "value > 1e999",
    "complex": "value > 1j",
    "hexadecimal": "value > 0x10",
    "underscore": "value > 1_000",
    "leading zero": "value > 007",
    "glued": "1if value else 2",
    "glued or": "value > 1or true",
    "shift": "1 << 100000 > 1",
    "bits": "value & 1 == 1",
    "whole division": "value // 2 == 1",
    "is": "value is true",
    "in": "value in value",
    "star": "max(*value) > 1",
    "keyword": "max(value, default=1) > 1",
    "await": "await value",
    "yield": "(yield)",
    "tuple": "(value, 1) == 1",
    "two": "value > 1; value > 2",
    "comment": "value > 1 # fine",
    "continued": "value > \\\n 1",
    "assigned": "value = 1",
    "number": "value",
    "number in and": "value and true",
    "number in not": "not value",
    "empty": "  ",
    "capital": "True",
    "None": "None == 1",
    "no argument": "abs() > 1",
    "too many": "abs(1, 2) > 1",
    "argument": "rate(1) > 1",
    "clamp": "clamp(1, 2) > 1",
    "mean of nothing": "avg_over() > 1",
    "mean of a value": "avg_over(value) > 1",
    "mean of no time": "avg_over(0) > 1",
    "mean of a moment": "avg_over(1e-12) > 1",
    "mean backwards": "avg_over(-5) > 1",
    "mean of years": "avg_over(1e9) > 1",
    "called value": "value() > 1",
    "called call": "abs(1)(2) > 1",
    "uncalled": "rate > 1",
    "SQL": "value > 1) FROM samples; DROP TABLE samples --",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_not_allowed_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(text)
    assert refused.value.hint
    assert "column" in str(refused.value) or len(text) > MAX_LENGTH
    with pytest.raises(ConfigError):
        condition_rows(text, "samples")


@given(st.text(max_size=60) | st.text("value(),. +-*/%<>=!andornot019e_", max_size=60))
def test_any_text_is_a_condition_or_refused(text: str) -> None:
    try:
        parse(text)
    except ConfigError:
        return
    in_python(text, STEADY)


@pytest.mark.parametrize(
    ("text", "column"),
    [("value > valu", 9), ("  value > valu", 11), ("value >\n valu", 10), ("value > 1 $", 11)],
    ids=["plain", "indented", "lines", "token"],
)
def test_a_refusal_says_where(text: str, column: int) -> None:
    with pytest.raises(ConfigError, match=f"column {column}:"):
        parse(text)


def test_the_deepest_allowed_is_answered(duck: duckdb.DuckDBPyConnection) -> None:
    depth = MAX_DEPTH - 2
    text = "(1 + " * depth + "value" + ")" * depth + f" > {depth + 1}"
    assert in_python(text, STEADY) == in_sql(duck, text, STEADY) == [False, True, True, True]


def test_chains_in_chains_are_evaluated_once(duck: duckdb.DuckDBPyConnection) -> None:
    """If each part of a chain were looked at twice, this would take 2**20 steps."""
    text = "(0 <= " * 20 + "value" + " <= 9)" * 20
    assert in_python(text, STEADY) == in_sql(duck, text, STEADY) == [True] * 4
