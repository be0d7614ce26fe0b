"""One table that has two tiers, with all that archiving and asking need to know of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gateway_assets.hot.sql import Fragment, quoted
from gateway_assets.table import Table
from gateway_assets.tiers.fields import Field, Misfit, widened
from gateway_assets.tiers.reflect import Shape
from gateway_assets.tiers.times import Epoch, TimeFormat


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
    dedup: tuple[tuple[str, ...], ...] = ()
    dedup_days: int | None = None
    fire_triggers: bool = False
    about: str = ""
    own: Table | None = None

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
        if self.order_by:
            return (
                *self.order_by,
                *(name for name in (self.time, *key) if name not in self.order_by),
            )
        return (self.time, *(name for name in key if name != self.time))

    @property
    def eligible(self) -> Fragment:
        """SQL that is true for rows that may leave: a usable time, and what ``where`` says.

        ``IS TRUE`` also keeps SQLite from looking for rows by an index of ``where``'s columns
        instead of by their time.
        """
        usable = self.written.usable(self.time)
        where = f" AND ({self.where})" if self.where else ""
        return Fragment(f"(({usable}){where}) IS TRUE")

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
        change = f"column {misfit.field.name} is now {misfit.wider}, not only {misfit.field.kind}"
        return replace(
            self,
            fields=widened(self.fields, misfit),
            changes=(*self.changes, change),
        )
