"""SQL text made of fixed templates: names are quoted, values are bound, nothing is pasted in."""

from __future__ import annotations

from collections.abc import Iterable

from gateway_assets.errors import StoreError


class Fragment(str):
    """A piece of SQL that this project made itself and that goes in as it is."""

    __slots__ = ()


def quoted(name: str) -> str:
    """An identifier as it may stand in SQL, whatever characters it holds."""
    if "\0" in name:
        raise StoreError("a table or column name holds a NUL character")
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> Fragment:
    """A text constant, for the places where SQL lets no value be bound (triggers, views)."""
    return Fragment("'" + text.replace("'", "''") + "'")


def sql(template: str, **parts: str | Iterable[str]) -> str:
    """Fill a template: a text becomes a quoted name, several become a list of quoted names.

    >>> sql("SELECT {columns} FROM {table}", table="group", columns=["id", 'a"b'])
    'SELECT "id", "a""b" FROM "group"'
    """
    return template.format(**{place: _rendered(part) for place, part in parts.items()})


def _rendered(part: str | Iterable[str]) -> str:
    if isinstance(part, Fragment):
        return part
    return quoted(part) if isinstance(part, str) else ", ".join(quoted(name) for name in part)
