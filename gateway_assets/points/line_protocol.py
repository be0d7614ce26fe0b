"""A body of line protocol as lines and rejects, fast for lines that are alike.

Lines of a host repeat their measurement and tags, and their fields but for the values. So heads are
remembered by their text, and a sequence of fields and types that keeps coming gets an expression of
its own, which takes all values of a line at once. Whatever these do not fit goes through
``grammar``, which alone decides what is malformed; what they do fit, it reads the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from operator import call

from gateway_assets.points import grammar
from gateway_assets.points.encode import Unsigned, encode
from gateway_assets.points.grammar import TIME_MAX, TIME_MIN, Fields, Malformed
from gateway_assets.points.line import Head, Line, Parsed, Part, Reject, Shape, Type, Value

__all__ = [
    "Head", "Line", "Parsed", "Parser", "Reject", "Shape", "Type", "Unsigned", "Value", "encode",
]  # fmt: skip

_LEARN_AFTER = 32  # an expression takes about as long to compile as grammar takes for these lines
_WIDEST = 200  # fields
_RECENT = 8  # shapes of a measurement that a head's line is tried with
_PART_LINES = 20_000
_SHOWN = 1000  # characters of a rejected line
_ROOM = 32_000_000  # bytes of memory for what is remembered, estimated by these:
_A_HEAD, _A_TAG = 400, 120
_A_FIELD, _A_LEARNT_FIELD = 600, 500

# Only what is in range whatever its digits, and valid; the rest is left to the grammar.
_VALUES = {
    Type.FLOAT: r"(-?(?:[0-9]{1,60}+(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]{1,2}+)?)",
    Type.INTEGER: r"(-?[0-9]{1,18}+)i",
    Type.UNSIGNED: r"([0-9]{1,18}+)u",
    Type.BOOLEAN: r"(true|True|TRUE|false|False|FALSE|[tTfF])",
    Type.STRING: r'"([^"\\\ud800-\udfff]{0,16384}+)"',
}
_CONVERTERS: dict[Type, Callable[[str], Value]] = {
    Type.FLOAT: float,
    Type.INTEGER: int,
    Type.UNSIGNED: int,
    Type.BOOLEAN: grammar.TRUE.__contains__,
    Type.STRING: str,
}
_TIME = r"(?: ++(-?+[0-9]{1,19}+))? *+\r?+(?:\n|\Z)"


_fits_nothing = re.compile(r"(?!)").match


class _Template:
    """A shape, and once it has come often an expression for lines of it."""

    __slots__ = ("converters", "keys", "match", "seen", "shape", "time")

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.keys = frozenset(key for key, _ in shape.fields)
        self.converters = [_CONVERTERS[kind] for _, kind in shape.fields]
        self.time = len(shape.fields) + 1  # its group
        self.seen = 0
        self.match = _fits_nothing

    def learn(self) -> None:
        """From the blank before the fields to the end of the line; the last group is the time."""
        values = [
            f"{re.escape(grammar.escaped(key))}={_VALUES[kind]}" for key, kind in self.shape.fields
        ]
        self.match = re.compile(f" ++{','.join(values)}{_TIME}").match


_UNKNOWN = _Template(Shape(()))


class _Known:
    """A head, the template that its last line had, and those of its measurement."""

    __slots__ = ("alike", "head", "recent", "template")

    def __init__(self, head: Head, recent: list[_Template]) -> None:
        self.head = head
        self.recent = recent
        self.use(_UNKNOWN)

    def use(self, template: _Template) -> None:
        self.template = template
        self.alike = _without_values(self.head, template)


class Parser:
    """Reads bodies one after the other, in one thread. What it remembers is bounded.

    ``learn_after`` is how often a shape comes before it gets an expression; 0 is never. Without
    ``values`` a line is only its head and its shape, for who wants to know what can be read: the
    same expressions and the same grammar decide that, but nothing is converted, and lines that are
    alike are one object.
    """

    def __init__(self, *, learn_after: int = _LEARN_AFTER, values: bool = True) -> None:
        self._learn_after = learn_after
        self._takes_values = values
        self._heads: dict[str, _Known] = {}
        self._templates: dict[tuple[tuple[str, Type], ...], _Template] = {}
        self._recent: dict[str, list[_Template]] = {}
        self._room = _ROOM

    def parse(self, body: bytes, *, unit: int = 1, now: int) -> Parsed:
        """Each line of a body. Never raises, whatever the body is.

        Times are in units of ``unit`` nanoseconds, or of what their size tells with 0. A
        line without one gets ``now``, nanoseconds since 1970 rounded down to a unit, as InfluxDB
        does.
        """
        parsed = Parsed([], [])
        for part in self.parts(body, unit=unit, now=now):
            parsed.lines.extend(part.lines)
            parsed.rejects.extend(part.rejects)
        return parsed

    def parts(
        self, body: bytes, *, unit: int = 1, now: int, most: int = _PART_LINES
    ) -> Iterator[Part]:
        """The same in parts of at most ``most`` lines, so that a body need not be lines at once.

        Others may use the parser between two parts.
        """
        text = body.decode("utf-8", "surrogateescape")
        now -= now % (unit or 1)
        lines: list[Line] = []
        rejects: list[Reject] = []
        heads, size = self._heads, len(text)
        at = begun = counted = 0
        number = 1
        while at < size:
            if len(lines) + len(rejects) >= most:
                yield Part(lines, rejects, _bytes(text, begun, at))
                lines, rejects, begun = [], [], at
            blank = _end_of_head(text, at, size)
            known = heads.get(text[at:blank])
            match = known.template.match(text, blank) if known else None
            line = self._taken(known, match, unit, now) if known and match else None
            if line and match:
                lines.append(line)
                at = match.end()
                continue
            start = grammar.left_out(text, at)
            if start > at:
                at = start
                continue
            try:
                line, at = self._read(text, at, unit, now)
            except Malformed as error:
                number += text.count("\n", counted, at)
                counted = at
                at = grammar.end_of_broken(text, at)
                rejects.append(Reject(number, _shown(text, counted, at), str(error)))
            else:
                lines.append(line)
        if begun < size:
            yield Part(lines, rejects, _bytes(text, begun, size))

    def _read(self, text: str, at: int, unit: int, now: int) -> tuple[Line, int]:
        """A line that its head's last template does not fit, and where the next begins."""
        blank = _end_of_head(text, at, len(text))
        known = self._heads.get(text[at:blank])
        if known is None:
            head, blank = grammar.head(text, at)
            known = self._remember(text[at:blank], head)
        for template in known.recent:
            match = template.match(text, blank)
            if match and not any(key in template.keys for key, _ in known.head.tags):
                known.use(template)
                line = self._taken(known, match, unit, now)
                if line:
                    return line, match.end()
        found, end = grammar.fields(text, blank)
        grammar.check_keys(known.head, found)
        time, end = grammar.moment(text, end, unit, now)
        template = self._template(known, found)
        if not self._takes_values:
            return _without_values(known.head, template), end
        values = tuple(value for _, value in found.values())
        return Line(known.head, template.shape, values, time), end

    def _taken(self, known: _Known, match: re.Match[str], unit: int, now: int) -> Line | None:
        """The line of a match of the head's template, or None when its time is out of range."""
        template = known.template
        stamp = match[template.time]
        time = now if stamp is None else grammar.scaled(int(stamp), unit)
        if not TIME_MIN <= time <= TIME_MAX:
            return None
        if not self._takes_values:
            return known.alike
        values = tuple(map(call, template.converters, match.groups()))
        return Line(known.head, template.shape, values, time)

    def _remember(self, raw: str, head: Head) -> _Known:
        self._make_room(len(raw) + _A_HEAD + _A_TAG * len(head.tags))
        known = _Known(head, self._recent.setdefault(head.measurement, []))
        self._heads[raw] = known
        return known

    def _template(self, known: _Known, found: Fields) -> _Template:
        fields = tuple((key, kind) for key, (kind, _) in found.items())
        template = self._templates.get(fields)
        if template is None:
            self._make_room(sum(_A_FIELD + len(key) for key, _ in fields))
            template = self._templates[fields] = _Template(Shape(fields))
        template.seen += 1
        if template.seen == self._learn_after and len(fields) <= _WIDEST:
            self._make_room(_A_LEARNT_FIELD * len(fields))
            template.learn()
        if template.match is not _fits_nothing and template not in known.recent:
            known.recent.insert(0, template)
            del known.recent[_RECENT:]
        return template

    def _make_room(self, size: int) -> None:
        """Forget everything once too much is remembered: what is in use comes back at once."""
        self._room -= size
        if self._room < 0:
            self._heads.clear()
            self._templates.clear()
            self._recent.clear()
            self._room = _ROOM - size


def _without_values(head: Head, template: _Template) -> Line:
    return Line(head, template.shape, (), 0)


def _end_of_head(text: str, at: int, size: int) -> int:
    """The first blank of a line that is not escaped, or the place before the line."""
    end = text.find("\n", at)
    if end < 0:
        end = size
    blank = text.find(" ", at, end)
    while blank > 0 and text[blank - 1] == "\\":
        blank = text.find(" ", blank + 1, end)
    return blank if blank >= 0 else at


def _bytes(text: str, start: int, end: int) -> bytes:
    return text[start:end].encode("utf-8", "surrogateescape")


def _shown(text: str, start: int, end: int) -> str:
    """The first of a rejected line, for people: bytes that are not UTF-8 are replaced."""
    shown = text[start : min(end, start + _SHOWN)]
    return shown.encode("utf-8", "surrogateescape").decode("utf-8", "replace").rstrip("\r\n")
