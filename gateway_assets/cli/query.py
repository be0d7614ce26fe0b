"""``gateway query``: one SELECT over hot and cold rows, as table, JSON, CSV or Parquet."""

from __future__ import annotations

import json
import math
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import click
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.cli.show import plain, print_grid
from gateway_assets.errors import UsageError
from gateway_assets.files.appear import appearing
from gateway_assets.hot.store import translated
from gateway_assets.settings import Settings


@click.command()
@click.argument("sql")
@click.option(
    "--format",
    "-f",
    "form",
    type=click.Choice(["table", "json", "csv", "parquet"]),
    default="table",
    show_default=True,
    help="json is one list of objects.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write to this file, which must not exist; parquet needs it.",
)
@click.pass_obj
def query(settings: Settings, sql: str, form: str, output: Path | None) -> None:
    """Answer one SELECT over hot and cold rows as one table. SQL may be - for standard input.

    \b
    Examples:
      gateway query "SELECT count(*) FROM ip_traffic"
      gateway query "SELECT time, sum(tx_bytes) AS sent FROM ip_traffic_daily GROUP BY time" -f csv
      gateway query "FROM ip_traffic WHERE remote_ip = '192.0.2.7'" -f parquet -o rows.parquet
    """
    if form == "parquet" and output is None:
        raise UsageError("Parquet is not for a terminal", hint="name a file: -o rows.parquet")
    text = sys.stdin.read() if sql == "-" else sql
    bridge = UnifiedQueryBridge(settings)
    with translated(settings.hot_database):
        if output is None and form == "table":
            rows = bridge.rows(text)
            print_grid(rows)
            click.echo(f"({len(rows):,} rows)", err=True)
            return
        encoded = _encoders[form](bridge, text)
    if output:
        _write(encoded, output)
    else:
        sys.stdout.buffer.write(encoded)


def _write(encoded: bytes, output: Path) -> None:
    try:
        with appearing(output.absolute()) as file:
            file.write(encoded)
    except FileExistsError:
        raise UsageError(f"{output} exists already", hint="name another file") from None
    click.echo(f"{len(encoded):,} bytes in {output}", err=True)


def _json(bridge: UnifiedQueryBridge, text: str) -> bytes:
    rows = [_finite(row) for row in bridge.rows(text)]
    return json.dumps(rows, default=plain, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _csv(bridge: UnifiedQueryBridge, text: str) -> bytes:
    sink = BytesIO()
    pa_csv.write_csv(bridge.sql(text), sink)
    return sink.getvalue()


def _parquet(bridge: UnifiedQueryBridge, text: str) -> bytes:
    sink = BytesIO()
    pq.write_table(bridge.sql(text), sink, compression="zstd")
    return sink.getvalue()


_encoders = {"table": _json, "json": _json, "csv": _csv, "parquet": _parquet}


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    """JSON has no word for NaN and infinity; NULL is the nearest that parsers take."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }
