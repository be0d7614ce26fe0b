"""The metrics page: what StarRocks really writes, and what no server should."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from gateway_assets.starrocks.exposition import parse

CASES = Path(__file__).parent.parent / "cases" / "starrocks"
PAGES = sorted(path.name for path in CASES.iterdir() if "# TYPE" in path.read_text())
A = frozenset({"a"})


def standard(text: str) -> list[tuple[str, dict[str, str], float]]:
    """What the Python client of Prometheus reads."""
    families = text_string_to_metric_families(text)
    return [(each.name, each.labels, each.value) for family in families for each in family.samples]


def by_series(rows: list[tuple[str, dict[str, str], float]]) -> dict[object, float]:
    return {(name, *sorted(labels.items())): value for name, labels, value in rows}


def own(text: str, wanted: frozenset[str]) -> list[tuple[str, dict[str, str], float]]:
    found = parse(text.encode(), wanted)
    assert (found.bad_lines, found.conflicts, found.is_whole) == (0, 0, True)
    return [(name, labels, value) for name, rows in found.series.items() for labels, value in rows]


@pytest.mark.parametrize("name", PAGES)
def test_real_pages_read_as_the_standard_parser_reads_them(name: str) -> None:
    text = "\n".join(
        line for line in (CASES / name).read_text().splitlines() if not line.startswith("#")
    )
    rows = standard(text + "\n")
    assert rows
    assert by_series(own(text + "\n", frozenset(row[0] for row in rows))) == by_series(rows)


NAMES = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,8}", fullmatch=True)
LABELS = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,5}", fullmatch=True).filter(
    lambda name: not name.startswith("__")
)
TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], include_characters='"\\\n,={}'),
    max_size=8,
)
NUMBERS = st.one_of(
    st.integers(-(2**80), 2**80).map(str),
    st.floats().map(lambda value: repr(value).replace("inf", "Inf").replace("nan", "NaN")),
    st.sampled_from(["1.7196E8", "0.0", "NaN", "+Inf", "-Inf"]),
)
SAMPLES = st.lists(
    st.tuples(NAMES, st.dictionaries(LABELS, TEXTS, max_size=4), NUMBERS),
    unique_by=lambda each: (each[0], *sorted(each[1].items())),
    max_size=12,
)


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


@given(SAMPLES, st.sampled_from([",", ", "]), st.sampled_from(["", " ", " 1700000000000"]))
def test_clean_text_reads_as_the_standard_parser_reads_it(
    samples: list[tuple[str, dict[str, str], str]], between: str, after: str
) -> None:
    lines = []
    for name, labels, number in samples:
        pairs = between.join(f'{label}="{escaped(value)}"' for label, value in labels.items())
        lines.append(f"{name}{{{pairs}}} {number}{after}\n" if pairs else f"{name} {number}\n")
    text = "".join(lines)
    wanted = frozenset(name for name, _, _ in samples)
    found = by_series(own(text, wanted)) if text else {}
    truth = by_series(standard(text))
    assert found.keys() == truth.keys()
    for key, value in truth.items():
        mine = found[key]
        assert value in (mine, float(mine)) or (math.isnan(value) and math.isnan(mine))


@given(st.binary(), st.sampled_from([A, frozenset({""}), frozenset[str]()]))
def test_nothing_raises(text: bytes, wanted: frozenset[str]) -> None:
    parse(text, wanted)


@given(st.text('a{}"=,\\ 1.eE+-_\n\tb#', max_size=80))
def test_nothing_raises_for_what_looks_like_metrics(text: str) -> None:
    found = parse(text.encode(), A)
    assert found.series.keys() <= A


def test_only_wanted_names_are_looked_at() -> None:
    found = parse(b'a 1\nb{x="y"} 2\nb broken\n', A)
    assert (found.series, found.bad_lines) == ({"a": [({}, 1.0)]}, 0)


def test_trap_08_the_same_series_twice_is_kept_once() -> None:
    text = (CASES / "fe_4.0.1_duplicate_series.txt").read_bytes()
    found = parse(text, frozenset({"starrocks_fe_thread_pool"}))
    labels = {"name": "batch-write-load", "type": "active_thread_num"}
    assert found.series == {"starrocks_fe_thread_pool": [(labels, 0.0)]}
    assert found.conflicts == 0


def test_trap_08_another_value_of_the_same_series_is_a_conflict() -> None:
    found = parse(b'a{x="1",y="2"} 5\na{y="2", x="1"} 6\na 1\na{} 1\na NaN\n', A)
    assert found.series == {"a": [({"x": "1", "y": "2"}, 5.0), ({}, 1.0)]}
    assert found.conflicts == 2
    assert parse(b"a NaN\na NaN\n", A).conflicts == 0


def test_series_that_look_alike_are_apart() -> None:
    found = parse(b'a{b="x"} 1\na{bx=""} 2\na{b="x,c=y"} 3\na{b="x",c="y"} 4\na 5\n', A)
    assert ([value for _, value in found.series["a"]], found.conflicts) == ([1, 2, 3, 4, 5], 0)


def test_trap_08_families_in_pieces_are_put_together() -> None:
    text = (
        b'# TYPE a gauge\na{db="x"} 1\n# TYPE b gauge\nb{db="x"} 7\n# TYPE a gauge\na{db="y"} 2\n'
    )
    found = parse(text, A)
    assert found.series["a"] == [({"db": "x"}, 1.0), ({"db": "y"}, 2.0)]


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [
        ('user="o"brien"', {"user": 'o"brien'}),
        ('user="o"brien", db="x"', {"user": 'o"brien', "db": "x"}),
        ('user=""", db="x"', {"user": '"', "db": "x"}),
        ('user="a}b"', {"user": "a}b"}),
        ('user="a,b=c"', {"user": "a,b=c"}),
        ('user="domain\\dave"', {"user": "domain\\dave"}),
        ('user="a\\"b"', {"user": 'a"b'}),
        ('user="x", ', {"user": "x"}),
        (' user = "x" ,db="y"', {"user": "x", "db": "y"}),
    ],
)
def test_trap_08_values_of_labels(labels: str, wanted: dict[str, str]) -> None:
    found = parse(f"a{{{labels}}} 3\n".encode(), A)
    assert (found.series, found.bad_lines) == ({"a": [(wanted, 3.0)]}, 0)


@pytest.mark.parametrize(
    "line",
    [
        'a{db="x"quantile="0.75"} 1',
        'a{db="x"}{quantile="0.75"} 1',
        'a{db="x", db="y"} 1',
        'a{db=x} 1',
        'a{db="x" 1',
        "a",
        "a one",
        "a 1_000",
        "a 1 2 3",
        "{} 1",
        "a} 1",
    ],
)  # fmt: skip
def test_trap_08_a_bad_line_is_counted_and_the_others_read(line: str) -> None:
    found = parse(f'{line}\na{{ok="1"}} 2\n'.encode(), A)
    assert found.series == {"a": [({"ok": "1"}, 2.0)]}
    assert found.bad_lines == 1


def test_trap_08_a_body_that_is_cut_inside_a_number() -> None:
    found = parse(b'a{x="1"} 5\na{x="2"} 123', A)
    assert found.series == {"a": [({"x": "1"}, 5.0)]}
    assert not found.is_whole


def test_trap_08_an_empty_body_is_not_whole() -> None:
    assert parse(b"", A) == ({}, 0, 0, False, 0)


def test_trap_08_a_page_of_html() -> None:
    found = parse(b"<html>\n<body>\n<h1>Login</h1>\n</body></html>\n", A)
    assert found.series == {}
    assert found.bad_lines == 4


def test_trap_20_numbers_are_kept_exactly() -> None:
    text = b"a 9007199254740993\nb 1.2345678E7\nc 9.007199254740993E15\nd Infinity\n"
    found = parse(text, frozenset("abcd")).series
    assert [found[name][0][1] for name in "abc"] == [9007199254740993, 12345678, 9007199254740993]
    assert math.isinf(found["d"][0][1])


def test_windows_lines_tabs_and_blanks() -> None:
    found = parse(b'a\t1\r\n  a{x="1"} 2  \r\na {x="2"}\t3 1700000000000\r\n\r\n', A)
    assert found.series == {"a": [({}, 1.0), ({"x": "1"}, 2.0), ({"x": "2"}, 3.0)]}
    assert (found.bad_lines, found.is_whole) == (0, True)


def test_bytes_that_are_no_text_do_not_hide_the_others() -> None:
    found = parse(b'a{x="\xff"} 1\na 2\n', A)
    assert found.series == {"a": [({"x": "\ufffd"}, 1.0), ({}, 2.0)]}
