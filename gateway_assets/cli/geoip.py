"""``gateway geoip``: the databases that tell where addresses are, and looking them up again."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import click

from gateway_assets import clock
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.archive.places import Replaced
from gateway_assets.cli.show import as_json, bar, print_grid, print_json
from gateway_assets.errors import UsageError
from gateway_assets.geoip.geoip import GeoIP
from gateway_assets.settings import Settings
from gateway_assets.tables import TABLES


@click.group()
def geoip() -> None:
    """Countries, cities and providers of remote addresses, by databases that you install.

    Nothing is downloaded by itself: docs/geoip.md says how to get one, and under which licence.
    """


@geoip.command()
@as_json
@click.pass_obj
def status(settings: Settings, as_json: bool) -> None:
    """Show every database: type, languages, age, licence, and what is wrong with it.

    \b
    Examples:
      gateway geoip status
      gateway geoip status --json | jq '.[].age_days'
    """
    found = _opened(settings).status()
    if as_json:
        print_json([one._asdict() for one in found])
        return
    if not found:
        places = ", ".join(map(str, settings.geoip_paths))
        click.echo(f"no database in {places}; docs/geoip.md says how to get one")
        return
    print_grid(
        [
            {
                "database": one.path,
                "type": one.type,
                "languages": " ".join(one.languages),
                "built": one.built[:10],
                "age in days": one.age_days,
                "licence": one.licence,
            }
            for one in found
        ]
    )
    for notice in dict.fromkeys(one.notice for one in found if one.notice):
        click.echo(notice)
    for one in found:
        if one.problem:
            click.echo(one.problem, err=True)


@geoip.command("re-enrich")
@click.option("--from", "first", required=True, metavar="DAY", help="First day, YYYY-MM-DD (UTC).")
@click.option("--to", "last", required=True, metavar="DAY", help="Last day, included.")
@click.option("--dry-run", is_flag=True, help="Say what would happen; change nothing.")
@as_json
@click.pass_obj
def re_enrich(settings: Settings, first: str, last: str, dry_run: bool, as_json: bool) -> None:
    """Look the addresses of some days up again, hot rows and archived ones.

    For rows that were loaded before a database was there, or with an older one. Safe to repeat: a
    command that was stopped is finished by the next one. Rows that are right are not touched.
    The roll-ups follow with their next run: gateway rollup.

    \b
    Examples:
      gateway geoip re-enrich --from 2026-11-01 --to 2026-11-20 --dry-run
      gateway geoip re-enrich --from 2026-11-01 --to 2026-11-20
    """
    days = range(_day(first), _day(last) + 1)
    if not days:
        raise UsageError(f"{last} is before {first}")
    databases = _opened(settings)
    archiver = UniversalArchiver(settings)
    results = []
    for table in TABLES:
        if table.places:
            with bar(f"re-enrich {table.name}") as progress:
                results.append(
                    archiver.replace_places(
                        table, databases, days, dry_run=dry_run, progress=progress
                    )
                )
    if as_json:
        print_json([_plain(result, dry_run) for result in results])
    else:
        for result in results:
            _print_result(result, dry_run)
    for result in results:
        result.raise_failures()


def _opened(settings: Settings) -> GeoIP:
    return GeoIP(settings.geoip_paths, settings.geo_language, check_seconds=math.inf)


def _plain(result: Replaced, dry_run: bool) -> dict[str, Any]:
    return {**asdict(result), "dry_run": dry_run}


def _print_result(result: Replaced, dry_run: bool) -> None:
    would = "would get" if dry_run else "got"
    click.echo(
        f"{result.table}: {result.hot_rows:,} hot rows and {result.archived_rows:,} rows of "
        f"{result.files:,} archived files {would} another place, in {result.days:,} days and "
        f"{result.seconds:.2f} s"
    )
    if result.taken_back:
        click.echo(
            f"  {len(result.taken_back):,} days whose hot copies were still there are archived "
            "again by the next run: gateway archive run"
        )
    if not dry_run and result.hot_rows + result.archived_rows:
        click.echo("  roll-ups of these days are made again by: gateway rollup")


def _day(text: str) -> int:
    try:
        return clock.parse_day(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a day", hint="write it as 2026-11-10") from None
