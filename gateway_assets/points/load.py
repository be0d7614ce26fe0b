"""Frames of the log become rows of ``points.db``: once and only once.

How far each segment was read is committed with its rows, so every frame counts once, whoever reads
and whenever they are killed. Parsing happens outside of the write lock; a loader that finds that
another one was faster drops what it has read.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from typing import NamedTuple

from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.frames.frame import Frame, Kind
from gateway_assets.frames.reading import read, segments
from gateway_assets.frames.segment import Segment
from gateway_assets.hot.store import writing
from gateway_assets.points.cold import bring_back
from gateway_assets.points.dirty import mark
from gateway_assets.points.journals import Entry, entries, insert_entries
from gateway_assets.points.line import Line, Reject
from gateway_assets.points.line_protocol import Parser
from gateway_assets.points.payload import unwrapped
from gateway_assets.points.rows import rows_of
from gateway_assets.points.series import Registry, shown
from gateway_assets.points.watch import mark_watched
from gateway_assets.points.write import MustComeBack, write
from gateway_assets.progress import Progress, silent
from gateway_assets.settings import Settings

BATCH_LINES, BATCH_BYTES = 20_000, 16 * 2**20
# What a value can do to SQLite or to arithmetic, whatever was checked before.
_DATA_ERRORS = (sqlite3.IntegrityError, OverflowError, UnicodeError, ValueError, TypeError)


class Loaded(NamedTuple):
    """What a run of the loader has done."""

    frames: int = 0
    lines: int = 0
    points: int = 0
    entries: int = 0  # rows of logs and events that were not there yet
    rejects: int = 0

    def plus(self, other: Loaded) -> Loaded:
        return Loaded(*map(sum, zip(self, other, strict=True)))


class Batch(NamedTuple):
    """Frames of one segment, parsed: from byte ``start`` to byte ``end``."""

    start: int
    end: int
    frames: int
    lines: list[Line]
    entries: list[Entry]
    rejects: list[tuple[int, Reject]]  # with the number of the frame
    is_last: bool


class Loader:
    """Loads the logs below a directory. One object may be asked again and again: it goes on."""

    def __init__(self, connection: sqlite3.Connection, settings: Settings) -> None:
        self._connection = connection
        self._settings = settings
        self._bridge = UnifiedQueryBridge(settings)
        self._parser = Parser()
        self._registry = Registry(connection)

    def load(self, progress: Progress = silent) -> Loaded:
        """Everything that can be read now. Raises StoreError and Busy; what was loaded stays."""
        loaded, done = Loaded(), 0
        waiting = list(self._waiting())
        total = sum(size for _, _, size in waiting)
        for segment, offset, _ in waiting:
            for batch in self._batches(segment, offset):
                loaded = loaded.plus(self._commit_or_reject(segment, batch))
                done += batch.end - batch.start
                progress(done, total)
        return loaded

    def _waiting(self) -> Iterator[tuple[Segment, int, int]]:
        """Segments that may have more frames: from where on, and how many bytes that is."""
        rows = self._connection.execute("SELECT name, offset, done FROM segments").fetchall()
        known = {name: offset for name, offset, _ in rows}
        done = {name for name, _, is_done in rows if is_done}
        for directory in sorted(path for path in self._settings.frames.glob("*") if path.is_dir()):
            for segment in segments(directory):
                if segment.key not in done:
                    offset = known.get(segment.key, 0)
                    yield segment, offset, max(0, segment.path.stat().st_size - offset)

    def _batches(self, segment: Segment, offset: int) -> Iterator[Batch]:
        """Frames as they are read; the last batch of a sealed segment says that it is done."""
        batch = Batch(offset, offset, 0, [], [], [], False)
        for frame, end in read(segment, offset):
            batch = batch._replace(end=end, frames=batch.frames + 1)
            self._parse(frame, batch)
            if len(batch.lines) >= BATCH_LINES or end - batch.start >= BATCH_BYTES:
                yield batch
                batch = Batch(end, end, 0, [], [], [], False)
        if batch.frames or segment.is_sealed:
            yield batch._replace(is_last=segment.is_sealed)

    def _parse(self, frame: Frame, batch: Batch) -> None:
        if frame.kind == Kind.EVENT:
            good, refused = entries(frame.payload)
            batch.entries.extend(good)
            batch.rejects.extend((frame.seq, Reject(*one)) for one in refused)
        if frame.kind != Kind.DATA:
            return  # commands and heartbeats stay in the log
        body, unit = unwrapped(frame.payload)
        parsed = self._parser.parse(body, unit=unit, now=frame.time)
        batch.lines.extend(parsed.lines)
        batch.rejects.extend((frame.seq, reject) for reject in parsed.rejects)

    def _commit_or_reject(self, segment: Segment, batch: Batch) -> Loaded:
        """Commit; a frame with something that nobody foresaw is rejected, and stops no other."""
        try:
            return self._commit(segment, batch)
        except _DATA_ERRORS as error:
            if batch.frames > 1:
                loaded = Loaded()
                for one in self._one_by_one(segment, batch):
                    loaded = loaded.plus(self._commit_or_reject(segment, one))
                return loaded
            why = Reject(0, "", f"cannot be stored: {type(error).__name__}: {error}"[:1000])
            refused = [*batch.rejects, (0, why)]
            return self._commit(segment, batch._replace(lines=[], entries=[], rejects=refused))

    def _one_by_one(self, segment: Segment, batch: Batch) -> Iterator[Batch]:
        start = batch.start
        for frame, end in read(segment, batch.start):
            one = Batch(start, end, 1, [], [], [], end == batch.end and batch.is_last)
            self._parse(frame, one)
            yield one
            start = end
            if end >= batch.end:
                return

    def _commit(self, segment: Segment, batch: Batch) -> Loaded:
        while True:
            try:
                with writing(self._connection):
                    return self._insert(segment, batch)
            except MustComeBack as needed:
                self._registry.forget()
                for table, days in needed.days.items():
                    bring_back(self._connection, self._settings, table, days)
            except BaseException:
                self._registry.forget()
                raise

    def _insert(self, segment: Segment, batch: Batch) -> Loaded:
        query = "SELECT offset FROM segments WHERE name = ?"
        (known,) = self._connection.execute(query, (segment.key,)).fetchone() or (0,)
        if known != batch.start:
            return Loaded()  # another loader has these frames
        self._registry.refresh()
        now = time.time_ns()
        found = rows_of(batch.lines, self._registry)
        new = write(self._connection, self._bridge, found.rows)
        mark(self._connection, new, now)
        mark_watched(self._connection, new)
        written = insert_entries(self._connection, batch.entries)
        rejects = [
            *((seq, one.number, one.reason, one.text) for seq, one in batch.rejects),
            *((None, None, reason, shown(line)) for line, reason in found.conflicts),
        ]
        self._connection.executemany(
            "INSERT INTO point_rejects (time, segment, frame, line, reason, text) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            ((now, segment.key, *reject) for reject in rejects),
        )
        loaded = Loaded(batch.frames, len(batch.lines), len(found.rows), written, len(rejects))
        place = segment.key, segment.path.parent.name, batch.end, batch.is_last
        counts = loaded.frames, loaded.points, loaded.rejects
        self._connection.execute(_ADVANCE, (*place, *counts, now))
        return loaded


_ADVANCE = """
INSERT INTO segments (name, instance, offset, done, frames, points, rejects, loaded_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    offset = excluded.offset, done = excluded.done, frames = frames + excluded.frames,
    points = points + excluded.points, rejects = rejects + excluded.rejects,
    loaded_at = excluded.loaded_at
"""
