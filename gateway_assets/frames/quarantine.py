"""Damaged bytes of a log, kept aside in its ``quarantine/`` with the reason in a file beside."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import NamedTuple

from gateway_assets import clock
from gateway_assets.errors import FramesUnavailable, LandingError
from gateway_assets.files.appear import appearing
from gateway_assets.frames.refusals import refused
from gateway_assets.frames.segment import Segment

FOLDER = "quarantine"
REASON = ".reason.json"


class Damage(NamedTuple):
    """Bytes ``[start, end)`` of a segment that are no record of it."""

    segment: Segment
    start: int
    end: int
    content: bytes
    reason: str


def keep_aside(damage: Damage) -> None:
    """Keep the bytes of a damage; those that are there already stay as they are.

    Raises FramesUnavailable when they cannot be written.
    """
    segment = damage.segment
    name = f"{segment.path.stem}-{damage.start}-{damage.end}.bytes"
    target = segment.path.parent / FOLDER / name
    facts = {
        "file": segment.name,
        "start": damage.start,
        "end": damage.end,
        "reason": damage.reason,
        "at": clock.iso(clock.now()),
    }
    reason = json.dumps(facts, indent=1).encode() + b"\n"
    try:
        for path, content in ((target, damage.content), (target.with_name(name + REASON), reason)):
            with suppress(FileExistsError), appearing(path) as file:
                file.write(content)
    except LandingError as error:
        raise FramesUnavailable(error.message, hint=error.hint) from error
    except OSError as error:
        raise refused("write", target, error) from error
