"""What the operating system refused, as an error that says what to do.

All of it may pass: a disk gets room, a mount comes back, an owner is put right. So a client is told
to try again, never to throw its data away.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway_assets.errors import ConfigError, FramesUnavailable
from gateway_assets.files.appear import HINTS


def refused(what: str, path: Path, error: OSError) -> FramesUnavailable:
    """``what`` is what was tried: read or write."""
    reason = error.strerror or os.strerror(error.errno or 0)
    hint = HINTS.get(error.errno or 0, "look at the kernel's messages: dmesg --level err | tail")
    return FramesUnavailable(f"cannot {what} {path}: {reason}", hint=hint)


@contextmanager
def needing_rocksdict() -> Iterator[None]:
    """Around imports of what only logs in RocksDB need."""
    try:
        yield
    except ImportError as error:
        raise ConfigError(
            "a frame log in RocksDB needs the package rocksdict",
            hint="pip install 'gateway-assets[rocksdb]', or use the backend segments",
        ) from error
