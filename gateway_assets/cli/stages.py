"""``gateway load`` and ``gateway rollup``: the stages by hand; Dagster does the same on its own."""

from __future__ import annotations

from dataclasses import asdict

import click

from gateway_assets.cli.show import as_json, bar, print_json, size
from gateway_assets.hot.load import LoadResult
from gateway_assets.hot.load import load as load_table
from gateway_assets.hot.store import open_store
from gateway_assets.rollups.drain import drain
from gateway_assets.settings import Settings
from gateway_assets.tables import TABLES


@click.command()
@as_json
@click.pass_obj
def load(settings: Settings, as_json: bool) -> None:
    """Load landing files into the hot tables, once each.

    Safe to run again, at any time and beside other loaders. Damaged files go to quarantine.

    \b
    Examples:
      gateway load
      gateway load --json | jq .rows
    """
    with open_store(settings.hot_database) as connection:
        for table in TABLES:
            if table.source:
                with bar(f"load {table.name}") as progress:
                    result = load_table(connection, table, settings, progress)
                print_json(asdict(result)) if as_json else _print_load(result, settings)


def _print_load(result: LoadResult, settings: Settings) -> None:
    click.echo(
        f"{result.table}: {len(result.files):,} files, {result.rows:,} rows, "
        f"{size(result.bytes)} in {result.seconds:.2f} s"
    )
    for text in result.quarantined:
        click.echo(f"  quarantined: {text}", err=True)
    for text in result.unreadable:
        click.echo(f"  could not be read: {text}", err=True)
    for text in result.geoip_problems:
        click.echo(f"  {text}", err=True)
    if result.failed_lookups:
        click.echo(
            f"  {result.failed_lookups:,} addresses met a damaged database: gateway geoip status",
            err=True,
        )
    if result.quarantined:
        click.echo(f"  see {settings.quarantine / result.table}", err=True)


@click.command()
@as_json
@click.pass_obj
def rollup(settings: Settings, as_json: bool) -> None:
    """Bring roll-ups up to date with the rows that have been loaded.

    \b
    Examples:
      gateway rollup
      gateway rollup --json
    """
    with open_store(settings.hot_database) as connection:
        results = []
        for table in (table for table in TABLES if table.rollup):
            with bar(f"roll up {table.name}") as progress:
                results.append(drain(connection, table, settings, progress=progress))
    if as_json:
        print_json([asdict(result) for result in results])
    for result in results:
        if not as_json:
            click.echo(
                f"{result.table}: {result.merged_rows:,} rows merged into "
                f"{len(result.days):,} days in {result.seconds:.2f} s"
            )
    for result in results:
        result.raise_failures()
