"""Remove segments that are old and loaded; what is not loaded is never removed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from gateway_assets.files.appear import sync_directory
from gateway_assets.frames.reading import segments
from gateway_assets.frames.refusals import refused
from gateway_assets.frames.segment import Segment, is_rocks, seal_of

_HOUR = 3_600 * 10**9


class Expired(NamedTuple):
    removed: list[Segment]
    excess: int  # bytes that the log is still larger than the cap, because they must stay


def expire(
    directory: Path,
    *,
    keep_hours: float = 24,
    loaded: Callable[[Segment], bool],
    max_bytes: int | None = None,
) -> Expired:
    """Remove loaded segments sealed more than ``keep_hours`` ago, oldest first.

    While the log is larger than ``max_bytes``, younger loaded ones go, too; a cap that would need
    more is not obeyed, but reported. The newest segment with frames stays, because it carries the
    sequence, and so does a segment without a footer until the next start gives it one. A log in
    RocksDB is not touched: only its writer can remove frames (``RocksLog.expire``).

    Raises FramesUnavailable.
    """
    if is_rocks(directory):
        return Expired([], 0)
    try:
        return _expire(directory, time.time_ns() - int(keep_hours * _HOUR), loaded, max_bytes)
    except OSError as error:
        raise refused("remove segments of", directory, error) from error


def _expire(
    directory: Path, oldest: int, loaded: Callable[[Segment], bool], max_bytes: int | None
) -> Expired:
    found = [(segment, seal_of(segment)) for segment in segments(directory)]
    size = sum(segment.path.stat().st_size for segment, _ in found)
    cap = size if max_bytes is None else max_bytes
    with_frames = [place for place, (_, seal) in enumerate(found) if seal and seal.frames]
    newest = with_frames[-1] if with_frames else 0
    removed = []
    for segment, seal in found[:newest]:
        if seal and (seal.time < oldest or size > cap) and loaded(segment):
            size -= segment.path.stat().st_size
            segment.path.unlink()
            removed.append(segment)
    if removed:
        sync_directory(directory)
    return Expired(removed, max(0, size - cap))
