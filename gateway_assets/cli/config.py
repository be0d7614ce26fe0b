"""``gateway config``: every setting with its value, default, origin and one sentence."""

from __future__ import annotations

import click

from gateway_assets.cli.show import as_json, print_grid, print_json
from gateway_assets.settings import Settings, described


@click.command()
@as_json
@click.pass_obj
def config(settings: Settings, as_json: bool) -> None:
    """Show every setting: its value, default, origin and meaning.

    Settings come from the environment, then .env, then gateway.toml in this directory.

    \b
    Examples:
      gateway config
      GATEWAY_ARCHIVE_GRACE_HOURS=0 gateway config --json
      echo 'hot_days = {ip_traffic = 3}' >> gateway.toml
    """
    rows = [row._asdict() for row in described(settings)]
    if as_json:
        print_json(rows)
    else:
        texts = [{name: _text(value) for name, value in row.items()} for row in rows]
        print_grid(texts)


def _text(value: object) -> str:
    return value if isinstance(value, str) else str(value)
