"""Keys that stay known after their rows have left, so that the same key cannot come a second time.

Applications let a UNIQUE constraint tell them what they have dealt with. Its values are kept in a
table of their own when rows leave, named by the ids of the key's columns, which outlive renames.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from gateway_assets import clock
from gateway_assets.archive.source import Source
from gateway_assets.hot.sql import Fragment, quoted, sql
from gateway_assets.hot.store import writing
from gateway_assets.tiers.fields import Field
from gateway_assets.tiers.reflect import OURS
from gateway_assets.tiers.tiered import Tiered

REFUSAL = f"{OURS}refusal"
_USUAL = {"BINARY", "NOCASE", "RTRIM"}  # an application's own collation is not known here


class KnownKey(NamedTuple):
    """A key, and the table that remembers its values as ``key_1``, ``key_2``, …"""

    table: str
    fields: tuple[Field, ...]
    collations: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(f"key_{number}" for number, _ in enumerate(self.fields, start=1))

    def same(self, values: Sequence[str]) -> Fragment:
        """A condition on the remembering table."""
        pairs = zip(self.columns, values, strict=True)
        return Fragment(" AND ".join(f"{name} = {value}" for name, value in pairs))


def known_keys(table: Tiered) -> list[KnownKey]:
    named = {field.name: field for field in table.fields}
    keys = []
    for key in table.dedup:
        fields = tuple(named[name] for name in key.columns)
        ids = ".".join(str(field.id) for field in fields)
        keys.append(KnownKey(f"{OURS}known.{table.name}.{ids}", fields, key.collations))
    return keys


def tables(table: Tiered) -> Iterator[str]:
    """The statements that create what remembers."""
    for key in known_keys(table):
        columns = ", ".join(
            f"{name} {field.declared} NOT NULL COLLATE "
            f"{collation if collation in _USUAL else 'BINARY'}"
            for name, field, collation in zip(key.columns, key.fields, key.collations, strict=True)
        )
        yield (
            f"CREATE TABLE IF NOT EXISTS {quoted(key.table)} "
            f"({columns}, gateway_day INTEGER NOT NULL, "
            f"PRIMARY KEY ({', '.join(key.columns)})) WITHOUT ROWID"
        )
    if table.dedup:
        # A row of it can never be inserted; how that fails is up to the statement that tries.
        yield f'CREATE TABLE IF NOT EXISTS {REFUSAL} ("its key is archived" NOT NULL)'


def remember(source: Source, day: int, condition: Fragment, params: Sequence[Any]) -> None:
    """Keep the keys of hot rows that are about to leave, in the caller's transaction."""
    days = source.table.dedup_days
    if days is not None and day < clock.day_of(clock.now()) - days:
        return
    for key in known_keys(source.table):
        names = [field.name for field in key.fields]
        there = Fragment(" AND ".join(f"{quoted(name)} IS NOT NULL" for name in names))
        query = sql(
            "INSERT OR IGNORE INTO {known} SELECT {names}, ? FROM {table} "
            "WHERE {condition} AND {there}",
            known=key.table,
            names=names,
            table=source.table.table,
            condition=condition,
            there=there,
        )
        source.connection.execute(query, (day, *params))


def forget_rows(source: Source, fields: Sequence[Field], rows: Iterable[tuple[Any, ...]]) -> None:
    """Forget the keys of rows that come back or are erased; ``fields`` are the rows' columns."""
    ids = [field.id for field in fields]
    rows = list(rows)
    for key in known_keys(source.table):
        if not all(field.id in ids for field in key.fields):
            continue  # these rows are older than the key
        places = [ids.index(field.id) for field in key.fields]
        same = key.same(["?"] * len(places))
        delete = sql("DELETE FROM {known} WHERE {same}", known=key.table, same=same)
        source.connection.executemany(delete, ([row[p] for p in places] for row in rows))


def forget_day(source: Source, day: int) -> None:
    """Forget the keys of rows of a day, in the caller's transaction."""
    for key in known_keys(source.table):
        delete = sql("DELETE FROM {known} WHERE gateway_day = ?", known=key.table)
        source.connection.execute(delete, (day,))


def forget_old(source: Source) -> None:
    """Forget what is older than the table's ``dedup_days``."""
    if source.table.dedup_days is not None:
        first = clock.day_of(clock.now()) - source.table.dedup_days
        with writing(source.connection):
            for key in known_keys(source.table):
                delete = sql("DELETE FROM {known} WHERE gateway_day < ?", known=key.table)
                source.connection.execute(delete, (first,))
