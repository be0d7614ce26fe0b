"""The process beside the service that evaluates alarms, sends what is to be told, and notes which
devices are there.

It costs nothing until there is a registry. Sending waits for other servers, so it has a thread of
its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from gateway_assets.errors import GatewayError
from gateway_assets.hot.store import translated
from gateway_assets.points.schema import open_points
from gateway_assets.settings import Settings

SECONDS = 0.25  # between two looks; one that finds nothing costs a question to each database
PRESENCE_SECONDS, TIDY_SECONDS = 10.0, 3_600.0
AFTER_ERROR_SECONDS = 5.0
SAY_AGAIN_SECONDS = 600.0
_IDLE_SECONDS = 2.0


def run_alarms(settings: Settings, say: Callable[[str], None], stopped: Callable[[], bool]) -> None:
    """Until ``stopped``. What fails is said, the same not again for a while, and tried again: no
    sample is missed by that.
    """
    said, at = "", 0.0
    while not stopped():
        try:
            if settings.has_registry:
                _run(settings, say, stopped)
            _wait(_IDLE_SECONDS, stopped)
        except GatewayError as error:
            if str(error) != said or time.monotonic() - at > SAY_AGAIN_SECONDS:
                say(f"error: {error}")
                said, at = str(error), time.monotonic()
            _wait(AFTER_ERROR_SECONDS, stopped)


def _run(settings: Settings, say: Callable[[str], None], stopped: Callable[[], bool]) -> None:
    # SQLAlchemy takes a third of a second and forty megabytes, which a host without rules keeps.
    from gateway_assets.alarms.presence import renew_presences  # noqa: PLC0415
    from gateway_assets.alarms.run import held_engine  # noqa: PLC0415
    from gateway_assets.alarms.tidy import tidy  # noqa: PLC0415
    from gateway_assets.notify.deliver import deliver_forever  # noqa: PLC0415

    told: dict[str, str] = {}
    due = tidy_due = 0.0
    with held_engine(settings) as engine, open_points(settings.points_database) as points:
        stop = threading.Event()
        sender = threading.Thread(
            target=deliver_forever, args=(engine.registry, settings, stop), name="notify"
        )
        sender.start()
        try:
            while not stopped():
                with translated(settings.points_database):
                    engine.run()
                    if time.monotonic() >= due:
                        renew_presences(settings, engine.registry, points)
                        due = time.monotonic() + PRESENCE_SECONDS
                    if time.monotonic() >= tidy_due:
                        tidy(engine.registry, settings)
                        tidy_due = time.monotonic() + TIDY_SECONDS
                for rule, why in engine.wrong_rules.items():
                    if told.get(rule) != why:
                        say(f"error: {why}")
                told = dict(engine.wrong_rules)
                _wait(SECONDS, stopped)
        finally:
            stop.set()
            sender.join()


def _wait(seconds: float, stopped: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while not stopped() and time.monotonic() < end:
        time.sleep(0.1)
