"""Opening the registry: SQLite in the data directory, or PostgreSQL by URL.

Nothing is opened before the first statement. Every transaction says whether it writes: in SQLite a
writing one takes the lock at once, so that it never fails halfway.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.orm import Session

from gateway_assets.errors import Busy, ConfigError, RegistryError, RegistryUnavailable
from gateway_assets.files.appear import explained, make_directory
from gateway_assets.settings import Settings

BUSY_SECONDS = 30
_CONNECT_SECONDS = 10
_WRITES = "gateway_writes"
_OWNER_AND_GROUP = 0o640


class Registry:
    """One registry, for any number of threads. Raises ConfigError for a URL of another kind."""

    def __init__(self, settings: Settings) -> None:
        self.url = _url(settings)
        self.is_postgres = self.url.get_backend_name() == "postgresql"
        self.place = self.url.render_as_string(hide_password=True)
        self.path = None if self.is_postgres else settings.registry_database
        self.engine: Engine = _postgres(self.url) if self.is_postgres else _sqlite(self.url)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """One transaction that sees one instant and writes nothing."""
        with self._session(writes=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """One transaction: all of it commits, or none. Raises RegistryError for what a constraint
        refuses, Busy and RegistryUnavailable for what may succeed later.
        """
        with self._session(writes=True) as session:
            yield session
            session.commit()

    @contextmanager
    def _session(self, *, writes: bool) -> Iterator[Session]:
        with (
            self.translated(),
            self.connected(writes=writes) as connection,
            Session(connection, expire_on_commit=False) as session,
        ):
            yield session

    @contextmanager
    def connected(self, *, writes: bool) -> Iterator[Connection]:
        if self.path is not None:
            with explained(self.path):
                make_directory(self.path.parent)
                if not self.path.exists():  # it has hashes of passwords: not for everybody
                    self.path.touch(_OWNER_AND_GROUP)
        level = {} if writes or not self.is_postgres else {"isolation_level": "REPEATABLE READ"}
        with self.engine.connect() as connection:
            yield connection.execution_options(**{_WRITES: writes}, **level)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Refusals of the database as errors of this project."""
        try:
            yield
        except UnicodeEncodeError as error:  # an argument of a terminal that is not in UTF-8
            raise RegistryError("a text is not Unicode", hint="give it in UTF-8") from error
        except IntegrityError as error:
            raise RegistryError(f"the registry refuses that: {_told(error)}") from error
        except OperationalError as error:
            raise self._operational(error) from error
        except DBAPIError as error:
            denied = getattr(error.orig, "sqlstate", None) == _DENIED
            hint = _GRANT if denied else _STATUS
            raise RegistryError(f"{self.place}: {_told(error)}", hint=hint) from error

    def _operational(self, error: OperationalError) -> Exception:
        told = f"{self.place}: {_told(error)}"
        if isinstance(error.orig, sqlite3.OperationalError):
            if error.orig.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
                return Busy(told, hint="another process writes; try again later")
            return RegistryError(told, hint=_STATUS)
        if getattr(error.orig, "sqlstate", None) in _IN_EACH_OTHERS_WAY:
            return Busy(told, hint="another process changes the same; try again")
        return RegistryUnavailable(told, hint="is the server up? see GATEWAY_REGISTRY_URL")

    def close(self) -> None:
        self.engine.dispose()


_STATUS = "see: gateway registry status"
_GRANT = "grant that to the user of registry_url, or name another"
_DENIED = "42501"
# Serialization failure, deadlock, lock not available:
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_IN_EACH_OTHERS_WAY = {"40001", "40P01", "55P03"}


def _url(settings: Settings) -> URL:
    if not settings.registry_url:
        return URL.create("sqlite", database=str(settings.registry_database))
    hint = "postgresql+psycopg://user@host/database, or nothing for SQLite"
    try:
        url = make_url(settings.registry_url)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        raise ConfigError("registry_url is no URL of a database", hint=hint) from None
    if url.drivername not in {"postgresql", "postgres", "postgresql+psycopg"}:
        raise ConfigError(f"registry_url: {url.drivername} is not known", hint=hint)
    return url.set(drivername="postgresql+psycopg")


def _postgres(url: URL) -> Engine:
    """What the URL says of the session, such as a schema to search, is kept."""
    given = url.query.get("options", "")
    said = given if isinstance(given, str) else " ".join(given)
    options = {"connect_timeout": _CONNECT_SECONDS, "options": f"{said} -c timezone=UTC".strip()}
    return create_engine(url, connect_args=options, pool_size=4, pool_pre_ping=True)


def _sqlite(url: URL) -> Engine:
    """Transactions are begun here, not by the driver, which would leave reads outside of them:
    https://docs.sqlalchemy.org/en/20/dialects/sqlite.html#serializable-isolation-savepoints-transactional-ddl
    """
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _told(error: DBAPIError) -> str:
    return str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else "no reason"
