"""Accepting reads no values, and lines that are alike by expressions: nothing else may differ."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway_assets.frames.frame import Kind
from gateway_assets.frames.log import open_log
from gateway_assets.frames.reading import read, segments
from gateway_assets.points.encode import encode
from gateway_assets.points.line_protocol import Parser
from gateway_assets.points.payload import NANOSECONDS, unwrapped
from gateway_assets.points.schema import open_points
from gateway_assets.serve.accept import Acceptor, Whole
from gateway_assets.serve.counts import Counts
from gateway_assets.serve.types import FieldTypes
from tests.points.test_line_protocol import KEYS, NAMES, PIECES, VALUES

NOW = 1_700_000_000_123_456_789
# Few names, so that fields come again, with other types, and as tags.
FEW = st.sampled_from(["m", "a", "f", "s x", "é"])
FIELDS = st.dictionaries(FEW | KEYS, VALUES, min_size=1, max_size=4)
TAGS = st.dictionaries(FEW, NAMES, max_size=2)
TIMES = st.none() | st.integers(-(2**40), 2**40) | st.integers(-(2**63) + 2, 2**63 - 2)
POINTS = st.tuples(FEW, TAGS, FIELDS, TIMES).filter(lambda one: not one[1].keys() & one[2].keys())
LINES = POINTS.map(lambda one: encode(*one))
OTHER = st.one_of(
    st.sampled_from(
        [b"\n", b"# a comment\n", b"# precision=s\n", b" \r\n", b"bad\n", b"m f=\xff\n"]
    ),
    st.lists(PIECES, max_size=9).map(lambda one: "".join(one).encode("utf-8", "surrogateescape")),
)


class Way:
    """An acceptor with a log and a database of its own."""

    def __init__(self, folder: Path, parser: Parser, held: ExitStack) -> None:
        self._frames = folder / "frames"
        log = held.enter_context(closing(open_log(self._frames, durability="async")))
        connection = held.enter_context(open_points(folder / "points.db", any_thread=True))
        self.types, self.counts = FieldTypes(connection), Counts()
        self.acceptor = Acceptor(log, self.types, self.counts)
        self.acceptor._parser = parser

    def logged(self) -> list[tuple[int, bytes]]:
        found = segments(self._frames)
        return [(frame.kind, frame.payload) for one in found for frame, _ in read(one)]

    def state(self) -> tuple[Any, ...]:
        counted = self.counts
        numbers = counted.lines, counted.points, counted.rejects, counted.bytes
        return self.logged(), self.types._types, numbers


@contextmanager
def both() -> Iterator[tuple[Way, Way]]:
    """By expressions and without values, as the service does it; and all by the grammar."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as held:
        fast = Parser(learn_after=1, values=False)
        slow = Parser(learn_after=0)
        yield Way(Path(name) / "fast", fast, held), Way(Path(name) / "slow", slow, held)


@settings(max_examples=60)
@given(
    st.lists(LINES, min_size=1, max_size=4),
    st.lists(LINES | OTHER, max_size=6),
    st.sampled_from(sorted(NANOSECONDS)),
    st.sampled_from(Whole),
    st.data(),
)
@example(
    [b"m f=1 1\n"], [b'm f="x" 2\nm g=1\r\nm,f=1 f=1\nm f=1 9223372037\n'], "s", Whole.NEVER, None
)
def test_what_is_accepted_is_the_same_by_expressions_and_by_the_grammar(
    known: list[bytes], other: list[bytes], precision: str, whole: Whole, data: st.DataObject | None
) -> None:
    mixed = other + known
    if data is not None:
        mixed = data.draw(st.permutations(mixed))
    body = b"".join(mixed)
    if data is not None and data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(body) - 1))
        body = body[:place] + data.draw(st.binary(max_size=2)) + body[place + 1 :]
    with both() as (fast, slow):
        for sent in (b"".join(known), b"".join(known) * 2, body, body):
            done = [one.acceptor.accept(sent, precision, whole) for one in (fast, slow)]
            assert done[0] == done[1]
        assert fast.state() == slow.state()
        loaded_as_accepted(fast, precision)


def loaded_as_accepted(way: Way, precision: str) -> None:
    """The loader's parser reads every line of the log."""
    lines = points = 0
    for kind, payload in way.logged():
        if kind == Kind.DATA:
            text, unit = unwrapped(payload)
            parsed = Parser(learn_after=1).parse(text, unit=unit, now=NOW)
            assert parsed.rejects == []
            assert unit == NANOSECONDS[precision]
            lines += len(parsed.lines)
            points += sum(len(line.values) for line in parsed.lines)
    assert (way.counts.lines, way.counts.points) == (lines, points)


def test_lines_that_are_alike_are_counted_and_logged_as_they_came() -> None:
    body = "".join(f"m,h={n % 7} f={n}.5,g={n}i {n}\n" for n in range(45_000)).encode()
    with both() as (fast, _):
        for _ in range(2):
            done = fast.acceptor.accept(body, "ns", Whole.ALL)
            assert (done.lines, done.points, done.refused) == (45_000, 90_000, [])
        assert b"".join(payload for _, payload in fast.logged()) == body * 2


@pytest.mark.parametrize("precision", sorted(NANOSECONDS))
def test_a_time_out_of_range_is_told_in_every_unit(precision: str) -> None:
    latest = (2**63 - 2) // (NANOSECONDS[precision] or 1)
    known = "".join(f"m f={n} {latest}\n" for n in range(9)).encode()
    beyond = f"m f=1 {latest}\nm f=1 {latest + 1}\n".encode()
    with both() as ways:
        for way in ways:
            assert way.acceptor.accept(known, precision, Whole.NEVER).lines == 9
            done = way.acceptor.accept(beyond, precision, Whole.NEVER)
            assert (done.lines, [one.number for one in done.refused]) == (1, [2])
