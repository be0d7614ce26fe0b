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
from pathlib import Path

from gateway_assets import clock
from gateway_assets.archive.export import Source, export_day
from gateway_assets.archive.manifest import live_files, live_paths
from gateway_assets.archive.plan import Export, Keep, Prune, Step, look, plan, rules_for
from gateway_assets.archive.prune import prune
from gateway_assets.archive.restore import restore_day
from gateway_assets.archive.sweep import sweep
from gateway_assets.archive.totals import expected_sums, stored
from gateway_assets.archive.verify import damage
from gateway_assets.errors import ArchiveError, LandingError
from gateway_assets.files.lock import exclusive
from gateway_assets.hot.store import reading
from gateway_assets.progress import Progress, silent
from gateway_assets.settings import Settings
from gateway_assets.table import Table
from gateway_assets.tables import rollups_of

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
    staying: dict[str, str] = field(default_factory=dict)  # those of ``kept`` that are still hot
    failed: dict[str, str] = field(default_factory=dict)
    set_aside: list[str] = field(default_factory=list)  # files that no manifest row names
    seconds: float = 0.0

    def raise_failures(self) -> None:
        """Raise ArchiveError for the days that failed, after all others were dealt with."""
        for day, why in self.failed.items():
            more = f" (and {len(self.failed) - 1} more days)" if len(self.failed) > 1 else ""
            raise ArchiveError(
                f"{self.table} {day}: {why}{more}", hint=f"gateway archive verify {self.table}"
            )


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
        with self._alone() as moved:
            result.set_aside = [str(path) for path in moved]
            self._execute(table, self.plan(table, days), result, progress)
            if rules_for(table, self._settings).grace == 0:
                due = [step for step in self.plan(table, days) if isinstance(step, Prune)]
                self._execute(table, due, result, silent)
        result.seconds = time.monotonic() - started
        return result

    def restore(self, table: Table, day: int, hold_days: int = HOLD_DAYS) -> int:
        """Bring a day back to hot and keep it there for ``hold_days``; how many rows came."""
        if not live_files(self._connection, table, day):
            raise ArchiveError(
                f"nothing of {table.name} {clock.day_text(day)} is archived",
                hint=f"see where its days are: gateway archive plan {table.name}",
            )
        until = clock.now() + hold_days * clock.DAY if hold_days else 0
        with self._alone():
            rows = restore_day(self._connection, table, day, self._root, until)
            sweep(self._connection, self._root)
        return rows

    def verify(self, table: Table, progress: Progress = silent) -> Iterator[tuple[str, str]]:
        """Read every file of a table and compare it with the manifest: (path, damage or '')."""
        files = live_files(self._connection, table)
        for number, file in enumerate(files, start=1):
            found = damage(file, table, self._root)
            # It may have been restored meanwhile; then nobody needs it any more.
            if not found or file.path in live_paths(self._connection):
                yield file.path, found
            progress(number, len(files))

    def _execute(
        self, table: Table, steps: Sequence[Step], result: ArchiveResult, progress: Progress
    ) -> None:
        for number, step in enumerate(steps, start=1):
            try:
                self._act(table, step, result)
            except (ArchiveError, LandingError) as error:
                # One damaged day must not keep the others, and tomorrow's, where they are.
                result.failed[clock.day_text(step.day)] = error.message
            progress(number, len(steps))

    def _act(self, table: Table, step: Step, result: ArchiveResult) -> None:
        match step:
            case Export():
                self._export(table, step.day, result)
            case Prune():
                result.pruned_rows += prune(self._connection, table, step.file, self._root)
            case Keep():
                self._keep(step.day, step.reason, step.hot, result)

    def _export(self, table: Table, day: int, result: ArchiveResult) -> None:
        self._check_rollups(table, day)
        batch_size = self._settings.archive_batch_size
        exported = export_day(Source(self._connection, table, self._root, batch_size), day)
        if exported is None:
            self._keep(day, "rows came while it was archived; run again", True, result)
        else:
            result.days.append(clock.day_text(day))
            result.files.append(exported.path)
            result.rows += exported.rows
            result.bytes += exported.size

    def _keep(self, day: int, reason: str, hot: bool, result: ArchiveResult) -> None:
        name = clock.day_text(day)
        result.kept.setdefault(name, reason)
        if hot:
            result.staying[name] = reason

    def _check_rollups(self, table: Table, day: int) -> None:
        """Rows leave only when every roll-up over them adds up to them."""
        for above in rollups_of(table.name):
            assert above.rollup
            with reading(self._connection):
                wanted = expected_sums(above.rollup, stored(self._connection, table, day))
                found = stored(self._connection, above, day).sums
            if found != wanted:
                raise ArchiveError(f"{above.name} has {found}, its rows {wanted}")

    @contextmanager
    def _alone(self) -> Iterator[list[Path]]:
        lock = self._root.parent / ".lock"
        with exclusive(lock, "the archive", wait=LOCK_WAIT_SECONDS):
            yield sweep(self._connection, self._root)
