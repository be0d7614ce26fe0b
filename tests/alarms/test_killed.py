"""An engine that is killed, wherever: every sample counts once, and everybody is told once."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.alarms.kills import DEVICES, values
from tests.alarms.plant import Plant


def test_killed_at_any_call(plant: Plant) -> None:
    plant.rule()
    plant.channel()
    for device in DEVICES:  # the engine knows the series, so it hears of new points by marks alone
        plant.feed(device, [(1, 70.0)])
    done = subprocess.run(
        [sys.executable, "-m", "tests.alarms.kills", "211", "3001"],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "GATEWAY_POINTS_KEEP_DAYS": "36500",
        },
    )
    assert done.returncode == 0, done.stderr
    kills = json.loads(done.stdout)["kills"]
    assert kills > 5
    trials = range(1, kills + 2)
    plant.feed("whole", [(1, 70.0), *(each for trial in trials for each in values(trial))])
    steps = plant.steps("whole")
    assert len(steps) == 4 * len(trials) - 1  # the next trial ends the last alarm
    assert [plant.steps(device) for device in DEVICES] == [steps, steps]
    assert len(plant.notices()) == 3 * len(steps)
    assert len(plant.alerts()) == 3 * 2 * len(trials)
