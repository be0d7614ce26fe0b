"""Seal what a killed writer left, and find out which number comes next.

Call it only while holding the log's lock. Doing it again, also after being killed, changes nothing
more.
"""

from __future__ import annotations

import os
from pathlib import Path

from gateway_assets.frames.quarantine import Damage, keep_aside
from gateway_assets.frames.reading import records, segments
from gateway_assets.frames.record import FOOTER, HEADER
from gateway_assets.frames.refusals import refused
from gateway_assets.frames.segment import Segment, footer, seal_of


def recover(directory: Path) -> int:
    """The seq after the last valid one; 1 for a new log.

    Raises FramesUnavailable when a segment cannot be read or sealed.
    """
    next_seq = 1
    found = segments(directory)
    try:
        for segment in found:
            seal = seal_of(segment)
            mine = _seal(segment) if seal is None else seal.next_seq
            next_seq = max(next_seq, mine)
        for segment in found[-1:]:
            # Its writer can have been killed between the footer and the sync.
            with segment.path.open("rb") as file:
                os.fsync(file.fileno())
    except OSError as error:
        raise refused("recover", directory, error) from error
    return next_seq


def _seal(segment: Segment) -> int:
    """Cut a torn end off, keep aside what is damaged, write the footer; returns the next seq."""
    damages: list[Damage] = []
    next_seq, frames = segment.first_seq, 0
    for frame, _ in records(segment, 0, grows=False, damaged=damages.append):
        if HEADER < frame.kind < FOOTER:
            next_seq, frames = frame.seq + 1, frames + 1
    for damage in damages:
        keep_aside(damage)
    with segment.path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        if damages and damages[-1].end == size:
            file.truncate(damages[-1].start)
        if seal_of(segment) is None:
            file.seek(0, os.SEEK_END)
            file.write(footer(segment, next_seq, frames))
        file.flush()
        os.fsync(file.fileno())
    return next_seq
