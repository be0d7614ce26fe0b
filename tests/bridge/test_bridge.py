"""One answer over both tiers: equal to one plain table, complete or an error."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway_assets import clock
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.archive.manifest import live_files
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.bridge.overview import overview
from gateway_assets.bridge.statement import tables_in
from gateway_assets.errors import ArchiveDamaged, QueryError
from gateway_assets.hot.load import load
from gateway_assets.hot.store import open_store
from gateway_assets.settings import Settings, load_settings
from gateway_assets.tables import IP_TRAFFIC, IP_TRAFFIC_DAILY
from gateway_assets.tiers.catalog import catalog
from tests.traffic import TODAY, land_days, land_rows, roll_up, seen

DAYS = range(TODAY - 10, TODAY + 1)


@pytest.fixture
def bridge(store: sqlite3.Connection, settings: Settings) -> UnifiedQueryBridge:
    """Eleven days: two archived and hidden, one hot again for its late rows, the rest hot."""
    land_days(settings.landing, DAYS)
    load(store, IP_TRAFFIC, settings)
    roll_up(store, settings)
    UniversalArchiver(settings).archive_table(IP_TRAFFIC)
    land_rows(settings.landing, DAYS[1], 200, 7)
    load(store, IP_TRAFFIC, settings)
    return UnifiedQueryBridge(settings)


# In the hot table every row still stands once, so SQLite can say what is right.
QUERIES = [
    "SELECT count(*), sum(tx_bytes), sum(rx_bytes), min(id), max(id) FROM ip_traffic",
    "SELECT remote_ip, sum(rx_bytes) FROM ip_traffic GROUP BY remote_ip ORDER BY 1",
    "SELECT process, count(*) FROM ip_traffic GROUP BY process ORDER BY process NULLS FIRST",
    "SELECT id, pid FROM ip_traffic WHERE remote_ip LIKE '192.0.2.1%' ORDER BY id DESC LIMIT 5",
    """SELECT a.remote_ip, count(*) FROM ip_traffic AS a
       JOIN ip_traffic_daily AS b ON a.remote_ip = b.remote_ip GROUP BY 1 ORDER BY 1""",
    """WITH busy AS (SELECT remote_ip, count(*) AS n FROM ip_traffic GROUP BY 1)
       SELECT max(n), min(n) FROM busy""",
]


@pytest.mark.parametrize("query", QUERIES)
def test_answers_equal_those_of_one_plain_table(
    bridge: UnifiedQueryBridge, store: sqlite3.Connection, query: str
) -> None:
    answered = [tuple(row.values()) for row in bridge.rows(query)]
    assert answered == store.execute(query).fetchall()
    assert answered


def test_types_do_not_depend_on_the_tier(bridge: UnifiedQueryBridge) -> None:
    hot = bridge.sql(f"SELECT * FROM ip_traffic WHERE time >= to_timestamp({TODAY} * 86400)")
    cold = bridge.sql(f"SELECT * FROM ip_traffic WHERE time < to_timestamp({DAYS[1]} * 86400)")
    assert hot.num_rows and cold.num_rows
    assert hot.schema == cold.schema
    (row,) = bridge.rows("SELECT min(time) AS t, any_value(pid) AS pid FROM ip_traffic")
    assert row["t"] == datetime.fromtimestamp(DAYS[0] * 86400, UTC)
    assert row["pid"] == 42


def test_parameters_are_bound(bridge: UnifiedQueryBridge) -> None:
    hostile = "x' OR '1'='1"
    query = "SELECT count(*) AS n FROM ip_traffic WHERE remote_ip = ?"
    assert bridge.rows(query, [hostile]) == [{"n": 0}]
    assert bridge.rows(query, ["192.0.2.7"])[0]["n"] > 0


def test_an_empty_house_answers_nothing(settings: Settings) -> None:
    bridge = UnifiedQueryBridge(settings)
    assert bridge.rows("SELECT count(*) AS n FROM ip_traffic") == [{"n": 0}]
    assert len(bridge.rows("DESCRIBE ip_traffic_daily")) == len(IP_TRAFFIC_DAILY.stored)


def test_a_missing_or_broken_file_is_an_error_that_names_it(
    bridge: UnifiedQueryBridge, settings: Settings
) -> None:
    file = min(settings.archive.rglob("*.parquet"))  # of the day that nothing came late for
    whole = file.read_bytes()
    for content in (whole[:-50], b"\0" * len(whole), None):
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content)
        with pytest.raises(ArchiveDamaged, match=f"{file.name}.*gateway archive verify ip_traffic"):
            bridge.rows("SELECT sum(tx_bytes) FROM ip_traffic")
        # The manifest knows how many rows there are.
        assert bridge.rows("SELECT count(*) AS n FROM ip_traffic")[0]["n"]
    assert bridge.rows("SELECT count(*) AS n FROM ip_traffic_daily")[0]["n"]


def test_no_column_hides_another(bridge: UnifiedQueryBridge) -> None:
    assert bridge.rows("SELECT 1 AS a, 2 AS a, 3 AS b") == [{"a": 1, "a_2": 2, "b": 3}]


def test_a_path_is_no_pattern(tmp_path: Path) -> None:
    odd = load_settings(data_dir=tmp_path / "da[t]a*?")
    with open_store(odd.hot_database) as store:
        land_days(odd.landing, DAYS)
        load(store, IP_TRAFFIC, odd)
        roll_up(store, odd)
        assert UniversalArchiver(odd).archive_table(IP_TRAFFIC).rows == 360
    assert UnifiedQueryBridge(odd).rows("SELECT count(*) AS n FROM ip_traffic") == [{"n": 1320}]


def test_names_are_found_as_words(settings: Settings) -> None:
    def named(text: str) -> list[str]:
        return [name for one in tables_in(text, catalog(settings), {}) for name in one.views]

    assert named('SELECT 1 FROM "IP_Traffic_Daily"') == ["ip_traffic_daily"]
    assert named("SELECT 1 FROM ip_traffic, ip_traffic_daily") == ["ip_traffic", "ip_traffic_daily"]
    assert named("FROM ip_traffic_hot UNION FROM Ip_Traffic_COLD") == [
        "ip_traffic_hot",
        "ip_traffic_cold",
    ]
    assert named("SELECT 1") == []


def test_the_overview_counts_each_tier(
    bridge: UnifiedQueryBridge, store: sqlite3.Connection, settings: Settings
) -> None:
    traffic, _, daily, *_ = overview(settings)
    assert (traffic.hot_rows, traffic.cold_rows, traffic.hidden_rows) == (9 * 120 + 7, 240, 240)
    assert (traffic.days, traffic.cold_files) == (11, 2)
    assert traffic.cold_bytes == sum(
        (settings.archive / file.path).stat().st_size
        for file in live_files(store, seen(store, IP_TRAFFIC))
    )
    assert traffic.oldest == DAYS[0] * clock.DAY
    assert traffic.hot_bytes is None or traffic.hot_bytes > 0
    assert daily.cold_rows == 0
    assert bridge.rows("SELECT count(*) AS n FROM ip_traffic") == [
        {"n": traffic.hot_rows + traffic.cold_rows}
    ]


REFUSED = [
    "DROP TABLE ip_traffic",
    "INSERT INTO ip_traffic VALUES (1)",
    "WITH x AS (INSERT INTO ip_traffic VALUES (1)) SELECT 1",
    "SELECT 1; SELECT 2",
    "COPY (SELECT 1) TO '{archive}/x.parquet'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{archive}/x.parquet'",
    "EXPLAIN SELECT 1",
    "COPY (SELECT 1) TO '/tmp/x.csv'",
    "ATTACH '{data}/hot.db'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "PRAGMA database_size",
    "SET memory_limit = '100GB'",
    "CALL pragma_version()",
    "CREATE TABLE t AS SELECT 1",
    "EXPORT DATABASE '/tmp/x'",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('{data}/hot.db')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM sqlite_scan('{data}/hot.db', 'ip_traffic')",
    'SELECT * FROM "x\'; DROP TABLE ip_traffic; --"',
    "SELECT * FROM no_such_table",
    "SELECT nothing FROM ip_traffic",
    "SELEC 1",
    "SELECT",
    "",
    "-- only a comment",
]


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_a_select_of_our_tables_is_refused(
    bridge: UnifiedQueryBridge, settings: Settings, text: str, tmp_path: Path
) -> None:
    before = {path: path.stat().st_size for path in settings.archive.rglob("*")}
    with pytest.raises(QueryError) as refused:
        bridge.rows(text.format(archive=settings.archive, data=settings.data_dir))
    assert "\n" not in str(refused.value)
    assert refused.value.hint
    assert {path: path.stat().st_size for path in settings.archive.rglob("*")} == before


def test_a_query_that_takes_too_long_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_QUERY_TIMEOUT_SECONDS", "0.5")
    endless = "SELECT count(*) FROM range(100000000) AS a, range(100000000) AS b WHERE a = b + 1.5"
    with pytest.raises(QueryError, match="query_timeout_seconds"):
        UnifiedQueryBridge(load_settings()).rows(endless)
