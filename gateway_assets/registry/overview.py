"""Where a registry stands: place, kind, migrations, rows, size. Nothing is made by looking."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import func, inspect, select, text

from gateway_assets.registry import alerts, devices, users
from gateway_assets.registry.database import Registry
from gateway_assets.registry.model import Model
from gateway_assets.registry.upgrade import standing

_TABLES = (devices.Device, alerts.AlertRule, users.User)  # their modules declare all tables


class Overview(NamedTuple):
    """``size`` is in bytes; ``deleted`` rows are part of ``rows``."""

    place: str
    kind: str
    revision: str
    missing: tuple[str, ...]
    size: int
    rows: dict[str, int]
    deleted: dict[str, int]


def overview(registry: Registry) -> Overview:
    """Raises RegistryError and RegistryUnavailable."""
    kind = "PostgreSQL" if registry.is_postgres else "SQLite"
    if registry.path is not None and not registry.path.exists():
        return Overview(registry.place, kind, "", ("all",), 0, {}, {})
    found = standing(registry)
    rows, deleted = {}, {}
    with registry.reading() as session:
        there = set(inspect(session.connection()).get_table_names())
        for table in Model.metadata.sorted_tables:
            if table.name not in there:
                continue
            count = select(func.count()).select_from(table)
            rows[table.name] = session.scalar(count) or 0
            if "deleted_at" in table.c:
                gone = count.where(table.c.deleted_at.is_not(None))
                deleted[table.name] = session.scalar(gone) or 0
        size = session.scalar(text(_POSTGRES_SIZE if registry.is_postgres else _SQLITE_SIZE))
    return Overview(registry.place, kind, found.revision, found.missing, size or 0, rows, deleted)


_POSTGRES_SIZE = "SELECT pg_database_size(current_database())"
_SQLITE_SIZE = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
