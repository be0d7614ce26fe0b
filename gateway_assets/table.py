"""What a declared table is: its columns, how long it stays hot, and what it is made from.

Every own table has an ``id`` in front of its columns: given by SQLite, never used twice, kept in
the archive. A row is known by it in every tier.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gateway_assets import clock
from gateway_assets.model import Column, Kind
from gateway_assets.source import Source

ID = Column("id", Kind.INTEGER, "Number of the row, never used twice")
TIME = "time"
PLACE = (
    Column("country", Kind.TEXT, "ISO country code; ZZ: unknown; NULL: no look", nullable=True),
    Column("province", Kind.TEXT, "Largest subdivision, where known", nullable=True),
    Column("city", Kind.TEXT, "City, where known", nullable=True),
    Column("isp", Kind.TEXT, "Provider or network of the address, where known", nullable=True),
)


class Merge(StrEnum):
    """How two states of a bucket become one. Each is associative and commutative."""

    SUM = "sum"
    COUNT = "count"
    MIN = "min"
    MAX = "max"


@dataclass(frozen=True, slots=True)
class State:
    """One aggregated column: the merge of ``of`` over the rows below."""

    column: Column
    merge: Merge
    of: str = ""


@dataclass(frozen=True, slots=True)
class Bucket:
    """How long the buckets of a roll-up are. The first of a UTC day begins with the day."""

    name: str  # ends the name of the roll-up's table
    width: int  # microseconds
    about: str

    def __post_init__(self) -> None:
        if clock.DAY % self.width:
            # Days are what is drained, archived and compared: no bucket may lie in two.
            raise ValueError(f"buckets of {self.width} microseconds do not divide a day")


HOURLY = Bucket("hourly", clock.HOUR, "UTC hour")
DAILY = Bucket("daily", clock.DAY, "UTC day")


@dataclass(frozen=True, slots=True)
class Rollup:
    """A table of one row per bucket and distinct ``by``, built from the rows of another table.

    ``first_by`` are the keys among them that never change and that every row ever had.
    """

    below: str
    bucket: Bucket
    by: tuple[str, ...]
    states: tuple[State, ...]
    first_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Growth:
    """Columns that tell how a value of the day's end moved since the last day that has one.

    ``column`` is the difference for each day between, ``days`` how many these are, so that a gap
    is no double step. Both are NULL without such a day, see ``rollups.growth``.
    """

    column: str
    days: str
    of: str


# Rows by column name; what is not named is NULL. Given: a connection, what to write behind FROM
# for the day's rows of each table below, the day, and the moment it is.
Compute = Callable[[sqlite3.Connection, Mapping[str, str], int, int], Iterable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Summary:
    """A table of one row per UTC day and distinct ``by``, computed whole from all rows of the day
    in the tables below, and again whenever one of these gets another row.

    ``states`` are the columns that plainly add up rows of the first table below; sums of both are
    compared.
    """

    below: tuple[str, ...]
    by: tuple[str, ...]
    states: tuple[State, ...]
    compute: Compute
    growths: tuple[Growth, ...] = ()


@dataclass(frozen=True, slots=True)
class Places:
    """Columns that no landing file has: where the address in column ``of`` was when it was loaded.

    They stand behind the first ``behind`` columns of the source. A column that comes to the source
    later stands behind them: hot tables and archived files know columns by their order.
    """

    of: str
    behind: int


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    columns: tuple[Column, ...]
    hot_days: int
    about: str
    source: Source | None = None
    rollup: Rollup | None = None
    summary: Summary | None = None
    keep_days: int | None = None  # older days are removed; None keeps them for ever
    order_by: tuple[str, ...] = ()  # order of the rows within a Parquet file
    places: Places | None = None

    @property
    def stored(self) -> tuple[Column, ...]:
        """All columns as they are stored: the id, then the declared ones."""
        return (ID, *self.columns)

    @property
    def below(self) -> tuple[str, ...]:
        """The tables that this one is made from, by name; none for a source's table."""
        if self.summary:
            return self.summary.below
        return (self.rollup.below,) if self.rollup else ()

    @property
    def by(self) -> tuple[str, ...]:
        """What tells rows of the same bucket or day apart, in a table that is made from others."""
        made = self.summary or self.rollup
        return made.by if made else ()

    @property
    def states(self) -> tuple[State, ...]:
        """The columns that add up rows of the first table below."""
        made = self.summary or self.rollup
        return made.states if made else ()

    @property
    def summed(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.summed)


def from_source(source: Source, *, hot_days: int, places: Places | None = None) -> Table:
    """The hot table that a source's landing files are loaded into."""
    columns = source.columns
    if places:
        columns = (*columns[: places.behind], *PLACE, *columns[places.behind :])
    return Table(source.name, columns, hot_days, source.about, source=source, places=places)


def rolled_up(
    below: Table,
    bucket: Bucket,
    *,
    by: tuple[str, ...],
    also_by: tuple[str, ...] = (),
    states: tuple[State, ...],
    hot_days: int,
    about: str,
) -> Table:
    """A table of one row per bucket and distinct key; ``time`` is the start of the bucket.

    ``also_by`` are keys that came later. They stand behind all others, because archived files know
    columns by their place, and may be NULL, because older rows do not have them. Their values may
    change below.
    """
    named = {column.name: column for column in below.columns}
    columns = (
        Column(TIME, Kind.TIME, f"Start of the {bucket.about}"),
        *(named[key] for key in by),
        *(state.column for state in states),
        *(named[key] for key in also_by),
    )
    required = [key for key in also_by if not named[key].nullable]
    if required:
        raise ValueError(f"{required[0]} came later, but may not be NULL")
    rollup = Rollup(below.name, bucket, (*by, *also_by), states, by)
    return Table(f"{below.name}_{bucket.name}", columns, hot_days, about, rollup=rollup)
