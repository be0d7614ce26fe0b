"""Going on in a child process: what a statement of anybody's does there cannot hurt this one."""

from __future__ import annotations

import importlib
import os
import select
import signal
import sys
from typing import Any, NoReturn

from gateway_assets.errors import QueryError
from gateway_assets.settings import Settings

GRACE_SECONDS = 5.0  # for starting, and for printing the answer


def go_on_in_child(settings: Settings, module: str, seconds: float | None = None) -> Any:
    """Return a module, loaded in a child process; this one loads nothing. It waits for the end of
    the child, ends it after ``seconds`` (``query_timeout_seconds``), and ends as it did.
    """
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        loaded = importlib.import_module(module)
        loaded.end_with(parent)
        return loaded
    try:
        status = _waited(child, (seconds or settings.query_timeout_seconds) + GRACE_SECONDS)
    except KeyboardInterrupt:
        os.kill(child, signal.SIGKILL)
        sys.exit(130)
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        raise QueryError(
            f"the query's process was ended by {name}, most likely for want of memory",
            hint="narrow the query, or raise query_memory_limit",
        )
    sys.exit(os.waitstatus_to_exitcode(status))


def end_child() -> NoReturn:
    """End the child, all having gone well, without taking down what the kernel takes down."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _waited(child: int, seconds: float) -> int:
    waiting = select.poll()
    descriptor = os.pidfd_open(child)
    waiting.register(descriptor, select.POLLIN)
    ended = waiting.poll(seconds * 1000)
    os.close(descriptor)
    if not ended:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not ended:
        raise QueryError(
            f"the query took longer than {seconds:,.0f} s",
            hint="narrow the time range, or raise query_timeout_seconds",
        )
    return status
