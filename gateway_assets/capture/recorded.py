"""Recorded rows: one JSON object a line, as people write them or as landing files hold them."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from gateway_assets.capture.addresses import parse_address
from gateway_assets.capture.backend import Delta
from gateway_assets.model import misfit
from gateway_assets.sources.ip_traffic import SOURCE

_USED = (
    "time",
    "remote_ip",
    "process",
    "pid",
    "tx_bytes",
    "rx_bytes",
    "unit",
    "attribution",
)
_COLUMNS = [column for column in SOURCE.columns if column.name in _USED]


class Recorded(NamedTuple):
    delta: Delta
    layer: str


def parse_recorded(line: bytes) -> Recorded | None:
    """A row; None for a landing file's header or footer. Raises ValueError with the reason."""
    try:
        record = json.loads(line)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(record, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - one kind for all reasons
    if _is_frame(record):
        return None
    for column in _COLUMNS:
        reason = misfit(column, record.get(column.name))
        if reason:
            raise ValueError(reason)
    return Recorded(_delta(record), _layer(record))


def _is_frame(record: dict[str, Any]) -> bool:
    return record.keys() >= {"source", "version"} or record.keys() >= {"rows", "crc32"}


def _delta(record: dict[str, Any]) -> Delta:
    remote = parse_address(record["remote_ip"])
    if remote is None:
        raise ValueError(f"remote_ip is not an IP address: {record['remote_ip']!r}")
    return Delta(
        record["time"],
        remote,
        record.get("process"),
        record.get("pid"),
        record["tx_bytes"],
        record["rx_bytes"],
        record.get("unit"),
        record.get("attribution"),
    )


def _layer(record: dict[str, Any]) -> str:
    layer = record.get("layer", "ip")
    if layer not in ("ip", "tcp"):
        raise ValueError(f"layer must be ip or tcp, not {layer!r}")
    return str(layer)
