"""Many processes open a fresh database at the same moment, round by round.

``python -m tests.opening FOLDER PROCESSES ROUNDS`` prints in how many rounds one of them failed;
the errors are on stderr.
"""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path
from typing import Any

from gateway_assets.hot.store import open_store


def _open(path: Path, gate: Any) -> None:
    gate.wait()
    with open_store(path):
        pass


def all_could(path: Path, processes: int) -> bool:
    fork = multiprocessing.get_context("fork")
    gate = fork.Barrier(processes)
    children = [fork.Process(target=_open, args=(path, gate)) for _ in range(processes)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    return all(child.exitcode == 0 for child in children)


def main(folder: Path, processes: int, rounds: int) -> None:
    print(sum(not all_could(folder / f"{number}.db", processes) for number in range(rounds)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
