"""``gateway demo``: example data to try things on."""

from __future__ import annotations

import click

from gateway_assets.cli.forward import DAYS, ROWS, registry_lines, write_forward_db
from gateway_assets.cli.show import as_json, bar, print_grid, print_json, size
from gateway_assets.files.appear import explained
from gateway_assets.settings import Settings

_days = click.IntRange(1, 3_650)


@click.group()
def demo() -> None:
    """Make example data to try things on."""


@demo.command("forward-db")
@click.option("--rows", type=click.IntRange(1), default=ROWS, show_default=True, help="In all.")
@click.option("--days", type=_days, default=DAYS, show_default=True, help="They are spread over.")
@click.option("--seed", type=int, default=1, show_default=True, help="Another one, other rows.")
@as_json
@click.pass_obj
def forward_db(settings: Settings, rows: int, days: int, seed: int, as_json: bool) -> None:
    """Write forward.db, the database of a message-forwarding bot, and register its tables.

    It stands for any database that another program writes: its own names, times as text.

    \b
    Examples:
      gateway demo forward-db
      gateway demo forward-db --rows 10000 --days 30
      gateway demo forward-db --json | jq .rows
    """
    path, registry = settings.data_dir / "forward.db", settings.data_dir / "tables.toml"
    with bar(f"write {path.name}") as progress:
        counts = write_forward_db(path, rows=rows, days=days, seed=seed, progress=progress)
    with explained(registry), registry.open("a+", encoding="utf-8") as file:
        file.seek(0)
        if path.name not in file.read():
            file.write(registry_lines(path.name))
    written = path.stat().st_size
    if as_json:
        print_json({"database": path, "tables": registry, "bytes": written, "rows": counts})
        return
    print_grid([{"table": table, "rows": count} for table, count in counts.items()])
    click.echo(f"{path}: {sum(counts.values()):,} rows, {size(written)}; tables in {registry}")
    click.echo("Next: gateway archive plan\n      gateway archive run")
