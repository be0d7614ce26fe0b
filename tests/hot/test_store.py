"""Opening the hot database."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROUNDS = 100


def test_many_processes_open_a_fresh_database_at_once(tmp_path: Path) -> None:
    """In a process of its own, because it forks."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.opening", str(tmp_path), "4", str(ROUNDS)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) == 0, done.stderr
