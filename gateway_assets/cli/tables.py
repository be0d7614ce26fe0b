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
    """List every table that has rows: rows and bytes, hot and cold, days, oldest and newest time.

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
    filled = [row for row in rows if row["days"]]
    for row in filled:
        for name in ("hot_bytes", "cold_bytes"):
            row[name] = size(row[name])
        del row["about"]
    if filled:
        print_grid(filled)
    empty = [row["table"] for row in rows if not row["days"]]
    if empty:
        click.echo(f"Empty: {', '.join(empty)}")
