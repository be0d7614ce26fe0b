"""Reading less never changes an answer: random SQL equals the same SQL on one native table."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from random import Random

import duckdb
import pytest

from gateway_assets import clock
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.bridge.databases import Database
from gateway_assets.bridge.engine import Engine
from gateway_assets.bridge.scans import Need, definition, everything, needs
from gateway_assets.bridge.statement import dicts_of
from gateway_assets.bridge.tiers import read_tiers
from gateway_assets.hot.load import load
from gateway_assets.hot.store import open_store
from gateway_assets.settings import Settings
from gateway_assets.tables import IP_TRAFFIC, TABLES
from gateway_assets.tiers.catalog import find
from gateway_assets.tiers.tiered import Tiered
from tests.traffic import TODAY, land_days, roll_up, seen

DAYS = range(TODAY - 10, TODAY + 1)
QUERIES = 250


def day(number: int, interval: int = 0) -> str:
    """The start of an interval of thirty seconds; rows stand in the first 120 of a day."""
    start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=number, seconds=30 * interval)
    return start.strftime("%Y-%m-%d %H:%M:%S+00")


class Generator:
    """Random SELECTs over ``ip_traffic``, in the shapes that optimizers treat differently."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def query(self) -> str:
        shapes = [
            "SELECT count(*) FROM ip_traffic WHERE {a}",
            "SELECT sum(tx_bytes), min(time), max(end_time) FROM ip_traffic WHERE {a} AND {b}",
            "SELECT * FROM ip_traffic WHERE {a} AND ({b} OR {c}) ORDER BY id",
            "SELECT * EXCLUDE (pid) FROM ip_traffic WHERE {a} ORDER BY id DESC LIMIT 7",
            "SELECT remote_ip, count(DISTINCT process) FROM ip_traffic WHERE {a} GROUP BY 1",
            "SELECT time::DATE, sum(rx_bytes) FROM ip_traffic WHERE {a} GROUP BY ALL HAVING {h}",
            "WITH x AS (SELECT * FROM ip_traffic WHERE {a}) SELECT count(*) FROM x WHERE {b}",
            "SELECT id, row_number() OVER (ORDER BY id) FROM ip_traffic WHERE {a} QUALIFY {b}",
            "SELECT count(*) FROM ip_traffic AS l JOIN ip_traffic_daily AS r ON l.remote_ip = "
            "r.remote_ip AND date_trunc('day', l.time) = r.time WHERE l.{a}",
            "SELECT count(*), max(samples) FROM ip_traffic NATURAL JOIN ip_traffic_daily WHERE {a}",
            "SELECT id FROM ip_traffic WHERE {a} UNION SELECT -id FROM ip_traffic WHERE {b}",
            "SELECT id FROM ip_traffic AS o WHERE {a} AND EXISTS (SELECT 1 FROM ip_traffic AS i "
            "WHERE i.id = o.id + 1 AND i.{b})",
            "SELECT id, (SELECT max(time) FROM ip_traffic WHERE {b}) FROM ip_traffic WHERE {a}",
            "SELECT count(*) FROM ip_traffic AS l LEFT JOIN ip_traffic AS r "
            "ON l.id = r.id AND r.{a} WHERE r.id IS NULL",
            "SELECT x FROM (SELECT ip_traffic AS x FROM ip_traffic WHERE {a}) ORDER BY x.id",
            "SELECT max(COLUMNS('.*_bytes')) FROM ip_traffic WHERE {a} AND NOT ({b})",
            "SELECT count(*) FILTER (WHERE {a}), count(*) FROM ip_traffic",
        ]
        shape = self._random.choice(shapes)
        parts = {part: self._condition() for part in "abc"}
        return shape.format(**parts, h=f"sum(rx_bytes) > {self._random.randrange(5000)}")

    def _condition(self) -> str:
        pick = self._random
        moment = f"'{day(pick.choice(DAYS), pick.randrange(121))}'"
        later = f"'{day(pick.choice(DAYS), pick.randrange(121))}'"
        return pick.choice(
            [
                f"time >= {moment}",
                f"time < {moment}",
                f"time = '{day(pick.choice(DAYS))}'",
                f"time BETWEEN {moment} AND {later}",
                f"time IN ({moment}, '{day(pick.choice(DAYS))}')",
                f"time::DATE = DATE '{clock.day_text(pick.choice(DAYS))}'",
                f"time > now() - INTERVAL {pick.randrange(12)} DAY",
                f"time <> {moment}",
                f"end_time <= {moment}",
                f"remote_ip = '192.0.2.{pick.randrange(60)}'",
                "remote_ip = 'x'' AND (time >= ''2030-01-01 00:00:00+00''::TIMESTAMPTZ)'",
                "remote_ip LIKE '%1'",
                "process IS NULL",
                f"tx_bytes > {pick.randrange(2000)}",
                f"id % 7 = {pick.randrange(7)}",
            ]
        )


@pytest.fixture
def bridge(store: sqlite3.Connection, settings: Settings) -> UnifiedQueryBridge:
    land_days(settings.landing, DAYS)
    load(store, IP_TRAFFIC, settings)
    roll_up(store, settings)
    UniversalArchiver(settings).archive_table(IP_TRAFFIC)
    return UnifiedQueryBridge(settings)


@pytest.mark.parametrize("seed", range(5))
def test_random_sql_equals_the_same_sql_on_one_table(bridge: UnifiedQueryBridge, seed: int) -> None:
    with duckdb.connect() as native:
        native.execute("SET TimeZone = 'UTC'")
        for table in TABLES:
            rows = bridge.sql(f"SELECT * FROM {table.name}")
            native.register("rows", rows)
            native.execute(f"CREATE TABLE {table.name} AS FROM rows")
        generator = Generator(seed)
        for _ in range(QUERIES // 5):
            query = generator.query()
            expected = sorted(map(repr, dicts_of(native.sql(query).to_arrow_table())))
            found = sorted(map(repr, bridge.rows(query)))
            assert found == expected, query


def need_of(settings: Settings, text: str, *params: object) -> Need:
    table = traffic(settings)
    plan = Engine(settings).plan(text, params, {"ip_traffic": definition(table)})
    return needs(plan, {"ip_traffic": table})["ip_traffic"]


def traffic(settings: Settings) -> Tiered:
    with open_store(settings.hot_database) as connection:
        return seen(connection, IP_TRAFFIC)


def test_what_a_statement_needs(settings: Settings) -> None:
    start, end = TODAY - 9, TODAY - 8
    text = "SELECT sum(tx_bytes) FROM ip_traffic WHERE time >= ? AND time < ? AND pid = 1"
    need = need_of(settings, text, day(start), day(end))
    assert need.columns == {"tx_bytes", "time", "pid"}
    assert need.ranges == {"time": ((start * clock.DAY, end * clock.DAY - 1),), "pid": ((1, 1),)}
    assert need_of(settings, "SELECT count(*) FROM ip_traffic").columns == frozenset()
    assert need_of(settings, "DESCRIBE ip_traffic") == everything(traffic(settings))
    assert need_of(settings, "SELECT nonsense FROM ip_traffic") == everything(traffic(settings))
    either = "SELECT 1 FROM ip_traffic WHERE time < '2020-01-01' OR pid = 1"
    assert need_of(settings, either).ranges == {}
    both = (
        "SELECT a.id FROM ip_traffic a, ip_traffic b WHERE a.time < '2020-01-01' AND a.id = b.pid"
    )
    assert need_of(settings, both).ranges == {}
    assert need_of(settings, both).columns == {"id", "time", "pid"}


def test_only_the_files_and_columns_needed_are_read(
    bridge: UnifiedQueryBridge, store: sqlite3.Connection, settings: Settings
) -> None:
    first, last = DAYS[1] * clock.DAY, DAYS[2] * clock.DAY
    need = Need(frozenset({"tx_bytes"}), {"time": ((first, last - 1),)})
    declared = find(settings, IP_TRAFFIC)
    with Database(declared.database, settings).reading(declared) as snapshot:
        tiers = read_tiers(snapshot, snapshot.look(declared), need, need, settings.archive)
    assert [file.day for file in tiers.live] == [DAYS[1]]
    assert tiers.hot is not None
    assert (tiers.hot.num_rows, tiers.hot.schema.names) == (0, ["tx_bytes"])
    assert bridge.rows("SELECT 1 AS n FROM ip_traffic LIMIT 1") == [{"n": 1}]
