"""``gateway tables``: what stands where."""

from __future__ import annotations

from dataclasses import asdict

import click

from gateway_assets.bridge.overview import overview
from gateway_assets.cli.show import as_json, moment, print_grid, print_json, size
from gateway_assets.settings import Settings


@click.command()
@as_json
@click.pass_obj
def tables(settings: Settings, as_json: bool) -> None:
    """List every table: rows and bytes, hot and cold, days, oldest and newest time.

    \b
    Examples:
      gateway tables
      gateway tables --json | jq '.[] | {table, cold_bytes}'
    """
    rows = [asdict(row) for row in overview(settings)]
    for row in rows:
        for end in ("oldest", "newest"):
            row[end] = moment(row[end])
    if as_json:
        print_json(rows)
        return
    for row in rows:
        for name in ("hot_bytes", "cold_bytes"):
            row[name] = size(row[name])
        del row["about"]
    print_grid(rows)
