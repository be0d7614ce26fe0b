"""``gateway archive``: see what would move and why, move it, check it, bring it back."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from gateway_assets import clock
from gateway_assets.archive.engine import HOLD_DAYS, UniversalArchiver
from gateway_assets.archive.plan import Step
from gateway_assets.cli.show import as_json, bar, print_grid, print_json, size
from gateway_assets.errors import ArchiveError, UsageError
from gateway_assets.hot.store import open_store
from gateway_assets.settings import Settings
from gateway_assets.table import Table
from gateway_assets.tables import TABLES, table_named

_tables = click.argument("tables", nargs=-1, metavar="[TABLE]...")


@click.group()
def archive() -> None:
    """Move closed days to Parquet, check them, bring them back."""


@archive.command("plan")
@_tables
@as_json
@click.pass_obj
def show_plan(settings: Settings, tables: tuple[str, ...], as_json: bool) -> None:
    """Show what a run would do to every day, and why; change nothing.

    \b
    Examples:
      gateway archive plan
      gateway archive plan ip_traffic --json
    """
    with open_store(settings.hot_database) as connection:
        archiver = UniversalArchiver(connection, settings)
        rows = [_row(table, step) for table in _chosen(tables) for step in archiver.plan(table)]
    print_json(rows) if as_json else print_grid(rows)


@archive.command("run")
@_tables
@click.option("--dry-run", is_flag=True, help="Show the plan instead.")
@as_json
@click.pass_context
def run(ctx: click.Context, tables: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Carry the plan out: export, verify, publish, prune.

    Safe to repeat: a run that was stopped is finished by the next one.

    \b
    Examples:
      gateway archive run --dry-run
      gateway archive run
      GATEWAY_ARCHIVE_GRACE_HOURS=0 gateway archive run ip_traffic
    """
    settings: Settings = ctx.obj
    if dry_run:
        ctx.invoke(show_plan, tables=tables, as_json=as_json)
        return
    results = []
    with open_store(settings.hot_database) as connection:
        for table in _chosen(tables):
            with bar(f"archive {table.name}") as progress:
                result = UniversalArchiver(connection, settings).run(table, progress=progress)
            results.append(result)
            if as_json:
                print_json(asdict(result))
            else:
                click.echo(
                    f"{table.name}: {len(result.days):,} days, {result.rows:,} rows to "
                    f"{size(result.bytes)} of Parquet, {result.pruned_rows:,} hot copies pruned, "
                    f"{len(result.kept):,} days kept in {result.seconds:.2f} s"
                )
    for result in results:
        for path in result.set_aside:
            click.echo(f"no manifest row names this file; it was set aside: {path}", err=True)
    for result in results:
        result.raise_failures()


@archive.command()
@_tables
@as_json
@click.pass_obj
def verify(settings: Settings, tables: tuple[str, ...], as_json: bool) -> None:
    """Read every archived file again and compare it with the manifest.

    \b
    Examples:
      gateway archive verify
      gateway archive verify ip_traffic --json
    """
    found: list[dict[str, Any]] = []
    with open_store(settings.hot_database) as connection:
        archiver = UniversalArchiver(connection, settings)
        for table in _chosen(tables):
            with bar(f"verify {table.name}") as progress:
                checked = archiver.verify(table, progress)
                found += [{"file": path, "damage": damage} for path, damage in checked]
    damaged = [row for row in found if row["damage"]]
    if as_json:
        print_json(found)
    else:
        print_grid(damaged)
        click.echo(f"{len(found):,} files checked, {len(damaged):,} damaged")
    if damaged:
        raise ArchiveError(
            f"{len(damaged)} archived files are damaged", hint="put them back from a backup"
        )


@archive.command()
@click.argument("table")
@click.argument("day")
@click.option(
    "--hold-days",
    type=click.IntRange(0, 36_500),
    default=HOLD_DAYS,
    show_default=True,
    help="Days before the archive may take it again.",
)
@as_json
@click.pass_obj
def restore(settings: Settings, table: str, day: str, hold_days: int, as_json: bool) -> None:
    """Bring one archived DAY (YYYY-MM-DD) of a TABLE back to the hot database.

    \b
    Examples:
      gateway archive restore ip_traffic 2026-11-10
      gateway archive restore ip_traffic 2026-11-10 --hold-days 30
    """
    chosen = table_named(table)
    try:
        number = clock.parse_day(day)
    except ValueError:
        raise UsageError(f"{day!r} is not a day", hint="write it as 2026-11-10") from None
    with open_store(settings.hot_database) as connection:
        rows = UniversalArchiver(connection, settings).restore(chosen, number, hold_days)
    if as_json:
        print_json({"table": table, "day": day, "rows": rows, "hold_days": hold_days})
    else:
        click.echo(f"{table} {day}: {rows:,} rows are hot again")


def _chosen(names: tuple[str, ...]) -> list[Table]:
    return [table_named(name) for name in names] or list(TABLES)


def _row(table: Table, step: Step) -> dict[str, Any]:
    return {
        "table": table.name,
        "day": clock.day_text(step.day),
        "step": type(step).__name__.lower(),
        "reason": step.reason,
    }
