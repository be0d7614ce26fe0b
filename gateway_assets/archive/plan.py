"""What should happen to each day of a table, and why. Deciding is pure; ``engine`` acts.

Every day that has rows gets a step, so the plan always answers "why is this row where it is?".
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from gateway_assets import clock
from gateway_assets.archive.manifest import ArchiveFile, live_files
from gateway_assets.hot.dirty import dirty_days
from gateway_assets.hot.sql import sql
from gateway_assets.hot.store import reading
from gateway_assets.hot.visible import visible
from gateway_assets.settings import Settings
from gateway_assets.table import Table
from gateway_assets.tables import hot_days


@dataclass(frozen=True, slots=True)
class Export:
    """Write the day's visible rows to a new file, publish it, hide them."""

    day: int
    reason: str


@dataclass(frozen=True, slots=True)
class Prune:
    """Delete the hidden hot rows of a published file."""

    day: int
    file: ArchiveFile
    reason: str


@dataclass(frozen=True, slots=True)
class Keep:
    """Leave the day as it is."""

    day: int
    reason: str
    hot: bool = False  # its rows are (also) answered from the hot table


Step = Export | Prune | Keep


@dataclass(frozen=True, slots=True)
class Rules:
    """The numbers a plan is made by."""

    now: int
    hot_days: int
    grace: int  # microseconds
    enabled: bool

    @property
    def first_hot_day(self) -> int:
        """Today and ``hot_days`` days before it stay; everything older may leave."""
        return clock.day_of(self.now) - self.hot_days


@dataclass(frozen=True, slots=True)
class TableState:
    """What a table looks like at one moment."""

    visible_days: frozenset[int]
    files: tuple[ArchiveFile, ...]
    dirty_days: frozenset[int]
    held: dict[int, int]  # day -> moment until which it stays hot


def rules_for(table: Table, settings: Settings, now: int | None = None) -> Rules:
    return Rules(
        now=clock.now() if now is None else now,
        hot_days=hot_days(table, settings),
        grace=int(settings.archive_grace_hours * 3600 * clock.SECOND),
        enabled=settings.archive_enabled,
    )


def look(connection: sqlite3.Connection, table: Table) -> TableState:
    """Read a table's state, all of it at one moment."""
    held = "SELECT day, until FROM archive_holds WHERE table_name = ?"
    with reading(connection):
        return TableState(
            visible_days=frozenset(_visible_days(connection, table)),
            files=tuple(live_files(connection, table)),
            dirty_days=frozenset(dirty_days(connection, table)),
            held=dict(connection.execute(held, (table.name,)).fetchall()),
        )


def plan(state: TableState, rules: Rules) -> list[Step]:
    """Decide on every day that has rows, oldest first."""
    archived = {file.day for file in state.files}
    steps: list[Step] = []
    for day in sorted(state.visible_days | archived):
        if day in state.visible_days:
            steps.append(_visible_step(day, day in archived, state, rules))
        hiding = [file for file in state.files if file.day == day and file.state == "published"]
        steps.extend(_hidden_step(file, rules) for file in hiding)
        if day not in state.visible_days and not hiding:
            steps.append(Keep(day, "archived"))
    return steps


def _visible_step(day: int, archived: bool, state: TableState, rules: Rules) -> Step:
    kept = _why_keep(day, state, rules)
    if kept:
        return Keep(day, kept, hot=True)
    if archived:
        return Export(day, "rows came after the day was archived")
    return Export(day, f"closed and older than hot_days = {rules.hot_days}")


def _why_keep(day: int, state: TableState, rules: Rules) -> str:
    if day >= clock.day_of(rules.now):
        return "the day is not over"
    if day >= rules.first_hot_day:
        return f"younger than hot_days = {rules.hot_days}"
    if not rules.enabled:
        return "archiving is switched off (archive_enabled = false)"
    if state.held.get(day, 0) > rules.now:
        return f"restored, held until {clock.iso(state.held[day])}"
    if day in state.dirty_days:
        return "not rolled up yet; run: gateway rollup"
    return ""


def _hidden_step(file: ArchiveFile, rules: Rules) -> Step:
    due = file.published_at + rules.grace
    if not rules.enabled:
        return Keep(file.day, "archived; hot copy kept: archiving is switched off")
    if due > rules.now:
        return Keep(file.day, f"archived; hot copy hidden until {clock.iso(due)}")
    return Prune(file.day, file, "the grace period is over")


def _visible_days(connection: sqlite3.Connection, table: Table) -> Iterator[int]:
    """The days of visible rows: one index seek a day, not one look at every row."""
    query = sql(
        'SELECT min("time") FROM {table} WHERE "time" >= ? AND {visible}',
        table=table.name,
        visible=visible(connection, table),
    )
    after = 0
    while True:
        (moment,) = connection.execute(query, (after,)).fetchone()
        if moment is None:
            return
        yield clock.day_of(moment)
        after = clock.day_range(clock.day_of(moment))[1]
