"""``gateway registry``: making the registry, and moving devices, tags, rules, channels as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway_assets.cli.registered import (
    difference_text,
    print_rows,
    refusals_recorded,
    sure,
    text_of,
    yes_option,
)
from gateway_assets.cli.registry_history import as_of, history, mirror, snapshot
from gateway_assets.cli.show import as_json, print_grid, print_json, size
from gateway_assets.errors import UsageError
from gateway_assets.settings import Settings

if TYPE_CHECKING:
    from gateway_assets.registry.importing import Change
    from gateway_assets.registry.overview import Overview

_PRIVATE = 0o600  # configurations may hold passwords of devices


@click.group()
def registry() -> None:
    """The registry of devices, tags, rules and users: SQLite, or PostgreSQL by registry_url."""


@registry.command()
@as_json
@click.pass_obj
def upgrade(settings: Settings, as_json: bool) -> None:
    """Make the registry, or bring it up to this release. What is there is kept.

    Only PostgreSQL needs it: SQLite is brought up to date by the command that needs it first.

    \b
    Examples:
      gateway registry upgrade
      GATEWAY_REGISTRY_URL=postgresql://gateway@db/gateway gateway registry upgrade
    """
    from gateway_assets.registry.database import Registry
    from gateway_assets.registry.upgrade import standing
    from gateway_assets.registry.upgrade import upgrade as apply_missing

    opened = Registry(settings)
    try:
        missing = standing(opened).missing
        now = apply_missing(opened)
    finally:
        opened.close()
    if as_json:
        print_json({"place": opened.place, "applied": missing, "revision": now.revision})
        return
    what = f"migrations {', '.join(missing)} applied" if missing else "nothing to do"
    click.echo(f"{opened.place}: {what}; it is at {now.revision}")


@registry.command()
@as_json
@click.pass_obj
def status(settings: Settings, as_json: bool) -> None:
    """Show where the registry is, which migrations it has and lacks, its rows and size.

    \b
    Examples:
      gateway registry status
      gateway registry status --json | jq .missing
    """
    from gateway_assets.registry.database import Registry
    from gateway_assets.registry.overview import overview

    opened = Registry(settings)
    try:
        found = overview(opened)
    finally:
        opened.close()
    print_json(found._asdict()) if as_json else _print_overview(found)


@registry.command("seed-demo")
@click.option("--force", is_flag=True, help="Also beside other devices.")
@as_json
@click.pass_obj
def seed_demo(settings: Settings, force: bool, as_json: bool) -> None:
    """Add a small plant to try things on: three devices, with tags and rules, named demo.

    Safe to repeat: what was changed of it is brought back, all else is left alone.

    \b
    Examples:
      gateway registry seed-demo
      gateway rules list
    """
    from gateway_assets.registry.audit import this_host
    from gateway_assets.registry.demo import seed_demo as seed
    from gateway_assets.registry.opened import opened_registry

    with opened_registry(settings) as opened:
        changes = seed(opened, this_host(), force=force)
    print_json(_counts(changes)) if as_json else click.echo(_told(_counts(changes)))


@registry.command("import")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE..."
)
@click.option("--dry-run", is_flag=True, help="Show what would change; change nothing.")
@click.option("--prune", is_flag=True, help="Delete what the files do not have.")
@yes_option
@as_json
@click.pass_obj
def import_(
    settings: Settings,
    files: tuple[Path, ...],
    dry_run: bool,
    prune: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Make the registry what YAML or CSV files say: all of it, or nothing.

    What would change is shown first. What the files do not have is left alone; with --prune it is
    deleted, of the kinds that the files speak of. docs/registry.md says what a file may say.

    \b
    Examples:
      gateway registry import plant.yaml --dry-run
      gateway registry import devices.csv tags.csv
      gateway registry import plant.yaml --prune --yes
    """
    from gateway_assets.alarms.entry import check_entry
    from gateway_assets.registry.audit import this_host
    from gateway_assets.registry.document import read_documents
    from gateway_assets.registry.importing import apply, plan
    from gateway_assets.registry.opened import opened_registry

    document = read_documents(files)
    for entry in document.rules or ():
        check_entry(entry)
    with opened_registry(settings) as opened:
        changes = plan(opened, document, prune=prune)
        counts = _counts(changes)
        if not as_json:
            _print_plan(changes)
            click.echo(_told(counts))
        is_done = not dry_run and any(counts[what] for what in counts if what != "keep")
        if is_done:
            sure("Do that?", yes=yes or as_json)
            actor = this_host()
            with refusals_recorded(opened, actor):
                apply(opened, actor, document, changes, prune=prune)
    if as_json:
        rows = [_row(one) for one in changes if one.action != "keep"]
        print_json({"counts": counts, "changes": rows, "done": is_done})
    elif is_done:
        click.echo("done")


@registry.command()
@click.option("--format", "-f", "form", type=click.Choice(["yaml", "csv"]), default="yaml")
@click.option("--to", "target", type=click.Path(path_type=Path), help="File; directory for CSV.")
@click.pass_obj
def export(settings: Settings, form: str, target: Path | None) -> None:
    """Write devices, tags, rules and channels as YAML, or devices and tags as two CSV files.

    Importing what was exported changes nothing. Files are the owner's only, because
    configurations may hold passwords; existing files are not replaced.

    \b
    Examples:
      gateway registry export > plant.yaml
      gateway registry export --to plant.yaml
      gateway registry export --format csv --to plant/
    """
    from gateway_assets.registry.exporting import export_csv, export_yaml
    from gateway_assets.registry.opened import opened_registry

    if form == "csv" and target is None:
        raise UsageError("CSV is two files", hint="name a directory: --to plant/")
    with opened_registry(settings) as opened:
        found = export_csv(opened) if form == "csv" else export_yaml(opened)
    for name, text in found.texts.items():
        if target is None:
            click.echo(text, nl=False)
        else:
            _write(target / name if form == "csv" else target, text)
    for rule in found.left_out:
        click.echo(f"left out, because what it looks at is deleted: rule {rule}", err=True)


def _write(target: Path, text: str) -> None:
    from gateway_assets.files.appear import appearing

    try:
        with appearing(target, _PRIVATE) as file:
            file.write(text.encode())
    except FileExistsError:
        raise UsageError(f"{target} exists already", hint="remove it or name another") from None
    click.echo(f"{target} written", err=True)


def _counts(changes: list[Change]) -> dict[str, int]:
    words = ("add", "change", "delete", "keep")
    return {word: sum(one.action == word for one in changes) for word in words}


def _told(counts: dict[str, int]) -> str:
    added, changed, deleted, kept = counts.values()
    return f"{added:,} to add, {changed:,} to change, {deleted:,} to delete, {kept:,} as they are"


def _print_plan(changes: list[Change]) -> None:
    rows = [_row(one) for one in changes if one.action != "keep"]
    if rows:
        grid = [{**row, "fields": _fields_text(row)} for row in rows]
        print_rows(grid, "changes", as_json=False)


def _row(change: Change) -> dict[str, Any]:
    from gateway_assets.registry.change import visible

    name = f"{change.device}/{change.name}" if change.device else change.name
    fields = visible(change.fields)
    return {"action": str(change.action), "kind": change.kind, "name": name, "fields": fields}


def _fields_text(row: dict[str, Any]) -> str:
    if row["action"] == "add":
        given = {name: new for name, (_, new) in row["fields"].items() if name != "name"}
        return ", ".join(f"{name}={text_of(new, name)}" for name, new in given.items())
    return ", ".join(difference_text(name, *pair) for name, pair in row["fields"].items())


def _print_overview(found: Overview) -> None:
    missing = ", ".join(found.missing)
    hint = " (run: gateway registry upgrade)" if missing and found.kind == "PostgreSQL" else ""
    about = {
        "place": found.place,
        "kind": found.kind,
        "migration": found.revision or "none",
        "missing": missing + hint if missing else "nothing",
        "size": size(found.size),
    }
    print_grid([{"what": name, "is": value} for name, value in about.items()])
    rows = [
        {"table": name, "rows": count, "deleted": found.deleted.get(name)}
        for name, count in found.rows.items()
    ]
    if rows:
        click.echo()
        print_grid(rows)


for _command in (as_of, history, mirror, snapshot):
    registry.add_command(_command)
