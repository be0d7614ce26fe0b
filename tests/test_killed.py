"""SIGKILL at many points of loading, archiving, restoring: every row is answered exactly once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("work", "first", "step", "at_least"),
    [
        ("load", 311, 701, 20),
        ("rollup", 11, 97, 20),
        ("younger", 53, 449, 15),
        ("archive", 97, 1301, 20),
        ("restore", 53, 199, 20),
        ("late", 401, 3001, 20),
        ("places", 79, 907, 20),
    ],
)
def test_every_row_is_answered_once(work: str, first: int, step: int, at_least: int) -> None:
    environment = {
        **os.environ,
        "GATEWAY_HOT_DAYS": '{"ip_traffic": 0, "ip_traffic_daily": 0}',
        "GATEWAY_ARCHIVE_GRACE_HOURS": "0",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.killing", work, str(first), str(step)],
        env=environment,
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["kills"] >= at_least
