"""``gateway export``: the answer of any query as a Parquet, CSV or DuckDB file."""

from __future__ import annotations

from pathlib import Path

import click

from gateway_assets.cli.confined import go_on_in_child
from gateway_assets.cli.query import params_option, timezone_option
from gateway_assets.errors import UsageError
from gateway_assets.settings import Settings

DAY_SECONDS = 86_400.0
SUFFIXES = (".parquet", ".csv", ".duckdb")


@click.command()
@click.argument("sql")
@click.argument("output", type=click.Path(path_type=Path, dir_okay=False))
@params_option
@timezone_option
@click.pass_obj
def export(
    settings: Settings, sql: str, output: Path, params: tuple[str, ...], timezone: str
) -> None:
    """Write the answer of one SELECT to OUTPUT: .parquet, .csv, or .duckdb with a table "export".

    The file must not exist; it is there when it is whole. However many rows there are, they are
    written as they come.

    \b
    Examples:
      gateway export "FROM ip_traffic WHERE time >= '2026-11-01'" november.parquet
      gateway export "FROM ip_traffic_daily" daily.csv --tz Europe/Berlin
      gateway export "FROM ip_traffic" traffic.duckdb
    """
    if output.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"{output}: nothing is known of such files", hint=f"suffixes: {', '.join(SUFFIXES)}"
        )
    if output.exists():
        raise UsageError(f"{output} is there already", hint="name another file, or remove it")
    written = go_on_in_child(settings, "gateway_assets.cli.written", DAY_SECONDS)
    written.write_query(settings, sql, params, timezone, output)
