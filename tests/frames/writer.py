"""``python -m tests.frames.writer DIRECTORY BACKEND DURABILITY`` appends from four threads.

It goes on until it is killed, and prints a line for each frame that was acknowledged: its seq and
its payload.
"""

from __future__ import annotations

import os
import sys
import threading
from itertools import count
from pathlib import Path
from typing import Any

from gateway_assets.frames.frame import Kind
from gateway_assets.frames.log import FrameLog, open_log

THREADS = 4


def append(log: FrameLog, thread: int) -> None:
    for number in count():
        payload = f"t{thread} n={number}i"
        seq = log.append(Kind.DATA, payload.encode(), number)
        os.write(sys.stdout.fileno(), f"{seq} {payload}\n".encode())


def main(directory: str, backend: Any, durability: Any) -> None:
    log = open_log(Path(directory), backend=backend, durability=durability, segment_bytes=5_000)
    for thread in range(THREADS):
        threading.Thread(target=append, args=(log, thread)).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
