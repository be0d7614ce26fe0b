"""The archiver: plans for a table and carries the plan out, one archiver at a time.

Each step commits on its own and is safe to repeat, so a run that was killed is finished by
running again. A day that fails does not stop the others, nor a table the other tables.
"""

from __future__ import annotations

import gc
import hashlib
import sqlite3
import time
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway_assets import clock
from gateway_assets.archive import manifest
from gateway_assets.archive.backup import backup, check_space
from gateway_assets.archive.compact import compact_day, expire_day, shorten
from gateway_assets.archive.erase import Receipt, check_match, check_not_computed, erase, found
from gateway_assets.archive.export import export_day
from gateway_assets.archive.known import forget_old
from gateway_assets.archive.manifest import live_files, live_paths
from gateway_assets.archive.monthly import build_months, drop_months
from gateway_assets.archive.pace import Pace
from gateway_assets.archive.places import Replaced, check_databases, count_day, replace_day
from gateway_assets.archive.plan import (
    Compact,
    Expire,
    Export,
    Keep,
    Prune,
    Rewrite,
    Step,
    hidden_step,
    look,
    plan,
    rules_for,
)
from gateway_assets.archive.prepare import prepare
from gateway_assets.archive.prune import prune
from gateway_assets.archive.restore import restore_day
from gateway_assets.archive.source import Source
from gateway_assets.archive.sweep import set_aside_unknown, sweep
from gateway_assets.archive.totals import unlike_below
from gateway_assets.archive.vacuum import shrink
from gateway_assets.archive.verify import damage
from gateway_assets.errors import ArchiveError, GatewayError, LandingError
from gateway_assets.files.lock import exclusive
from gateway_assets.geoip.geoip import GeoIP
from gateway_assets.hot.store import reading
from gateway_assets.progress import Progress, silent
from gateway_assets.settings import Settings
from gateway_assets.tables import rollups_of
from gateway_assets.tiers.catalog import Declared, catalog, find, open_database, tiered

LOCK_WAIT_SECONDS = 60.0
HOLD_DAYS = 7


@dataclass(slots=True)
class ArchiveResult:
    """What one run of the archiver did to one table. Sizes are bytes."""

    table: str
    days: list[str] = field(default_factory=list)
    rows: int = 0
    bytes: int = 0
    files: list[str] = field(default_factory=list)
    pruned_rows: int = 0
    expired_rows: int = 0
    compacted_days: list[str] = field(default_factory=list)
    months: list[str] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)  # days that are not simply archived
    staying: dict[str, str] = field(default_factory=dict)  # those of ``kept`` that are still hot
    failed: dict[str, str] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)  # of the table's columns
    set_aside: list[str] = field(default_factory=list)  # files that no manifest row names
    exit_code: int = 0  # of the error that kept the whole table from being archived
    hint: str = ""
    backup: str = ""
    freed_bytes: int = 0
    seconds: float = 0.0
    lock_seconds: float = 0.0
    longest_lock_seconds: float = 0.0

    def raise_failures(self) -> None:
        """Raise ArchiveError for the days that failed, after all others were dealt with."""
        for day, why in self.failed.items():
            more = f" (and {len(self.failed) - 1} more)" if len(self.failed) > 1 else ""
            hint = self.hint or f"gateway archive verify {self.table}"
            error = ArchiveError(f"{self.table} {day}: {why}{more}", hint=hint)
            error.exit_code = self.exit_code or error.exit_code
            raise error


class UniversalArchiver:
    """Moves days of tables between SQLite databases and Parquet.

    A table is given by its declared name, as a ``Table``, or as a SQLAlchemy model or table, that
    of a declared line or, with ``database``, of that file.
    """

    def __init__(self, settings: Settings, database: Path | None = None) -> None:
        self._settings = settings
        self._database = database
        self._root = settings.archive

    def plan(
        self,
        model_or_table: Any,
        days: Collection[int] | None = None,
        hot_days: int | None = None,
    ) -> list[Step]:
        """What a run would do now, and why; changes nothing."""
        with self._looking(model_or_table) as source:
            return self._steps(source, days, hot_days)

    def archive_table(
        self,
        model_or_table: Any,
        hot_days: int | None = None,
        batch_size: int | None = None,
        *,
        days: Collection[int] | None = None,
        progress: Progress = silent,
    ) -> ArchiveResult:
        """Carry out the plan for a table, or for some of its days.

        ``hot_days`` and ``batch_size`` override what is declared and set (30 and 10,000 rows
        unless given). Raises Busy when another archiver does not finish within a minute.
        """
        declared = find(self._settings, model_or_table, self._database)
        with self._alone(declared):
            return self._archive(declared, hot_days, batch_size, days, progress)

    def archive_all(
        self, wanted: Sequence[Any] = (), progress: Progress = silent
    ) -> list[ArchiveResult]:
        """Archive tables in order of priority; tables of different databases at the same time.

        A table that cannot be archived is told by its result's ``failed``.
        """
        chosen = [find(self._settings, one, self._database) for one in wanted]
        chosen = chosen or list(catalog(self._settings))
        grouped: dict[Path, list[Declared]] = {}
        for declared in sorted(chosen, key=lambda one: one.priority):
            grouped.setdefault(declared.database, []).append(declared)
        finished: list[ArchiveResult] = []

        def one_database(tables: list[Declared]) -> None:
            for declared in tables:
                last = declared is tables[-1]
                finished.append(self._isolated(declared, shrinking=last))
                progress(len(finished), len(chosen))

        with ThreadPoolExecutor(self._settings.archive_max_workers) as pool:
            list(pool.map(one_database, grouped.values()))
        order = [declared.name for declared in chosen]
        return sorted(finished, key=lambda result: order.index(result.table))

    def restore(
        self,
        model_or_table: Any,
        days: Collection[int],
        hold_days: int = HOLD_DAYS,
        progress: Progress = silent,
    ) -> int:
        """Bring days back to hot and keep them there for ``hold_days``; how many rows came."""
        with self._alone(model_or_table), self._working(model_or_table) as source:
            archived = sorted(set(manifest.live_days(source.connection, source.table)) & set(days))
            if not archived:
                first = clock.day_text(min(days))
                raise ArchiveError(
                    f"nothing of {source.table.name} {first} is archived",
                    hint=f"see where its days are: gateway archive plan {source.table.name}",
                )
            until = clock.now() + hold_days * clock.DAY if hold_days else 0
            rows = 0
            for number, day in enumerate(archived, start=1):
                rows += restore_day(source, day, until)
                progress(number, len(archived))
            sweep(source)
        return rows

    def verify(
        self, model_or_table: Any, sample: int | None = None, progress: Progress = silent
    ) -> Iterator[tuple[str, str]]:
        """Read files again and compare them with the manifest: (path, damage or '').

        ``sample`` reads that many files, evenly spread over the history, instead of all.
        """
        with self._looking(model_or_table) as source:
            files = live_files(source.connection, source.table)
            if sample is not None and sample < len(files):
                files = [files[number * len(files) // sample] for number in range(sample)]
            for number, file in enumerate(files, start=1):
                wrong = damage(file, source.fields_of(file), source.root)
                # It may have been restored meanwhile; then nobody needs it any more.
                if not wrong or file.path in live_paths(source.connection):
                    yield file.path, wrong
                progress(number, len(files))

    def matching(self, model_or_table: Any, given: Mapping[str, str]) -> tuple[int, int]:
        """How many rows ``erase`` would remove, in hot and in archived files."""
        with self._looking(model_or_table) as source:
            self._check_match(source, given)
            return found(source, given)

    def erase(
        self, model_or_table: Any, given: Mapping[str, str], progress: Progress = silent
    ) -> Receipt:
        """Remove every row whose columns have the given values, hot and archived."""
        with self._alone(model_or_table), self._working(model_or_table) as source:
            self._check_match(source, given)
            return erase(source, given, progress)

    def replace_places(
        self,
        model_or_table: Any,
        geoip: GeoIP,
        days: Collection[int],
        *,
        dry_run: bool = False,
        progress: Progress = silent,
    ) -> Replaced:
        """Give all rows of some days the places that the databases know now, or only count them.

        Days whose publication was taken back for it are published again by the next run.
        """
        check_databases(geoip)
        result = Replaced(find(self._settings, model_or_table, self._database).name)
        started = time.monotonic()
        with ExitStack() as stack:
            if not dry_run:
                stack.enter_context(self._alone(model_or_table))
            opened = self._looking if dry_run else self._working
            source = stack.enter_context(opened(model_or_table))
            having_rows = sorted({step.day for step in self._steps(source, days)})
            for number, day in enumerate(having_rows, start=1):
                try:
                    (count_day if dry_run else replace_day)(source, day, geoip, result)
                except (ArchiveError, LandingError) as error:
                    result.failed[clock.day_text(day)] = error.message
                progress(number, len(having_rows))
            if not dry_run:
                sweep(source)
                drop_months(source)
        result.seconds = time.monotonic() - started
        return result

    def compact(self, model_or_table: Any, progress: Progress = silent) -> ArchiveResult:
        """Make the files of each day one, and build the monthly copies."""
        result = ArchiveResult(find(self._settings, model_or_table, self._database).name)
        started = time.monotonic()
        with self._alone(model_or_table), self._working(model_or_table) as source:
            steps = [s for s in self._steps(source) if isinstance(s, Compact | Rewrite)]
            self._execute(source, steps, result, progress)
            self._build_months(source, result)
            sweep(source)
        result.seconds = time.monotonic() - started
        return result

    def backup(self, model_or_table: Any) -> Path:
        """Copy the database of a table, whole, and check the copy."""
        with self._looking(model_or_table) as source:
            return backup(source.connection, source.table.database, self._settings.backups)

    def _isolated(self, declared: Declared, shrinking: bool) -> ArchiveResult:
        try:
            with self._alone(declared):
                return self._archive(declared, shrinking=shrinking)
        except GatewayError as error:
            failed = {"all days": error.message}
            code, hint = error.exit_code, error.hint
            return ArchiveResult(declared.name, failed=failed, exit_code=code, hint=hint)
        except (sqlite3.Error, OSError) as error:
            return ArchiveResult(declared.name, failed={"all days": str(error)})

    def _archive(
        self,
        declared: Declared,
        hot_days: int | None = None,
        batch_size: int | None = None,
        days: Collection[int] | None = None,
        progress: Progress = silent,
        shrinking: bool = True,
    ) -> ArchiveResult:
        started = time.monotonic()
        result = ArchiveResult(declared.name)
        with _uncollected(), self._working(declared, batch_size, result) as source:
            result.changes = list(source.table.changes)
            steps = self._steps(source, days, hot_days)
            if any(not isinstance(step, Keep) for step in steps):
                self._check_space(source)
            self._execute(source, steps, result, progress)
            for _ in range(3):  # what was published may be pruned, what was pruned compacted
                sweep(source)
                due = [s for s in self._steps(source, days, hot_days) if _follows(s, result)]
                if not due:
                    break
                self._execute(source, due, result, silent)
            if self._settings.archive_enabled:
                self._build_months(source, result)
            forget_old(source)
            result.changes += [c for c in source.table.changes if c not in result.changes]
            if self._settings.archive_vacuum and shrinking:
                result.freed_bytes = shrink(source)
            result.lock_seconds = source.pace.locked
            result.longest_lock_seconds = source.pace.longest
        result.seconds = time.monotonic() - started
        return result

    def _steps(
        self,
        source: Source,
        days: Collection[int] | None = None,
        hot_days: int | None = None,
    ) -> list[Step]:
        rules = rules_for(source.table, self._settings, hot_days=hot_days)
        steps = plan(look(source.connection, source.table), rules)
        return [step for step in steps if days is None or step.day in days]

    def _execute(
        self, source: Source, steps: Sequence[Step], result: ArchiveResult, progress: Progress
    ) -> None:
        """Chunks of prunes are done when the lock may be taken again; until then other steps go on.

        One damaged day must not keep the others, and tomorrow's, where they are.
        """
        prunes: deque[Prune] = deque()
        chunks = self._chunks(source, prunes, result)
        for number, step in enumerate(steps, start=1):
            if isinstance(step, Prune):
                prunes.append(step)
            elif isinstance(step, Keep):
                if step.reason != "archived":
                    self._keep(step.day, step.reason, step.hot, result)
            else:
                with _working_on(source, step, result):
                    prunes.extend(self._act(source, step, result))
            while source.pace.is_due and next(chunks):
                pass
            progress(number - len(prunes), len(steps))
        while next(chunks):
            progress(max(len(steps) - len(prunes), 0), len(steps))
        progress(len(steps), len(steps))

    def _chunks(
        self, source: Source, prunes: deque[Prune], result: ArchiveResult
    ) -> Iterator[bool]:
        """Prune chunk by chunk what waits; whether there was any. It never ends."""
        while True:
            if not prunes:
                yield False
                continue
            step = prunes.popleft()
            chunks = prune(source, step.file)
            while True:
                pruned = None
                with _working_on(source, step, result):
                    pruned = next(chunks, None)
                if pruned is None:
                    break
                result.pruned_rows += pruned.rows
                if pruned.stopped:
                    result.kept[clock.day_text(step.day)] = pruned.stopped
                yield True

    def _act(self, source: Source, step: Step, result: ArchiveResult) -> Iterator[Prune]:
        """Carry out a step; what may be pruned at once because of it."""
        name = clock.day_text(step.day)
        match step:
            case Export():
                yield from self._export(source, step.day, result)
            case Rewrite():
                shorten(source, step.file)
            case Compact():
                if compact_day(source, step.day):
                    result.compacted_days.append(name)
            case Expire():
                result.expired_rows += expire_day(source, step.day)

    def _export(self, source: Source, day: int, result: ArchiveResult) -> Iterator[Prune]:
        self._check_rollups(source, day)
        exported = export_day(source, day)
        if exported is None:
            self._keep(day, "rows changed while it was archived; run again", True, result)
        else:
            result.days.append(clock.day_text(day))
            result.files.append(exported.path)
            result.rows += exported.rows
            result.bytes += exported.size
            file = manifest.file_numbered(source.connection, exported.number)
            if file is not None and file.state == "published":
                following = hidden_step(file, rules_for(source.table, self._settings))
                if isinstance(following, Prune):
                    yield following

    def _build_months(self, source: Source, result: ArchiveResult) -> None:
        try:
            result.months = [month.month for month in build_months(source)]
        except (ArchiveError, LandingError) as error:
            # A copy is not needed; the damage in its way has to be known.
            result.failed.setdefault("monthly copies", error.message)

    def _keep(self, day: int, reason: str, hot: bool, result: ArchiveResult) -> None:
        name = clock.day_text(day)
        result.kept.setdefault(name, reason)
        if hot:
            result.staying[name] = reason

    def _check_match(self, source: Source, given: Mapping[str, str]) -> None:
        check_match(source, given)
        own = source.table.own
        if own and own.summary:
            declared = [find(self._settings, name) for name in own.below]
            below = [self._source(source.connection, lower, None) for lower in declared]
            check_not_computed(source, below, given)

    def _check_rollups(self, source: Source, day: int) -> None:
        """Rows leave only when every roll-up over them adds up to them."""
        connection, table = source.connection, source.table
        for above in rollups_of(table.name) if table.own else ():
            if above.below[0] != table.name:
                continue  # a summary adds up the first of its tables; the others it only looks at
            upper = tiered(connection, find(self._settings, above), self._settings)
            with reading(connection):
                differing = unlike_below(connection, upper, table, self._root, day)
            if differing:
                raise ArchiveError(differing)

    def _check_space(self, source: Source) -> None:
        """Parquet, the log, and the copy that VACUUM makes: never more than the database again."""
        size = source.table.database.stat().st_size
        check_space(self._root, size // 2, f"archiving {source.table.name}")
        check_space(source.table.database.parent, size // 4, f"archiving {source.table.name}")

    @contextmanager
    def _looking(self, model_or_table: Any) -> Iterator[Source]:
        """A table's source for looking at it; the database is not changed."""
        declared = find(self._settings, model_or_table, self._database)
        with open_database(declared) as connection:
            yield self._source(connection, declared, None)

    @contextmanager
    def _working(
        self,
        model_or_table: Any,
        batch_size: int | None = None,
        result: ArchiveResult | None = None,
    ) -> Iterator[Source]:
        """A table's source for changing it: backed up, prepared, and swept."""
        declared = find(self._settings, model_or_table, self._database)
        with open_database(declared) as connection:
            source = self._source(connection, declared, batch_size)
            prepared = prepare(source, self._settings)
            source.table = tiered(connection, declared, self._settings)
            if result is not None:
                result.backup = prepared.backup
                result.set_aside = [str(path) for path in prepared.set_aside]
            if source.table.shape.is_referred_to_wrongly:
                connection.execute("PRAGMA foreign_keys=OFF")  # prune looks for references itself
            connection.execute("PRAGMA wal_autocheckpoint=0")  # see ``Source.checkpoint``
            sweep(source)
            yield source
            source.checkpoint()

    def _source(
        self, connection: sqlite3.Connection, declared: Declared, batch_size: int | None
    ) -> Source:
        settings = self._settings
        table = tiered(connection, declared, settings)
        pause = settings.archive_pause_ms / 1000
        return Source(
            connection,
            table,
            self._root,
            batch_size or settings.archive_batch_size,
            settings.archive_memory // 8,
            Pace(pause, settings.archive_cpu_percent, table.chunk_rows),
        )

    @contextmanager
    def _alone(self, model_or_table: Any) -> Iterator[None]:
        """One archiver a database; those of different databases do not meet."""
        declared = find(self._settings, model_or_table, self._database)
        with exclusive(lock_of(self._settings, declared), "the archive", wait=LOCK_WAIT_SECONDS):
            yield


@contextmanager
def _uncollected() -> Iterator[None]:
    """Rows are lists of tuples without cycles: the collector would look at each, in vain."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@contextmanager
def _working_on(source: Source, step: Step, result: ArchiveResult) -> Iterator[None]:
    """Note the failure of a day, and leave the processor to others for a while."""
    started = time.monotonic()
    try:
        yield
    except (ArchiveError, LandingError) as error:
        result.failed[clock.day_text(step.day)] = error.message
    source.pace.rest(time.monotonic() - started)


def lock_of(settings: Settings, declared: Declared) -> Path:
    """The file that an archiver of a table's database holds locked."""
    place = hashlib.sha256(str(declared.database.resolve()).encode()).hexdigest()[:8]
    return settings.archive.parent / f".lock-{declared.database.stem}-{place}"


def set_aside(settings: Settings, model_or_table: Any) -> list[Path]:
    """Move files of a table's tree that its manifest does not know to ``archive/orphans``."""
    archiver = UniversalArchiver(settings)
    with archiver._alone(model_or_table), archiver._looking(model_or_table) as source:
        return set_aside_unknown(source)


def _follows(step: Step, result: ArchiveResult) -> bool:
    """Whether a step can be done in the same run, having become due by it."""
    return isinstance(step, Prune | Compact | Rewrite | Expire) and (
        clock.day_text(step.day) not in result.failed | result.kept
    )
