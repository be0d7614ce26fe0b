"""iftop's text output, on literals and on transcripts of real runs."""

from __future__ import annotations

import json
import re
import sys
from itertools import cycle
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway_assets.capture.backends.iftop import _failure
from gateway_assets.capture.child import Child
from gateway_assets.capture.iftop_text import Block, IftopText, Pair, slot_bytes

RECORDED = Path(__file__).with_name("recorded_iftop.py")
CASES = sorted((Path(__file__).parents[1] / "cases" / "ip_traffic").iterdir())
HEAD = "   # Host name (port/service if enabled)   last 2s   last 10s   last 40s cumulative"
FIRST = "   1 192.0.2.1               =>     2.03KB     1.27KB     1.27KB     5.08KB"
SECOND = "     198.51.100.7            <=       420B       263B       263B     1.03KB"
LAST = "Cumulative (sent/received/total):     5.08KB     1.03KB     6.11KB"
PAIR = Pair("198.51.100.7", 4157, 840)


def read(lines: list[str]) -> tuple[list[Block], int]:
    text = IftopText()
    blocks = [block for block in map(text.feed, lines) if block]
    cut = text.end()
    return blocks + ([cut] if cut else []), text.parse_errors


def sums(lines: list[str]) -> dict[str, int]:
    printed, errors = read(lines)
    blocks = [
        b for b, before in zip(printed, [None, *printed], strict=False) if not b.repeats(before)
    ]
    pairs = [pair for block in blocks for pair in block.pairs]
    return {
        "tx_bytes": sum(pair.tx_bytes for pair in pairs),
        "rx_bytes": sum(pair.rx_bytes for pair in pairs),
        "remotes": len({pair.remote for pair in pairs if pair.tx_bytes or pair.rx_bytes}),
        "blocks": len(blocks),
        "parse_errors": errors,
    }


def expected(case: Path) -> dict[str, int]:
    found: dict[str, int] = json.loads((case / "expected.json").read_text())
    found.pop("failure", None)
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_transcript_holds_what_was_computed_from_it_by_hand(case: Path) -> None:
    assert sums((case / "input.txt").read_bytes().decode().split("\n")) == expected(case)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_same_in_the_pieces_in_which_it_came(case: Path) -> None:
    child = Child([sys.executable, "-I", "-S", str(RECORDED), str(case)])
    try:
        lines = []
        while not child.ended:
            child.press(b" ")
            lines += child.lines(20)
        status, errors = child.last_words()
    finally:
        child.close()
    assert sums(lines) == expected(case)
    recorded = (case / "input.txt").read_text()
    assert f"exit status: {status};" in recorded
    assert recorded.endswith(errors)
    failure = json.loads((case / "expected.json").read_text()).get("failure")
    assert failure is None or _failure("iftop", errors).message == f"iftop: {failure}"
    assert (status == 1) == (failure is not None)


STRAYS = [FIRST[:40], SECOND[:40], FIRST + "\r", "a <= b c => d", FIRST + " x", "# => <=", ""]


@given(
    st.lists(st.sampled_from([HEAD, FIRST, FIRST, SECOND, SECOND, LAST, *STRAYS])),
    st.lists(st.integers(1, 6), min_size=1),
)
@example([HEAD, FIRST, FIRST, SECOND, SECOND, LAST], [6])
def test_a_text_says_the_same_wherever_it_is_cut(lines: list[str], sizes: list[int]) -> None:
    text, left, blocks = IftopText(), list(lines), []
    for size in cycle(sizes):
        if not left:
            break
        blocks += text.read("".join(f"{line}\n" for line in left[:size]))
        left = left[size:]
    cut = text.end()
    assert (blocks + ([cut] if cut else []), text.parse_errors) == read(lines)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_transcript_says_the_same_as_one_text(case: Path) -> None:
    transcript, text = (case / "input.txt").read_bytes().decode(), IftopText()
    blocks = text.read(transcript + "\n")
    cut = text.end()
    found = blocks + ([cut] if cut else []), text.parse_errors
    assert found == read(transcript.split("\n"))


@pytest.mark.parametrize(
    ("rate", "size"),
    [
        ("0B", 0),
        ("420B", 840),
        ("0.98KB", 2007),
        ("2.51KB", 5140),
        ("489KB", 1_001_472),
        ("47.7MB", 100_034_150),
        ("1234GB", 2468 * 2**30),
        ("8b", 2),
        ("2b", 1),
        ("4.00Kb", 1024),
    ],
)
def test_bytes_of_a_slot(rate: str, size: int) -> None:
    assert slot_bytes(rate) == size


@pytest.mark.parametrize("rate", ["", "B", "12", "1.2.3KB", "-4B", "4 B", "4TB", "4kB", "٤B"])
def test_what_is_no_rate(rate: str) -> None:
    assert slot_bytes(rate) is None


@given(st.integers(0, 1023 * 2**30))
def test_three_digits_are_kept(rate: int) -> None:
    text = iftop_prints(rate)
    found = slot_bytes(text)
    assert found is not None
    assert abs(found - 2 * rate) <= 0.0052 * 2 * rate + 1


def iftop_prints(rate: int) -> str:
    """As in ui_common.c of iftop: base 1024, three digits, up from 1000."""
    value, unit = float(rate), 0
    while value >= 1000 and unit < 3:
        value, unit = value / 1024, unit + 1
    digits = 0 if unit == 0 or value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f}{['B', 'KB', 'MB', 'GB'][unit]}"


@given(st.lists(st.text(max_size=80), max_size=20))
def test_no_text_makes_it_fail(lines: list[str]) -> None:
    read(lines)


def test_a_block() -> None:
    [block], errors = read([HEAD, FIRST, SECOND, LAST])
    assert (block.pairs, errors) == ((PAIR,), 0)
    assert read([line + "\r" for line in (HEAD, FIRST, SECOND, LAST)])[0][0].pairs == (PAIR,)


def test_pairs_without_bytes_are_left_out() -> None:
    silent = [re.sub(r"[0-9.]+K?B", "0B", line) for line in (FIRST, SECOND)]
    sent_only = [FIRST, re.sub(r"[0-9.]+K?B", "0B", SECOND)]
    blocks, errors = read([HEAD, *silent, FIRST, SECOND, *sent_only, *silent, LAST])
    assert blocks[0].pairs == (PAIR, PAIR._replace(rx_bytes=0))
    assert errors == 0


def test_ranks_may_have_any_width() -> None:
    wide = FIRST.replace("   1 ", "10000 ")
    assert read([HEAD, wide, SECOND, LAST])[0][0].pairs == (PAIR,)


def pairs_of(lines: list[str]) -> tuple[list[tuple[Pair, ...]], int]:
    blocks, errors = read(lines)
    return [block.pairs for block in blocks], errors


def test_the_same_slot_twice_is_known_by_what_it_should_have_added() -> None:
    """The totals below the pairs are of the moment, so they may differ."""
    later = LAST.replace("5.08KB     1.03KB     6.11KB", "9.08KB     1.03KB     10.1KB")
    [before, again], _ = read([HEAD, FIRST, SECOND, LAST, HEAD, FIRST, SECOND, later])
    assert again.repeats(before)
    assert not before.repeats(None)
    much = [FIRST.replace("5.08KB", "5.08MB"), SECOND.replace("1.03KB", "1.03MB")]
    [before, again], _ = read([HEAD, *much, LAST, HEAD, *much, LAST])
    assert again.same_lines(before)  # but 4157 bytes more may still be 5.08MB
    assert not again.repeats(before)


def test_half_a_pair_is_left_out_and_counted() -> None:
    assert pairs_of([HEAD, FIRST, FIRST, SECOND, LAST]) == ([(PAIR,)], 1)
    assert pairs_of([HEAD, FIRST]) == ([()], 1)
    assert pairs_of([HEAD, FIRST, SECOND, FIRST[:40]]) == ([(PAIR,)], 1)
    assert read([HEAD, FIRST, SECOND[:40], LAST])[1] == 1


def test_names_instead_of_addresses_are_counted_as_errors() -> None:
    blocks, errors = read([HEAD, FIRST, SECOND.replace("198.51.100.7", "example.org "), LAST])
    assert blocks[0].pairs == ()
    assert errors == 1


def test_comments_may_hold_arrows() -> None:
    assert read(["# q => 1 <= 2", "Listening on lo"]) == ([], 0)
