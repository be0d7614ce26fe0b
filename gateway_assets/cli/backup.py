"""``gateway backup`` and ``gateway restore``: everything at once, proven by being restored."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from gateway_assets import clock
from gateway_assets.backups import plan, postgres, record
from gateway_assets.backups.bring import Brought, bring
from gateway_assets.backups.parquet import LIST, MODES
from gateway_assets.backups.plan import ELSEWHERE
from gateway_assets.backups.prove import prove
from gateway_assets.backups.record import Backup, backups_in, read_record
from gateway_assets.backups.take import take
from gateway_assets.cli.show import as_json, bar, moment, print_grid, print_json, size
from gateway_assets.errors import BackupError, UsageError
from gateway_assets.settings import Settings

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.option("--to", type=_FOLDER, help="Where backups are kept, instead of data/backup.")
@click.option(
    "--archive",
    type=click.Choice(MODES),
    default=LIST,
    show_default=True,
    help="Archived Parquet files: write down names, sizes and hashes; or link; or copy them.",
)
@click.option("--secrets", is_flag=True, help="Also .env and the file of tokens.")
@click.option("--list", "shows", is_flag=True, help="Show the backups there are.")
@click.option("--dry-run", is_flag=True, help="Say what would be taken; change nothing.")
@as_json
@click.pass_obj
def backup(
    settings: Settings,
    to: Path | None,
    archive: str,
    secrets: bool,
    shows: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Back everything up, while everything goes on: databases, what is not loaded, settings.

    A backup appears whole or not at all. It is good when it was restored once:
    gateway restore --check. The newest backup_keep stay; of the archive's files only a list is
    kept, unless --archive says otherwise.

    \b
    Examples:
      gateway backup
      gateway backup --to /mnt/usb/gateway --archive copy
      gateway backup --list
      gateway backup --dry-run --json
    """
    folder = (to or settings.backups).absolute()
    if shows:
        rows = [_row(path) for path in backups_in(folder)]
        print_json(rows) if as_json else print_grid(rows)
    elif dry_run:
        rows = _planned(settings, secrets=secrets)
        print_json(rows) if as_json else print_grid(rows)
    else:
        with bar("backup") as progress:
            done = take(settings, to=to, archive=archive, with_secrets=secrets, progress=progress)
        print_json(_told(done)) if as_json else _print(done)


def _planned(settings: Settings, *, secrets: bool) -> list[dict[str, Any]]:
    wanted, missing = plan.databases(settings)
    files = (*plan.state_files(settings), *plan.config_files(settings, secrets=secrets))
    rows: list[dict[str, Any]] = [
        {"part": one.place, "from": str(one.path), "bytes": plan.size_of(one)}
        for one in (*wanted, *files)
    ]
    if settings.registry_url:
        rows.append({"part": "registry.dump", "from": "registry_url", "bytes": None})
    return rows + [{"part": "left out", "from": text, "bytes": None} for text in missing]


def _row(path: Path) -> dict[str, Any]:
    """One line of the list; a damaged backup is shown as such."""
    try:
        one = read_record(path)
    except BackupError as error:
        unknown = dict.fromkeys(("age", "size", "parts", "archive"))
        return {"backup": path.name, **unknown, "proven": error.message}
    hours = (clock.now() - one.created) // clock.HOUR
    return {
        "backup": path.name,
        "age": f"{hours // 24} d {hours % 24} h",
        "size": size(one.size),
        "parts": len(one.parts),
        "archive": f"{one.archive}, {one.archive_files:,} files",
        "proven": moment(one.proven) or "never",
    }


def _told(one: Backup) -> dict[str, Any]:
    return {**asdict(one), "created": clock.iso(one.created), "size": one.size}


def _print(one: Backup) -> None:
    click.echo(
        f"{one.path}: {len(one.parts):,} parts, {size(one.size)} in {one.seconds:.2f} s; "
        f"archive: {one.archive}, {one.archive_files:,} files, {size(one.archive_bytes)}"
    )
    for text in one.left_out:
        click.echo(f"left out: {text}", err=True)
    click.echo(f"Next: gateway restore --check {one.path}")


@click.command()
@click.argument("backup", required=False)
@click.option("--check", is_flag=True, help="Restore to a scratch directory, compare, note it.")
@click.option("--to", type=_FOLDER, help="The new data directory.")
@click.option("--force", is_flag=True, help="Move aside what is in that directory.")
@click.option(
    "--archive-from",
    type=_FOLDER,
    help="Data directory that has the archived files, if the backup only lists them.",
)
@click.option("--registry-url", default="", help="Empty PostgreSQL database for the registry.")
@as_json
@click.pass_obj
def restore(
    settings: Settings,
    backup: str | None,
    check: bool,
    to: Path | None,
    force: bool,
    archive_from: Path | None,
    registry_url: str,
    as_json: bool,
) -> None:
    """Restore a BACKUP to a new data directory, or prove that it can be restored.

    A BACKUP is a directory, or the name of one in data/backup; with --check the newest if none is
    named. Data in use are never overwritten. The password of --registry-url may stand in
    PGPASSWORD or ~/.pgpass instead, where other users cannot see it.

    \b
    Examples:
      gateway restore --check
      gateway restore 20261121T024500000000Z --to /srv/gateway-restored
      gateway restore /mnt/usb/gateway/20261121T024500000000Z --registry-url postgresql://host/new
    """
    if not check and not to and not registry_url:
        raise UsageError(
            "say what is to be restored", hint="gateway restore BACKUP --to DIR; or --check"
        )
    if check and (to or registry_url):
        raise UsageError("--check restores to a directory of its own", hint="leave --to away")
    one = _chosen(settings, backup, newest=check)
    told: dict[str, Any] = {"backup": str(one.path)}
    if check:
        with bar("check") as progress:
            proof = prove(one, settings, archive_from=archive_from, progress=progress)
        told["proof"] = {**proof._asdict(), "time": clock.iso(proof.time)}
    if registry_url:
        told["registry"] = _restore_registry(one, registry_url)
    brought = None
    if to:
        with bar("restore") as progress:
            brought = bring(
                one, to, settings, archive_from=archive_from, force=force, progress=progress
            )
        told["restored"] = brought._asdict()
    print_json(told) if as_json else _print_restored(one, told, brought)
    if brought and brought.missing:
        raise BackupError(
            f"{len(brought.missing):,} archived files are missing: {brought.missing[0]}",
            hint="bring them below archive/parquet, or name where they are: --archive-from",
        )


def _chosen(settings: Settings, named: str | None, *, newest: bool) -> Backup:
    if named:
        beside = settings.backups / named
        return read_record(beside if beside.is_dir() else Path(named).absolute())
    there = backups_in(settings.backups)
    if not there:
        raise BackupError(f"there is no backup in {settings.backups}", hint="gateway backup")
    if not newest:
        raise UsageError("name a backup", hint=f"the newest is {there[-1].name}")
    return read_record(there[-1])


def _restore_registry(one: Backup, url: str) -> dict[str, int]:
    parts = one.of_kind(record.POSTGRES)
    if not parts:
        raise BackupError(
            f"{one.name} has no registry of PostgreSQL", hint="it is in gateway.db: leave it away"
        )
    return postgres.restore(url, one.path / parts[0].path, parts[0].version)


def _print_restored(one: Backup, told: dict[str, Any], brought: Brought | None) -> None:
    if "proof" in told:
        proof = told["proof"]
        click.echo(
            f"{one.name} is good: {proof['parts']:,} parts, {proof['databases']:,} databases, "
            f"{proof['archive_files']:,} archived files, registry: {proof['registry']}"
        )
    if "registry" in told:
        rows = sum(told["registry"].values())
        click.echo(f"registry: {rows:,} rows of {len(told['registry']):,} tables")
    if brought:
        click.echo(f"{one.name} is in {brought.path}, as of {clock.iso(one.created)[:19]}")
        if brought.aside:
            click.echo(f"What was there is in {brought.aside}")
        for line in _next(one, brought):
            click.echo(f"  {line}")


def _next(one: Backup, brought: Brought) -> list[str]:
    """What people still have to do."""
    lines = [
        "Next:",
        "stop what uses the old data directory",
        f"give it to the users of the services: chown -R … {brought.path}",
        f"export GATEWAY_DATA_DIR={brought.path}",
    ]
    for part in one.parts:
        if part.path.startswith(f"{ELSEWHERE}/"):
            lines.append(f"{part.origin} is {brought.path / part.path}: put it back")
        elif part.path.startswith("config/"):
            lines.append(f"{part.origin} is {brought.path / part.path}: compare, put it back")
        elif part.kind == record.POSTGRES:
            lines.append(f"the registry: gateway restore {one.path} --registry-url URL")
    return [*lines, "gateway archive verify"]
