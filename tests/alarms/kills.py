"""Kill the engine with SIGKILL at every kind of point; the next run must do what is left, once.

``python -m tests.alarms.kills FIRST STEP`` writes points of two devices into the data directory of
the settings, evaluates them in a fork that kills itself at its n-th call of a Python or C function,
and again in another one; for n = FIRST, FIRST + STEP, … until the fork ends by itself. Prints one
JSON line.
"""

from __future__ import annotations

import json
import os
import sys

from gateway_assets.alarms.run import evaluate
from gateway_assets.registry.database import Registry
from gateway_assets.settings import load_settings
from tests.alarms.plant import running_plant
from tests.notify.kills import kill_at_call

DEVICES = "one", "two"
MOST = 60


def values(trial: int) -> list[tuple[float, float]]:
    """What each trial writes: the device gets hot twice."""
    return [(10 * trial + at, value) for at, value in enumerate((70.0, 85.0, 90.0, 70.0, 95.0))]


def _evaluated(kill_at: int) -> bool:
    """Whether a fork that evaluates was killed."""
    child = os.fork()
    if child == 0:
        outcome = 1
        try:
            settings = load_settings()
            if kill_at:
                kill_at_call(kill_at)
            evaluate(settings)
            sys.setprofile(None)
            outcome = 0
        finally:
            os._exit(outcome)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


def main(first: int, step: int) -> None:
    settings = load_settings()
    for trial in range(1, MOST + 1):
        # Nothing stays open here while others work.
        with running_plant(settings, Registry(settings)) as plant:
            for device in DEVICES:
                plant.write(device, values(trial))
        killed = _evaluated(first + (trial - 1) * step)
        _evaluated(0)
        if not killed:
            break
    else:
        sys.exit(f"a run is not done after {MOST} kills: what they leave is not done, but piles up")
    print(json.dumps({"kills": trial - 1, "last_call": first + (trial - 1) * step}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
