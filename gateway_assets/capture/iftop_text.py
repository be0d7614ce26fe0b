"""What iftop prints in text mode (``-t``), as blocks of bytes per pair of hosts.

    # Host name (port/service if enabled)        last 2s   last 10s   last 40s cumulative
    1 192.0.2.1                          =>     2.03KB     1.27KB     1.27KB     5.08KB
      198.51.100.7                       <=       420B       263B       263B     1.03KB
    ====================================================================================

The first line of a pair is the near side and what it sent, the second the far side and what was
received. Twice the "last 2s" column is exactly what was counted since the block before, to the
three digits printed. Units are powers of 1024: ``B`` bytes (option -B), ``b`` bits (without).

The key ``u`` may print the pairs of the block before once more, under totals of this moment.

A block may have thousands of pairs every two seconds, so what each costs matters: one search finds
all that stand whole in a text, and only what is left is taken line by line. Most rates and hosts
have been in a block before, and what they mean is remembered.
"""

from __future__ import annotations

import re
from functools import lru_cache, partial
from typing import NamedTuple

from gateway_assets.capture.addresses import parse_host

_WORD, _KEPT = r" ++\S++", r" ++(\S++)"
_LINES = re.compile(  # a pair with the rates and cumulative amounts of both lines, or any one line
    rf"( *+[0-9]++{_WORD} ++=>{_KEPT}{_WORD}{_WORD}{_KEPT}\n"
    rf"{_KEPT} ++<={_KEPT}{_WORD}{_WORD}{_KEPT})\n"
    r"|(.*)\n"
)
_VALUE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([KMG]?)([bB])")
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}
_REMEMBERED = 4096  # texts of rates, and of hosts: a megabyte of each
_address = lru_cache(_REMEMBERED)(parse_host)


class Pair(NamedTuple):
    remote: str
    tx_bytes: int
    rx_bytes: int


_pair_of = partial(tuple.__new__, Pair)  # in half the time of a call of the class


class Block(NamedTuple):
    pairs: tuple[Pair, ...]  # those that exchanged anything
    hash: int  # of the pairs' lines, with all their columns; of this process only
    adds: bool  # so much that a cumulative column must differ from the block before

    def same_lines(self, before: Block | None) -> bool:
        return before is not None and self[:2] == before[:2]

    def repeats(self, before: Block | None) -> bool:
        """Whether it is certainly the block before, printed once more."""
        return self.adds and self.same_lines(before)


@lru_cache(_REMEMBERED)
def slot_bytes(rate: str) -> int | None:
    """Bytes of a two-second slot from its "last 2s" rate; None when it is not a rate."""
    match = _VALUE.fullmatch(rate)
    if not match:
        return None
    number, unit, kind = match.groups()
    total = 2 * float(number) * _UNITS[unit]
    return int(total / (8 if kind == "b" else 1) + 0.5)


def _shows(size: int, cumulative: str) -> bool:
    """Whether adding so many bytes changes an amount as it is printed, rounding considered."""
    match = _VALUE.fullmatch(cumulative)
    if not match:
        return False
    number, unit, _ = match.groups()
    decimals = len(number.partition(".")[2])
    return size * 0.99 * 10.0**decimals > _UNITS[unit]


class IftopText:
    """Takes lines, gives blocks. Lines beginning with ``#`` are comments."""

    def __init__(self, parse_errors: int = 0) -> None:
        self.parse_errors = parse_errors
        self._pairs: list[Pair] = []
        self._half: tuple[str, str, str] | None = None  # a first line, its rate and cumulative
        self._seen = False
        self._hash = 0
        self._adds = False

    def read(self, text: str) -> list[Block]:
        """The blocks that these lines end, each of which ends with a line feed."""
        blocks: list[Block] = []
        for pair, tx, tx_total, host, rx, rx_total, line in _LINES.findall(text):
            if pair:
                self._drop_half()
                self._pair(pair, tx, tx_total, host, rx, rx_total)
            elif block := self.feed(line):
                blocks.append(block)
        return blocks

    def feed(self, line: str) -> Block | None:
        """The block that this line ends, if it ends one."""
        words = line.split()
        if line.startswith("#"):
            return None
        if len(words) == 7 and words[2] == "=>":
            self._first(line, words[3], words[6])
        elif len(words) == 6 and words[1] == "<=":
            self._second(line, words[0], words[2], words[5])
        elif "=>" in words:
            self._first("", "", "")
        elif "<=" in words:
            self._second("", "", "", "")
        elif words[:2] == ["#", "Host"]:
            return self._begin()
        elif words[:1] == ["Cumulative"] and self._seen:
            return self._end()
        return None

    def end(self) -> Block | None:
        """What a cut transcript holds of a block that never ended."""
        self._drop_half()
        return self._end() if self._seen else None

    def _begin(self) -> Block | None:
        cut = self.end()
        self._seen = True
        return cut

    def _first(self, line: str, tx: str, tx_total: str) -> None:
        self._drop_half()
        self._half = line, tx, tx_total

    def _second(self, line: str, host: str, rx: str, rx_total: str) -> None:
        if self._half:
            first, tx, tx_total = self._half
            self._half = None
            self._pair(f"{first}\n{line}", tx, tx_total, host, rx, rx_total)

    def _pair(self, lines: str, tx: str, tx_total: str, host: str, rx: str, rx_total: str) -> None:
        self._hash = hash((self._hash, lines))
        sent, received, remote = slot_bytes(tx), slot_bytes(rx), _address(host)
        if sent is None or received is None or remote is None:
            self.parse_errors += 1
        elif sent or received:
            self._pairs.append(_pair_of((remote, sent, received)))
        if not self._adds:
            self._adds = _shows(sent or 0, tx_total) or _shows(received or 0, rx_total)

    def _drop_half(self) -> None:
        """Count a first line whose second one never came."""
        if self._half:
            self.parse_errors += 1
            self._half = None

    def _end(self) -> Block:
        self._drop_half()
        block = Block(tuple(self._pairs), self._hash, self._adds)
        self._pairs, self._hash, self._adds = [], 0, False
        self._seen = False
        return block
