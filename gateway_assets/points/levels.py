"""The levels of roll-ups: how long their buckets are and which table holds them."""

from __future__ import annotations

from typing import NamedTuple

from gateway_assets.hot.sql import quoted
from gateway_assets.points.states import COLUMNS

MINUTE = 60 * 10**9
HOUR, DAY = 60 * MINUTE, 1440 * MINUTE


class Level(NamedTuple):
    name: str
    width: int  # ns
    keep: str | None  # the setting that says for how many days; the last ones outlive all others

    @property
    def table(self) -> str:
        return f"points_{self.name}"

    @property
    def create(self) -> tuple[str, ...]:
        columns = ", ".join(
            f"{quoted(name)} {kind}{'' if nullable else ' NOT NULL'}"
            for name, kind in COLUMNS
            for nullable in [name not in {"series", "time", "n", "n_bad", "n_uncertain"}]
        )
        key = "PRIMARY KEY (series, time)"
        return (
            f"CREATE TABLE IF NOT EXISTS {self.table} ({columns}, {key}) WITHOUT ROWID",
            f"DROP INDEX IF EXISTS {self.table}_by_time",
        )

    @property
    def upsert(self) -> str:
        """Writes a row of ``states.rows``; that of an earlier computing gives way."""
        names = [quoted(name) for name, _ in COLUMNS]
        changes = ", ".join(f"{name} = excluded.{name}" for name in names[2:])
        return (
            f"INSERT INTO {self.table} ({', '.join(names)}) "
            f"VALUES ({', '.join('?' * len(names))}) ON CONFLICT DO UPDATE SET {changes}"
        )


MINUTELY = Level("1m", MINUTE, "minutes_keep_days")
FIVE_MINUTELY = Level("5m", 5 * MINUTE, "minutes_keep_days")
HOURLY = Level("1h", HOUR, "hours_keep_days")
DAILY = Level("1d", DAY, None)
# Each is made from the one before it.
LEVELS = (MINUTELY, FIVE_MINUTELY, HOURLY, DAILY)
