"""Tables of devices and tags as CSV, also as Excel writes it: with a BOM, with semicolons, and then
perhaps with decimal commas.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from gateway_assets.errors import RegistryError
from gateway_assets.registry.cells import is_number, value_of
from gateway_assets.registry.entries import DeviceEntry, Entry, TagEntry

DEVICE_COLUMNS = tuple(DeviceEntry.model_fields)
TAG_COLUMNS = ("device", *TagEntry.model_fields)
_THOUSANDS = re.compile(r"[-+]?[0-9]{1,3}(\.[0-9]{3})+")


class Table(NamedTuple):
    """The rows of a file of ``devices`` or ``tags``, each with its line, and what is wrong."""

    kind: str
    rows: list[dict[str, Any]]
    lines: list[int]
    problems: list[tuple[int, str]]


def read_csv(text: str, name: str) -> Table:
    """Raises RegistryError for a file whose header or form is not understood."""
    header_line = text.splitlines()[0] if text.strip() else ""
    mark = _separator(header_line, name)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
        header = [cell.strip() for cell in next(reader, [])]
        kind, entry = _kind(header, name)
        cells = [(reader.line_num, row) for row in reader if any(row)]
    except csv.Error as error:
        raise RegistryError(f"{name}: no CSV: {error}", hint="is the file whole?") from None
    table = Table(kind, [], [], [])
    comma = _decimal_comma(entry, header, cells, table) if mark == ";" else False
    for line, row in cells:
        if len(row) != len(header):
            told = f"{len(row)} cells, but the header has {len(header)}"
            table.problems.append((line, told))
            continue
        table.rows.append(_values(entry, dict(zip(header, row, strict=True)), line, comma, table))
        table.lines.append(line)
    return table


def write_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as CSV that ``read_csv`` gives back."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)  # ends lines as RFC 4180 does, so that it quotes both characters
    writer.writerow(columns)
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    return file.getvalue()


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case dict() | list():
            return json.dumps(value, ensure_ascii=False) if value else ""
        case _:
            return str(value)


def _separator(header: str, name: str) -> str:
    if "," in header and ";" in header:
        raise RegistryError(
            f"{name}:1: commas and semicolons in the header: which one separates?",
            hint="separate columns by one of them only",
        )
    return ";" if ";" in header else ","


def _kind(header: list[str], name: str) -> tuple[str, type[Entry]]:
    columns, kind, entry = (
        (TAG_COLUMNS, "tags", TagEntry)
        if "device" in header
        else (DEVICE_COLUMNS, "devices", DeviceEntry)
    )
    hint = f"columns of devices: {', '.join(DEVICE_COLUMNS)}; of tags: {', '.join(TAG_COLUMNS)}"
    wrong = [column for column in header if column not in columns]
    if wrong:
        raise RegistryError(f"{name}:1: {kind} have no column {wrong[0]!r}", hint=hint)
    if len(set(header)) < len(header):
        raise RegistryError(f"{name}:1: a column is there twice", hint=hint)
    required = {one for one, field in entry.model_fields.items() if field.is_required()}
    missing = [column for column in columns if column in required and column not in header]
    if missing:
        raise RegistryError(f"{name}:1: {kind} need a column {missing[0]!r}", hint=hint)
    return kind, entry


def _decimal_comma(
    entry: type[Entry], header: list[str], cells: list[tuple[int, list[str]]], table: Table
) -> bool:
    """Whether a file with semicolons has decimal commas; one that may mean either is a problem."""
    places = [at for at, name in enumerate(header) if name != "device" and is_number(entry, name)]
    numbers = [(line, row[at]) for line, row in cells for at in places if at < len(row)]
    commas = [(line, cell) for line, cell in numbers if "," in cell]
    points = [(line, cell) for line, cell in numbers if "." in cell]
    if commas and points:
        told = f"{points[0][1]!r} has a point, {commas[0][1]!r} (line {commas[0][0]}) a comma"
        table.problems.append((points[0][0], f"{told}: which one is decimal?"))
    elif points and all(_THOUSANDS.fullmatch(cell) for _, cell in points):
        told = f"{points[0][1]!r} may be thousands or a fraction: write it with a decimal comma"
        table.problems.append((points[0][0], told))
    return bool(commas)


def _values(
    entry: type[Entry], row: dict[str, str], line: int, comma: bool, table: Table
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, text in row.items():
        if name == "device":
            values[name] = text
            continue
        numeric = is_number(entry, name)
        try:
            values[name] = value_of(
                entry, name, text.replace(",", ".") if comma and numeric else text
            )
        except ValueError as error:
            table.problems.append((line, f"{name}: {error}, not {text[:40]!r}"))
    return values
