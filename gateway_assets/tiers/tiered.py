"""One table that has two tiers, with all that archiving and asking need to know of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gateway_assets.hot.sql import Fragment, quoted
from gateway_assets.table import Table
from gateway_assets.tiers.fields import Field, Misfit, widened
from gateway_assets.tiers.reflect import Key, Shape
from gateway_assets.tiers.times import FORMATS, Epoch, TimeFormat

# Texts, names in any of SQLite's quotes, words that call no function.
_TOKENS = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\[[^\]]*\]|`[^`]*`|[^\W\d]\w*(?!\w*\s*\()""")


@dataclass(frozen=True, slots=True)
class Tiered:
    """A table of one SQLite file. ``fields`` are its columns now, ``dropped`` those it had."""

    name: str
    database: Path
    table: str
    fields: tuple[Field, ...]
    dropped: tuple[Field, ...]
    version: int  # of fields and dropped; 0 while nothing was archived yet
    changes: tuple[str, ...]  # since that version
    shape: Shape
    time: str
    written: TimeFormat
    hot_days: int
    keep_days: int | None = None
    where: str = ""
    order_by: tuple[str, ...] = ()
    priority: int = 100
    create_index: bool = False
    dedup: tuple[Key, ...] = ()
    dedup_days: int | None = None
    fire_triggers: bool = False
    about: str = ""
    own: Table | None = None
    view: str = ""
    chunk_rows: int = 0

    @property
    def rows(self) -> Fragment:
        """What hot rows are read from, for FROM: conditions on the table mean the same in it."""
        if not self.view:
            return Fragment(quoted(self.table))
        return Fragment(f"{quoted(self.view)} AS {quoted(self.table)}")

    @property
    def key(self) -> tuple[str, ...]:
        """The columns, or the rowid, that tell rows apart."""
        shape = self.shape
        if shape.rowid and not shape.integer_key:
            return (shape.rowid,)
        return shape.primary_key

    @property
    def table_fields(self) -> tuple[Field, ...]:
        """The columns that the table itself has, without those that its view adds."""
        return self.fields[: len(self.shape.columns)]

    @property
    def added_fields(self) -> tuple[Field, ...]:
        return self.fields[len(self.shape.columns) :]

    @property
    def all_fields(self) -> tuple[Field, ...]:
        return (*self.fields, *self.dropped)

    @property
    def time_field(self) -> Field:
        return next(field for field in self.fields if field.name == self.time)

    @property
    def summed(self) -> tuple[str, ...]:
        return self.own.summed if self.own else ()

    @property
    def order(self) -> tuple[str, ...]:
        """The order of rows in a file: as declared, else by time and key."""
        key = self.shape.primary_key
        # A key may hold NULLs, and then it does not order its rows; the rowid always does.
        row = (self.shape.rowid,) if self.shape.rowid and not self.shape.integer_key else ()
        return tuple(dict.fromkeys((*self.order_by, self.time, *key, *row)))

    @property
    def order_ids(self) -> list[int]:
        """The same by the columns' ids, which outlive their names; 0 is the rowid."""
        ids = {field.name: field.id for field in self.fields}
        return [ids.get(name, 0) for name in self.order]

    def named(self, ids: Iterable[int]) -> list[str]:
        """Names of columns by their ids. Raises KeyError for one that has gone."""
        names = {field.id: field.name for field in self.fields} | {0: self.shape.rowid}
        return [names[number] for number in ids]

    @property
    def eligible(self) -> Fragment:
        """SQL that is true for rows that may leave: a usable time, and what ``where`` says.

        ``IS TRUE`` also keeps SQLite from looking for rows by an index of ``where``'s columns
        instead of by their time.
        """
        return self.eligible_by(self.written.name, self.pinned_where)

    def eligible_by(self, time_format: str, where: str) -> Fragment:
        """The same by the rules that a file was made by."""
        usable = FORMATS[time_format].usable(self.time)
        more = f" AND ({self._with_names(where)})" if where else ""
        return Fragment(f"(({usable}){more}) IS TRUE")

    @property
    def pinned_where(self) -> str:
        """``where`` with ids for the names of columns, so that it outlives renames."""
        ids = {field.name.lower(): field.id for field in self.fields}

        def pinned(token: re.Match[str]) -> str:
            text = token.group()
            if text[0] == "'":
                return text
            name = text[1:-1].replace('""', '"') if text[0] in '"[`' else text
            number = ids.get(name.lower())
            return text if number is None else f"\x01{number}\x01"

        return _TOKENS.sub(pinned, self.where)

    def _with_names(self, pinned: str) -> str:
        names = {field.id: field.name for field in self.fields}
        return re.sub("\x01(\\d+)\x01", lambda found: quoted(names[int(found[1])]), pinned)

    def on_day(self, day: int) -> tuple[Fragment, tuple[Any, ...]]:
        """SQL and parameters for the rows of a UTC day that may leave."""
        return self.between(day, *self.written.bounds(day))

    def between(self, day: int, start: Any, end: Any) -> tuple[Fragment, tuple[Any, ...]]:
        """The same, for raw times in the half-open range ``[start, end)`` only."""
        name = quoted(self.time)
        text = f"{name} >= ? AND {name} < ? AND {self.eligible}"
        if not self.written.is_exact:
            text += f" AND {self.day_of(name)} = {day}"
        return Fragment(text), (start, end)

    def day_of(self, column: str) -> Fragment:
        """SQL for the UTC day of a usable value."""
        if not self.written.is_exact:
            return Fragment(f"unixepoch({column}) / 86400")
        if isinstance(self.written, Epoch):
            return Fragment(f"CAST({column} / {86_400 * self.written.per_second} AS INTEGER)")
        return Fragment(f"CAST(julianday(substr({column}, 1, 10)) - 2440587.5 AS INTEGER)")

    def wider(self, misfit: Misfit) -> Tiered:
        change = f"column {misfit.field.name} holds more than {misfit.field.kind}"
        return replace(
            self,
            fields=widened(self.fields, misfit),
            changes=(*self.changes, change),
        )
