r"""Prometheus' text format as StarRocks writes it, read without ever failing.

https://prometheus.io/docs/instrumenting/exposition_formats/ with what frontends and backends make
of it: two blanks after HELP, ``, `` or ``,`` between labels, label values with quotes that are not
escaped, Java's ``1.7196E8``, families in pieces, the same series twice, lines that are none.
A standard parser refuses the whole text for one such line. Backslashes are read as the format says
(``\\``, ``\n``, ``\"``), although frontends do not write them so: other writers do.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import NamedTuple

from gateway_assets.starrocks import formats

Labels = dict[str, str]
Identity = tuple[tuple[str, str], ...]

_EXACT_END = 2**53  # floats hold every whole number below
_LABEL = re.compile(r'\s*([A-Za-z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)', re.ASCII)
# The value goes on until a quote after which another label, or nothing, follows.
_UNESCAPED = re.compile(
    r'\s*([A-Za-z_]\w*)\s*=\s*"(.*?)"\s*(?:,(?=\s*[A-Za-z_]\w*\s*=\s*"|\s*$)|$)', re.ASCII
)
_ESCAPE = re.compile(r'\\([\\n"])')
_NAME = re.compile(r"[A-Za-z_:][\w:]*", re.ASCII)


class Exposition(NamedTuple):
    """The series that were wanted, by name, in the order of the text.

    Values are finite floats, NaN or infinite; whole numbers beyond 2^53 are ints, exact. Labels
    may be shared between series and between texts: they are not to be changed.
    """

    series: dict[str, list[tuple[Labels, float]]]
    bad_lines: int  # of the names that were wanted, and lines that begin with no name at all
    conflicts: int  # the same name and labels with another value; the first is kept
    is_whole: bool  # it ended with a newline: a number that was cut would be a smaller number
    size: int = 0  # bytes read


class _Labelled(NamedTuple):
    by_name: Labels
    identity: Identity


def parse(text: bytes, wanted: frozenset[str]) -> Exposition:
    """Read what a ``/metrics`` page answered. Never raises, whatever the page is."""
    lines = text.decode("utf-8", "replace").split("\n")
    is_whole = lines.pop() == "" and bool(text)
    series: dict[str, list[tuple[Labels, float]]] = {}
    seen: dict[tuple[str, Identity], float] = {}
    bad_lines = conflicts = 0
    for line in map(str.strip, lines):
        brace = line.find("{")
        name = line[:brace] if brace > 0 else line.partition(" ")[0]
        if name not in wanted:
            name = _spaced_name(line, name)
            if name not in wanted:
                bad_lines += not name
                continue
        end = line.rfind("}") + 1 or len(name)
        labels = _labelled(line[brace + 1 : end - 1] if brace > 0 else "")
        value = _value(line[end:])
        if labels is None or value is None:
            bad_lines += 1
            continue
        key = (name, labels.identity)
        if key in seen:
            conflicts += _differ(seen[key], value)
            continue
        seen[key] = value
        series.setdefault(name, []).append((labels.by_name, value))
    return Exposition(series, bad_lines, conflicts, is_whole, len(text))


def _spaced_name(line: str, name: str) -> str:
    """The name where blanks or a tab follow it, ``#`` for no sample, nothing for no name."""
    if not line or line[0] == "#":
        return "#"
    if name.isidentifier():
        return name
    match = _NAME.match(line)
    return match[0] if match else ""


def _value(text: str) -> float | None:
    """The number before the timestamp, if there is one."""
    try:
        value = float(text)
    except ValueError:
        parts = text.split()
        if len(parts) != 2 or not parts[1].lstrip("-").isdigit():
            return None
        return _value(parts[0])
    if "_" in text:
        return None
    if -_EXACT_END < value < _EXACT_END:
        return value
    exact = formats.whole(text)
    return value if exact is None else exact


def _differ(one: float, other: float) -> bool:
    is_nan = math.isnan(one), math.isnan(other)
    return one != other and is_nan != (True, True)


@lru_cache(maxsize=16384)  # the labels of a page are those of the page before
def _labelled(text: str) -> _Labelled | None:
    if not text.strip():
        return _Labelled({}, ())
    pairs = _plain(text) or _matched(_LABEL, text) or _matched(_UNESCAPED, text)
    if pairs is None:
        return None
    by_name = dict(pairs)
    return _Labelled(by_name, tuple(sorted(pairs))) if len(by_name) == len(pairs) else None


def _plain(text: str) -> list[tuple[str, str]] | None:
    """Labels without a backslash and without a quote in a value: nearly all of them."""
    if "\\" in text:
        return None
    parts = text.split('"')
    names = [part.strip(" \t") for part in parts[:-1:2]]
    if not len(parts) % 2 or parts[-1].strip(" \t") not in {"", ","}:
        return None
    bare = [names[0][:-1], *(name[1:-1].strip(" \t") for name in names[1:])]
    is_clean = (
        all(name.endswith("=") for name in names)
        and all(name.startswith(",") for name in names[1:])
        and all(name.isidentifier() and name.isascii() for name in bare)
    )
    return list(zip(bare, parts[1::2], strict=True)) if is_clean else None


def _matched(label: re.Pattern[str], text: str) -> list[tuple[str, str]] | None:
    """Labels one after the other, or None when something is left over."""
    pairs = []
    position = 0
    while position < len(text):
        match = label.match(text, position)
        if not match:
            return None
        pairs.append((match[1], _ESCAPE.sub(_unescape, match[2])))
        position = match.end()
    return pairs


def _unescape(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]
