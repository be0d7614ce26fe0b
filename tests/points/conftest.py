"""A schema of its own in a real PostgreSQL, for tests that pull from one."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest


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
