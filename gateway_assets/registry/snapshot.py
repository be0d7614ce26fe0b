"""All that the registry holds at one instant, row by row, for its history.

Left out are secrets, also those in configurations, logs and sessions, what was softly deleted, and
columns that change by themselves and are nobody's doing, such as when a device was last seen and
how it is doing.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Table, select, text
from sqlalchemy.orm import Session

from gateway_assets.model import is_unicode
from gateway_assets.registry import alerts, devices, users
from gateway_assets.registry.database import Registry
from gateway_assets.registry.hidden import shown
from gateway_assets.registry.model import Model
from gateway_assets.registry.types import written

ENTITIES: tuple[type[Model], ...] = (
    devices.Device,
    devices.Tag,
    devices.Driver,
    devices.DriverConfig,
    alerts.AlertRule,
    alerts.Channel,
    alerts.RuleChannel,
    users.User,
    users.ApiToken,
)
NAMES = tuple(entity.__tablename__ for entity in ENTITIES)
_SECRET = {"password_hash", "token_hash"}
_RESTLESS = {"updated_at", "last_seen", "last_login", "last_used", "failed_login_attempts"}
_RESTLESS_OF = {"devices": {"status"}}  # its points tell, to the second
_ROWS = 1_000  # fetched at a time


class Entry(NamedTuple):
    """A row of the registry: its table, its key, what people call it, all else as JSON."""

    entity: str
    id: str
    name: str | None
    content: str

    @property
    def digest(self) -> str:
        """SHA-256 of the content, in hexadecimal."""
        return hashlib.sha256(self.content.encode()).hexdigest()


def entries(registry: Registry) -> Iterator[Entry]:
    """Every row, all of one instant, in the order of tables. Raises RegistryError and others as
    ``Registry.reading`` does.
    """
    with registry.reading() as session:
        if registry.is_postgres:
            session.execute(text("SET TRANSACTION READ ONLY"))
        for entity in ENTITIES:
            yield from _entries_of(session, Model.metadata.tables[entity.__tablename__])


def _entries_of(session: Session, table: Table) -> Iterator[Entry]:
    left_out = _SECRET | _RESTLESS | _RESTLESS_OF.get(table.name, set())
    columns = [column for column in table.columns if column.name not in left_out]
    query = select(*columns)
    if "deleted_at" in table.columns:
        query = query.where(table.c.deleted_at.is_(None))
    # A server-side cursor where the database has one: rows are never all in memory.
    rows = session.execute(query, execution_options={"yield_per": _ROWS})
    for row in rows.mappings():
        yield _entry(table, {str(key): value for key, value in row.items()})


def _entry(table: Table, row: Mapping[str, Any]) -> Entry:
    key = "/".join(str(row[column.name]) for column in table.primary_key.columns)
    name = row.get("name") or row.get("username")
    without_secrets = {column: shown(value, column) for column, value in row.items()}
    return Entry(table.name, key, name, canonical(without_secrets))


def canonical(value: Any) -> str:
    """JSON that is the same text for the same value: sorted keys, no spaces."""
    plain = _plain(value)
    readable = _READABLE.encode(plain)
    return readable if is_unicode(readable) else _ASCII.encode(plain)


_READABLE = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)
_ASCII = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def _plain(value: Any) -> Any:
    """What JSON has no word for becomes text: moments, NaN, infinity."""
    match value:
        case datetime():
            return written(value)
        case float() if not math.isfinite(value):
            return str(value)
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case _:
            return value
