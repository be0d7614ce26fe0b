"""A body becomes frames: parsed, checked, appended; what cannot be stored is told.

It is read part by part, so that a large one is never lines all at once, and others get their turn.
No value is converted: which lines are good, and which types their fields have, is all it takes.
Lines that are refused do not go into the log, so whoever loads it meets none of them; they are
noted there with their reasons instead.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from threading import Lock

from gateway_assets.errors import FramesUnavailable, UsageError
from gateway_assets.frames.frame import Draft, Kind
from gateway_assets.frames.log import FrameLog
from gateway_assets.points import grammar
from gateway_assets.points.line import Part, Reject
from gateway_assets.points.line_protocol import Parser
from gateway_assets.points.payload import NANOSECONDS, wrapped
from gateway_assets.serve.body import TOO_LARGE
from gateway_assets.serve.counts import Counts
from gateway_assets.serve.refusal import Refusal
from gateway_assets.serve.types import FieldTypes, New

_MOST_NOTED = 1_000  # rejects of one body
_SHOWN = 1_000  # characters of a line


class Whole(Enum):
    """When the good lines of a body are stored that has others."""

    NEVER = auto()  # always
    READABLE = auto()  # when all of them can be read
    ALL = auto()  # when nothing is wrong


@dataclass(slots=True)
class Refused:
    """Lines that are not stored: the first of them, and how many."""

    first: list[Reject] = field(default_factory=list)
    count: int = 0

    def add(self, one: Reject) -> None:
        self.count += 1
        if self.count <= _MOST_NOTED:
            self.first.append(one)


@dataclass(slots=True)
class Accepted:
    """What became of a body. ``unread`` are lines that are no line protocol, ``conflicts`` those
    with a field of another type; the numbers of lines count from 1.
    """

    lines: int = 0
    points: int = 0
    unread: Refused = field(default_factory=Refused)
    conflicts: Refused = field(default_factory=Refused)
    bodies: list[bytes] = field(default_factory=list)  # what goes into the log
    new: New = field(default_factory=dict)  # fields that were not known

    @property
    def refused(self) -> list[Reject]:
        """Both kinds, in the order of their lines."""
        return sorted([*self.unread.first, *self.conflicts.first])

    def is_stored(self, whole: Whole) -> bool:
        if whole is Whole.ALL:
            return not (self.unread.count or self.conflicts.count)
        return whole is Whole.NEVER or not self.unread.count


class Acceptor:
    """Safe from any number of threads; they parse in turns and wait for the disk together."""

    def __init__(self, log: FrameLog, types: FieldTypes, counts: Counts) -> None:
        self._log, self._types, self._counts = log, types, counts
        self._parser = Parser(values=False)
        self._parsing = Lock()

    def accept(self, body: bytes, precision: str, whole: Whole) -> Accepted:
        """Append what is to be stored, and notes of what is refused.

        Raises Refusal (503) when the log cannot take it.
        """
        now = time.time_ns()
        self._types.refresh()
        judged = self._judged(body, precision, now)
        if judged.new:
            with self._types.introducing:
                judged = self._judged(body, precision, now)
                is_stored = self._append(judged, whole, now)
                if is_stored:
                    self._types.add(judged.new)
        else:
            is_stored = self._append(judged, whole, now)
        refused = judged.unread.count + judged.conflicts.count
        stored = (judged.lines, judged.points) if is_stored else (0, 0)
        self._counts.accepted(*stored, refused, len(body))
        return judged

    def _judged(self, body: bytes, precision: str, now: int) -> Accepted:
        judged = Accepted()
        conflict, unit, number = self._types.conflict, NANOSECONDS[precision], 0
        for part in self._parts(body, unit, now):
            # Lines that are alike are one object. What was no conflict is none when it comes again:
            # a type is only ever widened.
            distinct = {id(line): line for line in part.lines}.values()
            reasons = [conflict(line, judged.new) for line in distinct]
            for reject in part.rejects:
                judged.unread.add(reject)
            if part.rejects or any(reasons):
                good = self._good(part, number, unit, judged) if part.lines else b""
            else:
                good = part.body
                judged.lines += len(part.lines)
                judged.points += sum(len(line.shape.fields) for line in part.lines)
            if good:
                judged.bodies.append(wrapped(good, precision))
            number += part.body.count(b"\n")
        return judged

    def _good(self, whole: Part, number: int, unit: int, judged: Accepted) -> bytes:
        """The good lines of a part, as they came, line by line; ``number`` lines are before it."""
        good = []
        for part in self._parts(whole.body, unit, now=0, most=1):
            for line in part.lines:
                reason = self._types.conflict(line, judged.new)
                if reason:
                    judged.conflicts.add(_conflict(part.body, number, reason))
                    continue
                good.append(part.body)
                judged.lines += 1
                judged.points += len(line.shape.fields)
            number += part.body.count(b"\n")
        return b"".join(good)

    def _parts(self, body: bytes, unit: int, now: int, most: int = 20_000) -> Iterator[Part]:
        parts = self._parser.parts(body, unit=unit, now=now, most=most)
        while True:
            with self._parsing:
                part = next(parts, None)
            if part is None:
                return
            yield part

    def _append(self, judged: Accepted, whole: Whole, now: int) -> bool:
        """Whether the good lines are stored."""
        is_stored = judged.is_stored(whole)
        drafts: list[Draft] = []
        if is_stored:
            drafts += [(Kind.DATA, body, now) for body in judged.bodies]
        if judged.refused:
            notes = [{"table": "rejects", **one._asdict()} for one in judged.refused[:_MOST_NOTED]]
            drafts.append((Kind.EVENT, json.dumps(notes).encode(), now))
        try:
            if drafts:
                self._log.append_many(drafts)
        except FramesUnavailable as error:
            raise Refusal(503, str(error)) from None
        except UsageError:
            raise Refusal(413, TOO_LARGE) from None
        return is_stored


def _conflict(body: bytes, number: int, reason: str) -> Reject:
    """The line with its text as it came. Blank lines and comments may be before it."""
    text = body.decode("utf-8", "replace")
    start = grammar.left_out(text, 0)
    number += 1 + text.count("\n", 0, start)
    return Reject(number, text[start : start + _SHOWN].rstrip("\r\n"), reason)
