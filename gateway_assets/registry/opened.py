"""The registry as commands and services open it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gateway_assets.registry.database import Registry
from gateway_assets.registry.upgrade import require, standing, upgrade
from gateway_assets.settings import Settings


@contextmanager
def opened_registry(settings: Settings) -> Iterator[Registry]:
    """An embedded one is brought up to date at once; a server's schema is changed by
    `gateway registry upgrade` only. Raises RegistryError when that has not been run.
    """
    registry = Registry(settings)
    try:
        if registry.is_postgres:
            require(registry)
        elif standing(registry).missing:
            upgrade(registry)
        yield registry
    finally:
        registry.close()
