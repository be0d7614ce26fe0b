"""The registry in a real PostgreSQL: dumped, proven in a database of its own, restored."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from gateway_assets.backups import postgres, record
from gateway_assets.backups.prove import prove
from gateway_assets.backups.record import read_record
from gateway_assets.backups.take import take
from gateway_assets.cli.main import gateway
from gateway_assets.errors import BackupError
from gateway_assets.settings import Settings, load_settings

PASSWORD = "not%40for-argv"


class Server:
    def __init__(self, url: str) -> None:
        self.url = url

    def run(self, statement: str, database: str = "postgres") -> None:
        with psycopg.connect(self.info(database), autocommit=True) as connection:
            connection.execute(statement)

    def info(self, database: str) -> str:
        return make_conninfo(self.url, dbname=database)

    def registry(self, database: str, user: str = "", password: str = "") -> str:
        """As the setting is written, with SQLAlchemy's name of the driver."""
        host = conninfo_to_dict(self.url)["host"]
        who = f"{user}:{password}" if user else "postgres"
        return f"postgresql+psycopg://{who}@/{database}?host={host}"

    def databases(self) -> set[str]:
        with psycopg.connect(self.info("postgres")) as connection:
            return {name for (name,) in connection.execute("SELECT datname FROM pg_database")}


@pytest.fixture
def server(postgres_url: str) -> Iterator[Server]:
    """A database ``registry`` with tables of a role that may create no database, and an empty."""
    found = Server(postgres_url)
    for name in ("registry", "fresh"):
        found.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        found.run(f"CREATE DATABASE {name}")
    found.run("DROP ROLE IF EXISTS plain; CREATE ROLE plain LOGIN PASSWORD 'not@for-argv'")
    found.run("GRANT CREATE ON SCHEMA public TO plain", "registry")
    found.run(
        """SET ROLE plain; CREATE TABLE devices (id text PRIMARY KEY, tags jsonb);
        CREATE TABLE alert_history (id serial PRIMARY KEY, device text REFERENCES devices);
        INSERT INTO devices SELECT 'pump ' || n, '{"a": [1]}' FROM generate_series(1, 50) n;
        INSERT INTO alert_history (device) SELECT id FROM devices LIMIT 7""",
        "registry",
    )
    yield found
    for name in ("registry", "fresh"):
        found.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def test_dumped_proven_and_restored(server: Server, filled: Settings) -> None:
    settings = load_settings(registry_url=server.registry("registry"))
    done = read_record(take(settings).path)
    (part,) = done.of_kind(record.POSTGRES)
    assert part.rows == {"public.alert_history": 7, "public.devices": 50}
    assert (done.path / part.path).read_bytes()[:5] == b"PGDMP"
    assert part.origin == "registry_url"
    before = server.databases()
    assert prove(done, settings).registry == "restored"
    assert server.databases() == before
    fresh = server.registry("fresh")
    assert postgres.restore(fresh, done.path / part.path, part.version) == part.rows
    with pytest.raises(BackupError, match=r"is not empty: it has a table 'alert_history'"):
        postgres.restore(fresh, done.path / part.path, part.version)
    server.run("INSERT INTO alert_history (device) VALUES ('pump 1')", "fresh")  # its sequence, too


def test_restored_by_the_command(server: Server, filled: Settings) -> None:
    done = take(load_settings(registry_url=server.registry("registry")))
    asked = ["restore", done.name, "--registry-url", server.registry("fresh")]
    result = CliRunner().invoke(gateway, asked)
    assert result.output == "registry: 57 rows of 2 tables\n"
    without = take(filled)
    result = CliRunner().invoke(gateway, ["restore", without.name, *asked[2:]])
    assert isinstance(result.exception, BackupError)
    assert "has no registry of PostgreSQL" in result.exception.message


def test_without_the_right_to_create_a_database_it_is_listed(
    server: Server, filled: Settings
) -> None:
    settings = load_settings(registry_url=server.registry("registry", "plain", PASSWORD))
    done = take(settings)
    assert prove(done, settings).registry == "listed only"
    dumped = done.path / "registry.dump"
    dumped.write_bytes(dumped.read_bytes()[:100])
    with pytest.raises(BackupError, match="pg_restore: error"):
        postgres.try_out(settings.registry_url, dumped, 0, print)


def test_a_damaged_dump_is_named(server: Server, filled: Settings) -> None:
    settings = load_settings(registry_url=server.registry("registry"))
    done = take(settings)
    server.run("INSERT INTO devices VALUES ('later')", "registry")
    prove(done, settings)
    content = (done.path / "registry.dump").read_bytes()
    (done.path / "registry.dump").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(BackupError, match=r"registry\.dump has other bytes"):
        prove(done, settings)


def test_a_server_that_does_not_answer(filled: Settings, tmp_path: Path) -> None:
    url = f"postgresql+psycopg://user:{PASSWORD}@/registry?host={tmp_path}"
    with pytest.raises(BackupError, match=f"PostgreSQL at {tmp_path}/registry: ") as refused:
        take(load_settings(registry_url=url))
    assert "for-argv" not in str(refused.value)
    with pytest.raises(BackupError, match="is no URL of a PostgreSQL"):
        take(load_settings(registry_url="oops"))


def program(folder: Path, version: str) -> None:
    """A pg_dump that says it is of a version, and otherwise writes down what it was given."""
    path = folder / "pg_dump"
    path.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo "pg_dump (PostgreSQL) {version}" && exit\n'
        f'echo "$@" > {folder}/arguments; env > {folder}/environment\nexit 1\n'
    )
    path.chmod(0o755)


def test_programs_that_are_missing_or_too_old(
    server: Server, filled: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(registry_url=server.registry("registry"))
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackupError, match="there is no pg_dump") as refused:
        take(settings)
    assert "apt install postgresql-client-" in refused.value.hint
    program(tmp_path, "9.6.24")
    with pytest.raises(BackupError, match=r"pg_dump is of version 9, the server of \d\d"):
        take(settings)


def test_the_password_is_no_argument(
    server: Server, filled: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "99.1")
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    settings = load_settings(registry_url=server.registry("registry", "plain", PASSWORD))
    with pytest.raises(BackupError, match="pg_dump: exit code 1"):
        take(settings)
    assert "for-argv" not in (tmp_path / "arguments").read_text()
    assert "PGPASSWORD=not@for-argv\n" in (tmp_path / "environment").read_text()
