"""The registry of series: which number a measurement, a set of tags and a field have.

A field of a measurement has one type. Whole numbers and fractions may follow each other: the field
is a float from then on, and nothing is dropped. Anything else is a conflict; points with it are
rejected with InfluxDB's words.
"""

from __future__ import annotations

import json
import sqlite3
from typing import NamedTuple

from gateway_assets.points.line import Head, Line, Shape, Type

# The tags that usually say which device a point is of, the first that is there.
DEVICE_TAGS = ("device_id", "device", "host", "hostname", "name")
MOST_PLANS = 200_000
# In the measurement of gateways an integer field ``quality`` is that of the other fields of its
# line; in the one of metrics a string field ``unit`` is the unit of the others.
GATEWAY_MEASUREMENT, QUALITY_FIELD = "device_data", "quality"
METRICS_MEASUREMENT, UNIT_FIELD = "device_metrics", "unit"
_WHOLE = {Type.INTEGER, Type.UNSIGNED}
_NUMERIC = {*_WHOLE, Type.FLOAT}


class Plan(NamedTuple):
    """What becomes of all lines with one head and one shape.

    ``series`` are the numbers of the series of the values at ``places``. With a ``conflict`` the
    lines cannot be stored.
    """

    head: Head  # held, so that its id() stays its own
    shape: Shape
    series: tuple[int, ...] = ()
    places: tuple[int, ...] = ()
    types: tuple[Type, ...] = ()
    quality: int | None = None  # the place of the value that is the quality of the others
    unit: int | None = None  # and of the one that is their unit
    conflict: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether every value goes into the column of numbers as it is, if a double holds it."""
        whole = len(self.places) == len(self.shape.fields)
        return whole and Type.STRING not in self.types and not self.conflict


class Registry:
    """The series of one database, in memory while it is written.

    Everything happens within the caller's write transaction, which begins with ``refresh``.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._data_version = -1
        self.forget()

    def forget(self) -> None:
        """Of a transaction that was rolled back, the numbers are given again, to others."""
        self._types: dict[tuple[str, str], Type] = {}
        self._plans: dict[tuple[int, int], Plan] = {}
        self._units: dict[int, str] = {}

    def refresh(self) -> None:
        """Forget everything when another connection has written since the last transaction."""
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        if version != self._data_version:
            self._data_version = version
            self.forget()

    def plan(self, head: Head, shape: Shape, time: int) -> Plan:
        """What to do with a line; ``time`` is when a series that is new was first seen."""
        key = id(head), id(shape)
        found = self._plans.get(key)
        if found is None:
            if len(self._plans) >= MOST_PLANS:
                self._plans.clear()
            found = self._plans[key] = self._made(head, shape, time)
        return found

    def set_unit(self, series: int, unit: str) -> None:
        """Note the unit that values of a series came with last."""
        if self._units.get(series) != unit:
            self._connection.execute(
                "UPDATE series SET unit = ? WHERE id = ? AND unit IS NOT ?", (unit, series, unit)
            )
            self._units[series] = unit

    def _made(self, head: Head, shape: Shape, time: int) -> Plan:
        roles = [_role(head.measurement, shape, field, type_) for field, type_ in shape.fields]
        places = [place for place, role in enumerate(roles) if role is None]
        wanted = [(place, *shape.fields[place]) for place in places]
        for _, field, type_ in wanted:
            known = self._known(head.measurement, field)
            if merged_type(known, type_) is None:
                assert known is not None
                conflict = type_conflict(head.measurement, field, type_, known)
                return Plan(head, shape, conflict=conflict)
        return Plan(
            head,
            shape,
            tuple(
                self._number(head, field, self._widened(head.measurement, field, type_), time)
                for _, field, type_ in wanted
            ),
            tuple(places),
            tuple(type_ for _, _, type_ in wanted),
            roles.index(QUALITY_FIELD) if QUALITY_FIELD in roles else None,
            roles.index(UNIT_FIELD) if UNIT_FIELD in roles else None,
        )

    def _widened(self, measurement: str, field: str, type_: Type) -> Type:
        """The type of a field once a value of this type has come."""
        known = self._known(measurement, field)
        wider = merged_type(known, type_)
        assert wider is not None
        if known is not None and wider != known:
            self._connection.execute(
                "UPDATE series SET type = ? WHERE measurement = ? AND field = ?",
                (wider, measurement, field),
            )
        self._types[measurement, field] = wider
        return wider

    def _known(self, measurement: str, field: str) -> Type | None:
        known = self._types.get((measurement, field))
        if known is None:
            row = self._connection.execute(
                "SELECT type FROM series WHERE measurement = ? AND field = ? LIMIT 1",
                (measurement, field),
            ).fetchone()
            if row:
                known = self._types[measurement, field] = Type(row[0])
        return known

    def _number(self, head: Head, field: str, type_: Type, time: int) -> int:
        tags = canonical(head.tags)
        self._connection.execute(
            "INSERT INTO series (measurement, tags, field, type, device, metric, first_seen) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                head.measurement,
                tags,
                field,
                type_,
                device_of(head.tags),
                metric_of(head, field),
                time,
            ),
        )
        (number,) = self._connection.execute(
            "SELECT id FROM series WHERE measurement = ? AND tags = ? AND field = ?",
            (head.measurement, tags, field),
        ).fetchone()
        return int(number)


def canonical(tags: tuple[tuple[str, str], ...]) -> str:
    """Tags as one JSON object, sorted by key: equal sets give equal texts."""
    return json.dumps(dict(tags), ensure_ascii=False, separators=(",", ":"))


def device_of(tags: tuple[tuple[str, str], ...]) -> str | None:
    named = dict(tags)
    return next((named[name] for name in DEVICE_TAGS if name in named), None)


def metric_of(head: Head, field: str) -> str:
    """The name of what is measured: the tag that says so, else measurement and field."""
    named = dict(head.tags)
    for tag in ("metric_name", "metric", "tag_name"):
        if tag in named:
            return named[tag]
    return head.measurement if field == "value" else f"{head.measurement}.{field}"


def _role(measurement: str, shape: Shape, field: str, type_: Type) -> str | None:
    """``quality`` or ``unit`` for a field that says something of the others of its line."""
    if len(shape.fields) == 1:
        return None
    if measurement == GATEWAY_MEASUREMENT and field == QUALITY_FIELD and type_ in _WHOLE:
        return QUALITY_FIELD
    if measurement == METRICS_MEASUREMENT and field == UNIT_FIELD and type_ is Type.STRING:
        return UNIT_FIELD
    return None


def stored_fields(measurement: str, shape: Shape) -> list[tuple[str, Type]]:
    """The fields of a line that become series."""
    return [pair for pair in shape.fields if _role(measurement, shape, *pair) is None]


def merged_type(known: Type | None, type_: Type) -> Type | None:
    """The type of a field of a known type once a value of another comes; None for a conflict."""
    if known is None or known == type_:
        return type_
    if not {known, type_} <= _NUMERIC:
        return None
    return Type.INTEGER if {known, type_} <= _WHOLE else Type.FLOAT


def type_conflict(measurement: str, field: str, type_: Type, known: Type) -> str:
    """In the words of InfluxDB, by which clients know it."""
    return (
        f'field type conflict: input field "{field}" on measurement "{measurement}" '
        f"is type {type_}, already exists as type {known}"
    )


def shown(line: Line) -> str:
    """A line that was left out, for people: measurement, tags, fields with types, time."""
    fields = {
        field: [value, type_]
        for (field, type_), value in zip(line.shape.fields, line.values, strict=True)
    }
    told = [line.head.measurement, dict(line.head.tags), fields, line.time]
    return json.dumps(told, ensure_ascii=False)[:1000]
