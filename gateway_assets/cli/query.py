"""``gateway query``: one SELECT over hot and cold rows, as table, JSON, CSV or Parquet."""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

import click
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.cli.show import print_grid, to_json
from gateway_assets.errors import QueryError, UsageError
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
    if output is None and form == "table":
        rows = bridge.rows(text)
        print_grid(rows)
        click.echo(f"({len(rows):,} rows)", err=True)
        return
    try:
        encoded = _ENCODERS[form](bridge, text)
    except pa.ArrowException as error:
        what = str(error).splitlines()[0]
        raise QueryError(f"the answer does not fit {form}: {what}", hint="try: -f json") from None
    if output:
        _write(encoded, output)
    else:
        sys.stdout.buffer.write(encoded)


def _write(encoded: bytes, output: Path) -> None:
    try:
        with output.open("xb") as file:
            file.write(encoded)
    except OSError as error:
        raise UsageError(
            f"cannot write {output}: {error.strerror}", hint="name another file"
        ) from None
    click.echo(f"{len(encoded):,} bytes in {output}", err=True)


def _json(bridge: UnifiedQueryBridge, text: str) -> bytes:
    return to_json(bridge.rows(text)).encode() + b"\n"


def _csv(bridge: UnifiedQueryBridge, text: str) -> bytes:
    sink = BytesIO()
    pa_csv.write_csv(bridge.sql(text), sink)
    return sink.getvalue()


def _parquet(bridge: UnifiedQueryBridge, text: str) -> bytes:
    sink = BytesIO()
    pq.write_table(bridge.sql(text), sink, compression="zstd")
    return sink.getvalue()


_ENCODERS = {"table": _json, "json": _json, "csv": _csv, "parquet": _parquet}
