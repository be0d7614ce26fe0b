"""Logs and events: rows with text, each kept as often as it happened, not as often as it came.

Clients repeat what was not acknowledged. Two rows are the same when everything in them is the
same; a digest tells, so that two different ones of the same nanosecond both stay.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, NamedTuple

from gateway_assets.model import INT64_MAX, is_unicode

LOGS, EVENTS, REJECTS = "logs", "events", "rejects"
_COLUMNS = {
    LOGS: ("time", "device_id", "level", "message", "source", "tags"),
    EVENTS: ("time", "device_id", "event_type", "severity", "event_data", "tags"),
}
_REQUIRED = {LOGS: ("device_id", "level", "message"), EVENTS: ("device_id", "event_type")}


class Entry(NamedTuple):
    """A row of ``point_logs`` or ``point_events``, in the order of its columns."""

    table: str
    values: tuple[Any, ...]


class Refused(NamedTuple):
    """An object that is no row, and why."""

    number: int
    text: str
    reason: str


def entries(payload: bytes) -> tuple[list[Entry], list[Refused]]:
    """The rows of an EVENT frame. What is none is told, the others count."""
    try:
        objects = json.loads(payload)
    except (ValueError, RecursionError) as error:
        return [], [Refused(0, payload[:1000].decode(errors="replace"), f"no JSON: {error}")]
    if not isinstance(objects, list):
        objects = [objects]
    good, refused = [], []
    for number, found in enumerate(objects, start=1):
        if isinstance(found, dict) and found.get("table") == REJECTS:
            refused.append(_noted(found))
            continue
        reason = _misfit(found)
        if reason:
            refused.append(Refused(number, json.dumps(found)[:1000], reason))
        else:
            good.append(_entry(found))
    return good, refused


def _noted(found: dict[str, Any]) -> Refused:
    """A reject that the writer of the log has found itself."""
    number = found.get("number")
    shown = (str(found.get(name, "")) for name in ("text", "reason"))
    text, reason = (one if is_unicode(one) else repr(one) for one in shown)
    if not isinstance(number, int) or not 0 <= number <= INT64_MAX:
        number = 0
    return Refused(number, text, reason)


def _misfit(found: Any) -> str:
    if not isinstance(found, dict) or found.get("table") not in _COLUMNS:
        return "table must be logs or events"
    time = found.get("time")
    if type(time) is not int or not 0 <= time <= INT64_MAX:
        return "time must be nanoseconds since 1970"
    for name in _REQUIRED[found["table"]]:
        if not isinstance(found.get(name), str) or not found[name]:
            return f"{name} is missing"
    texts = (value for value in _values(found) if isinstance(value, str))
    return "" if all(map(is_unicode, texts)) else "not valid Unicode"


def _entry(found: dict[str, Any]) -> Entry:
    return Entry(found["table"], _values(found))


def _values(found: dict[str, Any]) -> tuple[Any, ...]:
    """The values in the order of the columns; what is no text becomes its JSON."""
    given = {name: _text(value) for name, value in found.items() if value is not None}
    given = {"tags": "{}", "event_data": "null" if "event_data" in found else "{}"} | given
    time, *others = _COLUMNS[found["table"]]
    return found[time], *map(given.get, others)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else canonical(value)


def canonical(value: Any) -> str:
    """JSON with sorted keys: equal values give equal texts."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def insert_entries(connection: sqlite3.Connection, rows: Iterable[Entry]) -> int:
    """Write rows that are not there yet; returns how many these were."""
    written = 0
    for table, values in rows:
        columns = _COLUMNS[table]
        marks = ", ".join("?" * (len(columns) + 1))
        written += connection.execute(
            f"INSERT INTO point_{table} ({', '.join(columns)}, digest) VALUES ({marks}) "
            "ON CONFLICT DO NOTHING",
            (*values, _digest(values)),
        ).rowcount
    return written


def _digest(values: tuple[Any, ...]) -> bytes:
    """Eight bytes: of rows with the same nanosecond, two different ones never meet in practice."""
    return blake2b(repr(values).encode(), digest_size=8).digest()
