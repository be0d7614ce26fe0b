"""A table of PostgreSQL into a frame log of its own: every row, on from where the last run ended.

A batch is durable in the log before the watermark moves behind it. The next run begins at the very
instant of the watermark again, whose rows may not all have been there: a point that comes twice is
one. So no tie needs breaking, and a run may be killed anywhere.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import NamedTuple

from gateway_assets import clock
from gateway_assets.frames.frame import Draft, Kind
from gateway_assets.frames.log import open_log
from gateway_assets.points.postgres import opened
from gateway_assets.points.pull_rows import LINE_BYTES, Lines
from gateway_assets.points.pulls import Pull
from gateway_assets.points.watermarks import read_watermark, watermark_file, write_watermark
from gateway_assets.progress import Progress, silent
from gateway_assets.settings import Settings


class Pulled(NamedTuple):
    """``lines`` became points; ``rejects`` says why values and rows did not, and how many.

    ``until`` is the time of the last row ever, in microseconds since 1970; None before the first.
    """

    name: str
    rows: int
    lines: int
    rejects: dict[str, int]
    until: int | None
    seconds: float


def pull_table(settings: Settings, pull: Pull, progress: Progress = silent) -> Pulled:
    """Pull what is there; all of it is durable when this returns.

    Raises Busy when this table is being pulled, ConfigError, PullError, PullUnavailable,
    FramesUnavailable and LandingError; what was pulled before stays, and the next run goes on.
    """
    began = time.monotonic()
    path = watermark_file(settings.data_dir, pull)
    rows = points = 0
    # Opening the log keeps a second run out, and so comes before looking where to go on.
    with closing(open_log(settings.frames / f"pull-{pull.name}")) as log:
        mark = read_watermark(path, pull)
        with opened(pull) as source:
            lines = Lines(pull, source.spread)
            query = source.query(_since(mark.time, pull))
            for batch in source.batches(query):
                made = [line for row in batch if (line := lines.line(row))]
                if made:
                    log.append_many(list(_drafts(made)))
                mark = mark.moved(batch[-1][0], len(batch))
                write_watermark(path, mark)
                rows += len(batch)
                points += len(made)
                progress(rows, max(rows, query.rows))
    return Pulled(pull.name, rows, points, dict(lines.rejects), mark.time, time.monotonic() - began)


def _since(watermark: int | None, pull: Pull) -> int | None:
    return None if watermark is None else watermark - round(pull.overlap_seconds * clock.SECOND)


def _drafts(lines: Iterable[bytes]) -> Iterator[Draft]:
    """Frames of some mebibytes at most, whatever the rows are like."""
    now, waiting, size = time.time_ns(), list[bytes](), 0
    for line in lines:
        waiting.append(line)
        size += len(line)
        if size >= LINE_BYTES // 4:
            yield Kind.DATA, b"".join(waiting), now
            waiting, size = [], 0
    if waiting:
        yield Kind.DATA, b"".join(waiting), now
