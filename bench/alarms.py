"""Alarm rules over new points, beside one SQL question for each rule.

    evaluate  10,000 rules over 1,000,000 new samples: states, steps and notifications committed
    answer    one new sample written to `gateway serve`, until its alarm is open

The other way is what a script would do: ask for each rule whether a new point is above its limit.
It has no delays, no dead band, no state, and writes nothing.
"""

from __future__ import annotations

import argparse
import http.client
import io
import os
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from side_by_side import Figures, aims, peak_memory, print_heading, print_table, progress, ratio
from sqlalchemy import func, select

from gateway_assets.alarms.engine import Engine
from gateway_assets.points.load import Loader
from gateway_assets.points.schema import open_points
from gateway_assets.points.spool import spool
from gateway_assets.registry.alerts import Alert, AlertRule
from gateway_assets.registry.database import Registry
from gateway_assets.registry.opened import opened_registry
from gateway_assets.settings import Settings, load_settings

GATEWAY = Path(sys.executable).parent / "gateway"
SECOND = 10**9
LIMIT = 80.0
# A rule in a hundred is too hot for half of the time; the others are well below, or near the limit.
SIGNALS = {"calm": 40.0, "near the limit": 74.0}


def add_rules(registry: Registry, rules: int, started: datetime) -> None:
    """One rule a metric of the fleet, with the delays and the dead band of a temperature."""
    with registry.writing() as session:
        session.add_all(
            AlertRule(
                name=f"rule {number}",
                fleet=True,
                metric=f"t{number}",
                op="GT",
                threshold_value=LIMIT,
                deadband=1.0,
                eval_duration=10_000,
                off_delay=10_000,
                cooldown_duration=0,
                max_gap=3_600_000,
                activated_at=started,
            )
            for number in range(rules)
        )


def lines(rules: int, samples: int, first: int, mean: float) -> Iterator[bytes]:
    random = np.random.default_rng(first % 1_000)
    for number in range(samples):
        values = random.normal(mean, 2, rules)
        if number // 25 % 2:
            values[::100] += 50
        at = first + number * SECOND
        yield b"".join(
            f"device_data,device_id=d,tag_name=t{rule} value={value:.2f} {at}\n".encode()
            for rule, value in enumerate(values.tolist())
        )


def by_questions(points: sqlite3.Connection, since: int) -> Figures:
    """A script's way: per rule, whether something new is above its limit."""
    series = [number for (number,) in points.execute("SELECT id FROM series").fetchall()]
    query = "SELECT max(value) FROM points WHERE series = ? AND time > ?"
    begun = time.perf_counter()
    found = sum(
        (points.execute(query, (number, since)).fetchone()[0] or 0) > LIMIT for number in series
    )
    return {"seconds": time.perf_counter() - begun, "alarms": float(found)}


def evaluate(given: argparse.Namespace) -> None:
    rows, worst = [], 0.0
    for name, mean in SIGNALS.items():
        with data_directory() as settings, opened_registry(settings) as registry:
            ours, theirs = evaluated(settings, registry, given, mean)
            worst = max(worst, ours["seconds"])
        rows.append([name, f"{ours['seconds']:.2f} s", f"{ours['steps']:,.0f}",
                     f"{ours['memory'] / 2**20:,.0f} MB", f"{theirs['seconds']:.2f} s",
                     ratio(ours["seconds"], theirs["seconds"])])  # fmt: skip
    progress()
    head = ["signal", "the engine", "steps", "more memory", "a question a rule", "ratio"]
    print_table(head, rows)
    aims(("seconds, 10,000 rules, 1,000,000 samples", worst, "<=", 5))


def evaluated(
    settings: Settings, registry: Registry, given: argparse.Namespace, mean: float
) -> tuple[Figures, Figures]:
    """The second time: rules and series are known, and the samples are new."""
    started = datetime.now(UTC) - timedelta(hours=1)
    first = int(started.timestamp()) * SECOND
    add_rules(registry, given.rules, started)
    with open_points(settings.points_database) as points:
        engine, loader = Engine(settings, registry, points), Loader(points, settings)
        for part in range(2):
            begin = first + part * given.samples * SECOND + SECOND
            progress(f"{given.rules * given.samples:,} points are written and loaded")
            made = io.BytesIO(b"".join(lines(given.rules, given.samples, begin, mean)))
            spool(settings, made, "ns")
            loader.load()
            if part == 0:
                engine.run()
        del made
        before, begun = peak_memory(), time.perf_counter()
        progress("evaluated")
        done = engine.run()
        ours = {"seconds": time.perf_counter() - begun, "steps": float(done.transitions)}
        assert done.samples == given.rules * given.samples
        return {**ours, "memory": peak_memory() - before}, by_questions(points, begin - SECOND)


def answer(given: argparse.Namespace) -> None:
    """Seconds from writing a sample to an open alarm in the registry."""
    with data_directory() as settings, opened_registry(settings) as registry:
        add_rules(registry, given.looks, datetime.now(UTC) - timedelta(minutes=1))
        with registry.writing() as session:
            for rule in session.scalars(select(AlertRule)):
                rule.eval_duration = 0
        port = free_port()
        with serving(settings, port):
            wait(lambda: post(port, "device_data,device_id=d,tag_name=warm value=1") == 204)
            time.sleep(3)  # the parts beside the service have started
            taken = []
            for number in range(given.looks):
                progress(f"sample {number + 1} of {given.looks}")
                begun = time.perf_counter()
                line = f"device_data,device_id=d,tag_name=t{number} value=99"
                assert post(port, line) == 204
                wait(lambda: alarms(registry) > number)  # noqa: B023  it is waited for here
                taken.append(time.perf_counter() - begun)
                time.sleep(0.37)  # at another moment of the second
    progress()
    print_table(
        ["sample to alarm", "median", "longest"],
        [[f"{len(taken)} samples", f"{statistics.median(taken):.2f} s", f"{max(taken):.2f} s"]],
    )
    aims(("seconds, longest", max(taken), "<=", 2))


def alarms(registry: Registry) -> int:
    with registry.reading() as session:
        return session.scalar(select(func.count()).select_from(Alert)) or 0


def post(port: int, line: str) -> int:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        client.request("POST", "/write?db=home", line)
        return client.getresponse().status
    except OSError:
        return 0
    finally:
        client.close()


def wait(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, "nothing came of it in a minute"
        time.sleep(0.02)


@contextmanager
def serving(settings: Settings, port: int) -> Iterator[None]:
    environment = {**os.environ, "GATEWAY_SERVE_PORT": str(port)}
    command = [str(GATEWAY), "--data-dir", str(settings.data_dir), "serve"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def data_directory() -> Iterator[Settings]:
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        yield load_settings(data_dir=Path(folder) / "data")


PARTS = {"evaluate": evaluate, "answer": answer}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="which; all by default")
    parser.add_argument("--rules", type=int, default=10_000)
    parser.add_argument("--samples", type=int, default=100, help="of each rule")
    parser.add_argument("--looks", type=int, default=20, help="samples that are waited for")
    given = parser.parse_args()
    print_heading(__doc__, "sqlalchemy")
    for name in given.parts or PARTS:
        PARTS[name](given)


if __name__ == "__main__":
    main()
