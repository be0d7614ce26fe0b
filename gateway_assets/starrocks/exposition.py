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

_LONG = 1000  # frames of longer labels are not worth keeping
_EXACT_END = 2**53  # floats hold every whole number below
_LABEL = re.compile(r'\s*([A-Za-z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)', re.ASCII)
# The value goes on until a quote after which another label, or nothing, follows.
_UNESCAPED = re.compile(
    r'\s*([A-Za-z_]\w*)\s*=\s*"(.*?)"\s*(?:,(?=\s*[A-Za-z_]\w*\s*=\s*"|\s*$)|$)', re.ASCII
)
_FRAME = re.compile(r'\s*(?:[A-Za-z_]\w*\s*="\s*(?:,\s*(?=[A-Za-z_])|,?\s*$))*', re.ASCII)
_ESCAPE = re.compile(r'\\([\\n"])')
_NAME = re.compile(r"[A-Za-z_:][\w:]*", re.ASCII)


class Exposition(NamedTuple):
    """The series that were wanted, by name, in the order of the text.

    Values are finite floats, NaN or infinite; whole numbers beyond 2^53 are ints, exact.
    """

    series: dict[str, list[tuple[Labels, float]]]
    bad_lines: int  # of the names that were wanted, and lines that begin with no name at all
    conflicts: int  # the same name and labels with another value; the first is kept
    is_whole: bool  # it ended with a newline: a number that was cut would be a smaller number
    size: int = 0  # bytes read


class _Frame(NamedTuple):
    parts: int  # of the text between its quotes
    names: list[str]
    order: list[int] | None  # of the values by name, where it is not theirs already
    identity: str


def parse(text: bytes, wanted: frozenset[str]) -> Exposition:
    """Read what a ``/metrics`` page answered. Never raises, whatever the page is."""
    lines = text.decode("utf-8", "replace").split("\n")
    is_whole = lines.pop() == "" and bool(text)
    found: dict[str, dict[str, tuple[Labels, float]]] = {}
    bad_lines = conflicts = 0
    for line in map(str.strip, lines):
        brace = line.find("{")
        name = line[:brace] if brace > 0 else line.partition(" ")[0]
        if name not in wanted:
            name = _spaced_name(line, name)
            if name not in wanted:
                bad_lines += not name
                continue
        if brace > 0:
            head, _, number = line.rpartition("}")
            read = _labels(head[brace + 1 :])
        else:
            read, number = ({}, "="), line[len(name) :]
        value = _value(number)
        if read is None or value is None:
            bad_lines += 1
            continue
        labels, identity = read
        same_name = found.get(name)
        if same_name is None:
            found[name] = {identity: (labels, value)}
        elif identity not in same_name:
            same_name[identity] = labels, value
        else:
            conflicts += _differ(same_name[identity][1], value)
    series = {name: list(each.values()) for name, each in found.items()}
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
    if -_EXACT_END < value < _EXACT_END and "_" not in text:
        return value
    exact = formats.whole(text)
    return value if exact is None and "_" not in text else exact


def _differ(one: float, other: float) -> bool:
    is_nan = math.isnan(one), math.isnan(other)
    return one != other and is_nan != (True, True)


def _labels(text: str) -> tuple[Labels, str] | None:
    """Labels, and a text that is the same for the same labels in any order; None: unreadable."""
    if "\\" in text or len(text) > _LONG:
        return _odd_labels(text)
    parts = text.split('"')
    frame = _frame('"'.join(parts[::2]))
    if frame is None or len(parts) != frame.parts:
        return _odd_labels(text)
    _, names, order, identity = frame
    values = parts[1::2]
    labels = dict(zip(names, values))  # noqa: B905 -- this is hot, and their number is right
    if order:
        values = [values[place] for place in order]
    return labels, identity + '"'.join(values)


def _odd_labels(text: str) -> tuple[Labels, str] | None:
    pairs = _matched(_LABEL, text)
    if pairs is None:
        pairs = _matched(_UNESCAPED, text)
        if pairs is None or any('="' in value for _, value in pairs):
            return None  # a value that swallowed a label: there is no comma between them
    labels = dict(pairs)
    return (labels, repr(sorted(pairs))) if len(labels) == len(pairs) else None


@lru_cache(maxsize=512)
def _frame(text: str) -> _Frame | None:
    """What stands around the values of labels, as in ``type=", state="``: once per family."""
    match = _FRAME.fullmatch(text)
    if not match:
        return None
    names = re.findall(r"\w+", text, re.ASCII)
    order = sorted(range(len(names)), key=names.__getitem__)
    if len(set(names)) < len(names):
        return None
    identity = ",".join(sorted(names)) + "="
    return _Frame(2 * len(names) + 1, names, None if order == sorted(order) else order, identity)


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
