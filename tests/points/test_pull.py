"""Tables of a real PostgreSQL become points, once, whatever their rows are like."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from gateway_assets.cli.main import gateway
from gateway_assets.errors import Busy, ConfigError, LandingError, PullError, PullUnavailable
from gateway_assets.frames.log import open_log
from gateway_assets.points.load import Loader
from gateway_assets.points.pull import pull_table
from gateway_assets.points.pulls import Pull, pulls_of
from gateway_assets.points.schema import open_points
from gateway_assets.settings import Settings, load_settings

Database = psycopg.Connection[Any]
T0 = 1_700_000_000 * 10**9  # 2023-11-14T22:13:20Z

METRICS = """
CREATE TABLE device_metrics (
    time timestamptz NOT NULL, device_id text, metric_name text, metric_value double precision,
    unit text, tags jsonb
)
"""


def metrics(**given: Any) -> Pull:
    fields: dict[str, Any] = {
        "name": "metrics",
        "url_env": "PULL_URL",
        "table": "device_metrics",
        "device": "device_id",
        "metric": "metric_name",
        "values": ("metric_value",),
        "unit": "unit",
        "tags": ("tags",),
    }
    return Pull.model_validate({**fields, **given})


def loaded(settings: Settings, columns: str, order: str = "time, field") -> list[tuple[Any, ...]]:
    """What a loader makes of the log."""
    with open_points(settings.points_database) as connection:
        told = Loader(connection, settings).load()
        assert told.rejects == 0
        return connection.execute(
            f"SELECT {columns} FROM points_described ORDER BY {order}"
        ).fetchall()


def at(seconds: float) -> str:
    return f"to_timestamp({T0 // 10**9 + seconds})"


def test_rows_of_one_metric_each(settings: Settings, database: Database) -> None:
    database.execute(METRICS)
    database.execute(
        f"""INSERT INTO device_metrics VALUES
        ({at(0)}, 'pump 7', 'temp', 21.5, '°C', '{{"site": "a,b", "floor": 3, "gone": null}}'),
        ({at(0.000001)}, 'pump 7', 'temp', 'NaN', '°C', NULL),
        ({at(0.000002)}, 'pump 7', 'temp', '-Infinity', NULL, NULL),
        ({at(1)}, NULL, 'temp', 1, NULL, NULL),
        ({at(2)}, 'pump 7', 'temp', NULL, '°C', NULL),
        ({at(3)}, 'pump 7', 'temp', 5, NULL, '{{"device_id": "other"}}'),
        ({at(4)}, 'pump 7', 'temp', 0.1, NULL, NULL),
        ('-infinity', 'pump 7', 'temp', 6, NULL, NULL),
        ('infinity', 'pump 7', 'temp', 7, NULL, NULL),
        ('0044-03-15 BC', 'pump 7', 'temp', 8, NULL, NULL)"""
    )
    pulled = pull_table(settings, metrics())
    assert (pulled.rows, pulled.lines, pulled.until) == (9, 2, T0 // 1000 + 4 * 10**6)
    assert pulled.rejects == {
        "metric_value: NaN": 1,
        "metric_value: infinite, or too large for a float": 1,
        "device_id is NULL or empty": 1,
        "two columns give the same tag": 1,
        "the time is infinite": 1,
        "the time is outside of 1677 to 2262": 1,
    }
    tags = {"device_id": "pump 7", "metric_name": "temp"}
    assert [
        (time, value, unit, json.loads(text))
        for time, value, unit, text in loaded(settings, "time, value, unit, tags")
    ] == [
        (T0, 21.5, "°C", {**tags, "floor": "3", "site": "a,b"}),
        (T0 + 4 * 10**9, 0.1, None, tags),
    ]


def test_every_type_of_a_wide_row(settings: Settings, database: Database) -> None:
    database.execute(
        """CREATE TYPE mood AS ENUM ('fine'); CREATE DOMAIN percent AS int2;
        CREATE TABLE "Wide "" One" (at timestamp, host varchar, i2 percent, i8 bigint,
          f4 real, n numeric(30,10), b boolean, t text, j jsonb, u uuid, e mood, none int,
          huge numeric)"""
    )
    database.execute(
        """INSERT INTO "Wide "" One" VALUES ('2023-11-14 22:13:20.123456', 'h', 7,
        9007199254740993, 0.1, 12.25, true, E'two\nlines "and" \\\\', '{"b":1,"a":[true]}',
        '00000000-0000-0000-0000-000000000001', 'fine', NULL, 10::numeric ^ 400)"""
    )
    values = ("i2", "i8", "f4", "n", "b", "t", "j", "u", "e", "none", "huge")
    line = Pull.model_validate(
        {
            "name": "wide",
            "url_env": "PULL_URL",
            "table": 'mine."Wide "" One"',
            "measurement": "wide",
            "time": "at",
            "values": values,
            "tags": ("host",),
        }
    )
    pulled = pull_table(settings, line)
    assert pulled.rejects == {"huge: infinite, or too large for a float": 1}
    found = loaded(settings, "field, type, value, text, time, tags", "field")
    assert {row[4:] for row in found} == {(T0 + 123_456_000, '{"host":"h"}')}
    assert {row[0]: row[1:4] for row in found} == {
        "i2": ("integer", 7.0, None),
        "i8": ("integer", 2.0**53, "9007199254740993"),
        "f4": ("float", 0.1, None),
        "n": ("float", 12.25, None),
        "b": ("boolean", 1.0, None),
        "t": ("string", None, 'two\nlines "and" \\'),
        "j": ("string", None, '{"a": [true], "b": 1}'),
        "u": ("string", None, "00000000-0000-0000-0000-000000000001"),
        "e": ("string", None, "fine"),
    }


def test_goes_on_where_it_was(settings: Settings, database: Database) -> None:
    database.execute(METRICS)

    def insert(seconds: float, device: str, value: float) -> None:
        database.execute(
            f"INSERT INTO device_metrics VALUES ({at(seconds)}, '{device}', 'm', {value})"
        )

    insert(10, "a", 1)
    assert pull_table(settings, metrics()).rows == 1
    insert(10, "b", 2)  # at the very instant of the last row
    insert(11, "a", 3)
    insert(8, "late", 4)
    assert pull_table(settings, metrics()).rows == 3  # the first one again
    seen = [("a", 1.0), ("b", 2.0), ("a", 3.0)]
    assert loaded(settings, "device, value", "time, device") == seen
    assert pull_table(settings, metrics(overlap_seconds=5)).rows == 4
    assert loaded(settings, "device, value", "time, device") == [("late", 4.0), *seen]
    database.execute(f"DELETE FROM device_metrics WHERE time = {at(11)}")
    assert pull_table(settings, metrics(overlap_seconds=5)).rows == 3
    assert pull_table(settings, metrics()).rows == 0  # an overlap moves no watermark back


def test_young_rows_wait(settings: Settings, database: Database) -> None:
    database.execute(METRICS)
    database.execute(
        "INSERT INTO device_metrics VALUES (now() - interval '1 hour', 'old', 'm', 1), "
        "(now(), 'young', 'm', 1), (now() + interval '1 day', 'ahead', 'm', 1)"
    )
    pull_table(settings, metrics(lag_seconds=1000))
    assert loaded(settings, "device") == [("old",)]
    pull_table(settings, metrics(lag_seconds=0))
    assert loaded(settings, "device") == [("old",), ("young",)]


def test_a_killed_pull_loses_nothing(settings: Settings, database: Database) -> None:
    database.execute(METRICS)
    database.execute(
        "INSERT INTO device_metrics SELECT to_timestamp(1700000000 + n / 4), 'd' || n % 7, 'm', n "
        "FROM generate_series(0, 59) n"
    )
    everything = sorted((f"d{n % 7}", T0 + n // 4 * 10**9, float(n)) for n in range(60))
    line, kills = metrics(batch_rows=7), 0
    for number in range(400, 100_000, 450):
        own = load_settings(data_dir=settings.data_dir / str(number))
        if not _killed(own, line, number):
            break
        kills += 1
        loaded(own, "time")  # what is durable is taken before the run goes on
        pull_table(own, line)
        assert loaded(own, "device, time, value", "device, time, value") == everything, number
    assert kills > 5


def _killed(settings: Settings, line: Pull, number: int) -> bool:
    """Pull in a fork that kills itself at a call of a function; whether it came to that."""
    child = os.fork()
    if child == 0:
        calls = 0

        def count(frame: FrameType, event: str, arg: Any) -> None:
            nonlocal calls
            calls += event in {"call", "c_call"}
            if calls == number:
                os.kill(os.getpid(), signal.SIGKILL)

        status = 1
        try:
            sys.setprofile(count)
            pull_table(settings, line)
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or status == 0
    return os.WIFSIGNALED(status)


def test_only_one_pulls_a_table(settings: Settings, database: Database) -> None:
    database.execute(METRICS)
    log = open_log(settings.frames / "pull-metrics")
    with pytest.raises(Busy):
        pull_table(settings, metrics())
    log.close()


def test_another_table_under_the_same_name(settings: Settings, database: Database) -> None:
    database.execute(METRICS)
    database.execute("CREATE VIEW others AS SELECT * FROM device_metrics")
    database.execute(f"INSERT INTO device_metrics VALUES ({at(0)}, 'd', 'm', 1)")
    pull_table(settings, metrics())
    with pytest.raises(LandingError, match="it is of device_metrics, ordered by time"):
        pull_table(settings, metrics(table="others", measurement="device_metrics"))
    (settings.data_dir / "pulls" / "metrics.json").write_text("{")
    with pytest.raises(LandingError, match="cannot be read"):
        pull_table(settings, metrics())


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        pytest.param({"table": "nowhere", "unit": ""}, PullError, "there is no table", id="table"),
        pytest.param({"values": ("speed",)}, ConfigError, "no column 'speed'", id="column"),
        pytest.param({"values": ("time",)}, ConfigError, "type timestamptz", id="value"),
        pytest.param({"time": "unit"}, ConfigError, "type text, not one of", id="time"),
        pytest.param({"table": "a.b.c.d", "unit": ""}, PullError, "improper", id="name"),
    ],
)
def test_what_cannot_be_pulled(
    given: dict[str, Any], kind: type[Exception], said: str, settings: Settings, database: Database
) -> None:
    database.execute(METRICS)
    with pytest.raises(kind, match=said):
        pull_table(settings, metrics(**given))


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        pytest.param("postgresql://u:secret@127.0.0.1:1/x", PullUnavailable, id="refused"),
        pytest.param("host=x secret", ConfigError, id="no url"),
        pytest.param("", ConfigError, id="not set"),
    ],
)
def test_no_error_tells_the_password(
    url: str, kind: type[Exception], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULL_URL", url)
    with pytest.raises(kind) as error:
        pull_table(settings, metrics())
    assert "secret" not in str(error.value)


def test_text_that_is_no_utf8(
    settings: Settings, database: Database, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.execute("DROP DATABASE IF EXISTS bytes")
    database.execute(
        "CREATE DATABASE bytes ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C' "
        "LOCALE_PROVIDER libc"
    )
    monkeypatch.setenv("PULL_URL", postgres_url.replace("/postgres?", "/bytes?"))
    with psycopg.connect(os.environ["PULL_URL"], autocommit=True) as other:
        other.execute(METRICS)
        other.execute(
            f"INSERT INTO device_metrics VALUES ({at(0)}, E'caf\\xe9', 'm', 1, NULL, NULL)"
        )
    with pytest.raises(PullError, match=r"invalid byte sequence.*a view can"):
        pull_table(settings, metrics())


def test_a_user_that_may_not_read(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.execute(METRICS)
    database.execute("DROP ROLE IF EXISTS stranger; CREATE ROLE stranger LOGIN")
    database.execute("GRANT USAGE ON SCHEMA mine TO stranger")
    monkeypatch.setenv("PULL_URL", os.environ["PULL_URL"].replace("//postgres:", "//stranger:"))
    with pytest.raises(PullError, match=r"permission denied.*SELECT"):
        pull_table(settings, metrics())
    database.execute("DROP OWNED BY stranger; DROP ROLE stranger")


def test_a_slow_server(settings: Settings, database: Database) -> None:
    database.execute(METRICS)
    database.execute(f"INSERT INTO device_metrics VALUES ({at(0)}, 'd', 'm', 1)")
    database.execute("CREATE VIEW slow AS SELECT *, pg_sleep(60)::text AS s FROM device_metrics")
    with pytest.raises(PullError, match=r"no batch came within 0\.2 s"):
        pull_table(settings, metrics(table="slow", unit="", tags=("s",), timeout_seconds=0.2))


def test_a_server_that_hangs(settings: Settings, database: Database) -> None:
    database.execute(METRICS)
    database.execute(f"INSERT INTO device_metrics VALUES ({at(0)}, 'd', 'm', 1)")
    database.execute("CREATE VIEW slow AS SELECT *, pg_sleep(60)::text AS s FROM device_metrics")
    stopped: list[int] = []

    def stop() -> None:
        query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'gateway pull'"
        while not stopped:
            stopped.extend(
                pid for (pid,) in database.execute(f"{query} AND wait_event = 'PgSleep'").fetchall()
            )
            time.sleep(0.01)
        os.kill(stopped[0], signal.SIGSTOP)

    watch = threading.Thread(target=stop, daemon=True)
    watch.start()
    try:
        with pytest.raises(PullUnavailable, match="has said nothing for"):
            pull_table(settings, metrics(table="slow", unit="", tags=("s",), timeout_seconds=2))
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


LINE = """
[[pulls]]
name = "metrics"
url_file = "url"
table = "device_metrics"
device = "device_id"
metric = "metric_name"
values = ["metric_value"]
"""


def test_the_command(settings: Settings, database: Database) -> None:
    database.execute(METRICS)
    database.execute(
        f"INSERT INTO device_metrics VALUES ({at(0)}, 'd', 'm', 1), ({at(1)}, 'd', 'm', NULL)"
    )
    settings.data_dir.mkdir(parents=True)
    (settings.data_dir / "url").write_text(os.environ["PULL_URL"] + "\n")
    broken = LINE.replace("metrics", "gone", 1).replace("device_metrics", "gone")
    (settings.data_dir / "pulls.toml").write_text(broken + LINE)
    run = CliRunner().invoke(gateway, ["pull", "--json"])
    # One that cannot be read keeps none of the others from being pulled.
    assert isinstance(run.exception, PullError)
    (told,) = json.loads(run.stdout)
    assert (told["name"], told["rows"], told["lines"]) == ("metrics", 2, 1)
    run = CliRunner().invoke(gateway, ["pull", "--name", "metrics"])
    assert (run.exit_code, run.stdout[:14]) == (0, "metrics: 1 row")
    assert loaded(settings, "device, metric, value") == [("d", "m", 1.0)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        pytest.param('url = "postgresql://u:p@h/d"', "holds a password", id="url"),
        pytest.param('url_env = "X"', "give url_env or url_file", id="two places"),
        pytest.param('unit = "time"\nmeasurement = "m"', "unit needs measurement", id="unit"),
        pytest.param('tags = ["value"]', "would be called 'value'", id="twice"),
        pytest.param('tags = ["time"]', "line protocol cannot hold", id="time"),
        pytest.param("speed = 1", "Extra inputs", id="unknown"),
        pytest.param(LINE, "declared twice", id="declared twice"),
    ],
)
def test_lines_that_cannot_be_used(line: str, said: str, settings: Settings) -> None:
    settings.data_dir.mkdir(parents=True)
    (settings.data_dir / "pulls.toml").write_text(LINE + line)
    with pytest.raises(ConfigError, match=said):
        pulls_of(settings)
