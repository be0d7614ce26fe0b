"""Which series are meant: by device, metric, measurement, field and tags."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any, NamedTuple

_COLUMNS = ("id", "measurement", "tags", "field", "type", "device", "metric", "unit", "first_seen")


class Series(NamedTuple):
    """One series as the registry has it; ``first_seen`` in nanoseconds since 1970."""

    id: int
    measurement: str
    tags: dict[str, str]
    field: str
    type: str
    device: str | None
    metric: str
    unit: str | None
    first_seen: int


def find_series(
    connection: sqlite3.Connection,
    *,
    measurement: str | None = None,
    device: str | None = None,
    metric: str | None = None,
    field: str | None = None,
    tags: Mapping[str, str] | None = None,
    limit: int | None = None,
) -> list[Series]:
    """All series that have every one of these, in the order in which they were first seen."""
    wanted: dict[str, Any] = {
        "measurement": measurement,
        "device": device,
        "metric": metric,
        "field": field,
    }
    named = {name: value for name, value in wanted.items() if value is not None}
    conditions = [f"{name} = ?" for name in named]
    params = list(named.values())
    for key, value in (tags or {}).items():
        # Not by a JSON path: a key may hold any character.
        conditions.append(
            "EXISTS (SELECT 1 FROM json_each(series.tags) AS tag "
            "WHERE tag.key = ? AND tag.value = ?)"
        )
        params += [key, value]
    query = (
        f"SELECT {', '.join(_COLUMNS)} FROM series WHERE {' AND '.join(conditions) or '1'} "
        "ORDER BY id LIMIT ?"
    )
    found = connection.execute(query, (*params, -1 if limit is None else limit))
    return [_series(row) for row in found]


def _series(row: tuple[Any, ...]) -> Series:
    number, measurement, tags, *rest = row
    return Series(number, measurement, json.loads(tags), *rest)
