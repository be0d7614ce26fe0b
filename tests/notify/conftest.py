"""Registries in both databases, and a rule whose alerts are told of."""

from __future__ import annotations

from tests.registry.conftest import empty_registry, registry, registry_settings

__all__ = ["empty_registry", "registry", "registry_settings"]
