"""The archiver: plans for a table and carries the plan out, one archiver at a time.

Each step commits on its own and is safe to repeat, so a run that was killed is finished by
running again.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from gateway_assets import clock
from gateway_assets.archive.export import Source, export_day, sweep
from gateway_assets.archive.manifest import forget, live_files, retired_files
from gateway_assets.archive.plan import Export, Keep, Prune, Step, look, plan, rules_for
from gateway_assets.archive.prune import prune
from gateway_assets.archive.restore import restore_day
from gateway_assets.archive.verify import damage
from gateway_assets.files.lock import exclusive
from gateway_assets.progress import Progress, silent
from gateway_assets.settings import Settings
from gateway_assets.table import Table
from gateway_assets.tables import TABLES

LOCK_WAIT_SECONDS = 60.0
HOLD_DAYS = 7


@dataclass(slots=True)
class ArchiveResult:
    """What one run of the archiver did to one table."""

    table: str
    days: list[str] = field(default_factory=list)
    rows: int = 0
    bytes: int = 0
    files: list[str] = field(default_factory=list)
    pruned_rows: int = 0
    kept: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


class UniversalArchiver:
    """Moves days of declared tables between the hot database and Parquet."""

    def __init__(self, connection: sqlite3.Connection, settings: Settings) -> None:
        self._connection = connection
        self._settings = settings
        self._root = settings.archive

    def plan(self, table: Table, days: Collection[int] | None = None) -> list[Step]:
        """What a run would do now, and why; changes nothing."""
        steps = plan(look(self._connection, table), rules_for(table, self._settings))
        return [step for step in steps if days is None or step.day in days]

    def run(
        self,
        table: Table,
        days: Collection[int] | None = None,
        progress: Progress = silent,
    ) -> ArchiveResult:
        """Carry out the plan for a table, or for some of its days.

        Raises Busy when another archiver does not finish within a minute.
        """
        started = time.monotonic()
        result = ArchiveResult(table.name)
        with self._alone():
            self._execute(table, self.plan(table, days), result, progress)
            if rules_for(table, self._settings).grace == 0:
                due = [step for step in self.plan(table, days) if isinstance(step, Prune)]
                self._execute(table, due, result, silent)
        result.seconds = time.monotonic() - started
        return result

    def restore(self, table: Table, day: int, hold_days: int = HOLD_DAYS) -> int:
        """Bring a day back to hot and keep it there for ``hold_days``; how many rows came."""
        until = clock.now() + hold_days * clock.DAY if hold_days else 0
        with self._alone():
            rows = restore_day(self._connection, table, day, self._root, until)
            self._sweep()
        return rows

    def verify(self, table: Table, progress: Progress = silent) -> Iterator[tuple[str, str]]:
        """Read every file of a table and compare it with the manifest: (path, damage or '')."""
        files = live_files(self._connection, table)
        for number, file in enumerate(files, start=1):
            yield file.path, damage(file, table, self._root)
            progress(number, len(files))

    def _execute(
        self, table: Table, steps: Sequence[Step], result: ArchiveResult, progress: Progress
    ) -> None:
        for number, step in enumerate(steps, start=1):
            match step:
                case Export():
                    self._export(table, step.day, result)
                case Prune():
                    result.pruned_rows += prune(self._connection, table, step.file, self._root)
                case Keep():
                    result.kept[clock.day_text(step.day)] = step.reason
            progress(number, len(steps))

    def _export(self, table: Table, day: int, result: ArchiveResult) -> None:
        batch_size = self._settings.archive_batch_size
        exported = export_day(Source(self._connection, table, self._root, batch_size), day)
        if exported is None:
            result.kept[clock.day_text(day)] = "hot: rows came while it was archived; run again"
        else:
            result.days.append(clock.day_text(day))
            result.files.append(exported.path)
            result.rows += exported.rows
            result.bytes += exported.size

    @contextmanager
    def _alone(self) -> Iterator[None]:
        lock = self._root.parent / ".lock"
        with exclusive(lock, "the archive", wait=LOCK_WAIT_SECONDS):
            self._sweep()
            yield

    def _sweep(self) -> None:
        """Remove files that no live row of the manifest names, then the retired rows."""
        known = {file.path for table in TABLES for file in live_files(self._connection, table)}
        sweep(self._root, known)
        for file in retired_files(self._connection):
            forget(self._connection, file)
