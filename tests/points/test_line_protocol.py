"""Line protocol: every rule of the grammar, the same by both ways of reading, whatever comes."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gateway_assets.points import grammar, line_protocol
from gateway_assets.points.line_protocol import (
    Line,
    Parsed,
    Parser,
    Shape,
    Type,
    Unsigned,
    encode,
)

NOW = 1_700_000_000_123_456_789
MAX = 2**63 - 1
Plain = tuple[str, dict[str, str], dict[str, tuple[str, object]], int]


def plain(parsed: Parsed) -> list[Plain]:
    """Lines without what is only there for speed."""
    return [
        (
            line.head.measurement,
            dict(line.head.tags),
            {
                key: (kind.value, value)
                for (key, kind), value in zip(line.shape.fields, line.values, strict=True)
            },
            line.time,
        )
        for line in parsed.lines
    ]


def read(body: bytes, unit: int = 1) -> list[Plain]:
    """All lines of a body without rejects; by the grammar and by expressions the same."""
    by_grammar = Parser(learn_after=0).parse(body, unit=unit, now=NOW)
    assert by_grammar.rejects == []
    assert repr(plain(learned(body, unit))) == repr(plain(by_grammar))
    return plain(by_grammar)


def learned(body: bytes, unit: int = 1) -> Parsed:
    """Read by a parser that has expressions for the good lines of the body, and for these."""
    parser = Parser(learn_after=1)
    parser.parse(b'm f=1\nm f=1i\nm f=1u\nm f=t\nm f="x"\n' * 2, now=NOW)
    for _ in range(3):
        parsed = parser.parse(body, unit=unit, now=NOW)
    return parsed


def reasons(body: bytes, unit: int = 1) -> list[str]:
    """Why nothing of a body could be read."""
    by_grammar = Parser(learn_after=0).parse(body, unit=unit, now=NOW)
    assert learned(body, unit).rejects == by_grammar.rejects
    assert by_grammar.lines == []
    return [reject.reason for reject in by_grammar.rejects]


def value(text: str) -> tuple[str, object]:
    [(_, _, fields, _)] = read(f"m f={text}".encode())
    return fields["f"]


def test_a_line_has_head_shape_values_and_time() -> None:
    [line] = Parser().parse(b'cpu,host=b,az=a u=1,n=2i,w=3u,ok=t,s="x y" 17', now=NOW).lines
    assert (line.head.measurement, line.head.tags) == ("cpu", (("az", "a"), ("host", "b")))
    assert line.shape.fields == (
        ("u", Type.FLOAT),
        ("n", Type.INTEGER),
        ("w", Type.UNSIGNED),
        ("ok", Type.BOOLEAN),
        ("s", Type.STRING),
    )
    assert line.values == (1.0, 2, 3, True, "x y")
    assert [type(each) for each in line.values] == [float, int, int, bool, str]
    assert line.time == 17


def test_the_examples_of_the_documentation() -> None:
    body = (
        b"# two lines and an empty one\n"
        b'weather,location=us\\ midwest temperature=82,"note"="x=1, y\\"z\\"" 1465839830100400200\n'
        b"\n"
        b"weather,location=us-midwest temp\\=rature=82i 1465839830100400200\r\n"
    )
    assert read(body) == [
        (
            "weather",
            {"location": "us midwest"},
            {"temperature": ("float", 82.0), '"note"': ("string", 'x=1, y"z"')},
            1465839830100400200,
        ),
        ("weather", {"location": "us-midwest"}, {"temp=rature": ("integer", 82)},
         1465839830100400200),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("-.5", -0.5),
        ("-0", -0.0),
        ("1e3", 1000.0),
        ("1.e3", 1000.0),
        ("1E+03", 1000.0),
        ("2.5e-3", 0.0025),
        ("1e-999", 0.0),
        ("1.7976931348623157e308", sys.float_info.max),
        ("5e-324", 5e-324),
        ("1" + 300 * "0", 1e300),
        ("0.1" + 5000 * "0", 0.1),
        (5000 * "0" + "7", 7.0),
    ],
    ids=lambda each: f"{each!s:.20}",
)
def test_floats(text: str, expected: float) -> None:
    assert repr(value(text)) == repr(("float", expected))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0i", ("integer", 0)),
        ("-0i", ("integer", 0)),
        ("007i", ("integer", 7)),
        (5000 * "0" + "7i", ("integer", 7)),
        (f"{MAX}i", ("integer", MAX)),
        (f"-000{2**63}i", ("integer", -(2**63))),
        ("0u", ("unsigned", 0)),
        (f"{MAX}u", ("unsigned", MAX)),
        *((text, ("boolean", True)) for text in ("t", "T", "true", "True", "TRUE")),
        *((text, ("boolean", False)) for text in ("f", "F", "false", "False", "FALSE")),
        ('""', ("string", "")),
        ('" a=b,c "', ("string", " a=b,c ")),
        (r'"a\"b"', ("string", 'a"b')),
        (r'"a\\"', ("string", "a\\")),
        (r'"a\\\"b"', ("string", 'a\\"b')),
        (r'"\n\r\t\,\ \="', ("string", r"\n\r\t\,\ \=")),
        ('"a\nb\r\nc"', ("string", "a\nb\r\nc")),
        ('"a\x00\x01\t\x7f"', ("string", "a\x00\x01\t\x7f")),
        ('"温度 😀"', ("string", "温度 😀")),
        (f'"{"x" * 65_536}"', ("string", "x" * 65_536)),
    ],
    ids=lambda each: f"{each!r:.24}",
)
def test_integers_booleans_and_strings(text: str, expected: tuple[str, object]) -> None:
    found = value(text)
    assert found == expected
    assert type(found[1]) is type(expected[1])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        *((text, "invalid number") for text in ("NaN", "nan", "+1", "-", ".", "-.", "1e+")),
        *((text, "invalid number") for text in ("0x10", "1_0", "1.1.1", "1e", "1.0i", "-1u")),
        *((text, "invalid boolean") for text in ("Inf", "tRUE", "truee", "fa", "'a'", "\tt")),
        ("-inf", "invalid number"),
        ("1e309", "invalid float"),
        ("-1e309", "invalid float"),
        (400 * "9", "invalid float"),
        (f"{2**63}i", f"unable to parse integer {2**63}: value out of range"),
        (f"-{2**63 + 1}i", f"unable to parse integer -{2**63 + 1}: value out of range"),
        (f"{2**63}u", f"unable to parse unsigned {2**63}: value out of range"),
        ("", "missing field value"),
        (",g=1", "missing field value"),
        ('"', "unbalanced quotes"),
        ('"a\\"', "unbalanced quotes"),
        ('"a"b', "invalid field format"),
        ('"a""b"', "invalid field format"),
        ("1,", "invalid field format"),
        ("1,g", "invalid field format"),
        ("1,=2", "missing field key"),
        ("1, g=2", "invalid field format"),
        ('"' + "x" * 65_537 + '"', "max string length exceeded: 65537 > 65536"),
        ('"' + "温" * 21_846 + '"', "max string length exceeded: 65538 > 65536"),
    ],
    ids=lambda each: f"{each!r:.32}",
)  # fmt: skip
def test_bad_values(text: str, reason: str) -> None:
    assert reasons(f"m f={text}".encode()) == [reason]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (r"a\ b", "a b"),
        (r"a\,b", "a,b"),
        (r"a\\b", r"a\\b"),
        (r"a\\\,b", r"a\\,b"),
        (r"\a\"", r"\a\""),
        ('"a"', '"a"'),
        ("a#", "a#"),
        ("温度", "温度"),
        (r"\ ", " "),
    ],
)
def test_names_are_escaped_the_same_everywhere(written: str, name: str) -> None:
    [(measurement, tags, fields, _)] = read(f"{written},k{written}={written} f{written}=1".encode())
    assert (measurement, tags, list(fields)) == (name, {f"k{name}": name}, [f"f{name}"])


def test_an_equals_sign_is_escaped_in_keys_and_tags_but_not_in_measurements() -> None:
    body = rb"a=b\=c,t\=u=v\=w f\=g=1"
    assert read(body) == [(r"a=b\=c", {"t=u": "v=w"}, {"f=g": ("float", 1.0)}, NOW)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b",a=b f=1", "missing measurement"),
        (b"\tm f=1", "missing measurement"),
        (b"m", "missing fields"),
        (b"m ", "missing fields"),
        (b"m\\ f=1", "missing fields"),
        (b"m\tf=1", "missing fields"),
        (b"m\x00n f=1", "missing fields"),
        (b"m,a=b", "missing fields"),
        (b"m,a=b ", "missing fields"),
        (b"m,a=b\\ f=1", "invalid tag format"),
        (b"m,a=b=c f=1", "invalid tag format"),
        (b"m, f=1", "missing tag key"),
        (b"m,=b f=1", "missing tag key"),
        (b"m,a f=1", "missing tag value"),
        (b"m,a= f=1", "missing tag value"),
        (b"m,a=,c=d f=1", "missing tag value"),
        (b"m,a=b,a=b f=1", "duplicate tags"),
        (b"m,a=b\x7f f=1", "missing fields"),
        (b"m,a=x\x01y f=1", "missing fields"),
        (b"m =1", "missing field key"),
        (b"m f", "invalid field format"),
        (b"bad line here=", "invalid field format"),
        (b"m f=1 x", "bad timestamp"),
        (b"m f=1 1.5", "bad timestamp"),
        (b"m f=1 -", "bad timestamp"),
        (b"m f=1 --1", "bad timestamp"),
        (b"m f=1 +1", "bad timestamp"),
        (b"m f=1 1 2", "bad timestamp"),
        (b"m f=1\r ", "bad timestamp"),
        (b"m,time=a f=1",
         'invalid tag key: input tag "time" on measurement "m" is invalid'),
        (b"m f=1,time=1",
         'invalid field name: input field "time" on measurement "m" is invalid'),
        (b"m,a=b f=1,a=2", 'input field "a" on measurement "m" is a tag, too'),
        (b"#\x01", "invalid character in a comment"),
        (b"m\xff f=1", "invalid UTF-8"),
        (b"m,a=\xc3 f=1", "invalid UTF-8"),
        (b"m f\xed\xa0\x80=1", "invalid UTF-8"),
        (b'm f="\xff"', "invalid UTF-8"),
        (b"m" + 65_535 * b"x" + b" f=1", "max key length exceeded: 65536 > 65535"),
        (b"m f" + 65_535 * b"x" + b"=1", "max key length exceeded: 65536 > 65535"),
    ],
    ids=lambda each: f"{each!r:.40}",
)  # fmt: skip
def test_bad_lines(line: bytes, reason: str) -> None:
    assert reasons(line) == [reason]


def test_names_may_be_long() -> None:
    [(measurement, _, fields, _)] = read(65_535 * b"x" + b" " + 65_535 * b"y" + b"=1")
    assert (len(measurement), len(next(iter(fields)))) == (65_535, 65_535)


def test_of_a_field_that_comes_twice_the_last_value_counts() -> None:
    assert read(b'm f=1,g=2,f="x"') == [
        ("m", {}, {"f": ("string", "x"), "g": ("float", 2.0)}, NOW),
    ]


def test_the_order_of_tags_makes_no_difference() -> None:
    one, other = Parser().parse(b"m,b=1,a=2,aa=3 f=1\nm,aa=3,a=2,b=1 f=1\n", now=NOW).lines
    assert one.head.tags == other.head.tags == (("a", "2"), ("aa", "3"), ("b", "1"))


def test_blanks_blank_lines_and_comments_are_left_out() -> None:
    body = b"\n  \r\n\r\n#\n  # m f=1\ttab\r\n#\xff\n   m   f=1   5  \n\n m f=2\r\n  m f=3 7 \r"
    assert [line[2:] for line in read(body)] == [
        ({"f": ("float", 1.0)}, 5),
        ({"f": ("float", 2.0)}, NOW),
        ({"f": ("float", 3.0)}, 7),
    ]
    assert read(b"") == read(b"#") == read(b"\n") == read(b" ") == read(b"\r") == []


@pytest.mark.parametrize(
    ("text", "unit", "time"),
    [
        ("-1", 1, -1),
        ("0", 1, 0),
        (str(MAX - 1), 1, MAX - 1),
        (str(-MAX + 1), 1, -MAX + 1),
        (5000 * "0" + "12", 1, 12),
        ("1465839830", 10**9, 1465839830 * 10**9),
        ("-9223372036", 10**9, -9223372036 * 10**9),
        ("2562047", 3600 * 10**9, 2562047 * 3600 * 10**9),
    ],
    ids=lambda each: f"{each!s:.24}",
)
def test_times(text: str, unit: int, time: int) -> None:
    assert read(f"m f=1 {text}".encode(), unit) == [("m", {}, {"f": ("float", 1.0)}, time)]


@pytest.mark.parametrize(
    ("text", "unit"),
    [(str(MAX), 1), (str(-MAX), 1), ("9" * 5000, 1), ("9223372037", 10**9), (str(2**63), 10**3)],
    ids=lambda each: f"{each!s:.24}",
)
def test_times_out_of_range(text: str, unit: int) -> None:
    expected = f"time outside range {-MAX + 1} - {MAX - 1}"
    assert reasons(f"m f=1 {text}".encode(), unit) == [expected]


def test_a_line_without_a_time_gets_now_in_whole_units() -> None:
    assert [read(b"m f=1", unit)[0][3] for unit in (1, 10**6, 10**9, 60 * 10**9)] == [
        1_700_000_000_123_456_789,
        1_700_000_000_123_000_000,
        1_700_000_000_000_000_000,
        1_699_999_980_000_000_000,
    ]


def test_good_lines_are_read_beside_bad_ones_which_know_their_number() -> None:
    body = b'# c\nm f=1\n\nbad\nm s="a\nb\nc"\n  m f=x \r\nm f=2\nm\xff f=1'
    found = Parser().parse(body, now=NOW)
    assert [line.values for line in found.lines] == [(1.0,), ("a\nb\nc",), (2.0,)]
    assert found.rejects == [
        (4, "bad", "missing fields"),
        (8, "m f=x ", "invalid boolean"),
        (10, "m� f=1", "invalid UTF-8"),
    ]


def test_of_a_rejected_line_the_first_thousand_characters_are_kept() -> None:
    [reject] = Parser().parse("温".encode() * 5000, now=NOW).rejects
    assert reject.text == "温" * 1000


@pytest.mark.parametrize(
    "line",
    [
        b'm x=NaN,log="first\nm f=666\nlast",y=1\n',
        b'm log="first\nm f=666\nlast",x=NaN\n',
        b'm log="first\nm f=666\nlast" then\n',
        b'm,t=,u="v log="first\nm f=666\n\\"last\nm f=667\n"\n',
        b'm x=NaN,a\\="b=1,log="first\nm f=666\nlast"\n',
        b'm log="\xff\nm f=666\n"\n',
        b'm,log=a log="first\nm f=666\n"\n',
        b"m log=\"" + 70_000 * b"x" + b"\nm f=666\n\"\n",
    ],
    ids=lambda each: f"{each!r:.40}",
)  # fmt: skip
def test_what_a_string_of_a_broken_line_holds_never_becomes_a_point(line: bytes) -> None:
    found = Parser().parse(line + b"m f=1\n", now=NOW)
    assert (len(found.rejects), plain(found)) == (1, read(b"m f=1"))


def test_quotes_that_mean_nothing_do_not_swallow_the_next_line() -> None:
    body = b'm,t="x bad f=1\nm f=1\n# "\x01="\nm f=2\nm f=1,2="\n" x\nm "f=1"\nm f=3\n'
    found = Parser().parse(body, now=NOW)
    assert [line.values for line in found.lines] == [(1.0,), (2.0,), (3.0,)]


def test_a_string_without_an_end_takes_the_rest() -> None:
    found = Parser().parse(b'm f=1\nm s="a\nm f=2\nm f=3\n', now=NOW)
    assert [line.values for line in found.lines] == [(1.0,)]
    assert found.rejects == [(2, 'm s="a\nm f=2\nm f=3', "unbalanced quotes")]


def test_heads_and_shapes_are_one_object_each() -> None:
    body = b"m,a=1 f=1,g=2i\nm,a=2 f=3,g=4i\nm,a=1 f=5,g=6i\nm,a=1 f=5i,g=6i\n" * 50
    lines = Parser().parse(body, now=NOW).lines
    assert len({id(line.head) for line in lines}) == len({line.head for line in lines}) == 2
    assert len({id(line.shape) for line in lines}) == len({line.shape for line in lines}) == 2


def times_called(function: Any, parser: Parser, body: bytes) -> int:
    """How often a function runs while a body is read."""
    calls = 0

    def profile(frame: FrameType, event: str, _: object) -> None:
        nonlocal calls
        calls += event == "call" and frame.f_code is function.__code__

    sys.setprofile(profile)
    try:
        assert parser.parse(body, now=NOW).rejects == []
    finally:
        sys.setprofile(None)
    return calls


def test_lines_that_are_alike_do_not_go_through_the_grammar() -> None:
    parser = Parser(learn_after=5)
    lines = [f'm\\ n,h=h\\ {n % 9},z=é f={n}.5,g\\ h={n}i,s="x y{n}",b=t {n}\n' for n in range(900)]
    body = "".join(lines).encode()
    assert times_called(grammar.fields, parser, body) == 5
    assert times_called(grammar.head, parser, body) == 0
    assert times_called(grammar.fields, parser, body.replace(b"h=h", b"h=other")) == 0


def test_shapes_that_take_turns_do_not_go_through_the_grammar() -> None:
    parser = Parser(learn_after=1)
    body = b"m,a=1 f=1\nm,a=1 f=1i\nm,a=1 g=1,f=2\nm,a=1 g=t 5\n"
    parser.parse(body, now=NOW)
    assert times_called(grammar.fields, parser, body * 100) == 0


def test_shapes_that_come_once_do_not_displace_those_that_come_often() -> None:
    parser = Parser(learn_after=3)
    parser.parse(b"m,a=1 f=1\n" * 3, now=NOW)
    parser.parse("".join(f"m,a=1 g{n}=1\n" for n in range(50)).encode(), now=NOW)
    assert times_called(grammar.fields, parser, b"m,a=2 f=1\n") == 0


def test_a_known_shape_does_not_hide_that_a_field_is_a_tag() -> None:
    parser = Parser(learn_after=1)
    parser.parse(b"m,a=1 f=1\n" * 3, now=NOW)
    found = parser.parse(b"m,f=1 f=1\n" * 3, now=NOW)
    assert (len(found.lines), len(found.rejects)) == (0, 3)


@pytest.mark.parametrize(
    "line",
    ["m{0} f=1\n", "m,a={0},b={0} f=1\n", "m f{0}=1\n", "m f{0}=1,g=2\nm f{0}=1,g=2\n"],
)
def test_what_is_remembered_is_bounded(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_protocol, "_ROOM", 100_000)
    parser = Parser(learn_after=2)
    for start in range(0, 3000, 500):
        body = "".join(map(line.format, range(start, start + 500))).encode()
        assert parser.parse(body, now=NOW).rejects == []
        remembered = len(parser._heads) + len(parser._templates) + len(parser._recent)
        assert 0 < remembered < 1000
    assert times_called(grammar.fields, parser, b"m f=1\n" * 50) < 4


@pytest.fixture
def half_a_minute_of_cpu() -> Iterator[None]:
    """Ends what takes quadratic time, minutes to hours; linear time is a few seconds."""

    def end(*_: object) -> None:
        raise AssertionError("this takes more than linear time")

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, 30)
    yield
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.signal(signal.SIGVTALRM, before)


HOSTILE = {
    "short lines": b"short\n",
    "line breaks": b"\n",
    "backslashes": b"\\",
    "escaped blanks": b"\\ ",
    "tags": b"m,a=",
    "quotes": b'm f="',
    "strings that begin on each line": b'm message="\n',
    "escaped quotes": b'm message="\\" is a text"\n',
    "broken strings": b'm f=x,message="is a text\n',
    "equals and quotes": b'="',
    "quotes in tags": b'm,tag=",k=" field="\n',
    "comments": b'#\x01" is a broken comment\n',
    "bad bytes": b'm field="\xff is a byte\n"\n',
    "a field again and again": b"m f=1,f=2,",
    "carriage returns": b"m f=1\r",
    "times": b"m f=1 1 ",
}


@pytest.mark.usefixtures("half_a_minute_of_cpu")
@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE)
def test_hostile_bodies_of_5_mb_take_linear_time(piece: bytes) -> None:
    body = piece * (5_000_000 // len(piece))
    found = Parser().parse(body, now=NOW)
    assert len(found.lines) + len(found.rejects) <= body.count(b"\n") + 1


@pytest.mark.usefixtures("half_a_minute_of_cpu")
@pytest.mark.parametrize("last", ["1", "1i", '"', "1 1", "1e1", "0.1", "1.", "-", "\\=1"])
def test_single_lines_of_5_mb_take_linear_time(last: str) -> None:
    parser = Parser(learn_after=1)
    parser.parse(b'm f=1\nm f=1i\nm f=""\n' * 3, now=NOW)
    found = parser.parse(b"m f=" + last[:-1].encode() + 5_000_000 * last[-1].encode(), now=NOW)
    assert len(found.lines) + len(found.rejects) == 1


def ends_well(name: str) -> bool:
    return not name.endswith("\\")


CONTROLS = "".join(map(chr, [*range(32), 127]))
NAMES = st.one_of(
    st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters=CONTROLS),
        min_size=1,
    ),
    st.text('ab\\ ,="#', min_size=1, max_size=6),
).filter(ends_well)
KEYS = NAMES.filter(lambda name: name != "time")
STRINGS = st.text(st.characters(exclude_categories=["Cs"])) | st.text('a\\" ,=\n\r', max_size=9)
VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**63), MAX),
    st.integers(0, MAX).map(Unsigned),
    st.booleans(),
    STRINGS,
)
TYPES = {float: "float", int: "integer", Unsigned: "unsigned", bool: "boolean", str: "string"}
TIMES = st.integers(-MAX + 1, MAX - 1)
POINTS = st.tuples(
    NAMES.filter(lambda name: not name.startswith("#")),
    st.dictionaries(KEYS, NAMES, max_size=4),
    st.dictionaries(KEYS, VALUES, min_size=1, max_size=5),
    TIMES,
).filter(lambda point: not point[1].keys() & point[2].keys())


@given(POINTS)
def test_what_is_encoded_is_read_as_it_was(
    point: tuple[str, dict[str, str], dict[str, Any], int],
) -> None:
    measurement, tags, fields, time = point
    typed = {key: (TYPES[type(each)], each) for key, each in fields.items()}
    assert read(encode(*point)) == [(measurement, tags, typed, time)]


@given(
    st.text(),
    st.dictionaries(st.text(), st.text(), max_size=2),
    st.dictionaries(st.text(), VALUES | st.floats() | st.integers() | st.none(), max_size=2),
    st.integers(),
)
@example("#m", {}, {"f": 1}, 0)
@example("m\\", {"a": "b"}, {"f": 1}, 0)
@example("m", {"a": "b\\"}, {"f": 1}, 0)
@example("m", {"a": ""}, {"f": 1}, 0)
@example("m", {"a": "1\nm f=2"}, {"f": 1}, 0)
@example("m", {"a": "b"}, {"a": 1}, 0)
@example("m", {}, {"time": 1}, 0)
@example("m", {}, {}, 0)
@example("m", {}, {"f": float("nan")}, 0)
@example("m", {}, {"f": 2**63}, 0)
@example("m", {}, {"f": "\udc80"}, 0)
@example("m", {}, {"f": 1}, 2**63)
def test_anything_else_is_refused(
    measurement: str, tags: dict[str, str], fields: dict[str, Any], time: int
) -> None:
    try:
        body = encode(measurement, tags, fields, time)
    except ValueError:
        return
    [found] = read(body)
    assert (found[0], found[1], found[3]) == (measurement, tags, time)
    assert {key: each for key, (_, each) in found[2].items()} == fields


def test_a_point_without_a_time_is_encoded_without_one() -> None:
    assert encode("m", {"b": "x y", "a": "1"}, {"f": 1.5, "ok": True, "n": Unsigned(2)}) == (
        b"m,a=1,b=x\\ y f=1.5,ok=true,n=2u\n"
    )


@pytest.mark.parametrize("bad", ["m\\", "#m", "", "m\n", "\ud800"], ids=ascii)
def test_names_that_cannot_be_written_are_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="line protocol"):
        encode(bad, {"a": "b"}, {"f": 1})


PIECES = st.sampled_from(
    ["m", "cpu", ",", "=", " ", "\n", "\r\n", "\\", '"', "#", "a", "b", "1", "-", ".", "e", "i",
     "u", "t", "true", "time", "17", "\t", "\x01", "é", "\udc80",
     "f=1", ",a=b", ' s="', '"\n', " f=1\n"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=40).map("".join))
@example('m f=1,g=2\nm s="a\n" 5\nm,f=1 f=1\n')
def test_both_ways_of_reading_agree_on_anything(text: str) -> None:
    body = text.encode("utf-8", "surrogateescape")
    by_grammar = Parser(learn_after=0).parse(body, now=NOW)
    by_expressions = learned(body)
    assert repr(plain(by_expressions)) == repr(plain(by_grammar))
    assert by_expressions.rejects == by_grammar.rejects


@given(st.lists(POINTS, min_size=1, max_size=3), st.data())
def test_both_ways_of_reading_agree_on_lines_that_are_nearly_right(
    points: list[Any], data: st.DataObject
) -> None:
    """A parser that knows the shapes reads the same lines with a byte changed."""
    body = b"".join(encode(*point) for point in points)
    place = data.draw(st.integers(0, len(body) - 1))
    changed = body[:place] + data.draw(st.binary(max_size=2)) + body[place + 1 :]
    assume(changed != body)
    parser = Parser(learn_after=1)
    for _ in range(2):
        parser.parse(body, now=NOW)
    by_expressions, by_grammar = (
        each.parse(changed, now=NOW) for each in (parser, Parser(learn_after=0))
    )
    assert repr(plain(by_expressions)) == repr(plain(by_grammar))
    assert by_expressions.rejects == by_grammar.rejects


@given(st.lists(POINTS, min_size=1, max_size=3), st.lists(PIECES, max_size=9).map("".join))
def test_without_values_the_same_lines_are_read(points: list[Any], pieces: str) -> None:
    other = pieces.encode("utf-8", "surrogateescape")
    body = b"".join([*(encode(*point) for point in points), other, b"\n", encode(*points[0])])
    parser = Parser(learn_after=1, values=False)
    for _ in range(3):
        found = parser.parse(body, now=NOW)
    with_values = Parser(learn_after=0).parse(body, now=NOW)
    assert found.rejects == with_values.rejects
    assert [alike(line) for line in found.lines] == [alike(line) for line in with_values.lines]
    assert all(line[2:] == ((), 0) for line in found.lines)


def alike(line: Line) -> tuple[str, tuple[tuple[str, str], ...], Shape]:
    return line.head.measurement, line.head.tags, line.shape


def test_without_values_lines_that_are_alike_are_one_object() -> None:
    parser = Parser(learn_after=1, values=False)
    body = b"m,a=1 f=1\nm,a=2 f=1 7\n" * 9
    parser.parse(body, now=NOW)
    assert len({id(line) for line in parser.parse(body, now=NOW).lines}) == 2


@given(st.binary(max_size=200), st.sampled_from([1, 10**3, 10**6, 10**9]))
def test_nothing_raises(body: bytes, unit: int) -> None:
    Parser().parse(body, unit=unit, now=NOW)
