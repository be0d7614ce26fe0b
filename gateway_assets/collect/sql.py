"""One session with a frontend: statements in, rows as texts by column name out, each in time.

A frontend's clock zone is Asia/Shanghai unless it is told another; where it cannot be told, times
are shifted here, so that all that leaves this file is UTC. The audit log's table has the times of
the frontends' hosts, whatever a session's zone is: they write texts into a DATETIME column, by the
zone that ``system_time_zone`` names (fe-plugins-auditloader, AuditLoaderPlugin.java).
"""

from __future__ import annotations

import math
import re
import socket
import ssl
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path

import pymysql
from pymysql.connections import Connection
from pymysql.constants import CR

from gateway_assets.collect.config import Cluster, split_address
from gateway_assets.collect.deadline import connected, shut_down_at
from gateway_assets.collect.observed import Record
from gateway_assets.errors import ConfigError
from gateway_assets.starrocks import formats

MOST_BYTES = 32 * 2**20
MOST_ROWS = 200_000
_IS_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?")
_ZONE = ("SET time_zone = 'UTC'", "SET time_zone = '+00:00'")
_FORWARD = ("SET forward_to_leader = true", "SET forward_to_master = true")
_OWN = ("SET forward_to_leader = false", "SET forward_to_master = false")


class Lost(Exception):
    """There is no session, or it has ended: refused, timed out, cut, or no frontend at all."""


class Refused(Exception):
    """The server answered a statement with an error; the session goes on."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


class Session:
    """A call has ``seconds``, or what is ``left`` if that is less. Raises Lost."""

    def __init__(
        self, cluster: Cluster, frontend: str, seconds: float, left: float = math.inf
    ) -> None:
        self.frontend = frontend
        self.notes: list[str] = []
        self.is_forwarded = False
        self.zone: tzinfo | None = UTC  # of the server's times; None: unknown
        self._stored: tzinfo | None = None  # until it was asked for
        self._seconds = seconds
        self._tls = cluster.tls
        self._connection = _unconnected(cluster, frontend, seconds)
        host, port = split_address(frontend)
        deadline = time.monotonic() + min(seconds, left)
        try:
            sock = connected(host, port, deadline)
        except (OSError, UnicodeError) as error:
            raise Lost(_one_line(error)) from None
        self._keep = sock.dup()
        try:
            self.peer = _peer(sock)
            self._connect(sock, deadline)
            self._prepare()
        except Lost:
            sock.close()
            self.close()
            raise

    def ask(
        self, statement: str, left: float = math.inf, *, is_stored: bool = False
    ) -> list[Record]:
        """All rows; times in UTC, unless their zone is unknown. Raises Refused, or Lost."""
        zone = self.zone_of(is_stored=is_stored)
        rows = self._ask(statement, left)
        if zone in {None, UTC}:
            return rows
        return [{name: _in_utc(value, zone) for name, value in row.items()} for row in rows]

    def zone_of(self, *, is_stored: bool) -> tzinfo | None:
        """The zone of times, or of those that the frontends' hosts have stored; None: unknown.

        The latter is asked for until it is known. Raises Lost.
        """
        if is_stored and self._stored is None:
            self._stored = self._zone_of_hosts()
        return self._stored if is_stored else self.zone

    def own_view(self) -> None:
        """Let the frontend answer from what it knows itself, for there is no leader to ask."""
        self._set(_OWN)
        self.is_forwarded = False

    def close(self) -> None:
        with suppress(pymysql.Error):  # closed already
            self._connection.close()
        self._keep.close()

    def _connect(self, sock: socket.socket, deadline: float) -> None:
        with shut_down_at(self._keep, deadline) as watch:
            try:
                self._connection.allow()
                self._connection.connect(sock)
            except Exception as error:  # noqa: BLE001  garbage raises anything, also IndexError
                raise Lost("timed out" if watch.fired else _why_not(error, self._tls)) from None
        # Bytes stay bytes until they are read as UTF-8 here, where a wrong one does no harm.
        self._connection.encoding = "latin-1"

    def _prepare(self) -> None:
        self._set((f"SET query_timeout = {math.ceil(self._seconds)}",))
        self.is_forwarded = not self._set(_FORWARD)
        refused = self._set(_ZONE)
        if refused:
            self.zone = self._measured_zone()

    def _set(self, spellings: tuple[str, ...]) -> str:
        """The reason when every spelling is refused."""
        reason = ""
        for statement in spellings:
            try:
                self._ask(statement)
            except Refused as error:
                reason = reason or f"{statement}: {error}"
            else:
                return ""
        self.notes.append(reason)
        return reason

    def _zone_of_hosts(self) -> tzinfo | None:
        try:
            rows = self._ask("SHOW VARIABLES LIKE 'system_time_zone'")
        except Refused:
            return None
        return formats.zone(next((row.get("Value") for row in rows), None))

    def _measured_zone(self) -> tzinfo | None:
        """By what its clock says, to quarters of an hour as zones are."""
        try:
            (row,) = self._ask("SELECT now() AS here, utc_timestamp() AS utc")
            here, utc = (datetime.fromisoformat(row[name] or "") for name in ("here", "utc"))
        except (Refused, ValueError, KeyError) as error:
            self.notes.append(f"the zone of times is unknown: {_one_line(error)}")
            return None
        ahead = round((here - utc) / timedelta(minutes=15)) * timedelta(minutes=15)
        if abs(ahead) < timedelta(days=1):
            return timezone(ahead)
        self.notes.append(f"the zone of times is unknown: {here} is no time of {utc} UTC")
        return None

    def _ask(self, statement: str, left: float = math.inf) -> list[Record]:
        deadline = time.monotonic() + min(self._seconds, left)
        with shut_down_at(self._keep, deadline) as watch:
            try:
                return self._rows(statement)
            except (Lost, Refused):
                raise
            except Exception as error:  # noqa: BLE001  garbage raises anything, also IndexError
                if not watch.fired and _is_of_server(error):
                    raise Refused(error.args[0], _said(error)) from None
                raise Lost("timed out" if watch.fired else _said(error)) from None

    def _rows(self, statement: str) -> list[Record]:
        self._connection.allow()
        with self._connection.cursor() as cursor:
            cursor.execute(statement.encode().decode("latin-1"))
            names = [_text(column[0]) or "" for column in cursor.description or ()]
            return [dict(zip(names, map(_text, row), strict=True)) for row in cursor.fetchall()]


class _Bounded(Connection):
    """A connection that does not read more than one answer may have."""

    def allow(self) -> None:
        self._bytes_left = MOST_BYTES
        self._reads_left = 2 * MOST_ROWS  # head and body of each packet, and a row is a packet

    def _read_bytes(self, number: int) -> bytes:
        self._bytes_left -= number
        self._reads_left -= 1
        if self._bytes_left < 0 or self._reads_left < 0:
            raise Lost("the answer is too large")
        return bytes(super()._read_bytes(number))  # type: ignore[misc]  # not in the stubs


def _unconnected(cluster: Cluster, frontend: str, seconds: float) -> _Bounded:
    host, port = split_address(frontend)
    try:
        return _Bounded(
            host=host,
            port=port,
            user=cluster.user.encode(),
            password=cluster.password(),
            conv={},
            charset="utf8mb4",
            autocommit=None,
            read_timeout=2 * seconds,  # the watch comes first
            write_timeout=2 * seconds,
            ssl=_context(cluster.tls),
            ssl_disabled=not cluster.tls,
            defer_connect=True,
        )
    except ConfigError as error:
        raise Lost(error.message) from None
    except OSError as error:
        raise Lost(f"{_setting(cluster.tls)}: {_one_line(error)}") from None


def _in_utc(value: str | None, zone: tzinfo | None) -> str | None:
    if value is None or not _IS_TIME.fullmatch(value):
        return value
    with suppress(ValueError, OverflowError):  # such as 0000-00-00 00:00:00
        moment = datetime.fromisoformat(value[:19]).replace(tzinfo=zone)
        value = f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}" + value[19:]
    return value


def _peer(sock: socket.socket) -> str:
    try:
        return str(sock.getpeername()[0])
    except OSError as error:  # gone already
        raise Lost(_one_line(error)) from None


def _context(tls: bool | Path) -> ssl.SSLContext | None:
    if not tls:
        return None
    return ssl.create_default_context(cafile=None if tls is True else str(tls))


def _setting(tls: bool | Path) -> str:
    return f"tls = {str(tls).lower()}" if isinstance(tls, bool) else f'tls = "{tls}"'


def _why_not(error: Exception, tls: bool | Path) -> str:
    """Why there is no connection; where it is for TLS, by which setting."""
    cause = error.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        why = f"the certificate was refused: {cause.verify_message}"
        return f"{_setting(tls)}: {why}; name the file of the authority that signed it"
    if isinstance(cause, ssl.SSLError) or error.args[:1] == (CR.CR_SSL_CONNECTION_ERROR,):
        return f"{_setting(tls)}: {_said(error)}; without TLS: tls = false"
    return _said(error)


def _is_of_server(error: Exception) -> bool:
    """Codes from 2000 to 2999 are the library's own: the connection has gone."""
    return (
        isinstance(error, pymysql.MySQLError)
        and len(error.args) == 2
        and isinstance(error.args[0], int)
        and error.args[0] > 0
        and not 2000 <= error.args[0] < 3000
    )


def _text(value: str | bytes | None) -> str | None:
    if value is None:
        return None
    data = value.encode("latin-1") if isinstance(value, str) else value
    return data.decode("utf-8", "replace")


def _said(error: Exception) -> str:
    """What is for people in a library's error."""
    is_pair = isinstance(error, pymysql.MySQLError) and len(error.args) == 2
    return _one_line(error.args[1] if is_pair else error)


def _one_line(error: object) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:199] + "…"
