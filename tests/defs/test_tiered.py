"""Tables of other databases in Dagster: partitions, schedule, pools, report, notification."""

from __future__ import annotations

import json
import re
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

from gateway_assets import clock
from gateway_assets.archive import engine
from gateway_assets.archive.check import RULES
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.defs import cold, notify, partitions, report, runs, statistics
from gateway_assets.defs.automation import archive_schedule
from gateway_assets.defs.describe import archive_name
from gateway_assets.defs.execute import execute
from gateway_assets.defs.partitions import match_partitions, partitions_sensor
from gateway_assets.errors import GatewayError
from gateway_assets.files.lock import exclusive
from gateway_assets.settings import Settings, load_settings
from gateway_assets.tables import TABLES
from gateway_assets.tiers.catalog import Declared, catalog, find
from tests.defs.conftest import quietly_built

TODAY = clock.day_of(clock.now())
DAYS = range(TODAY - 9, TODAY + 1)
ROWS = 20
HOT = 4  # the days of 5 .. 9 days ago may leave
OLD = [clock.day_text(day) for day in range(TODAY - 9, TODAY - HOT)]
EVENTS, LOGS, VISITS = (
    dg.AssetKey(archive_name(name)) for name in ("events", "event_logs", "visits")
)
LINE = """
[[tables]]
name = "{name}"
database = "{database}"
time = "at"
hot_days = {hot}
priority = {priority}
create_index = true
"""


def write_table(database: Path, name: str, days: range = DAYS) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(
            f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, at TEXT, owner TEXT, note TEXT)"
        )
        rows = [
            (
                f"{clock.day_text(day)} {number:02}:30:00",
                "all" if day == days[0] else f"user{number}",
                "some words that say little " * 8,
            )
            for day in days
            for number in range(ROWS)
        ]
        connection.executemany(f"INSERT INTO {name} (at, owner, note) VALUES (?, ?, ?)", rows)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Two tables in one database, the second to go first, and one in another; pruned at once.

    The first partition is the second of the days.
    """
    for name, value in (
        ("ARCHIVE_GRACE_HOURS", "0"),
        ("ARCHIVE_BACKUP", "false"),
        ("ARCHIVE_VACUUM", "false"),
        ("FIRST_DAY", OLD[1]),
    ):
        monkeypatch.setenv(f"GATEWAY_{name}", value)
    data = tmp_path / "data"
    data.mkdir()
    write_table(data / "my bot-1.0.db", "events")
    write_table(data / "my bot-1.0.db", "event_logs")
    write_table(data / "site.db", "visits")
    bot = {"database": "my bot-1.0.db", "hot": HOT}
    (data / "tables.toml").write_text(
        LINE.format(name="events", priority=7, **bot)
        + LINE.format(name="event_logs", priority=3, **bot)
        + LINE.format(name="visits", priority=5, database="site.db", hot=HOT)
    )
    return load_settings()


def tables(settings: Settings) -> tuple[Declared, ...]:
    return catalog(settings)


def shown(instance: dg.DagsterInstance, asset: dg.AssetKey) -> list[str]:
    return sorted(instance.get_materialized_partitions(asset))


def in_ui(instance: dg.DagsterInstance, settings: Settings, asset: dg.AssetKey) -> list[str]:
    """As the web pages see it, which keep what they have seen and look for newer events only."""
    definition = quietly_built(settings).resolve_asset_graph().get(asset).partitions_def
    assert definition
    value = get_and_update_asset_status_cache_value(instance, asset, definition)
    if value is None:
        return []
    return sorted(value.deserialize_materialized_partition_subsets(definition).get_partition_keys())


# Partitions ------------------------------------------------------------------------------------


def test_partitions_follow_what_the_command_line_did(
    instance: dg.DagsterInstance, settings: Settings
) -> None:
    archiver = UniversalArchiver(settings)
    assert not any(map(any, match_partitions(instance, settings).values()))
    archiver.archive_all()
    matched = match_partitions(instance, settings)
    assert matched["events_archive"] == matched["visits_archive"] == (4, 0)
    assert shown(instance, EVENTS) == in_ui(instance, settings, EVENTS) == OLD[1:]
    event = instance.get_latest_materialization_event(EVENTS)
    assert event and event.asset_materialization
    figures = {k: v.value for k, v in event.asset_materialization.metadata.items()}
    assert (figures["dagster/partition_row_count"], figures["files"]) == (ROWS, 1)
    assert not any(map(any, match_partitions(instance, settings).values()))

    archiver.restore("events", [DAYS[2], DAYS[3]])
    assert match_partitions(instance, settings)["events_archive"] == (0, 2)
    left = [OLD[1], OLD[4]]
    assert shown(instance, EVENTS) == in_ui(instance, settings, EVENTS) == left
    assert shown(instance, VISITS) == OLD[1:]

    archiver.restore("events", [DAYS[4], DAYS[1]])  # the newest, and all of them
    assert match_partitions(instance, settings)["events_archive"] == (0, 2)
    assert shown(instance, EVENTS) == in_ui(instance, settings, EVENTS) == []

    archiver.archive_table("events", days=[])  # what was restored is held: nothing moves
    assert match_partitions(instance, settings)["events_archive"] == (0, 0)


def test_partitions_after_the_newest_day_went_and_came_again(
    instance: dg.DagsterInstance, settings: Settings
) -> None:
    """The web pages look for events with larger numbers only; none may be given twice."""
    archiver = UniversalArchiver(settings)
    archiver.archive_table("events")
    match_partitions(instance, settings)
    assert in_ui(instance, settings, EVENTS) == OLD[1:]
    archiver.restore("events", [DAYS[4]], hold_days=0)
    match_partitions(instance, settings)
    assert in_ui(instance, settings, EVENTS) == OLD[1:4]
    archiver.archive_table("events")
    match_partitions(instance, settings)
    assert in_ui(instance, settings, EVENTS) == OLD[1:]


def test_partitions_after_erase_expiry_and_a_replaced_database(
    instance: dg.DagsterInstance, settings: Settings
) -> None:
    archiver = UniversalArchiver(settings)
    archiver.archive_all()
    database = settings.data_dir / "site.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    full = database.read_bytes()
    match_partitions(instance, settings)
    for day in range(ROWS):
        archiver.erase("event_logs", {"owner": f"user{day}"})
    assert match_partitions(instance, settings)["event_logs_archive"] == (0, 4)

    declared = find(settings, "visits")
    shorter = replace(declared, source=declared.source.model_copy(update={"keep_days": 7}))  # type: ignore[union-attr]
    archiver.archive_table(shorter)
    assert match_partitions(instance, settings)["visits_archive"] == (0, 1)
    assert shown(instance, VISITS) == OLD[2:]
    database.write_bytes(full)
    assert match_partitions(instance, settings)["visits_archive"] == (1, 0)
    database.unlink()
    write_table(database, "visits")
    assert match_partitions(instance, settings)["visits_archive"] == (0, 4)
    assert shown(instance, EVENTS) == OLD[1:]


def test_a_database_that_cannot_be_read_leaves_its_partitions(
    instance: dg.DagsterInstance, settings: Settings
) -> None:
    UniversalArchiver(settings).archive_all()
    match_partitions(instance, settings)
    (settings.data_dir / "site.db").rename(settings.data_dir / "elsewhere.db")
    with (settings.data_dir / "tables.toml").open("a") as file:
        file.write(LINE.format(name="broken", priority=1, database="broken.db", hot=1))
    (settings.data_dir / "broken.db").write_bytes(b"this is no database" * 100)
    UniversalArchiver(settings).restore("events", [DAYS[1]])
    matched = match_partitions(instance, settings)
    assert matched["events_archive"] == (0, 1)
    assert not {"visits_archive", "broken_archive"} & set(matched)
    assert shown(instance, VISITS) == OLD[1:]


def test_matching_goes_on_where_its_time_was_over(
    instance: dg.DagsterInstance, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    UniversalArchiver(settings).archive_all()
    ticks = iter(range(100))
    clock_of_its_own = SimpleNamespace(monotonic=lambda: float(next(ticks)))
    with monkeypatch.context() as patched:
        patched.setattr("gateway_assets.defs.partitions.time", clock_of_its_own)
        assert sum(map(sum, match_partitions(instance, settings, until=5.0).values())) == 5
    assert sum(map(sum, match_partitions(instance, settings).values())) == 7
    assert shown(instance, VISITS) == shown(instance, EVENTS) == OLD[1:]


class Ticks:
    """A sensor called again and again, with the cursor that it left."""

    def __init__(self, instance: dg.DagsterInstance, sensor: dg.SensorDefinition) -> None:
        self._instance, self._sensor, self._cursor = instance, sensor, None

    def __call__(self) -> str:
        context = dg.build_sensor_context(self._instance, cursor=self._cursor)
        answer = self._sensor(context)
        self._cursor = context.cursor  # type: ignore[assignment]
        assert isinstance(answer, dg.SkipReason)
        assert answer.skip_message
        return answer.skip_message


def test_the_sensor_looks_only_when_something_changed(
    instance: dg.DagsterInstance,
    settings: Settings,
    defs: dg.Definitions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[str] = []
    match = partitions._match
    monkeypatch.setattr(
        partitions,
        "_match",
        lambda *given: looks.append(given[1].name) or match(*given),  # type: ignore[func-returns-value]
    )
    tick = Ticks(instance, partitions_sensor(settings, tables(settings)))
    assert tick() == "every day was shown as it is"
    assert looks
    looks.clear()
    assert "nothing was archived" in tick()
    UniversalArchiver(settings).archive_table("events")
    assert tick() == "events_archive: 4 days archived, 0 no longer"
    looks.clear()
    assert "nothing was archived" in tick()
    assert not looks

    # A run over a day without rows marks it; the manifest does not change by that.
    execute(defs, runs.ARCHIVE, "visits_archive", (TODAY - 5, TODAY - 5))
    with closing(sqlite3.connect(settings.data_dir / "site.db")) as connection, connection:
        connection.execute("DELETE FROM visits WHERE at < ?", (OLD[3],))
    execute(defs, runs.ARCHIVE, "visits_archive", (TODAY - 8, TODAY - 7))
    assert shown(instance, VISITS) == [*OLD[1:3], OLD[4]]
    assert tick() == "visits_archive: 0 days archived, 2 no longer"
    assert shown(instance, VISITS) == [OLD[4]]

    running = instance.create_run_for_job(
        defs.resolve_job_def(runs.ARCHIVE),
        status=dg.DagsterRunStatus.STARTED,
        asset_selection=frozenset({VISITS}),
    )
    assert tick() == "being archived: visits_archive"
    instance.report_run_failed(running)


# Schedule --------------------------------------------------------------------------------------


def requests(
    instance: dg.DagsterInstance, settings: Settings, given: tuple[Declared, ...] | None = None
) -> tuple[list[dg.RunRequest], list[str]]:
    """What the archive's schedule asks for, and what it says."""
    schedule = archive_schedule(settings, given or tables(settings))
    context = dg.build_schedule_context(instance, scheduled_execution_time=datetime.now(UTC))
    said: list[str] = []
    context.log.warning = said.append  # type: ignore[method-assign,assignment]
    return list(schedule.evaluate_tick(context).run_requests or ()), said


def asked(found: list[dg.RunRequest]) -> list[tuple[str, str, str, str]]:
    return [
        (
            request.asset_selection[0].to_user_string(),  # type: ignore[index]
            request.tags[runs.RANGE_START],
            request.tags[runs.RANGE_END],
            request.tags[runs.PRIORITY],
        )
        for request in found
    ]


def test_the_schedule_asks_in_order_of_priority_for_ranges(
    instance: dg.DagsterInstance, settings: Settings
) -> None:
    schedule = archive_schedule(settings, tables(settings))
    assert schedule.cron_schedule == ["30 3 * * *"]
    found, said = requests(instance, settings)
    assert asked(found) == [
        ("event_logs_archive", OLD[1], OLD[-1], "-3"),
        ("visits_archive", OLD[1], OLD[-1], "-5"),
        ("events_archive", OLD[1], OLD[-1], "-7"),
    ]
    assert len(said) == 3  # the day before the first partition, of each
    assert "before first_day" in said[0]


def test_a_broken_table_does_not_keep_the_others(
    instance: dg.DagsterInstance, settings: Settings
) -> None:
    settings.hot_database.write_bytes(b"this is no database" * 100)
    (settings.data_dir / "site.db").unlink()
    with closing(sqlite3.connect(settings.data_dir / "my bot-1.0.db")) as connection:
        connection.execute("DROP TABLE event_logs")
    found, said = requests(instance, settings)
    assert [one[0] for one in asked(found)] == ["events_archive"]
    left_out = [text.split(" is left out: ")[0] for text in said if "left out" in text]
    assert left_out == [
        *(f"{table.name}_archive" for table in TABLES),
        "event_logs_archive",
        "visits_archive",
    ]


def test_a_run_in_flight_keeps_only_its_table(
    instance: dg.DagsterInstance, settings: Settings, defs: dg.Definitions
) -> None:
    instance.create_run_for_job(
        defs.resolve_job_def(runs.ARCHIVE),
        status=dg.DagsterRunStatus.STARTED,
        asset_selection=frozenset({VISITS}),
    )
    names = [one[0] for one in asked(requests(instance, settings)[0])]
    assert names == ["event_logs_archive", "events_archive"]


def test_a_table_declared_since_waits_until_dagster_has_loaded_it(
    instance: dg.DagsterInstance, settings: Settings
) -> None:
    loaded = tables(settings)
    with (settings.data_dir / "tables.toml").open("a") as file:
        file.write(LINE.format(name="late", priority=1, database="site.db", hot=HOT))
        file.write("this is no TOML")
    assert len(requests(instance, settings, loaded)[0]) == 3


# Runs ------------------------------------------------------------------------------------------


def metadata(instance: dg.DagsterInstance, asset: dg.AssetKey) -> dict[str, Any]:
    event = instance.get_latest_materialization_event(asset)
    assert event
    assert event.asset_materialization
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def test_one_run_archives_many_days_and_shows_numbers(
    instance: dg.DagsterInstance, settings: Settings, defs: dg.Definitions
) -> None:
    run = execute(defs, runs.ARCHIVE, "events_archive", (TODAY - 8, TODAY - 5))
    assert shown(instance, EVENTS) == OLD[1:]
    figures = metadata(instance, EVENTS)
    assert (figures["rows"], figures["dagster/partition_row_count"]) == (4 * ROWS, ROWS)
    assert figures["bytes"] == figures["size_bytes"] > 0
    for name in ("ratio", "seconds", "lock_seconds", "longest_lock_seconds", "bytes_per_row"):
        assert isinstance(figures[name], int | float)
    checks = [
        entry.dagster_event.asset_check_evaluation_data
        for entry in instance.all_logs(run, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        if entry.dagster_event
    ]
    assert {check.check_name for check in checks} == RULES.keys()
    assert all(check.passed for check in checks)
    assert RULES == cold.CHECKS


def test_tables_of_one_database_share_a_pool(
    instance: dg.DagsterInstance, settings: Settings, defs: dg.Definitions
) -> None:
    pools = {declared.name: cold.pool_of(declared) for declared in tables(settings)}
    assert pools["events"] == pools["event_logs"] != pools["visits"] != pools["ip_traffic"]
    assert all(re.fullmatch(r"\w+", pool) for pool in pools.values())
    pool, storage = pools["events"], instance.event_log_storage
    storage.initialize_concurrency_limit_to_default(pool)
    other = "another run"
    assert storage.claim_concurrency_slot(pool, other, "event_logs_archive").is_claimed
    # Dagster's runs in threads of one process lock each other's logging: so another process.
    waiting = subprocess.Popen([sys.executable, "-W", "ignore", "-c", _ARCHIVE_EVENTS])
    try:
        execute(defs, runs.ARCHIVE, "visits_archive", (TODAY - 8, TODAY - 5))
        deadline = time.monotonic() + 60
        while not storage.get_concurrency_info(pool).pending_step_count:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert waiting.poll() is None
        assert (shown(instance, VISITS), shown(instance, EVENTS)) == (OLD[1:], [])
        storage.free_concurrency_slots_for_run(other)
        assert waiting.wait(60) == 0
    finally:
        waiting.kill()
        waiting.wait()
    assert shown(instance, EVENTS) == OLD[1:]


_ARCHIVE_EVENTS = f"""
from gateway_assets.definitions import defs
from gateway_assets.defs.execute import execute
execute(defs, "archive", "events_archive", ({TODAY - 8}, {TODAY - 5}))
"""


@pytest.mark.usefixtures("instance")
def test_a_run_waits_while_another_archiver_runs(
    settings: Settings, defs: dg.Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "LOCK_WAIT_SECONDS", 0.2)
    monkeypatch.setattr(cold, "BUSY_PAUSE_SECONDS", 1)
    run = runs.ARCHIVE, "events_archive", (TODAY - 8, TODAY - 5)
    lock = engine.lock_of(settings, find(settings, "events"))
    with exclusive(lock, "another"), monkeypatch.context() as patched:
        patched.setattr(cold, "BUSY_RETRIES", 1)
        with pytest.raises(GatewayError):
            execute(defs, *run)
    with ExitStack() as held:
        held.enter_context(exclusive(lock, "another"))
        threading.Timer(4, held.close).start()
        started = time.monotonic()
        execute(defs, *run)
        assert time.monotonic() - started > 4
    assert UniversalArchiver(settings).plan("events", [TODAY - 8])[0].reason == "archived"


def test_a_failing_table_fails_its_own_run_only(
    instance: dg.DagsterInstance, settings: Settings, defs: dg.Definitions
) -> None:
    (settings.data_dir / "site.db").unlink()
    with pytest.raises(GatewayError, match="there is no such database"):
        execute(defs, runs.ARCHIVE, "visits_archive", (TODAY - 8, TODAY - 5))
    execute(defs, runs.ARCHIVE, "events_archive", (TODAY - 8, TODAY - 5))
    execute(defs, runs.ANSWER)
    (unread,) = metadata(instance, dg.AssetKey("overview"))["unread_tables"]
    assert unread.startswith("visits: ")
    (settings.data_dir / "my bot-1.0.db").unlink()
    quietly_built(settings)


# Report ----------------------------------------------------------------------------------------


class Told(ThreadingHTTPServer):
    """A server that notes what it was sent, and answers in a given way."""

    daemon_threads = True

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler], None]) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        told = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                told.bodies.append(json.loads(self.rfile.read(length)))
                told.headers.append(dict(self.headers))
                told.paths.append(self.path)
                answer(self)

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[Told]:
    with Told(answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def status(code: int) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        handler.send_header("Location", "http://127.0.0.1:1/other")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr(notify, "PAUSE_SECONDS", 0.05)


SECRETS = "n4me:p%40ss@", "/hooks/T0K3N", "?key=S3CR3T"


def with_secrets(url: str) -> str:
    user, path, query = SECRETS
    return url.replace("://", f"://{user}") + path + query


def assert_secret(text: str) -> None:
    for secret in ("n4me", "p%40ss", "p@ss", "T0K3N", "S3CR3T"):
        assert secret not in text


def reported(settings: Settings, url: str = "") -> dict[str, Any]:
    """Run the report; its metadata."""
    given = settings.model_copy(update={"notify_url": url})
    execute(quietly_built(given), runs.REPORT)
    with dg.DagsterInstance.get() as instance:
        return metadata(instance, dg.AssetKey(report.NAME))


def test_the_report_says_what_every_table_takes(
    instance: dg.DagsterInstance, settings: Settings, defs: dg.Definitions
) -> None:
    UniversalArchiver(settings).archive_all(["events", "visits"])
    (settings.data_dir / "site.db").unlink()
    with pytest.raises(GatewayError):
        execute(defs, runs.ARCHIVE, "visits_archive", (TODAY - 8, TODAY - 5))
    figures = reported(settings)
    assert figures["notification"] == "not sent: notify_url is not set"
    assert figures["partitions_matched"] == 4
    assert shown(instance, EVENTS) == OLD[1:]
    assert "| events | 100 |" in figures["tables"]
    content = json.loads(Path(figures["file"]).read_text())
    assert Path(figures["file"]).parent == settings.data_dir / "reports"
    by_name = {table["table"]: table for table in content["tables"]}
    events = by_name["events"]
    assert (events["hot_rows"], events["cold_rows"], events["days"]) == (100, 100, 10)
    assert events["oldest"].startswith(OLD[0])
    assert events["newest"].startswith(clock.day_text(TODAY))
    assert events["ratio"] == round(events["hot_bytes_per_row"] / events["cold_bytes_per_row"], 2)
    assert figures["events/cold_rows"] == 100
    assert figures["events/ratio"] == events["ratio"]
    assert figures["cold_bytes"] == events["cold_bytes"]
    assert by_name["visits"]["hot_rows"] is None
    assert "no such database" in by_name["visits"]["problems"][0]
    (failed,) = content["runs"]["failed"]
    assert failed["assets"] == ["visits_archive"]
    assert "no such database" in failed["why"]
    assert (figures["failed_runs"], figures["problems"]) == (1, len(content["problems"]))
    assert "no such database" in figures["tables"]
    assert json.loads(Path(reported(settings)["file"]).read_text())["runs"]["failed"] == []


def test_the_newest_thirty_reports_are_kept(tmp_path: Path) -> None:
    other = tmp_path / "notes.json"
    other.write_text("{}")
    written = [report._write(tmp_path, b"{}") for _ in range(33)]
    assert sorted(tmp_path.glob("archive-*.json")) == written[-30:]
    assert other.exists()


def test_the_report_is_sent(instance: dg.DagsterInstance, settings: Settings) -> None:
    UniversalArchiver(settings).archive_all()
    with serving(status(204)) as server:
        figures = reported(settings, with_secrets(server.url))
    assert figures["notification"] == f"sent to {server.url}"
    (body,) = server.bodies
    assert body == json.loads(Path(figures["file"]).read_text())
    assert "300 rows archived" in body["text"]
    assert server.headers[0]["Content-Type"] == "application/json"
    assert server.headers[0]["Authorization"] == "Basic bjRtZTpwQHNz"
    assert server.paths == ["/hooks/T0K3N?key=S3CR3T"]
    run = instance.get_runs(limit=1)[0]
    for entry in instance.all_logs(run.run_id):
        assert_secret(repr(entry))


@pytest.mark.usefixtures("instance", "fast")
def test_a_notification_that_fails_is_a_warning(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(status(500)) as server:
        figures = reported(settings, with_secrets(server.url))
    assert len(server.bodies) == 3
    assert figures["notification"] == (f"warning: not sent: {server.url} answered 500 (3 attempts)")
    assert_secret(caplog.text)


def drip(handler: BaseHTTPRequestHandler) -> None:
    """A byte now and then: no single wait of the socket is long."""
    for letter in b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100:
        try:
            handler.wfile.write(bytes([letter]))
        except OSError:
            return
        time.sleep(0.2)


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (lambda _: time.sleep(3), "did not answer within 0.5 s"),
        (drip, "did not answer within 0.5 s"),
        (lambda handler: handler.connection.close(), "cannot be used"),
        (lambda handler: handler.wfile.write(b"no HTTP\r\n"), "cannot be used: BadStatusLine"),
        (status(302), "answered 302"),
        (status(404), "answered 404"),
    ],
    ids=["hung", "drip", "closed", "no-http", "redirect", "404"],
)
def test_servers_that_do_not_take_it(
    answer: Callable[[BaseHTTPRequestHandler], None], wrong: str
) -> None:
    with serving(answer) as server:
        started = time.monotonic()
        text = notify.notify(with_secrets(server.url), b"{}")
        assert time.monotonic() - started < 5
    assert wrong in text
    assert server.url in text
    assert len(server.bodies) == 3
    assert_secret(text)


@pytest.mark.usefixtures("fast")
def test_addresses_where_nobody_is() -> None:
    with socket.socket() as hung:
        hung.bind(("127.0.0.1", 0))
        hung.listen(0)
        port = hung.getsockname()[1]
        assert "did not answer" in notify.notify(with_secrets(f"http://127.0.0.1:{port}"), b"{}")
    for url in (
        with_secrets(f"http://127.0.0.1:{port}"),
        "http://n4me:p@ss/T0K3N@127.0.0.1/",
        "http://n4me:p%40ss@[::1/T0K3N",
        "http://n4me:S3CR3T@127.0.0.1:99999/",
        "http://127.0.0.1:1/\x7fT0K3N",
    ):
        text = notify.notify(url, b"{}")
        assert "cannot be" in text, text
        assert_secret(text)


def test_the_sensor_asks_for_one_report_when_all_archive_runs_are_over(
    instance: dg.DagsterInstance, settings: Settings, defs: dg.Definitions
) -> None:
    sensor = report.report_sensor()

    def tick() -> dg.RunRequest | dg.SkipReason:
        answer = sensor(dg.build_sensor_context(instance))
        assert isinstance(answer, dg.RunRequest | dg.SkipReason)
        return answer

    assert isinstance(tick(), dg.SkipReason)
    newest = execute(defs, runs.ARCHIVE, "events_archive", (TODAY - 8, TODAY - 5))
    waiting = instance.create_run_for_job(
        defs.resolve_job_def(runs.ARCHIVE), status=dg.DagsterRunStatus.STARTED
    )
    skipped = tick()
    assert isinstance(skipped, dg.SkipReason)
    assert skipped.skip_message == "an archive run is queued or running"
    instance.delete_run(waiting.run_id)
    request = tick()
    assert isinstance(request, dg.RunRequest)
    assert request.run_key == newest
    assert tick() == request  # Dagster runs a key once
    execute(defs, runs.REPORT)
    assert isinstance(tick(), dg.SkipReason)
    (settings.data_dir / "site.db").unlink()
    with pytest.raises(GatewayError):
        execute(defs, runs.ARCHIVE, "visits_archive", (TODAY - 8, TODAY - 5))
    assert isinstance(tick(), dg.RunRequest)


def test_a_ratio_is_unknown_without_rows_in_both_tiers(settings: Settings) -> None:
    found = {one.table: one for one in statistics.statistics(tables(settings), settings)}
    assert found["events"].ratio is None
    assert found["ip_traffic"].hot_bytes_per_row is None
    assert statistics.overall_ratio(list(found.values())) is None
