"""How much of the frame logs is not loaded yet, and since when it waits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gateway_assets.frames.reading import read, segments
from gateway_assets.frames.segment import ROCKS, Segment
from gateway_assets.points.schema import open_points
from gateway_assets.settings import Settings


class Held(NamedTuple):
    """A segment, and how much of it is loaded."""

    segment: Segment
    size: int  # bytes
    waiting: int  # bytes that no loader has read; of a log in RocksDB all, while any frame waits
    since: int | None  # receipt of the first frame that waits, ns since 1970
    is_done: bool  # loaded whole, and noted as such

    @property
    def is_due(self) -> bool:
        """Whether a loader has something to do: an end that was torn off is no frame."""
        return self.since is not None or (self.segment.is_sealed and not self.is_done)


def held(settings: Settings) -> list[Held]:
    """Every segment of every log. Raises StoreError and FramesUnavailable."""
    with open_points(settings.points_database) as connection:
        rows = connection.execute("SELECT name, offset, done FROM segments").fetchall()
    offsets = {name: offset for name, offset, _ in rows}
    done = {name for name, _, is_done in rows if is_done}
    return [
        _held(segment, size, offsets.get(segment.key, 0), is_done=segment.key in done)
        for segment, size in _sizes(settings)
    ]


def waiting_bytes(settings: Settings) -> int:
    """Bytes of records that no loader has read. Raises StoreError and FramesUnavailable."""
    return sum(one.waiting for one in held(settings))


def waiting_since(settings: Settings) -> int | None:
    """Receipt (ns since 1970) of the first frame that no loader has read; None where none waits.
    Raises StoreError and FramesUnavailable.
    """
    return min((one.since for one in held(settings) if one.since is not None), default=None)


def _sizes(settings: Settings) -> Iterator[tuple[Segment, int]]:
    for directory in sorted(path for path in settings.frames.glob("*") if path.is_dir()):
        for segment in segments(directory):
            files = segment.path.iterdir() if segment.name == ROCKS else [segment.path]
            try:
                yield segment, sum(path.stat().st_size for path in files)
            except FileNotFoundError:
                continue  # it was loaded, and has gone since it was listed


def _held(segment: Segment, size: int, offset: int, *, is_done: bool) -> Held:
    if segment.name == ROCKS:  # whose offsets are numbers of frames
        since = _since(segment, offset)
        return Held(segment, size, 0 if since is None else size, since, is_done)
    waiting = 0 if is_done else max(0, size - offset)
    return Held(segment, size, waiting, _since(segment, offset) if waiting else None, is_done)


def _since(segment: Segment, offset: int) -> int | None:
    # Damage is reported by the loader that comes to it.
    frame, _ = next(read(segment, offset, damaged=lambda _: None), (None, 0))
    return frame.time if frame else None
