"""What a running collector tells people: plain lines on standard error."""

from __future__ import annotations

import contextlib
import sys


def say(text: str) -> None:
    """One line; a reader that has gone is no reason to stop looking."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"gateway collect: {text}\n")
        sys.stderr.flush()
