"""What commands of the registry share: opening it, and printing its rows and changes.

The registry's own modules are imported where they are used, so that other commands, and help, do
not wait for the library of databases.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import click

from gateway_assets.cli.show import print_grid, print_json, to_json
from gateway_assets.errors import GatewayError, RegistryError, UsageError
from gateway_assets.registry.durations import duration_text
from gateway_assets.registry.entries import DURATIONS
from gateway_assets.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from gateway_assets.registry.audit import Actor
    from gateway_assets.registry.change import Deleted
    from gateway_assets.registry.database import Registry

yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask on a terminal.")
deleted_option = click.option("--deleted", is_flag=True, help="Those that are deleted instead.")
enabled_option = click.option(
    "--enabled/--no-enabled", default=None, help="Only those that are, or are not, enabled."
)


@contextmanager
def reading(settings: Settings) -> Iterator[Session]:
    """A transaction that reads the registry."""
    from gateway_assets.registry.opened import opened_registry

    with opened_registry(settings) as registry, registry.reading() as session:
        yield session


@contextmanager
def writing(settings: Settings) -> Iterator[tuple[Session, Actor]]:
    """A transaction that changes the registry, and who does that; a refusal is in the audit."""
    from gateway_assets.registry.audit import this_host
    from gateway_assets.registry.opened import opened_registry

    actor = this_host()
    with (
        opened_registry(settings) as registry,
        refusals_recorded(registry, actor),
        registry.writing() as session,
    ):
        yield session, actor


@contextmanager
def refusals_recorded(registry: Registry, actor: Actor) -> Iterator[None]:
    """Note why this command was refused, in a transaction of its own, and let the error pass."""
    from gateway_assets.registry.audit import record
    from gateway_assets.registry.hidden import shown

    try:
        yield
    except (RegistryError, UsageError) as error:
        if not error.transient:
            why = shown(error.message, "message")
            # Who may not write can not write that either; the reason is told all the same.
            with suppress(GatewayError), registry.writing() as session:
                record(session, actor, _command(), error=why)
        raise


def _command() -> str:
    """The command that runs, such as ``devices.add``."""
    names, context = [], click.get_current_context()
    while context.parent is not None:
        names.append(context.info_name or "")
        context = context.parent
    return ".".join(reversed(names))


def sure(question: str, *, yes: bool) -> None:
    """Ask, where somebody can answer. Raises click.Abort for a no."""
    if not yes and sys.stdin.isatty():
        click.confirm(question, abort=True, err=True)


def columns(row: Any) -> dict[str, Any]:
    """All columns of a row, without secrets."""
    from gateway_assets.registry.hidden import shown

    return {name: shown(getattr(row, name), name) for name in row.__table__.columns.keys()}  # noqa: SIM118


def print_one(fields: Mapping[str, Any], *, as_json: bool) -> None:
    """One thing: a line a field, or JSON."""
    if as_json:
        print_json(fields)
        return
    print_grid([{"field": name, "value": text_of(value, name)} for name, value in fields.items()])


def print_changes(word: str, name: str, fields: Any, *, as_json: bool) -> None:
    """What an edit has changed."""
    from gateway_assets.registry.change import visible

    if as_json:
        print_json({"name": name, "fields": visible(fields)})
        return
    if not fields:
        click.echo(f"{word} {name} is that already")
    for field, (old, new) in visible(fields).items():
        click.echo(f"{word} {name}: {difference_text(field, old, new)}")


def print_deleted(word: str, done: Deleted, deed: str, *, as_json: bool) -> None:
    """What went, or came back, with something."""
    if as_json:
        print_json(done._asdict())
        return
    click.echo(f"{word} {done.name} {deed}")
    rules = "disabled" if deed == "deleted" else "enabled"
    for what, names in ((f"tags {deed} with it", done.tags), (f"rules {rules}", done.rules)):
        if names:
            click.echo(f"  {what}: {', '.join(names)}")


def print_rows(rows: Sequence[Mapping[str, Any]], what: str, *, as_json: bool) -> None:
    if as_json:
        print_json(rows)
    elif rows:
        print_grid([{name: text_of(value) for name, value in row.items()} for row in rows])
    else:
        click.echo(f"no {what}", err=True)


def difference_text(field: str, old: Any, new: Any) -> str:
    before, after = (text_of(value, field) or "nothing" for value in (old, new))
    return f"{field}: {before} → {after}"


def text_of(value: Any, field: str = "") -> str:
    """A value of a field for people."""
    if value is None or value in ([], {}):
        return ""
    if field in DURATIONS and isinstance(value, int):
        return duration_text(value)
    return value if isinstance(value, str) else to_json(value).strip('"')
