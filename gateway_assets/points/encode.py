"""A point as line protocol, or an error: what is written is read back as what it was."""

from __future__ import annotations

from collections.abc import Mapping

from gateway_assets.points import grammar
from gateway_assets.points.line import Type, Value


class Unsigned(int):
    """An integer that is written as an unsigned one; a bare int is a signed one."""


# In this order: a boolean and an unsigned integer are ints, too.
_TYPES: dict[type, Type] = {
    bool: Type.BOOLEAN,
    Unsigned: Type.UNSIGNED,
    int: Type.INTEGER,
    float: Type.FLOAT,
    str: Type.STRING,
}


def encode(
    measurement: str,
    tags: Mapping[str, str],
    fields: Mapping[str, Value],
    time: int | None = None,
) -> bytes:
    """One line, with its line break; tags are sorted, the time is in nanoseconds since 1970.

    Raises ValueError for what line protocol cannot express: control characters in names, names
    that end with a backslash, empty ones, no field, NaN, numbers that are too large.
    """
    escaped = measurement.replace(",", "\\,").replace(" ", "\\ ")
    names = [f",{grammar.escaped(key)}={grammar.escaped(tags[key])}" for key in sorted(tags)]
    typed = {key: (_type(value), value) for key, value in fields.items()}
    values = [f"{grammar.escaped(key)}={_written(*pair)}" for key, pair in typed.items()]
    stamp = "" if time is None else f" {time}"
    text = f"{escaped}{''.join(names)} {','.join(values)}{stamp}\n"
    try:
        head, at = grammar.head(text, grammar.left_out(text, 0))
        found, at = grammar.fields(text, at)
        grammar.check_keys(head, found)
        moment, at = grammar.moment(text, at, 1, 0)
    except grammar.Malformed as error:
        raise ValueError(f"line protocol cannot hold {text[:200]!r}: {error}") from None
    read = head.measurement, dict(head.tags), found, moment, at
    if read != (measurement, dict(tags), typed, time or 0, len(text)):
        raise ValueError(f"line protocol would read {text[:200]!r} as something else")
    return text.encode()


def _type(value: Value) -> Type:
    for of, kind in _TYPES.items():
        if isinstance(value, of):
            return kind
    raise ValueError(f"line protocol has no type for {value!r}")


def _written(kind: Type, value: Value) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    suffix = {Type.INTEGER: "i", Type.UNSIGNED: "u"}.get(kind, "")
    return f"{str(value).lower() if kind is Type.BOOLEAN else value}{suffix}"
