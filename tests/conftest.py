"""What all tests share: a data directory of their own, and landing files to fill it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings

from gateway_assets.hot.store import open_store
from gateway_assets.settings import Settings, load_settings

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
