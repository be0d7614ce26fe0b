"""What the tests of frame logs share."""

from __future__ import annotations

import shutil
from pathlib import Path

from gateway_assets.frames.frame import Draft, Frame, Kind
from gateway_assets.frames.log import open_log
from gateway_assets.frames.quarantine import FOLDER, REASON, Damage
from gateway_assets.frames.reading import read, segments

TIME = 1_763_750_000_000_000_000


def payload(number: int) -> bytes:
    return b"cpu,host=a usage=%di" % number


def draft(number: int) -> Draft:
    return Kind.DATA, payload(number), TIME + number


def fill(directory: Path, numbers: range) -> None:
    """Append and close, so that there is one sealed segment more."""
    log = open_log(directory)
    log.append_many([draft(number) for number in numbers])
    log.close()


def all_frames(directory: Path) -> list[Frame]:
    return [frame for segment in segments(directory) for frame, _ in read(segment)]


def numbers(directory: Path) -> list[int]:
    """The numbers in the payloads of a log that ``draft`` filled."""
    return [int(frame.payload.rpartition(b"=")[2][:-1]) for frame in all_frames(directory)]


def quarantined(directory: Path) -> list[Path]:
    folder = directory / FOLDER
    return sorted(path for path in folder.glob("*") if not path.name.endswith(REASON))


def crashed(directory: Path, target: Path) -> Path:
    """A copy of a log as it is on the disk now, without its writer."""
    shutil.copytree(directory, target, ignore=shutil.ignore_patterns(".lock"))
    return target


def ignored(damage: Damage) -> None:
    del damage
