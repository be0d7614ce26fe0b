"""What should happen to each day of a table, and why. Deciding is pure; ``engine`` acts.

Every day that has rows gets a step, so the plan always answers "why is this row where it is?".
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from gateway_assets import clock
from gateway_assets.archive.days import visible_days
from gateway_assets.archive.manifest import ArchiveFile, held_days, live_days, select
from gateway_assets.hot.dirty import dirty_days
from gateway_assets.hot.store import reading
from gateway_assets.settings import Settings
from gateway_assets.tiers.tiered import Tiered


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
class Rewrite:
    """Write a file again without the rows that it no longer answers for."""

    day: int
    file: ArchiveFile
    reason: str


@dataclass(frozen=True, slots=True)
class Compact:
    """Make the several files of a day one."""

    day: int
    reason: str


@dataclass(frozen=True, slots=True)
class Expire:
    """Remove a day that is older than ``keep_days``."""

    day: int
    reason: str


@dataclass(frozen=True, slots=True)
class Keep:
    """Leave the day as it is."""

    day: int
    reason: str
    hot: bool = False  # its rows are (also) answered from the hot table


Step = Export | Prune | Rewrite | Compact | Expire | Keep


@dataclass(frozen=True, slots=True)
class Rules:
    """The numbers a plan is made by."""

    now: int
    hot_days: int
    grace: int  # microseconds
    enabled: bool
    keep_days: int | None = None

    @property
    def first_hot_day(self) -> int:
        """Today and ``hot_days`` days before it stay; everything older may leave."""
        return clock.day_of(self.now) - self.hot_days

    @property
    def first_kept_day(self) -> int | None:
        return None if self.keep_days is None else clock.day_of(self.now) - self.keep_days


@dataclass(frozen=True, slots=True)
class TableState:
    """What a table looks like at one moment."""

    visible_days: frozenset[int]
    archived: dict[int, int]  # day -> how many of its files are archived
    open_files: tuple[ArchiveFile, ...]  # published, or answering for a part of their rows
    dirty_days: frozenset[int]
    held: dict[int, int]  # day -> moment until which it stays hot


def rules_for(
    table: Tiered, settings: Settings, now: int | None = None, hot_days: int | None = None
) -> Rules:
    return Rules(
        now=clock.now() if now is None else now,
        hot_days=table.hot_days if hot_days is None else hot_days,
        grace=int(settings.archive_grace_hours * 3600 * clock.SECOND),
        enabled=settings.archive_enabled,
        keep_days=table.keep_days,
    )


def look(connection: sqlite3.Connection, table: Tiered) -> TableState:
    """Read a table's state, all of it at one moment."""
    with reading(connection):
        open_files = select(
            connection,
            "table_name = ? AND (state = 'published' OR "
            "(state = 'archived' AND answers_until IS NOT NULL))",
            [table.name],
            "day, number",
        )
        return TableState(
            visible_days=frozenset(visible_days(connection, table, leaving=True)),
            archived=_archived(connection, table),
            open_files=tuple(open_files),
            dirty_days=frozenset(dirty_days(connection, table.own) if table.own else ()),
            held=held_days(connection, table),
        )


def plan(state: TableState, rules: Rules) -> list[Step]:
    """Decide on every day that has rows, oldest first."""
    by_day: dict[int, list[ArchiveFile]] = {}
    for file in state.open_files:
        by_day.setdefault(file.day, []).append(file)
    steps: list[Step] = []
    for day in sorted(state.visible_days | state.archived.keys() | by_day.keys()):
        steps.extend(_day_steps(day, by_day.get(day, []), state, rules))
    return steps


def _day_steps(
    day: int, files: list[ArchiveFile], state: TableState, rules: Rules
) -> Iterator[Step]:
    hiding = [file for file in files if file.state == "published"]
    cut = [file for file in files if file.state == "archived"]
    if rules.enabled:
        # First: what went back to hot must not be in two files.
        for file in cut:
            yield Rewrite(day, file, "some of its rows went back to hot")
    if day in state.visible_days:
        yield _visible_step(day, bool(hiding), day in state.archived, state, rules)
    for file in hiding:
        yield hidden_step(file, rules)
    if day in state.visible_days or hiding:
        return
    if rules.first_kept_day is not None and day < rules.first_kept_day and rules.enabled:
        yield Expire(day, f"older than keep_days = {rules.keep_days}")
    elif cut:
        return
    elif state.archived[day] > 1 and rules.enabled:
        yield Compact(day, f"{state.archived[day]} files become one")
    else:
        yield Keep(day, "archived")


def _visible_step(day: int, hiding: bool, archived: bool, state: TableState, rules: Rules) -> Step:
    kept = _why_keep(day, state, rules)
    if kept:
        return Keep(day, kept, hot=True)
    if hiding:
        return Keep(day, "the rest of the day waits until its hidden rows are pruned", hot=True)
    if archived:
        return Export(day, "rows came after the day was archived")
    return Export(day, f"closed and older than hot_days = {rules.hot_days}")


def _why_keep(day: int, state: TableState, rules: Rules) -> str:
    today = clock.day_of(rules.now)
    if day > today:
        return "in the future"
    if day == today:
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


def hidden_step(file: ArchiveFile, rules: Rules) -> Step:
    """What becomes of a published file."""
    due = file.published_at + rules.grace
    if not rules.enabled:
        return Keep(file.day, "archived; hot copy kept: archiving is switched off")
    if due > rules.now:
        return Keep(file.day, f"archived; hot copy hidden until {clock.iso(due)}")
    return Prune(file.day, file, "the grace period is over")


def _archived(connection: sqlite3.Connection, table: Tiered) -> dict[int, int]:
    if not live_days(connection, table):
        return {}
    query = """
        SELECT day, count(*) FROM gateway_archive_files
        WHERE table_name = ? AND state = 'archived' GROUP BY day
    """
    return dict(connection.execute(query, (table.name,)).fetchall())
