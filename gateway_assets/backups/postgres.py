"""The registry in PostgreSQL: dumped by ``pg_dump``, restored by ``pg_restore``.

Both are looked for on PATH, beside this Python and among its packages that bring a server. A
``pg_dump`` refuses servers newer than itself, and what a newer one writes may name settings that
an older server does not know; so of those that will do, the oldest is taken
(https://www.postgresql.org/docs/current/app-pgdump.html#id-1.9.4.13.10). The password goes through
the environment: everybody on the machine can read the arguments of a process.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from gateway_assets.backups.place import settled
from gateway_assets.errors import BackupError

Connection = psycopg.Connection[tuple[Any, ...]]
CONNECT_SECONDS = 10
_TABLES = """
SELECT n.nspname, c.relname FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
ORDER BY 1, 2
"""


class Dumped(NamedTuple):
    """``version`` is the server's major version, ``rows`` by table of the very same moment."""

    version: int
    rows: dict[str, int]


def dump(url: str, target: Path) -> Dumped:
    """Dump a database as of one moment. Raises BackupError."""
    with _connected(url) as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        (snapshot,) = _one(connection, "SELECT pg_export_snapshot()")
        version = connection.info.server_version // 10_000
        program = _program("pg_dump", version)
        arguments = ["--format=custom", f"--snapshot={snapshot}", f"--file={target}"]
        _run([program, *arguments], url)
        dumped = Dumped(version, _rows(connection))
    settled(target)
    return dumped


def restore(url: str, dumped: Path, version: int) -> dict[str, int]:
    """Restore a dump into an empty database; its rows by table. Raises BackupError."""
    with _connected(url) as connection:
        tables = connection.execute(_TABLES).fetchall()
        if tables:
            raise BackupError(
                f"{_shown(url)} is not empty: it has a table {tables[0][1]!r}",
                hint="name a database that was just created",
            )
        _into(url, dumped, version)
        return _rows(connection)


def try_out(
    url: str, dumped: Path, version: int, look: Callable[[str], object]
) -> dict[str, int] | None:
    """Restore a dump into a database made for it, which goes again; its rows by table. ``look``
    gets its name while it is there.

    None where there is no server, or the user may create no database on it: then only the dump's
    contents were listed. Raises BackupError.
    """
    if not url:
        _list(dumped, version)
        return None
    name = f"gateway_check_{secrets.token_hex(6)}"
    with _connected(url) as connection:
        try:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        except psycopg.errors.InsufficientPrivilege:
            _list(dumped, version)
            return None
        try:
            scratch = make_conninfo(**{**_parts(url), "dbname": name})
            rows = restore(scratch, dumped, version)
            look(name)
            return rows
        finally:
            connection.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            )


def _list(dumped: Path, version: int) -> None:
    _run([_program("pg_restore", version), "--list", str(dumped)], "")


def _into(url: str, dumped: Path, version: int) -> None:
    arguments = ["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction"]
    _run([_program("pg_restore", version), *arguments, str(dumped)], url)


def _rows(connection: Connection) -> dict[str, int]:
    return {
        f"{schema}.{table}": _one(
            connection, sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, table))
        )[0]
        for schema, table in connection.execute(_TABLES).fetchall()
    }


def _one(connection: Connection, query: Any) -> tuple[Any, ...]:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    try:
        with psycopg.connect(
            **{"connect_timeout": CONNECT_SECONDS, **_parts(url)}, autocommit=True
        ) as connection:
            yield connection
    except psycopg.Error as error:
        why = str(error).strip().splitlines() or ["no message"]
        raise BackupError(
            f"PostgreSQL at {_shown(url)}: {why[0]}",
            hint="check registry_url: gateway config; and that the server runs",
        ) from None


def _parts(url: str) -> dict[str, Any]:
    """A URL, as SQLAlchemy or libpq write it, as libpq's parameters. Raises BackupError."""
    try:
        return conninfo_to_dict(re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", url))
    except psycopg.Error:
        raise BackupError(
            "the URL of the registry is no URL of a PostgreSQL database",
            hint="such as postgresql+psycopg://user@host/gateway",
        ) from None


def _shown(url: str) -> str:
    """Where a URL leads, without its secrets."""
    parts = _parts(url)
    return f"{parts.get('host', 'localhost')}/{parts.get('dbname', '')}"


def _run(command: list[str], url: str) -> None:
    """Run one of PostgreSQL's programs. Raises BackupError with its words."""
    parts = _parts(url) if url else {}
    password = parts.pop("password", None)
    environment = {**os.environ, **({"PGPASSWORD": password} if password else {})}
    where = ["--no-password", f"--dbname={make_conninfo(**parts)}"] if url else []
    done = subprocess.run(
        [*command, *where], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise BackupError(
            f"{Path(command[0]).name}: {said[0]}", hint="the registry's user must own its tables"
        )


def _program(name: str, version: int) -> str:
    """The oldest program that knows servers of a major version. Raises BackupError."""
    found = {path: _version(path) for path in _candidates(name)}
    fitting = [path for path, own in found.items() if own >= version]
    if fitting:
        return min(fitting, key=lambda path: found[path])
    if not found:
        raise BackupError(
            f"there is no {name}, which the registry in PostgreSQL needs",
            hint=f"install it: apt install postgresql-client-{version}",
        )
    newest = max(found, key=lambda path: found[path])
    raise BackupError(
        f"{newest} is of version {found[newest]}, the server of {version}",
        hint=f"install a newer one: apt install postgresql-client-{version}",
    )


def _candidates(name: str) -> list[str]:
    folders = [Path(sys.executable).parent]
    for place in map(Path, sys.path):
        if place.name in {"site-packages", "dist-packages"}:
            folders += sorted(place.glob("*/pginstall*/bin"))
    on_path = shutil.which(name)
    beside = [str(folder / name) for folder in folders if os.access(folder / name, os.X_OK)]
    return [*([on_path] if on_path else []), *beside]


def _version(program: str) -> int:
    """The major version that a program says it has, 0 when it cannot be asked."""
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r"\(PostgreSQL\) (\d+)", done.stdout)
    return int(found[1]) if found else 0
