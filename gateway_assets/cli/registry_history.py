"""``gateway registry snapshot, history, as-of, mirror``: the registry in the course of time."""

from __future__ import annotations

import json
from typing import Any

import click

from gateway_assets import clock
from gateway_assets.cli.show import as_json, print_grid, print_json
from gateway_assets.errors import RegistryError, UsageError
from gateway_assets.history import as_of as asked
from gateway_assets.history.mirror import mirror as mirror_now
from gateway_assets.history.take import load_waiting, take
from gateway_assets.settings import Settings

_LONGEST = 60  # characters of a value shown in a line


@click.command()
@as_json
@click.pass_obj
def snapshot(settings: Settings, as_json: bool) -> None:
    """Look at the registry now, and keep what changed since the last look.

    Dagster does it every hour (registry_snapshot_cron).

    \b
    Examples:
      gateway registry snapshot
    """
    if not settings.has_registry:
        raise RegistryError("there is no registry yet", hint="add something to it first")
    taken = take(settings)
    load_waiting(settings)
    if as_json:
        print_json(
            {
                "time": clock.iso(taken.time),
                "snapshot": taken.number or None,
                "rows": taken.rows,
                "changes": taken.changes,
                "seconds": taken.seconds,
            }
        )
        return
    click.echo(f"{sum(taken.rows.values()):,} rows in {taken.seconds:.2f} s")
    for table, counts in taken.changes.items():
        click.echo(f"{table}: " + ", ".join(f"{n:,} {change}" for change, n in counts.items()))
    if not taken.number:
        click.echo("nothing has changed")


@click.command()
@click.argument("entity", default="")
@click.argument("name", default="")
@click.option("--since", help="Begin: ISO 8601, UTC without a zone.")
@click.option("--until", help="End, not included.  [default: now]")
@as_json
@click.pass_obj
def history(
    settings: Settings,
    entity: str,
    name: str,
    since: str | None,
    until: str | None,
    as_json: bool,
) -> None:
    """Show what changed in the registry, in a table of it, or about one row of that.

    Changes have the time of the snapshot that found them, which may be an hour later.

    \b
    Examples:
      gateway registry history
      gateway registry history devices PLC-1
      gateway registry history alert_rules --since 2026-11-01 --json
    """
    load_waiting(settings)
    begin, end = (_moment(given) if given else None for given in (since, until))
    found = asked.changes(settings, entity, name, begin, end)
    if as_json:
        print_json(found)
        return
    if not found:
        click.echo("nothing has changed", err=True)
        return
    print_grid(
        [
            {
                "time": one["time"],
                "table": one["entity"],
                "name": one["name"] or one["entity_id"],
                "change": one["change"],
                "what": _what(one) if one["change"] == "changed" else "",
            }
            for one in found
        ]
    )


@click.command("as-of")
@click.argument("date")
@click.argument("entity", default="")
@click.argument("name", default="")
@as_json
@click.pass_obj
def as_of(settings: Settings, date: str, entity: str, name: str, as_json: bool) -> None:
    """Show the registry as it was at DATE: a moment, or the end of a day (UTC).

    \b
    Examples:
      gateway registry as-of 2026-11-20
      gateway registry as-of 2026-11-20T08:00:00Z devices
      gateway registry as-of 2026-11-20 alert_rules hot --json
    """
    load_waiting(settings)
    found = asked.as_of(settings, entity, _end_of(date), name)
    if as_json:
        print_json(found)
        return
    if not found:
        click.echo("there was no such row", err=True)
        return
    print_grid(
        [
            {
                "table": one["entity"],
                "name": one["name"] or one["entity_id"],
                "so since": one["time"],
                "content": json.dumps(one["content"], ensure_ascii=False),
            }
            for one in found
        ]
    )


@click.command()
@as_json
@click.pass_obj
def mirror(settings: Settings, as_json: bool) -> None:
    """Copy new alerts, their steps and the audit from PostgreSQL to gateway.db.

    From there old rows are archived like those of any table. Dagster does it every hour, together
    with the snapshot. Only for a registry in PostgreSQL: otherwise gateway.db is the registry.

    \b
    Examples:
      gateway registry mirror
    """
    done = mirror_now(settings)
    if as_json:
        print_json([one._asdict() for one in done])
        return
    for one in done:
        click.echo(
            f"{one.table}: {one.read:,} rows read, {one.added:,} added, {one.changed:,} changed "
            f"in {one.seconds:.2f} s"
        )


def _what(change: dict[str, Any]) -> str:
    fields = change["fields"].items()
    return "; ".join(f"{name}: {_short(old)} → {_short(new)}" for name, (old, new) in fields)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _moment(text: str) -> int:
    try:
        return clock.parse_moment(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is not a time", hint="such as 2026-11-20 or 2026-11-20T08:00:00+01:00"
        ) from None


def _end_of(text: str) -> int:
    """A moment; of a day alone, its last."""
    found = _moment(text)
    return found + clock.DAY - 1 if len(text) == len("2026-11-20") else found
