"""What a frame is: a numbered, timed payload of a kind."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Kind(IntEnum):
    """Kinds that are known here; any number from 1 to 254 is kept and passed on."""

    DATA = 1  # line protocol, UTF-8
    COMMAND = 2
    EVENT = 3
    HEARTBEAT = 4


class Frame(NamedTuple):
    seq: int
    time: int  # of receipt, in nanoseconds since the epoch
    kind: int  # a Kind where it is known
    payload: bytes


Draft = tuple[int, bytes, int]  # kind, payload, time of a frame that has no number yet
