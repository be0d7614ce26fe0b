"""A registry in each database, with one administrator and one viewer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

import pytest
from sqlalchemy import select, text

from gateway_assets.accounts.users import add_user
from gateway_assets.registry.audit import Actor
from gateway_assets.registry.database import Registry
from gateway_assets.registry.model import Model
from gateway_assets.registry.users import AuditLog, User
from gateway_assets.registry.words import Role
from gateway_assets.settings import Settings

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOST = Actor("os:test")
ANN, VIC = "a long way home", "violets are blue"  # their passwords


class People(NamedTuple):
    registry: Registry
    settings: Settings
    ann: User
    vic: User

    def audit(self, action: str) -> list[tuple[str | None, bool, str | None]]:
        """Who, whether it was done, and why not."""
        with self.registry.reading() as session:
            rows = select(AuditLog).where(AuditLog.action == action).order_by(AuditLog.id)
            return [(one.username, one.success, one.error_message) for one in session.scalars(rows)]

    def user(self, of: User) -> User:
        with self.registry.reading() as session:
            return session.get_one(User, of.id)

    def everything(self) -> str:
        """All that the registry holds, as text; of SQLite also the bytes of its files."""
        with self.registry.reading() as session:
            held = [
                str(row)
                for table in Model.metadata.sorted_tables
                for row in session.execute(text(f"SELECT * FROM {table.name}"))
            ]
        if self.registry.path is not None:
            files = self.registry.path.parent.glob("gateway.db*")
            held += [file.read_bytes().decode("latin-1") for file in files]
        return "\n".join(held)


@pytest.fixture
def people(registry: Registry, registry_settings: Settings) -> People:
    made = [
        add_user(
            registry, registry_settings, HOST, name, role, password, must_change=False, now=NOON
        )
        for name, role, password in (("ann", Role.ADMIN, ANN), ("Vic", Role.VIEWER, VIC))
    ]
    return People(registry, registry_settings, *made)
