"""The frame log against plain RocksDB and SQLite: frames a second, acknowledged one way or other.

``sync``   acknowledged when on disk: fdatasync, RocksDB's ``sync``, SQLite's ``synchronous=FULL``
``async``  acknowledged when the kernel has it: ``synchronous=NORMAL`` for SQLite

The log checks each frame with a CRC, gives it a seq and lets any process read it as it is written.
Here the others only store what they are given; threads share SQLite's one connection. Frames have
200 bytes, 56 of them random.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

from rocksdict import Options, Rdict, WriteBatch, WriteOptions
from side_by_side import Figures, in_turns, print_heading, print_table, progress, ratio

from gateway_assets.frames.frame import Kind
from gateway_assets.frames.log import Durability, open_log

PAYLOAD = b"machine,line=7,device=press-12 temperature=71.25,pressure=3.5,".ljust(144, b"x")
Put = Callable[[int], object]  # stores so many frames at once

# how frames come -> frames at once, threads
COMING = {
    "one by one": (1, 1),
    "one by one, 8 threads": (1, 8),
    "100 at once": (100, 1),
    "1,000 at once": (1000, 1),
}


def payloads(number: int) -> list[bytes]:
    return [PAYLOAD + os.urandom(56) for _ in range(number)]


@contextmanager
def segments(directory: Path, durability: Durability) -> Iterator[Put]:
    with closing(open_log(directory, durability=durability)) as log:

        def put(number: int) -> None:
            now = time.time_ns()
            log.append_many([(Kind.DATA, payload, now) for payload in payloads(number)])

        yield put


@contextmanager
def rocksdb(directory: Path, durability: Durability) -> Iterator[Put]:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_write_buffer_size(8 * 2**20)
    writing = WriteOptions()
    writing.sync = durability == "sync"
    seqs = count(1)
    with closing(Rdict(str(directory / "rocks"), options)) as database:

        def put(number: int) -> None:
            batch = WriteBatch(raw_mode=True)
            for payload in payloads(number):
                batch.put(b"frame:%020d" % next(seqs), payload)
            database.write(batch, writing)

        yield put


@contextmanager
def sqlite(directory: Path, durability: Durability) -> Iterator[Put]:
    level = {"sync": "FULL", "async": "NORMAL"}[durability]
    lock = threading.Lock()
    path = directory / "frames.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute(f"PRAGMA synchronous={level}")
        database.execute("CREATE TABLE frames (seq INTEGER PRIMARY KEY, time, kind, payload)")

        def put(number: int) -> None:
            now = time.time_ns()
            rows = [(now, 1, payload) for payload in payloads(number)]
            with lock:
                database.execute("BEGIN")
                database.executemany("INSERT INTO frames VALUES (NULL, ?, ?, ?)", rows)
                database.execute("COMMIT")

        yield put


STORES = {"segments": segments, "RocksDB": rocksdb, "SQLite": sqlite}


def rate(put: Put, number: int, threads: int, span: float) -> float:
    """Frames a second that were acknowledged in ``span`` seconds."""
    done = [0] * threads
    end = time.perf_counter() + span

    def work(thread: int) -> None:
        while time.perf_counter() < end:
            put(number)
            done[thread] += number

    started = time.perf_counter()
    workers = [threading.Thread(target=work, args=(thread,)) for thread in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(done) / (time.perf_counter() - started)


def rates(store: str, durability: Durability, root: Path, span: float) -> Figures:
    figures = {}
    for coming, (number, threads) in COMING.items():
        with (
            tempfile.TemporaryDirectory(dir=root) as folder,
            STORES[store](Path(folder), durability) as put,
        ):
            figures[coming] = rate(put, number, threads, span)
    return figures


def compare(durability: Durability, root: Path, rounds: int, span: float) -> None:
    ways = {
        store: lambda store=store: rates(store, durability, root, span)  # type: ignore[misc]
        for store in STORES
    }
    found = in_turns(ways, rounds)
    ours, rocks, lite = (found[store] for store in STORES)
    rows = [
        [
            f"{durability}, {coming}",
            *(f"{figures[coming]:,.0f}" for figures in (ours, rocks, lite)),
            ratio(ours[coming], rocks[coming]),
            ratio(ours[coming], lite[coming]),
        ]
        for coming in COMING
    ]
    print_table(["frames/s", *STORES, "segments / RocksDB", "segments / SQLite"], rows)
    print()


def main() -> None:
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of one measurement")
    parser.add_argument(
        "--directory", type=Path, default=Path(tempfile.gettempdir()), help="on the disk to measure"
    )
    options = parser.parse_args()
    print_heading(__doc__, "rocksdict")
    for durability in ("sync", "async"):
        compare(durability, options.directory, options.rounds, options.seconds)
    progress()


if __name__ == "__main__":
    main()
