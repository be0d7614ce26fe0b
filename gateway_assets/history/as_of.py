"""The registry as it was at any moment, and what changed in it, from both tiers."""

from __future__ import annotations

import json
from typing import Any

from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.clock import iso
from gateway_assets.errors import UsageError
from gateway_assets.registry.snapshot import NAMES
from gateway_assets.settings import Settings

REMOVED = "removed"
# A clock may be set back: which row is the newest is told by numbers, not by times.
NEWEST = "row_number() OVER (PARTITION BY entity, entity_id ORDER BY snapshot DESC, id DESC)"
_BEFORE = "lag(content) OVER (PARTITION BY entity, entity_id ORDER BY snapshot, id)"
_END = 2**62

Row = dict[str, Any]


def as_of(settings: Settings, entity: str, moment: int, name: str = "") -> list[Row]:
    """The rows of a table of the registry (``""``: of all) as the last snapshot up to a moment
    (microseconds since 1970) saw them; only those called ``name`` then, if given.

    Each row has entity, entity_id, name, content (a dict) and ``time``, that of the snapshot which
    first saw it so. Raises UsageError for a table that is not kept and for a moment before the
    first snapshot.
    """
    _check(entity)
    with UnifiedQueryBridge(settings) as bridge:
        _check_known(bridge, moment)
        rows = bridge.rows(
            "SELECT time, entity, entity_id, name, content FROM ("
            f"SELECT *, {NEWEST} AS age FROM registry_history "
            "WHERE epoch_us(time) <= $1 AND ($2 = '' OR entity = $2)"
            f") WHERE age = 1 AND change <> '{REMOVED}' AND ($3 = '' OR name = $3) "
            "ORDER BY entity, name, entity_id",
            [moment, entity, name],
        )
    return [{**row, "content": json.loads(row["content"])} for row in rows]


def changes(
    settings: Settings,
    entity: str = "",
    name: str = "",
    since: int | None = None,
    until: int | None = None,
) -> list[Row]:
    """What snapshots of the moments ``[since, until)`` found changed, the oldest first.

    With a name, everything about rows that were ever called so, also under other names. Each has
    time, snapshot, entity, entity_id, name, change and ``fields``: old and new value by field, of
    those that differ. Raises UsageError for a table that is not kept.
    """
    _check(entity)
    with UnifiedQueryBridge(settings) as bridge:
        rows = bridge.rows(
            "WITH told AS (SELECT * FROM registry_history WHERE ($1 = '' OR entity = $1)), "
            f"paired AS (SELECT *, {_BEFORE} AS before FROM told) "
            "SELECT time, snapshot, entity, entity_id, name, change, content, before FROM paired "
            "WHERE epoch_us(time) >= $2 AND epoch_us(time) < $3 AND ($4 = '' OR entity_id IN "
            "(SELECT entity_id FROM told WHERE name = $4)) ORDER BY paired.snapshot, paired.id",
            [entity, since or 0, _END if until is None else until, name],
        )
    return [_told(row) for row in rows]


def _told(row: Row) -> Row:
    old, new = json.loads(row.pop("before") or "{}"), json.loads(row.pop("content") or "{}")
    names = sorted(old.keys() | new.keys())
    differing = [name for name in names if old.get(name) != new.get(name)]
    return {**row, "fields": {name: [old.get(name), new.get(name)] for name in differing}}


def _check(entity: str) -> None:
    if entity and entity not in NAMES:
        raise UsageError(
            f"there is no history of {entity!r}", hint=f"it is kept of: {', '.join(NAMES)}"
        )


def _check_known(bridge: UnifiedQueryBridge, moment: int) -> None:
    """What was before the first snapshot is unknown, which is not nothing."""
    (row,) = bridge.rows("SELECT epoch_us(min(time)) AS first FROM registry_history")
    first = row["first"]
    if first is None:
        raise UsageError(
            "no snapshot has found anything yet", hint="run: gateway registry snapshot"
        )
    if moment < first:
        raise UsageError(
            f"the registry is not known before its first snapshot, {iso(first)}",
            hint="ask for a later moment",
        )
