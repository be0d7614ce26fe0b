"""Roll-ups beside a GROUP BY over all rows below them, both read through the bridge."""

from __future__ import annotations

from typing import Any

from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.hot.dirty import waiting_days
from gateway_assets.hot.store import open_store
from gateway_assets.settings import Settings
from gateway_assets.table import Table

Rows = list[dict[str, Any]]
_LENGTHS = {"ip_traffic_hourly": "hour", "ip_traffic_daily": "day"}
_KEYS = "host, backend, layer, remote_ip, process, unit, country"


def rolled_up(settings: Settings, table: Table) -> Rows:
    """What a roll-up says."""
    names = "tx_bytes, rx_bytes, samples, first_seen, last_seen"
    query = f"SELECT time, {_KEYS}, {names} FROM {table.name} ORDER BY ALL"
    return UnifiedQueryBridge(settings).rows(query)


def grouped(settings: Settings, table: Table) -> Rows:
    """What it should say."""
    query = f"""
        SELECT date_trunc('{_LENGTHS[table.name]}', time) AS time, {_KEYS},
            sum(tx_bytes)::BIGINT AS tx_bytes, sum(rx_bytes)::BIGINT AS rx_bytes,
            count(*) AS samples, min(time) AS first_seen, max(end_time) AS last_seen
        FROM ip_traffic AS raw
        GROUP BY date_trunc('{_LENGTHS[table.name]}', raw.time), {_KEYS} ORDER BY ALL
    """
    return UnifiedQueryBridge(settings).rows(query)


def wrong_rows(settings: Settings, table: Table) -> Rows:
    """The rows of either that the other lacks, but for days that wait to be drained."""
    with open_store(settings.hot_database) as connection:
        waiting = set(waiting_days(connection, table))
    there, wanted = rolled_up(settings, table), grouped(settings, table)
    differing = [row for row in there if row not in wanted]
    differing += [row for row in wanted if row not in there]
    return [row for row in differing if _day(row) not in waiting]


def _day(row: dict[str, Any]) -> int:
    return int(row["time"].timestamp()) // 86_400
