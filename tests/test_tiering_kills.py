"""SIGKILL while other processes write and ask: every row is answered once, by everybody.

``python -m tests.tiering_kills`` runs longer campaigns: any seed, any number of kills, of a work
also at every call of it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

RANDOM_KILLS = 60  # of each seed
KILLS = 8  # of each work


def campaign(*arguments: object, seconds: float) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.tiering_kills", *map(str, arguments)],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    assert done.returncode == 0, done.stderr[-8000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("seed", range(1, 6))
def test_kills_at_random_moments(seed: int) -> None:
    found = campaign(seed, RANDOM_KILLS, seconds=600)
    assert found["kills"] >= RANDOM_KILLS
    assert found["reads"] >= RANDOM_KILLS
    assert found["writes"] >= 10 * RANDOM_KILLS


@pytest.mark.parametrize(
    "work", ["archive", "prune", "restore", "compact", "shorten", "erase", "expire", "months"]
)
@pytest.mark.parametrize("form", ["counted", "composite"])
def test_kills_at_calls_of_one_work(work: str, form: str) -> None:
    found = campaign(work, KILLS, form, seconds=300)
    assert found["kills"] >= KILLS - 1  # how many calls there are varies
