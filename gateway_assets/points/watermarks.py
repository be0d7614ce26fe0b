"""How far a table was pulled: a small file a pull, replaced by rename after its rows are durable.

So a run that was killed anywhere reads some rows again and leaves none out.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

from gateway_assets.errors import LandingError
from gateway_assets.files.appear import explained, make_directory, partial_path, sync_directory
from gateway_assets.points.pulls import Pull


class Watermark(NamedTuple):
    """``time`` is that of the last row, in microseconds since 1970; None before the first."""

    source: str  # the table and its column of times: of another one, the time means nothing
    time: int | None
    rows: int  # read by all runs, those read again included

    def moved(self, time: int | None, rows: int) -> Watermark:
        """After a batch that ended at ``time``; it never moves back, as in an overlap."""
        times = [one for one in (self.time, time) if one is not None]
        return Watermark(self.source, max(times, default=None), self.rows + rows)


def watermark_file(data_dir: Path, pull: Pull) -> Path:
    return data_dir / "pulls" / f"{pull.name}.json"


def read_watermark(path: Path, pull: Pull) -> Watermark:
    """Raises LandingError when the file is of another table or no watermark."""
    source = f"{pull.table}, ordered by {pull.time}"
    try:
        found = Watermark(**json.loads(path.read_bytes()))
    except FileNotFoundError:
        return Watermark(source, None, 0)
    except (OSError, ValueError, TypeError) as error:
        raise _refused(path, f"it cannot be read: {error}") from None
    if found.source != source:
        raise _refused(path, f"it is of {found.source}")
    return found


def write_watermark(path: Path, watermark: Watermark) -> None:
    """Replace the file; durable when this returns. Raises LandingError."""
    with explained(path):
        make_directory(path.parent)
        partial = partial_path(path)
        try:
            with partial.open("xb") as file:
                file.write(json.dumps(watermark._asdict()).encode())
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        sync_directory(path.parent)


def _refused(path: Path, why: str) -> LandingError:
    return LandingError(
        f"{path} cannot tell where to go on: {why}",
        hint="remove it to pull the table from its first row; points that are there stay as one",
    )
