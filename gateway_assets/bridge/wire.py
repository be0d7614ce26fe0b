"""What goes over the pipes between a program and the process that answers its SQL.

A message is a frame of JSON; an answer is followed by frames of an Arrow IPC stream and an empty
one. A frame is its length as four bytes, then as many bytes. The child is not trusted: what comes
from it is read with limits and checked, and nothing in it is ever executed.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from gateway_assets import errors
from gateway_assets.errors import GatewayError, QueryError

LENGTH = struct.Struct(">I")
# A statement or an explanation of this size is no honest one.
MOST_JSON = 16 * 2**20
FRAME = 2**20
_MOST_TEXT = 2_000

Write = Callable[[bytes], object]


class Nonsense(Exception):
    """The other side said what cannot be: it is broken."""


class Told(NamedTuple):
    """The JSON of an answer: what it explains, or the error instead of it."""

    explained: dict[str, Any]
    error: GatewayError | None


def message(content: dict[str, Any]) -> bytes:
    """A message as a frame. Raises QueryError when it is longer than any honest one."""
    encoded = json.dumps(content, default=str).encode()
    if len(encoded) > MOST_JSON:
        raise QueryError(
            f"the statement takes {len(encoded):,} bytes", hint="put long lists into a table"
        )
    return LENGTH.pack(len(encoded)) + encoded


def content_of(frame: bytes | bytearray) -> dict[str, Any]:
    """The content of a message. Raises Nonsense."""
    try:
        content = json.loads(frame)
    except (ValueError, RecursionError) as error:
        raise Nonsense(f"no JSON: {error}") from None
    if not isinstance(content, dict):
        raise Nonsense("no object")
    return content


class Frames:
    """A file to write to whose content goes out as frames; ``close`` writes the empty one."""

    closed = False

    def __init__(self, write: Write) -> None:
        self._write = write

    def write(self, content: Any) -> int:
        view = memoryview(content).cast("B")
        for start in range(0, len(view), FRAME):
            piece = view[start : start + FRAME]
            self._write(LENGTH.pack(len(piece)) + piece)
        return len(view)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self._write(LENGTH.pack(0))
        self.closed = True


def told(content: dict[str, Any]) -> Told:
    """The answer's JSON, checked. Raises Nonsense."""
    if "explained" in content:
        explained = content["explained"]
        if not isinstance(explained, dict):
            raise Nonsense("no explanation")
        return Told(explained, None)
    name, text, hint = (content.get(key) for key in ("error", "message", "hint"))
    if not (isinstance(name, str) and isinstance(text, str) and isinstance(hint, str)):
        raise Nonsense("neither answer nor error")
    raised = _ERRORS.get(name, QueryError)
    return Told({}, raised(text[:_MOST_TEXT], hint=hint[:_MOST_TEXT]))


def error_content(error: GatewayError) -> dict[str, Any]:
    """An error as ``told`` reads it."""
    return {
        "error": type(error).__name__,
        "message": error.message[:_MOST_TEXT],
        "hint": error.hint[:_MOST_TEXT],
    }


# What a query may raise; any other name is a QueryError.
_ERRORS: dict[str, type[GatewayError]] = {
    kind.__name__: kind
    for kind in (
        errors.ArchiveDamaged,
        errors.ArchiveError,
        errors.Busy,
        errors.ConfigError,
        errors.QueryError,
        errors.StoreError,
        errors.UsageError,
    )
}


def encoded(params: Sequence[Any]) -> list[Any]:
    """Parameters as JSON from which ``decoded`` makes equal values of the same types.

    Raises QueryError for a type that is not among them.
    """
    try:
        return [_encoded(value) for value in params]
    except RecursionError:
        raise QueryError("a parameter is a list within itself", hint=_PARAMETERS) from None


def decoded(params: Any) -> list[Any]:
    """The parameters that were encoded. Raises Nonsense."""
    try:
        return [_decoded(value) for value in params]
    except (TypeError, ValueError, KeyError, InvalidOperation, RecursionError) as error:
        raise Nonsense(f"no parameters: {error}") from None


def _encoded(value: Any) -> list[Any]:
    if value is None:
        return ["null", None]
    if isinstance(value, list | tuple):
        return ["list", [_encoded(item) for item in value]]
    # bool before int and datetime before date: each is one of the other, too.
    for name, kind, write, _ in _KINDS:
        if isinstance(value, kind):
            return [name, write(value)]
    raise QueryError(f"a parameter cannot be a {type(value).__name__}", hint=_PARAMETERS)


def _decoded(pair: Any) -> Any:
    name, written = pair
    if name == "null":
        return None
    if name == "list":
        return [_decoded(item) for item in written]
    return _READ[name](written)


def _bytes_written(value: bytes) -> str:
    return base64.b64encode(value).decode()


# A datetime travels with its offset: it stays the same moment, whatever its zone was called.
_KINDS: tuple[tuple[str, Any, Callable[[Any], Any], Callable[[Any], Any]], ...] = (
    ("bool", bool, bool, bool),
    ("int", int, hex, lambda text: int(text, 16)),
    ("float", float, float.hex, float.fromhex),
    ("str", str, str, str),
    ("bytes", (bytes, bytearray, memoryview), _bytes_written, base64.b64decode),
    ("datetime", datetime, datetime.isoformat, datetime.fromisoformat),
    ("date", date, date.isoformat, date.fromisoformat),
    ("decimal", Decimal, str, Decimal),
)
_READ = {name: read for name, _, _, read in _KINDS}
_PARAMETERS = (
    "int, float, str, bytes, bool, None, datetime, date, Decimal, and lists of these are possible"
)
