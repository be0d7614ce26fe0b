"""``gateway query``: one SELECT over hot and cold rows, as table, JSON, CSV or Parquet."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import click
import pyarrow as pa
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
    with translated(settings.hot_database):
        answer = UnifiedQueryBridge(settings).sql(text)
    if output:
        _write(answer, form, output)
    else:
        _print(answer, form)


def _print(answer: pa.Table, form: str) -> None:
    if form == "table":
        print_grid(answer.to_pylist())
        click.echo(f"({answer.num_rows:,} rows)", err=True)
    else:
        _encode(answer, form, sys.stdout.buffer)


def _write(answer: pa.Table, form: str, output: Path) -> None:
    try:
        with appearing(output.absolute()) as file:
            _encode(answer, "json" if form == "table" else form, file)
    except FileExistsError:
        raise UsageError(f"{output} exists already", hint="name another file") from None
    click.echo(f"{answer.num_rows:,} rows in {output}", err=True)


def _encode(answer: pa.Table, form: str, file: Any) -> None:
    match form:
        case "json":
            rows = [_finite(row) for row in answer.to_pylist()]
            text = json.dumps(rows, default=plain, ensure_ascii=False, allow_nan=False)
            file.write(text.encode() + b"\n")
        case "csv":
            pa_csv.write_csv(answer, file)
        case "parquet":
            pq.write_table(answer, file, compression="zstd")


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    """JSON has no word for NaN and infinity; NULL is the nearest that parsers take."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }
