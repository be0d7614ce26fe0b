"""The process beside the service: loads what the log has, rolls it up, removes what is loaded.

A process of its own, so that parsing twice does not slow the answers down, and so that whatever
becomes of it, writes go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from gateway_assets.errors import Busy, GatewayError
from gateway_assets.hot.store import translated
from gateway_assets.points.expire import expire_loaded
from gateway_assets.points.load import Loader
from gateway_assets.points.refresh import refresh
from gateway_assets.points.schema import open_points
from gateway_assets.settings import Settings

LOAD_SECONDS, ROLLUP_SECONDS, EXPIRE_SECONDS = 1.0, 60.0, 600.0


@dataclass(slots=True)
class _Task:
    """Work that is done every so many seconds. What it fails with is said once."""

    seconds: float
    work: Callable[[], object]
    due: float = 0.0
    said: str = ""

    def run(self, settings: Settings, say: Callable[[str], None]) -> None:
        told = ""
        try:
            with translated(settings.points_database):
                self.work()
        except Busy:
            pass  # another process does the same
        except GatewayError as error:
            told = f"error: {error}"
        except Exception as error:  # noqa: BLE001  whatever it is, the next run may do
            told = f"error: {type(error).__name__}: {error}"
        if told not in {"", self.said}:
            say(told)
        self.said = told
        self.due = time.monotonic() + self.seconds


def run_loader(settings: Settings, say: Callable[[str], None], stopped: Callable[[], bool]) -> None:
    """Until ``stopped``. What fails is said and tried again: nothing is lost meanwhile."""
    with open_points(settings.points_database) as connection:
        loader = Loader(connection, settings)
        tasks = (
            _Task(LOAD_SECONDS, loader.load),
            _Task(ROLLUP_SECONDS, lambda: refresh(connection, settings)),
            _Task(EXPIRE_SECONDS, lambda: expire_loaded(settings)),
        )
        while not stopped():
            for task in tasks:
                if time.monotonic() >= task.due:
                    task.run(settings, say)
            time.sleep(0.1)
