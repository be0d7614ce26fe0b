"""``gateway load`` and ``gateway rollup``: the stages by hand; Dagster does the same on its own."""

from __future__ import annotations

from dataclasses import asdict

import click

from gateway_assets import clock
from gateway_assets.cli.show import as_json, bar, print_json, size
from gateway_assets.errors import UsageError
from gateway_assets.hot.dirty import days_below, mark_days
from gateway_assets.hot.load import LoadResult
from gateway_assets.hot.load import load as load_table
from gateway_assets.hot.store import open_store, writing
from gateway_assets.points.again import mark_again
from gateway_assets.points.load import Loader
from gateway_assets.points.refresh import refresh
from gateway_assets.points.schema import has_points, open_points
from gateway_assets.rollups.drain import RollupResult, drain
from gateway_assets.settings import Settings
from gateway_assets.tables import TABLES

SUMMARIES = {table.name for table in TABLES if table.summary}


@click.command()
@as_json
@click.pass_obj
def load(settings: Settings, as_json: bool) -> None:
    """Load landing files into the hot tables, once each.

    Safe to run again, at any time and beside other loaders. Damaged files go to quarantine.

    \b
    Examples:
      gateway load
      gateway load --json | jq '.[] | .table, .rows'
    """
    results = []
    with open_store(settings.hot_database) as connection:
        for table in (table for table in TABLES if table.source):
            with bar(f"load {table.name}") as progress:
                results.append(load_table(connection, table, settings, progress))
            if not as_json:
                _print_load(results[-1], settings)
    told = [asdict(result) for result in results]
    if has_points(settings):
        with bar("load points") as progress, open_points(settings.points_database) as connection:
            loaded = Loader(connection, settings).load(progress)
        told.append({"table": "points", **loaded._asdict()})
        if not as_json:
            click.echo(f"points: {loaded.frames:,} frames, {loaded.points:,} points")
    if as_json:
        print_json(told)


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
@click.option(
    "--again",
    nargs=2,
    metavar="DAY LAST_DAY",
    help="Compute these days of summaries and of points again, although nothing has come since.",
)
@click.pass_obj
def rollup(settings: Settings, again: tuple[str, str] | None, as_json: bool) -> None:
    """Bring roll-ups and summaries up to date with the rows that have been loaded.

    A day of a summary (daily_snapshots) is computed whole from its rows, hot and archived, as
    often as you like, and so is one of points; other roll-ups merge each row once and have nothing
    to do again.

    \b
    Examples:
      gateway rollup
      gateway rollup --again 2026-11-01 2026-11-20
      gateway rollup --json
    """
    days = _days(*again) if again else range(0)
    with open_store(settings.hot_database) as connection:
        results = []
        for table in (table for table in TABLES if table.below):
            if table.summary and days:
                with writing(connection):
                    mark_days(connection, table, {*days} & {*days_below(connection, table)})
            with bar(f"roll up {table.name}") as progress:
                results.append(drain(connection, table, settings, progress=progress))
    told = [asdict(result) for result in results]
    if has_points(settings):
        with (
            bar("roll up points") as progress,
            open_points(settings.points_database) as connection,
        ):
            mark_again(connection, settings, days)
            refreshed = refresh(connection, settings, progress)
        told.append({"table": "points", **refreshed._asdict()})
    if as_json:
        print_json(told)
    for result in results:
        if not as_json:
            _print_rolled_up(result)
    if has_points(settings) and not as_json:
        click.echo(f"points: {refreshed.hours:,} hours of series computed on every level")
    for result in results:
        result.raise_failures()


def _days(first: str, last: str) -> range:
    hint = "gateway rollup --again 2026-11-01 2026-11-20"
    try:
        days = range(clock.parse_day(first), clock.parse_day(last) + 1)
    except ValueError as error:
        raise UsageError(str(error), hint=hint) from None
    if not days:
        raise UsageError(f"{first} is after {last}", hint=hint)
    return days


def _print_rolled_up(result: RollupResult) -> None:
    done = f"{result.merged_rows:,} rows merged into"
    if result.table in SUMMARIES:
        done = f"{result.computed_rows:,} rows computed of"
    click.echo(f"{result.table}: {done} {len(result.days):,} days in {result.seconds:.2f} s")
    for day, why in result.kept.items():
        click.echo(f"  {day} stays as it is: {why}", err=True)
