"""Tests that look at all sockets or packets of loopback take turns."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_LOOK_AT_LOOPBACK = ("test_attributed", "test_attribution", "test_iftop_live", "test_sockdiag")


@pytest.fixture(autouse=True)
def _alone_on_loopback(request: pytest.FixtureRequest) -> Iterator[None]:
    """They talk from the same addresses, and would meet each other's traffic."""
    if not request.module.__name__.endswith(_LOOK_AT_LOOPBACK):
        yield
        return
    with (Path(tempfile.gettempdir()) / "gateway-tests-loopback.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
