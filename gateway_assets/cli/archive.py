"""``gateway archive``: see what would move and why, move it, check it, bring it back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from gateway_assets import clock
from gateway_assets.archive.copy_out import copy_out
from gateway_assets.archive.engine import HOLD_DAYS, ArchiveResult, UniversalArchiver, set_aside
from gateway_assets.archive.plan import Compact, Keep, Rewrite, Step
from gateway_assets.archive.status import status as status_of
from gateway_assets.bridge.overview import overview_of
from gateway_assets.cli.show import as_json, bar, moment, print_grid, print_json, size
from gateway_assets.errors import ArchiveError, GatewayError, UsageError
from gateway_assets.settings import Settings
from gateway_assets.tiers.catalog import Declared, catalog, find

_tables = click.argument("tables", nargs=-1, metavar="[TABLE]...")
_dry_run = click.option("--dry-run", is_flag=True, help="Say what would happen; change nothing.")


@click.group()
def archive() -> None:
    """Move closed days to Parquet, check them, bring them back."""


@archive.command("plan")
@_tables
@click.option("--all", "every_day", is_flag=True, help="Also days that are simply archived.")
@as_json
@click.pass_obj
def show_plan(settings: Settings, tables: tuple[str, ...], every_day: bool, as_json: bool) -> None:
    """Show what a run would do to every day, and why; change nothing.

    \b
    Examples:
      gateway archive plan
      gateway archive plan ip_traffic --all
      gateway archive plan task_queue --json
    """
    rows, problems = [], []
    archiver = UniversalArchiver(settings)
    for declared in _chosen(settings, tables):
        steps = archiver.plan(declared)
        rows += [
            _row(declared, step)
            for step in steps
            if every_day or as_json or not (isinstance(step, Keep) and step.reason == "archived")
        ]
        problems += status_of(declared, settings).problems
    print_json(rows) if as_json else print_grid(_folded(rows))
    for problem in problems:
        click.echo(problem, err=True)


@archive.command("run")
@_tables
@_dry_run
@as_json
@click.pass_context
def run(ctx: click.Context, tables: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Carry the plan out: export, verify, publish, prune, compact, expire.

    Safe to repeat: a run that was stopped is finished by the next one. Before anything is
    archived from a database for the first time, the database is copied to data/backup.

    \b
    Examples:
      gateway archive run --dry-run
      gateway archive run
      GATEWAY_ARCHIVE_GRACE_HOURS=0 gateway archive run ip_traffic
    """
    settings: Settings = ctx.obj
    if dry_run:
        ctx.invoke(show_plan, tables=tables, every_day=False, as_json=as_json)
        return
    archiver = UniversalArchiver(settings)
    results = []
    chosen = _chosen(settings, tables)
    if len(chosen) == 1:
        with bar(f"archive {chosen[0].name}") as progress:
            results = [archiver.archive_table(chosen[0], progress=progress)]
    else:
        with bar("archive") as progress:
            results = archiver.archive_all(chosen, progress)
    if as_json:
        print_json([asdict(result) for result in results])
    else:
        for result in results:
            _print_result(result)
    for result in results:
        result.raise_failures()


@archive.command()
@_tables
@as_json
@click.pass_obj
def status(settings: Settings, tables: tuple[str, ...], as_json: bool) -> None:
    """Show where every table stands: rows and bytes hot and cold, rules, columns, problems.

    \b
    Examples:
      gateway archive status
      gateway archive status task_queue --json
    """
    rows, problems = [], []
    for declared in _chosen(settings, tables):
        try:
            known = asdict(status_of(declared, settings))
            there = asdict(overview_of(declared, settings))
        except GatewayError as error:
            problems.append(str(error))
            continue
        rows.append({**known, **{name: there[name] for name in there if name != "about"}})
    for row in rows:
        for end in ("oldest", "newest"):
            row[end] = moment(row[end])
    if as_json:
        print_json({"tables": rows, "problems": problems})
        return
    print_grid(
        [
            {
                "table": row["table"],
                "time": f"{row['time']} ({row['time_format']})",
                "hot days": row["hot_days"],
                "keep days": row["keep_days"],
                "hot rows": row["hot_rows"],
                "hidden": row["hidden_rows"],
                "hot size": size(row["hot_bytes"]),
                "cold rows": row["cold_rows"],
                "cold size": size(row["cold_bytes"]),
                "files": row["cold_files"],
                "months": row["months"],
                "oldest": row["oldest"][:10],
            }
            for row in rows
        ]
    )
    for row in rows:
        problems += row["problems"]
    for problem in problems:
        click.echo(problem, err=True)


@archive.command()
@_tables
@click.option("--sample", type=click.IntRange(1), help="Only this many files of each table.")
@click.option("--unknown", is_flag=True, help="Also set files aside that no manifest names.")
@as_json
@click.pass_obj
def verify(
    settings: Settings, tables: tuple[str, ...], sample: int | None, unknown: bool, as_json: bool
) -> None:
    """Read every archived file again and compare it with the manifest.

    \b
    Examples:
      gateway archive verify
      gateway archive verify ip_traffic --json
      gateway archive verify --sample 50
    """
    found: list[dict[str, Any]] = []
    archiver = UniversalArchiver(settings)
    moved: list[Path] = []
    for declared in _chosen(settings, tables):
        with bar(f"verify {declared.name}") as progress:
            checked = archiver.verify(declared, sample, progress)
            found += [{"file": path, "damage": damage} for path, damage in checked]
        if unknown:
            moved += set_aside(settings, declared)
    damaged = [row for row in found if row["damage"]]
    if as_json:
        print_json(found)
    else:
        print_grid(damaged)
        click.echo(f"{len(found):,} files checked, {len(damaged):,} damaged")
    for path in moved:
        click.echo(f"no manifest row names this file; it was set aside: {path}", err=True)
    if damaged:
        raise ArchiveError(
            f"{len(damaged)} archived files are damaged", hint="put them back from a backup"
        )


@archive.command()
@click.argument("table")
@click.argument("day")
@click.argument("last_day", required=False)
@click.option(
    "--hold-days",
    type=click.IntRange(0, 36_500),
    default=HOLD_DAYS,
    show_default=True,
    help="Days before the archive may take it again.",
)
@_dry_run
@as_json
@click.pass_obj
def restore(
    settings: Settings,
    table: str,
    day: str,
    last_day: str | None,
    hold_days: int,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Bring an archived DAY (YYYY-MM-DD) of a TABLE, or all from DAY to LAST_DAY, back to hot.

    Every row is compared with the archive before the archived copy goes.

    \b
    Examples:
      gateway archive restore ip_traffic 2026-11-10
      gateway archive restore task_queue 2026-06-01 2026-06-30 --hold-days 30
    """
    days = range(_day(day), _day(last_day or day) + 1)
    if not days:
        raise UsageError(f"{last_day} is before {day}")
    declared = find(settings, table)
    archiver = UniversalArchiver(settings)
    if dry_run:
        steps = [s for s in archiver.plan(declared, days) if "archived" in s.reason]
        rows = [_row(declared, step) | {"step": "restore"} for step in steps]
        print_json(rows) if as_json else print_grid(rows)
        return
    with bar(f"restore {table}") as progress:
        count = archiver.restore(declared, days, hold_days, progress)
    if as_json:
        last = clock.day_text(days[-1])
        print_json(
            {"table": table, "day": day, "last_day": last, "rows": count, "hold_days": hold_days}
        )
    else:
        until = f" to {last_day}" if last_day else ""
        click.echo(f"{table} {day}{until}: {count:,} rows are hot again")


@archive.command()
@click.argument("table")
@click.option(
    "--match", "pairs", multiple=True, required=True, metavar="COLUMN=VALUE", help="Whose rows."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@_dry_run
@as_json
@click.pass_obj
def erase(
    settings: Settings, table: str, pairs: tuple[str, ...], yes: bool, dry_run: bool, as_json: bool
) -> None:
    """Remove every row of a TABLE in which all given columns have the given values, hot and in
    all history. A receipt is kept in data/archive/receipts.

    \b
    Examples:
      gateway archive erase audit_logs --match user_id=42 --dry-run
      gateway archive erase audit_logs --match user_id=42 --yes
    """
    given = dict(_pair(text) for text in pairs)
    archiver = UniversalArchiver(settings)
    hot, archived = archiver.matching(table, given)
    if dry_run:
        found = {"table": table, "hot_rows": hot, "archived_rows": archived}
        print_json(found) if as_json else print_grid([found])
        return
    if not yes:
        click.confirm(
            f"Remove {hot:,} hot and {archived:,} archived rows for ever?", abort=True, err=True
        )
    with bar(f"erase from {table}") as progress:
        receipt = archiver.erase(table, given, progress)
    if as_json:
        print_json(asdict(receipt))
    else:
        click.echo(
            f"{table}: {receipt.hot_rows:,} hot and {receipt.archived_rows:,} archived rows erased "
            f"from {len(receipt.files):,} files; receipt: {receipt.path}"
        )
        for place in receipt.may_still_hold:
            click.echo(f"may still hold such rows: {place}", err=True)
    if receipt.remaining_rows:
        raise ArchiveError(
            f"{receipt.remaining_rows:,} rows came meanwhile", hint="run the same command again"
        )


@archive.command()
@_tables
@_dry_run
@as_json
@click.pass_obj
def compact(settings: Settings, tables: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Make the files of each day one, and build monthly copies for long queries.

    A run does the same; this is for doing it now.

    \b
    Examples:
      gateway archive compact --dry-run
      gateway archive compact ip_traffic
    """
    archiver = UniversalArchiver(settings)
    chosen = _chosen(settings, tables)
    if dry_run:
        rows = [
            _row(declared, step)
            for declared in chosen
            for step in archiver.plan(declared)
            if isinstance(step, Compact | Rewrite)
        ]
        print_json(rows) if as_json else print_grid(rows)
        return
    results = []
    for declared in chosen:
        with bar(f"compact {declared.name}") as progress:
            results.append(archiver.compact(declared, progress))
    if as_json:
        print_json([asdict(result) for result in results])
    else:
        for result in results:
            click.echo(
                f"{result.table}: {len(result.compacted_days):,} days made one file each, "
                f"{len(result.months):,} monthly copies in {result.seconds:.2f} s"
            )
    for result in results:
        result.raise_failures()


@archive.command()
@_tables
@_dry_run
@as_json
@click.pass_obj
def backup(settings: Settings, tables: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Copy the databases of tables, whole, to data/backup, and check the copies.

    \b
    Examples:
      gateway archive backup
      gateway archive backup task_queue
    """
    databases = {declared.database: declared for declared in _chosen(settings, tables)}
    rows = []
    for database, declared in databases.items():
        if not database.exists():
            click.echo(f"{database}: there is no such database yet", err=True)
            continue
        copy = settings.backups if dry_run else UniversalArchiver(settings).backup(declared)
        taken = database.stat().st_size if dry_run else copy.stat().st_size
        rows.append({"database": str(database), "backup": str(copy), "bytes": taken})
    print_json(rows) if as_json else print_grid(rows)


@archive.command()
@click.argument("table")
@click.option(
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The SQLite file to write; it must not exist.",
)
@as_json
@click.pass_obj
def export(settings: Settings, table: str, output: Path, as_json: bool) -> None:
    """Write a TABLE, hot and archived rows together, to a plain SQLite file.

    The way out: the file needs nothing of this project.

    \b
    Examples:
      gateway archive export task_queue --output task_queue.db
    """
    with bar(f"export {table}") as progress:
        rows = copy_out(find(settings, table), settings, output, progress)
    if as_json:
        print_json({"table": table, "rows": rows, "output": output})
    else:
        click.echo(f"{table}: {rows:,} rows in {output}")


def _chosen(settings: Settings, names: tuple[str, ...]) -> list[Declared]:
    return [find(settings, name) for name in names] or list(catalog(settings))


def _row(declared: Declared, step: Step) -> dict[str, Any]:
    return {
        "table": declared.name,
        "day": clock.day_text(step.day),
        "step": type(step).__name__.lower(),
        "reason": step.reason,
    }


def _folded(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Days in a row with the same step and reason as one line."""
    folded: list[dict[str, Any]] = []
    for row in rows:
        last = folded[-1] if folded else None
        same = last and all(last[name] == row[name] for name in ("table", "step", "reason"))
        if last and same:
            last["to"], last["days"] = row["day"], last["days"] + 1
        else:
            folded.append(
                {
                    "table": row["table"],
                    "from": row["day"],
                    "to": row["day"],
                    "days": 1,
                    "step": row["step"],
                    "reason": row["reason"],
                }
            )
    return folded


def _print_result(result: ArchiveResult) -> None:
    parts = [
        f"{len(result.days):,} days, {result.rows:,} rows to {size(result.bytes)} of Parquet",
        f"{result.pruned_rows:,} hot copies pruned",
    ]
    if result.expired_rows:
        parts.append(f"{result.expired_rows:,} rows expired")
    if result.months:
        parts.append(f"{len(result.months):,} monthly copies")
    parts.append(f"{len(result.kept):,} days kept in {result.seconds:.2f} s")
    click.echo(f"{result.table}: {', '.join(parts)}")
    if result.backup:
        click.echo(f"  backup before the first archive: {result.backup}")
    for change in result.changes:
        click.echo(f"  {change}")
    for path in result.set_aside:
        click.echo(f"no manifest row names this file; it was set aside: {path}", err=True)


def _day(text: str) -> int:
    try:
        return clock.parse_day(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a day", hint="write it as 2026-11-10") from None


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"{text!r} is not COLUMN=VALUE")
    return name, value
