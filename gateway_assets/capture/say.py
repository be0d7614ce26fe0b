"""What a running capture tells people: plain lines on standard error."""

from __future__ import annotations

import contextlib
import sys


def say(text: str) -> None:
    """One line; a reader that has gone is no reason to stop counting."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"gateway-capture: {text}\n")
        sys.stderr.flush()
