"""A registry in each of the two databases that it may live in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from gateway_assets.registry.database import Registry
from gateway_assets.registry.upgrade import upgrade
from gateway_assets.settings import Settings, load_settings

TEMPLATE = "registry_template"


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gateway.db with all tables, to be copied."""
    return _upgraded(load_settings(data_dir=tmp_path_factory.mktemp("registry"))).registry_database


@pytest.fixture(scope="session")
def migrated_template(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same as a database of PostgreSQL."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {TEMPLATE}")
    url = postgres_url.replace("/postgres?", f"/{TEMPLATE}?")
    _upgraded(load_settings(data_dir=tmp_path_factory.mktemp("none"), registry_url=url))
    return TEMPLATE


def _upgraded(settings: Settings) -> Settings:
    registry = Registry(settings)
    upgrade(registry)
    registry.close()
    return settings


@pytest.fixture(params=["sqlite", "postgres"])
def registry_settings(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    """Settings of a registry that commands find, too; it has tables where ``registry`` is wanted,
    copied from one that was upgraded.
    """
    is_made = "registry" in request.fixturenames
    settings = load_settings(data_dir=tmp_path / "data")
    if request.param == "sqlite":
        if is_made:
            settings.data_dir.mkdir()
            shutil.copy(request.getfixturevalue("migrated_file"), settings.registry_database)
        yield settings
        return
    server = request.getfixturevalue("postgres_url")
    template = request.getfixturevalue("migrated_template") if is_made else "template1"
    name = f"registry_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE {template}')
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
    return empty_registry
