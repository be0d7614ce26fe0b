"""How drivers read: configurations added, edited, deleted, listed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from gateway_assets.registry.audit import Actor
from gateway_assets.registry.change import (
    Deleted,
    Fields,
    audited,
    checked,
    created,
    difference,
    set_fields,
)
from gateway_assets.registry.devices import DriverConfig
from gateway_assets.registry.entries import DriverEntry
from gateway_assets.registry.find import find, must_be_free
from gateway_assets.registry.words import Protocol


def list_drivers(
    session: Session, *, protocol: Protocol | None = None, enabled: bool | None = None
) -> Sequence[DriverConfig]:
    """By name."""
    wanted = {"protocol": protocol, "enabled": enabled}
    given = {name: value for name, value in wanted.items() if value is not None}
    rows = select(DriverConfig).filter_by(**given).order_by(DriverConfig.name)
    return session.scalars(rows).all()


def find_driver(session: Session, which: str) -> DriverConfig:
    """Raises RegistryError naming the nearest."""
    return find(session, DriverConfig, which)


def driver_fields(driver: DriverConfig) -> dict[str, Any]:
    """A configuration's fields as ``DriverEntry`` has them."""
    return {name: getattr(driver, name) for name in DriverEntry.model_fields}


def add_driver(session: Session, actor: Actor, entry: DriverEntry) -> DriverConfig:
    """Raises RegistryError when a configuration has the name."""
    must_be_free(session, DriverConfig, entry.name)
    fields = entry.plain()
    driver = DriverConfig(**fields)
    created(session, actor, driver, fields)
    session.flush()
    return driver


def edit_driver(session: Session, actor: Actor, which: str, **fields: Any) -> Fields:
    """Change some fields; gives those that differed. Raises RegistryError."""
    driver = find(session, DriverConfig, which, lock=True)
    after = checked(DriverEntry, driver_fields(driver) | fields)
    changes = difference(driver_fields(driver), after.plain())
    if "name" in changes:
        must_be_free(session, DriverConfig, after.name, but=driver.id)
    set_fields(session, actor, driver, changes)
    return changes


def delete_driver(session: Session, actor: Actor, which: str) -> Deleted:
    """Delete a configuration for good; no history speaks of it."""
    driver = find(session, DriverConfig, which, lock=True)
    audited(session, actor, driver, "delete")
    session.delete(driver)
    session.flush()
    return Deleted(driver.name)
