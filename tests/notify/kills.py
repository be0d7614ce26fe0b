"""Kill a deliverer with SIGKILL at every kind of point; the next one must send what is left.

``python -m tests.notify.kills FIRST STEP`` writes notifications into the registry of the settings,
delivers them in a fork that kills itself at its n-th call of a Python or C function, and delivers
again when the claim has run out; for n = FIRST, FIRST + STEP, … until the fork ends by itself.
Prints one JSON line.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any

from sqlalchemy import select

from gateway_assets.notify.batches import LEASE
from gateway_assets.notify.deliver import deliver
from gateway_assets.notify.sink import State
from gateway_assets.registry.alerts import AlertRule
from gateway_assets.registry.database import Registry
from gateway_assets.settings import Settings, load_settings
from tests.notify.told import NOON, Clock, never, statuses, tell

Work = Callable[[Registry, Settings, Clock], None]


def _tell(trial: int) -> Work:
    """Two groups, of which one has a beginning and an end of the same alert."""

    def work(registry: Registry, settings: Settings, clock: Clock) -> None:
        with registry.reading() as session:
            rule = session.scalars(select(AlertRule.id)).one()
        series = f"trial {trial}"
        tell(registry, settings, rule, 1, series, State.FIRING, clock())
        tell(registry, settings, rule, 2, series, State.RESOLVED, clock())
        tell(registry, settings, rule, 1, f"other {trial}", now=clock(), group_key="g")

    return work


def _deliver(registry: Registry, settings: Settings, clock: Clock) -> None:
    clock.forward(settings.notify_group_seconds)
    deliver(registry, settings, clock, never)


def _deliver_the_rest(registry: Registry, settings: Settings, clock: Clock) -> None:
    clock.forward(settings.notify_group_seconds + LEASE.total_seconds())
    deliver(registry, settings, clock, never)
    left = set(statuses(registry)) - {"SENT"}
    if left:
        raise AssertionError(f"after another delivery there are {left}")


def _in_child(work: Work, settings: Settings, clock: Clock, kill_at: int = 0) -> bool:
    """Run work in a fork; whether it was killed."""
    child = os.fork()
    if child == 0:
        outcome = 1
        try:
            registry = Registry(settings)
            if kill_at:
                kill_at_call(kill_at)
            work(registry, settings, clock)
            sys.setprofile(None)
            outcome = 0
        except BaseException:  # noqa: BLE001  said, then turned into an exit status
            traceback.print_exc()
        finally:
            os._exit(outcome)
    _, outcome = os.waitpid(child, 0)
    if os.WIFSIGNALED(outcome):
        return True
    if os.waitstatus_to_exitcode(outcome):
        sys.exit(f"the work failed in child {child}")
    return False


def kill_at_call(number: int) -> None:
    calls = itertools.count(1)

    def count(frame: FrameType, event: str, arg: Any) -> None:
        if event in {"call", "c_call"} and next(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(count)
    sys.setprofile(count)


def main(first: int, step: int) -> None:
    settings = load_settings()
    clock = Clock(NOON)
    for trial in itertools.count():
        clock.forward(7200)
        _in_child(_tell(trial), settings, clock)
        killed = _in_child(_deliver, settings, clock, first + trial * step)
        _in_child(_deliver_the_rest, settings, clock)
        if not killed:
            break
    print(json.dumps({"kills": trial, "last_call": first + trial * step}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
