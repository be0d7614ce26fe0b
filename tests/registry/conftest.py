"""A registry in each of the two databases that it may live in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from gateway_assets.registry.database import Registry
from gateway_assets.registry.upgrade import upgrade
from gateway_assets.settings import Settings, load_settings


@pytest.fixture(params=["sqlite", "postgres"])
def registry_settings(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    """Settings of a registry that has no table yet; commands find it too."""
    if request.param == "sqlite":
        yield load_settings(data_dir=tmp_path / "data")
        return
    server = request.getfixturevalue("postgres_url")
    name = f"registry_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        url = server.replace("/postgres?", f"/{name}?")
        monkeypatch.setenv("GATEWAY_REGISTRY_URL", url)
        yield load_settings(data_dir=tmp_path / "data")
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def empty_registry(registry_settings: Settings) -> Iterator[Registry]:
    registry = Registry(registry_settings)
    yield registry
    registry.close()


@pytest.fixture
def registry(empty_registry: Registry) -> Registry:
    upgrade(empty_registry)
    return empty_registry
