"""Durations in ms, as people write them: ``500ms``, ``30s``, ``5m``, ``2h``, ``1d``."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer

_UNITS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
LONGEST = 3_660 * _UNITS["d"]


def milliseconds(given: Any) -> Any:
    """Whole ms of a text such as ``30s``; what is no text is left to others.

    Raises ValueError for a text of another form.
    """
    if not isinstance(given, str):
        return given
    found = re.fullmatch(r"([0-9]{1,15})(ms|s|m|h|d)", given.strip())
    if not found:
        raise ValueError("a duration is written as 500ms, 30s, 5m, 2h or 1d")
    return int(found[1]) * _UNITS[found[2]]


def duration_text(number: int) -> str:
    """The shortest such text of a number of ms."""
    if not number:
        return "0s"
    unit, size = next((unit, size) for unit, size in _UNITS.items() if number % size == 0)
    return f"{number // size}{unit}"


Milliseconds = Annotated[
    int,
    BeforeValidator(milliseconds),
    Field(ge=0, le=LONGEST),
    PlainSerializer(duration_text, when_used="json"),
]
