"""A day of a roll-up is grouped again, because keys of the rows below it have changed.

The rows below are aggregated to a temporary table. Then the roll-up's rows of a bucket and its
first keys, which never change, are replaced if both add up to the same: all rows below them are
still there. Where some have gone, the roll-up is all that is left of them and stays as it is; what
was erased from it does not come back. So sums never change here.
"""

from __future__ import annotations

import sqlite3

from gateway_assets import clock
from gateway_assets.hot.schema import conflict_key
from gateway_assets.hot.sql import Fragment, quoted, sql
from gateway_assets.table import TIME, Table

_NAME = "gateway_rollup_groups"
GROUPS = Fragment(f"temp.{quoted(_NAME)}")


def begin_groups(connection: sqlite3.Connection, table: Table) -> None:
    """Make the temporary table, empty, into which the rows below a day can be merged."""
    connection.execute(sql("DROP TABLE IF EXISTS {groups}", groups=GROUPS))
    connection.execute(
        sql(
            "CREATE TABLE {groups} AS SELECT {columns} FROM {table} WHERE 0",
            groups=GROUPS,
            columns=_columns(table),
            table=table.name,
        )
    )
    connection.execute(
        sql(
            "CREATE UNIQUE INDEX temp.{index} ON {groups} ({key})",
            index=f"{_NAME}_key",
            groups=_NAME,
            key=conflict_key(table),
        )
    )


def replace_groups(connection: sqlite3.Connection, table: Table, day: int) -> None:
    """Put what was merged into the temporary table in the place of the roll-up's rows, and end it.

    Call it in the transaction that clears the day's mark.
    """
    assert table.rollup
    parts = {
        "groups": GROUPS,
        "table": table.name,
        "columns": _columns(table),
        "first": Fragment(", ".join(map(_one_value, (TIME, *table.rollup.first_by)))),
        "whole": _whole_groups(table),
    }
    start, end = clock.day_range(day)
    of_day = {"start": start, "end": end}
    connection.execute(
        sql("DELETE FROM {groups} WHERE ({first}) NOT IN ({whole})", **parts), of_day
    )
    connection.execute(
        sql(
            'DELETE FROM {table} WHERE "time" >= :start AND "time" < :end '
            "AND ({first}) IN (SELECT {first} FROM {groups})",
            **parts,
        ),
        of_day,
    )
    connection.execute(
        sql("INSERT INTO {table} ({columns}) SELECT {columns} FROM {groups}", **parts)
    )
    connection.execute(sql("DROP TABLE {groups}", **parts))


def _whole_groups(table: Table) -> Fragment:
    """First keys whose rows in both tables have the same sums."""
    assert table.rollup
    first = Fragment(", ".join(map(_one_value, (TIME, *table.rollup.first_by))))
    summed = [quoted(name) for name in table.summed]
    return Fragment(
        sql(
            "SELECT {first} FROM ("
            'SELECT {columns} FROM {table} WHERE "time" >= :start AND "time" < :end '
            "UNION ALL SELECT {negated} FROM {groups}) GROUP BY {first} HAVING {balanced}",
            first=first,
            columns=[TIME, *table.rollup.first_by, *table.summed],
            table=table.name,
            negated=Fragment(
                ", ".join(
                    [*map(quoted, (TIME, *table.rollup.first_by)), *(f"-{name}" for name in summed)]
                )
            ),
            groups=GROUPS,
            balanced=Fragment(" AND ".join(f"sum({name}) = 0" for name in summed)),
        )
    )


def _one_value(key: str) -> str:
    """A key in which NULL counts as one value, apart from every text."""
    return f"COALESCE({quoted(key)}, x'00')"


def _columns(table: Table) -> list[str]:
    return [column.name for column in table.columns]
