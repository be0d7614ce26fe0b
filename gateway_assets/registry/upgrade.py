"""Migrations: which a registry has, which it lacks, and applying them.

An upgrade is one transaction: it is there whole or not at all, and of two at a time one waits.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from gateway_assets.errors import RegistryError
from gateway_assets.registry.database import Registry

_HERE = Path(__file__).parent / "migrations"
COPY_PROGRESS = "registry_mirror"  # a table of what is only a copy of logs: see ``history.mirror``
_LOCK = 0x6761_7465  # of PostgreSQL, for upgrades only


class Standing(NamedTuple):
    """Where a registry stands: its newest migration ("" before the first), and what it lacks."""

    revision: str
    newest: str
    missing: tuple[str, ...]


def standing(registry: Registry) -> Standing:
    """Raises RegistryError for a registry of a later release than this one, and for a copy."""
    with registry.translated(), registry.connected(writes=False) as connection:
        current = MigrationContext.configure(connection).get_current_revision() or ""
        if not current and inspect(connection).has_table(COPY_PROGRESS):
            raise RegistryError(
                f"{registry.place} is a copy of the logs of a registry in PostgreSQL",
                hint="name that one: GATEWAY_REGISTRY_URL; for a new registry move the file away",
            )
    script = ScriptDirectory.from_config(_config())
    known = [one.revision for one in script.walk_revisions()][::-1]
    if current and current not in known:
        raise RegistryError(
            f"{registry.place} is of a later release: migration {current}",
            hint="install that release; nothing was changed",
        )
    missing = known[known.index(current) + 1 :] if current else known
    return Standing(current, known[-1], tuple(missing))


def upgrade(registry: Registry, to: str = "head") -> Standing:
    """Apply what is missing, up to ``to``. Raises RegistryError, Busy and RegistryUnavailable."""
    standing(registry)
    with registry.translated(), registry.connected(writes=True) as connection, connection.begin():
        if registry.is_postgres:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        command.upgrade(_config(connection), to)
    return standing(registry)


def require(registry: Registry) -> None:
    """Raises RegistryError when migrations are missing."""
    found = standing(registry)
    if found.missing:
        what = "is not there yet" if not found.revision else f"lacks {', '.join(found.missing)}"
        raise RegistryError(f"{registry.place} {what}", hint="run: gateway registry upgrade")


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
