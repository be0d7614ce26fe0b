"""How far a value can be trusted: the severity of an OPC UA status code (Part 8, A.3.2.3)."""

from __future__ import annotations

from enum import IntEnum


class Quality(IntEnum):
    """As points are stored. NULL is ``GOOD`` there, because nearly all of them are."""

    BAD = 0
    UNCERTAIN = 1
    GOOD = 2
