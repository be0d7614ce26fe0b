"""The server's side of MySQL's protocol: handshake v10, TLS, native passwords, text results.

Format: https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
import ssl
import struct
from collections.abc import Callable
from typing import NamedTuple

from gateway_assets.simulated.faults import HTML, Fault, Gone, deliver
from gateway_assets.simulated.listening import Listener, read_exactly

SERVER_VERSION = "8.0.33-simulated"
COM_QUIT, COM_INIT_DB, COM_QUERY, COM_PING = 1, 2, 3, 14
_PLUGIN = b"mysql_native_password"
# LONG_PASSWORD, LONG_FLAG, CONNECT_WITH_DB, PROTOCOL_41, TRANSACTIONS, SECURE_CONNECTION,
# PLUGIN_AUTH
_CAPABILITIES = 0x1 | 0x4 | 0x8 | 0x200 | 0x2000 | 0x8000 | 0x80000
_CONNECT_WITH_DB, _SSL, _PLUGIN_AUTH = 0x8, 0x800, 0x80000
_SSL_REQUEST = 32  # bytes: a handshake response that ends before the user
_UTF8, _AUTOCOMMIT = 33, 0x0002
_LONGLONG, _DOUBLE, _DATETIME, _VARCHAR = 8, 5, 12, 253
_DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?")

_STATES = {1045: "28000", 1146: "42S02", 1193: "HY000", 1064: "HY000", 1227: "42000"}

Value = str | int | float | None


class SqlError(Exception):
    """An answer that is an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class Result(NamedTuple):
    """Rows of an answer. ``is_typed``: numbers are numbers; SHOW says that all is text."""

    columns: tuple[str, ...]
    rows: list[tuple[Value, ...]]
    is_typed: bool = False


class Account(NamedTuple):
    user: str
    password: str


class Session:
    """What a connection has set. Answers come from ``answer``; None is an OK without rows."""

    def __init__(self, number: int, peer: str) -> None:
        self.number, self.peer = number, peer
        self.database = ""
        self.time_zone = "Asia/Shanghai"
        self.variables: dict[str, str] = {}

    @property
    def forwards(self) -> bool:
        value = self.variables.get("forward_to_leader", "false").lower()
        return value in {"1", "true", "on"}


Answer = Callable[[Session, str], Result | None]


def serve(
    connection: socket.socket,
    listener: Listener,
    account: Account,
    session: Session,
    ask: Answer,
    tls: ssl.SSLContext | None = None,
) -> None:
    """Talk to one client until it quits. Raises Gone or OSError when the connection ends.

    With ``tls`` the client may ask for it, before it says who it is.
    """
    fault = listener.fault if listener.fault and not listener.fault.on else None
    if fault and fault.kind == "html":
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + HTML)
        raise Gone
    salt = _salt()
    greeting = _greeting(session.number, salt, _SSL if tls else 0)
    deliver(connection, _packet(0, greeting), fault, listener.stopping)
    sequence, reply = _read(connection)
    if tls and len(reply) == _SSL_REQUEST and int.from_bytes(reply[:4], "little") & _SSL:
        # The listener keeps its own socket, by which it ends the connection.
        with tls.wrap_socket(connection.dup(), server_side=True) as wrapped:
            _converse(wrapped, listener, account, session, ask, (salt, *_read(wrapped)))
    else:
        _converse(connection, listener, account, session, ask, (salt, sequence, reply))


def _converse(
    connection: socket.socket,
    listener: Listener,
    account: Account,
    session: Session,
    ask: Answer,
    login: tuple[bytes, int, bytes],
) -> None:
    salt, sequence, reply = login
    user, secret, session.database, plugin = _credentials(reply)
    if plugin not in {_PLUGIN, b""}:
        connection.sendall(_packet(sequence + 1, b"\xfe" + _PLUGIN + b"\0" + salt + b"\0"))
        sequence, secret = _read(connection)
    fault = listener.fault if listener.fault and not listener.fault.on else None
    wrong = bool(fault and fault.kind == "401")
    if wrong or user != account.user or secret != scramble(account.password, salt):
        used = "YES" if secret else "NO"
        text = f"Access denied for user '{user}' (using password: {used})"
        connection.sendall(_packet(sequence + 1, _error(SqlError(1045, text))))
        return
    connection.sendall(_packet(sequence + 1, _ok()))
    while _command(connection, listener, session, ask):
        pass


def scramble(password: str, salt: bytes) -> bytes:
    """What a client answers to a salt: SHA1(password) XOR SHA1(salt + SHA1(SHA1(password)))."""
    if not password:
        return b""
    once = hashlib.sha1(password.encode()).digest()  # noqa: S324  the protocol's own
    twice = hashlib.sha1(once).digest()  # noqa: S324
    mask = hashlib.sha1(salt + twice).digest()  # noqa: S324
    return bytes(left ^ right for left, right in zip(once, mask, strict=True))


def _command(connection: socket.socket, listener: Listener, session: Session, ask: Answer) -> bool:
    _, packet = _read(connection)
    command, text = packet[0], packet[1:].decode(errors="replace")
    fault = listener.fault
    if command == COM_QUIT:
        return False
    if command == COM_INIT_DB:
        session.database, data = text, _packet(1, _ok())
    elif command == COM_PING:
        data = _packet(1, _ok())
    elif command == COM_QUERY:
        text = text.strip().rstrip(";").strip()
        fault = fault if fault and fault.hits(text) else None
        data = _answered(session, text, ask, fault)
    else:
        data = _packet(1, _error(SqlError(1064, f"Unsupported command({command})")))
    deliver(connection, data, fault, listener.stopping)
    return True


def _answered(session: Session, text: str, ask: Answer, fault: Fault | None) -> bytes:
    try:
        result = ask(session, text)
    except SqlError as error:
        return _packet(1, _error(error))
    if result is None:
        return _packet(1, _ok())
    rows = [] if fault and fault.kind == "empty" else result.rows
    return _result(result._replace(rows=rows))


def _salt() -> bytes:
    return bytes(1 + byte % 126 for byte in os.urandom(20))  # no NUL, all ASCII


def _greeting(number: int, salt: bytes, more: int) -> bytes:
    low, high = (_CAPABILITIES | more) & 0xFFFF, _CAPABILITIES >> 16
    head = b"\x0a" + SERVER_VERSION.encode() + b"\0" + struct.pack("<I", number)
    middle = struct.pack("<HBHHB", low, _UTF8, _AUTOCOMMIT, high, len(salt) + 1)
    return head + salt[:8] + b"\0" + middle + bytes(10) + salt[8:] + b"\0" + _PLUGIN + b"\0"


def _credentials(reply: bytes) -> tuple[str, bytes, str, bytes]:
    """User, scrambled password, database and plugin of a handshake response."""
    if len(reply) < 33:
        raise Gone  # not protocol 4.1, or a client that wants TLS where there is none
    (flags,) = struct.unpack_from("<I", reply)
    user, _, rest = reply[32:].partition(b"\0")
    rest = rest or b"\0"  # a client that stops there has no password
    secret, rest = rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
    database = b""
    if flags & _CONNECT_WITH_DB:
        database, _, rest = rest.partition(b"\0")
    plugin = rest.partition(b"\0")[0] if flags & _PLUGIN_AUTH else b""
    return user.decode(errors="replace"), secret, database.decode(errors="replace"), plugin


def _read(connection: socket.socket) -> tuple[int, bytes]:
    head = read_exactly(connection, 4)
    length = int.from_bytes(head[:3], "little")
    if not length:
        raise Gone
    return head[3], read_exactly(connection, length)


def _packet(sequence: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes([sequence % 256]) + payload


def _ok() -> bytes:
    return b"\0\0\0" + struct.pack("<HH", _AUTOCOMMIT, 0)


def _error(error: SqlError) -> bytes:
    state = _STATES.get(error.code, "HY000").encode()
    return b"\xff" + struct.pack("<H", error.code) + b"#" + state + error.message.encode()


def _result(result: Result) -> bytes:
    end = b"\xfe" + struct.pack("<HH", 0, _AUTOCOMMIT)
    payloads = [_length(len(result.columns))]
    payloads += [_definition(name, _type(result, at)) for at, name in enumerate(result.columns)]
    payloads += [end, *map(_row, result.rows), end]
    return b"".join(_packet(at, payload) for at, payload in enumerate(payloads, 1))


def _definition(name: str, kind: int) -> bytes:
    texts = b"".join(map(_text, ("def", "", "", "", name, name)))
    return texts + b"\x0c" + struct.pack("<HIBHB", _UTF8, 1024, kind, 0, 0) + b"\0\0"


def _type(result: Result, at: int) -> int:
    if not result.is_typed:
        return _VARCHAR
    values = [row[at] for row in result.rows if row[at] is not None]
    if not values:
        return _VARCHAR
    if all(isinstance(value, int) for value in values):
        return _LONGLONG
    if all(isinstance(value, int | float) for value in values):
        return _DOUBLE
    is_date = all(isinstance(value, str) and _DATE.fullmatch(value) for value in values)
    return _DATETIME if is_date else _VARCHAR


def _row(row: tuple[Value, ...]) -> bytes:
    return b"".join(b"\xfb" if value is None else _text(str(value)) for value in row)


def _text(text: str) -> bytes:
    data = text.encode()
    return _length(len(data)) + data


def _length(number: int) -> bytes:
    """A length-encoded integer."""
    if number < 251:
        return bytes([number])
    if number < 1 << 16:
        return b"\xfc" + struct.pack("<H", number)
    return b"\xfd" + number.to_bytes(3, "little")
