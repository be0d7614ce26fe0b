"""Views of points, logs, events and alerts under names and columns of other systems.

DuckDB cannot turn a condition on a computed time into one on the integers below. So a statement is
planned as if such a view were a table of its own; what it needs of that is said in columns and
ranges of the table below, which is then read, and pruned, like any other. Nanoseconds are cut to
microseconds, the finest that a TIMESTAMPTZ has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from gateway_assets.bridge.ranges import Ranges, values
from gateway_assets.bridge.scans import TYPES, Need
from gateway_assets.errors import QueryError
from gateway_assets.hot.sql import Fragment, literal, quoted, sql
from gateway_assets.model import Kind
from gateway_assets.settings import Settings
from gateway_assets.tiers.catalog import Declared
from gateway_assets.tiers.fields import Field
from gateway_assets.tiers.tiered import Tiered

_MEASUREMENT = "measurement"
_TIME = "make_timestamptz(time // 1000)"
_MORE_TAGS = """json_merge_patch(tags, '{"device_id": null, "%s": null}')::VARCHAR"""


class Column(NamedTuple):
    """A column made of the one called ``base``: by SQL of a kind, or the same where that is ""."""

    name: str
    base: str
    made_by: str = ""
    kind: Kind = Kind.TEXT


class Derived(NamedTuple):
    """A view of ``base``, a table of points or of the registry: its rows of some measurements, or
    all.
    """

    name: str
    base: str
    about: str
    columns: tuple[Column, ...]
    measurements: tuple[str, ...] = ()

    @property
    def rows(self) -> str:
        """A view of the table below for this one alone; no statement can name it."""
        return f"gateway rows of {self.name}"

    def create(self, rows: str) -> str:
        """SQL that makes it over a view of the table below."""
        listed = ", ".join(map(literal, self.measurements))
        return sql(
            "CREATE TEMP VIEW {view} AS SELECT {columns} FROM {rows} WHERE {condition}",
            view=self.name,
            columns=Fragment(", ".join(_selected(column) for column in self.columns)),
            rows=rows,
            condition=Fragment(f"{_MEASUREMENT} IN ({listed})" if listed else "true"),
        )

    def over(self, table: Tiered) -> Tiered:
        """The view as a table of its own. Raises QueryError when the one below lacks a column."""
        known = {field.name: field for field in table.fields}
        fields = []
        for number, column in enumerate(self.columns, start=1):
            if column.base not in known:
                raise QueryError(f"{self.name}: table {self.base} has no column {column.base!r}")
            same = known[column.base]._replace(id=number, name=column.name)
            made = Field(number, column.name, column.kind)
            fields.append(made if column.made_by else same)
        return replace(table, name=self.name, fields=tuple(fields), dropped=())

    def need(self, of: Need) -> Need:
        """What of the table below is needed when this is what is needed of the view."""
        columns = {column.base for column in self.columns if column.name in of.columns}
        ranges: dict[str, Ranges] = {}
        for column in self.columns:
            if column.name in of.ranges and column.made_by == _TIME:
                ranges[column.base] = _in_nanoseconds(of.ranges[column.name])
            elif column.name in of.ranges and not column.made_by:
                ranges[column.base] = of.ranges[column.name]
        if self.measurements:
            columns.add(_MEASUREMENT)
            ranges[_MEASUREMENT] = values(self.measurements)
        return Need(frozenset(columns), ranges)


def derived_of(settings: Settings, declared: Sequence[Declared]) -> dict[str, Derived]:
    """The views that there are; a declared table of the same name goes before one."""
    ours = {settings.points_database.resolve(), settings.registry_database.resolve()}
    there = {one.name for one in declared if one.database.resolve() in ours}
    taken = {one.name.lower() for one in declared}
    return {one.name: one for one in DERIVED if one.base in there and one.name.lower() not in taken}


def translated(needed: Mapping[str, Need], derived: Sequence[Derived]) -> dict[str, Need]:
    """The same needs with those of tables in the place of those of views."""
    found = dict(needed)
    for one in derived:
        found[one.rows] = one.need(found.pop(one.name))
    return found


def _selected(column: Column) -> str:
    if not column.made_by:
        return f"{quoted(column.base)} AS {quoted(column.name)}"
    return f"({column.made_by})::{TYPES[column.kind]} AS {quoted(column.name)}"


def _in_nanoseconds(ranges: Ranges) -> Ranges:
    """Cut to microseconds, also of times before 1970, whose fractions are cut upwards."""
    return tuple(
        (None if low is None else low * 1000 - 999, None if high is None else high * 1000 + 999)
        for low, high in ranges
    )


_T = Column("time", "time", _TIME, Kind.TIME)
DERIVED = (
    Derived(
        "device_metrics",
        "points",
        "Values of metrics of devices: measurement `device_metrics`.",
        (
            _T,
            Column("device_id", "device"),
            Column("metric_name", "metric"),
            Column("metric_value", "value"),
            Column("metric_text", "text"),
            Column("unit", "unit"),
            Column("tags", "tags", _MORE_TAGS % "metric_name"),
        ),
        ("device_metrics",),
    ),
    Derived(
        "device_data",
        "points",
        "Tags of gateways: measurement `device_data`. Quality 0 bad, 1 uncertain, 2 good.",
        (
            _T,
            Column("device_id", "device"),
            Column("tag_name", "metric"),
            Column("value", "value"),
            Column("text", "text"),
            Column("quality", "quality", "coalesce(quality, 2)", Kind.INTEGER),
            Column("unit", "unit"),
            Column("tags", "tags", _MORE_TAGS % "tag_name"),
        ),
        ("device_data",),
    ),
    Derived(
        "system_metrics",
        "points",
        "What agents say of hosts: measurements `cpu`, `mem`, `disk`, `system`, `net`.",
        (
            _T,
            Column("host", "device"),
            Column("measurement", _MEASUREMENT),
            Column("field", "field"),
            Column("metric", "metric"),
            Column("value", "value"),
            Column("text", "text"),
            Column("tags", "tags"),
        ),
        ("cpu", "disk", "mem", "net", "system"),
    ),
    Derived(
        "device_logs",
        "point_logs",
        "Lines that devices logged.",
        (_T, *(Column(name, name) for name in ("device_id", "level", "message", "source", "tags"))),
    ),
    Derived(
        "device_events",
        "point_events",
        "What happened to devices.",
        (
            _T,
            *(
                Column(name, name)
                for name in ("device_id", "event_type", "event_data", "severity", "tags")
            ),
        ),
    ),
    Derived(
        "alert_events",
        "alert_history",
        "Times that a rule was in alarm. `duration` in seconds, NULL while it lasts.",
        (
            Column("time", "fired_at"),
            *(Column(name, name) for name in ("rule_id", "device_id", "tag_id", "level", "status")),
            Column("triggered_value", "triggered_value"),
            Column("threshold_value", "threshold_value"),
            Column("duration", "duration", "duration / 1000", Kind.REAL),
            Column("message", "message"),
        ),
    ),
)
