"""What a statement needs of each table: which columns, and which ranges of their values.

DuckDB itself is asked, by EXPLAIN on empty tables of the same columns: its optimizer has pushed
filters and projections down to the scans by then. Only conditions that are fully understood
narrow anything; all others are left to the engine, which filters again in any case. So what is
read is never less than what the answer needs.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from gateway_assets import clock
from gateway_assets.bridge.ranges import ANYTHING, Ranges, both, compared
from gateway_assets.hot.sql import quoted
from gateway_assets.model import Kind
from gateway_assets.tiers.fields import Field
from gateway_assets.tiers.tiered import Tiered

TYPES = {
    Kind.TIME: "TIMESTAMPTZ",
    Kind.INTEGER: "BIGINT",
    Kind.REAL: "DOUBLE",
    Kind.TEXT: "VARCHAR",
    Kind.BLOB: "BLOB",
    Kind.ANY: "VARCHAR",
}
# How a constant is written in a plan, as far as it is understood. A text with other characters
# may be another one than is shown there.
_MOMENT = r"'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?\+00'::TIMESTAMP WITH TIME ZONE"
_EXACT = r"'[\w.:/@+-]+'"
_DAY_TEXT = r"'\d{4}-\d\d-\d\d[^']*'"
_WRITTEN = {
    Kind.TIME: _MOMENT,
    Kind.INTEGER: r"-?\d+",
    Kind.TEXT: rf"(?:{_EXACT}|{_DAY_TEXT})",
}


class Need(NamedTuple):
    """Columns, and for some of them the ranges that their values must be in; of times those are
    microseconds.
    """

    columns: frozenset[str]
    ranges: Mapping[str, Ranges] = {}

    @property
    def only_counts(self) -> bool:
        """Whether it matters how many rows there are, and nothing else of them."""
        return not self.columns


def everything(table: Tiered) -> Need:
    return Need(frozenset(field.name for field in columns_of(table)))


def columns_of(table: Tiered) -> list[Field]:
    """The columns that a query sees: those of the table now, then those that it once had."""
    taken = {field.name.lower() for field in table.fields}
    columns = list(table.fields)
    for field in table.dropped:
        name = field.name
        while name.lower() in taken:
            name = f"{name}_{field.id}"
        taken.add(name.lower())
        columns.append(field._replace(name=name))
    return columns


def definition(table: Tiered) -> str:
    """The columns of a table as CREATE TABLE has them."""
    return ", ".join(f"{quoted(c.name)} {TYPES[c.kind]}" for c in columns_of(table))


def needs(plan: list[dict[str, Any]], named: Mapping[str, Tiered]) -> dict[str, Need]:
    """What the scans of a plan need of the tables behind some names; all where that is unknown."""
    scans = [scan for root in plan for scan in _scans(root)]
    return {name: _need(name, table, scans) for name, table in named.items()}


def _scans(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "Table" in node.get("extra_info", {}):
        yield node["extra_info"]
    for child in node.get("children", []):
        yield from _scans(child)


def _need(name: str, table: Tiered, scans: list[dict[str, Any]]) -> Need:
    found = [
        _scan_need(table, scan)
        for scan in scans
        if str(scan["Table"]).rpartition(".")[2].strip('"') == name
    ]
    return either(found) if found else everything(table)


def either(needed: Collection[Need]) -> Need:
    """What is enough for each of several."""
    first, *others = needed
    columns = frozenset(name for need in needed for name in need.columns)
    shared = {
        name: sum((other.ranges[name] for other in others), start=ranges)
        for name, ranges in first.ranges.items()
        if all(name in other.ranges for other in others)
    }
    return Need(columns, shared)


def _scan_need(table: Tiered, scan: dict[str, Any]) -> Need:
    filters = _texts(scan.get("Filters"))
    projected = {_unquoted(name) for name in _texts(scan.get("Projections"))}
    known = {field.name for field in columns_of(table)}
    # A name that is no word counts as mentioned wherever its letters stand.
    said = "\n".join(filters).lower()
    words = set(re.findall(r"\w+", said))
    mentioned = {name for name in known if _is_said(name.lower(), said, words)}
    if not projected <= known:
        return everything(table)
    return Need(frozenset(projected | mentioned), _ranges(table, filters))


def _is_said(name: str, said: str, words: set[str]) -> bool:
    if re.fullmatch(r"\w+", name):
        return name in words
    return name in said or name.replace('"', '""') in said


def _unquoted(name: str) -> str:
    if len(name) > 1 and name[0] == name[-1] == '"':
        return name[1:-1].replace('""', '"')
    return name


def _texts(value: str | list[str] | None) -> list[str]:
    if not value:
        return []
    return [value] if isinstance(value, str) else value


def _ranges(table: Tiered, filters: list[str]) -> dict[str, Ranges]:
    found: dict[str, Ranges] = {}
    for field in table.fields:
        written = _WRITTEN.get(field.kind)
        if written is None or not re.fullmatch(r"\w+", field.name):
            continue
        ranges = ANYTHING
        for text in filters:
            if field.name in text:
                ranges = both(ranges, _said(field, written, text))
        if field.kind is Kind.TIME:
            ranges = _with_recent(ranges)
        if ranges != ANYTHING:
            found[field.name] = ranges
    return found


def _with_recent(ranges: Ranges) -> Ranges:
    """now() has moved on until the statement runs; what is recent is never cut off."""
    recent = clock.now() - clock.DAY
    return tuple(
        (low, None if high is not None and high > recent else high) for low, high in ranges
    )


def _said(field: Field, written: str, text: str) -> Ranges:
    """What one filter of a plan says about a column; anything when it is not understood."""
    name = rf'"?{re.escape(field.name)}"?'
    bound = rf"(?:optional: )?\({name} (>=|>|<=|<|=) ({written})\)"
    maybe = "(?:optional: )?"
    listed = re.fullmatch(rf"{maybe}\({name} IN \(({written}(?:, {written})*)\)\)", text)
    if listed:
        constants = re.findall(written, listed[1])
        return sum((_range(field, "=", one) for one in constants), start=())
    for word, joined in ((" AND ", both), (" OR ", lambda one, other: (*one, *other))):
        if re.fullmatch(rf"{bound}|{maybe}\({bound}(?:{word}{bound})*\)", text):
            pieces = [_range(field, *found) for found in re.findall(bound, text)]
            ranges = pieces[0]
            for piece in pieces[1:]:
                ranges = joined(ranges, piece)
            return ranges
    return ANYTHING


def _range(field: Field, operator: str, constant: str) -> Ranges:
    """The values that a comparison lets through, never fewer."""
    text = constant.partition("::")[0].strip("'")
    if field.kind is Kind.TIME:
        return compared(operator, clock.parse_moment(text))
    if field.kind is Kind.INTEGER:
        return compared(operator, int(text))
    if re.fullmatch(_EXACT, constant):
        return compared(operator, text)
    # A time as text, with characters behind its day that may be others than are shown.
    day = text[:10]
    low, high = day, day + chr(0x10FFFF)
    return {
        ">=": ((low, None),),
        ">": ((low, None),),
        "<=": ((None, high),),
        "<": ((None, high),),
        "=": ((low, high),),
    }[operator]
