"""Inserts 200 tasks a second into forward.db until stdin closes; then how long they took, as JSON.

Open loop: a row is due every 5 ms whether the last one is done or not, and its milliseconds count
from when it was due. Autocommit and synchronous=NORMAL, as applications do it in WAL mode.
"""

from __future__ import annotations

import json
import sqlite3
import statistics
import sys
import threading
import time
from contextlib import closing

from gateway_assets import clock

RATE = 200
INSERT = """
INSERT INTO task_queue (task_type, task_data, status, unique_key, created_at)
VALUES ('forward_message', ?, 'pending', ?, ?)
"""


def main() -> None:
    open_end = threading.Thread(target=sys.stdin.read, daemon=True)
    open_end.start()
    waits: list[float] = []
    with closing(sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=NORMAL")
        started = time.perf_counter()
        while open_end.is_alive():
            due = started + len(waits) / RATE
            time.sleep(max(due - time.perf_counter(), 0))
            now = clock.iso(clock.now()).rstrip("Z").replace("T", " ")
            data = json.dumps({"caption": "x" * 300, "number": len(waits)})
            connection.execute(INSERT, (data, f"bench:{len(waits)}", now))
            waits.append((time.perf_counter() - due) * 1000)
    cuts = statistics.quantiles(waits, n=100)
    figures = {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "max": max(waits)}
    print(json.dumps({**figures, "inserted": len(waits)}))


if __name__ == "__main__":
    main()
