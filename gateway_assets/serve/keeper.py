"""Processes beside the service: started, and started again whenever they end."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway_assets.settings import Settings

NAMES = {"loader": "the loader", "alarms": "the evaluation of alarms"}
PAUSES = (1, 2, 5, 10, 30)  # seconds before another start
_STEADY_SECONDS = 60
_STOP_SECONDS = 8
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)  # before a fork: loading a library behind one may wait for ever


@contextmanager
def kept(settings: Settings, part: str, say: Callable[[str], None]) -> Iterator[None]:
    """Keep ``gateway serve --<part>`` running for the block. Killing it does no harm, nor this
    process's death.
    """
    stopping = threading.Event()
    keeper = threading.Thread(target=_keep, args=(settings, part, say, stopping), name=part)
    keeper.start()
    try:
        yield
    finally:
        stopping.set()
        keeper.join()


def _keep(
    settings: Settings, part: str, say: Callable[[str], None], stopping: threading.Event
) -> None:
    program = Path(sys.executable).parent / "gateway"
    command = [str(program), "--data-dir", str(settings.data_dir), "serve", f"--{part}"]
    deaths = 0
    while not stopping.is_set():
        began = time.monotonic()
        status = _run(command, stopping)
        if stopping.is_set():
            return
        deaths = 1 if time.monotonic() - began > _STEADY_SECONDS else deaths + 1
        pause = PAUSES[min(deaths, len(PAUSES)) - 1]
        say(f"{NAMES[part]} ended with status {status}; starting it again in {pause} s")
        stopping.wait(pause)


def _run(command: list[str], stopping: threading.Event) -> int | str:
    """Its exit status, or why it could not be started."""
    try:
        process = subprocess.Popen(
            command,
            start_new_session=True,  # Ctrl-C reaches the service only, which then ends this
            preexec_fn=_die_with_parent,  # noqa: PLW1509  one call into the kernel
        )
    except OSError as error:
        return str(error)
    while process.poll() is None and not stopping.wait(0.2):
        pass
    process.terminate()
    try:
        return process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
