"""``gateway channels``: where people are told."""

from __future__ import annotations

from typing import Any

import click

from gateway_assets.cli.entry_options import entry_options
from gateway_assets.cli.registered import (
    columns,
    enabled_option,
    print_changes,
    print_deleted,
    print_one,
    print_rows,
    reading,
    sure,
    writing,
    yes_option,
)
from gateway_assets.cli.show import as_json
from gateway_assets.registry.entries import ChannelEntry
from gateway_assets.registry.words import ChannelType
from gateway_assets.settings import Settings

_SHOWN = ("name", "type", "config", "enabled")
_channel = click.argument("which", metavar="CHANNEL")


@click.group()
def channels() -> None:
    """Channels, where people are told: list, add, edit, delete. CHANNEL is a name or an id."""


@channels.command("list")
@click.option("--type", type=click.Choice([str(one) for one in ChannelType]))
@enabled_option
@as_json
@click.pass_obj
def list_(settings: Settings, /, as_json: bool, **wanted: Any) -> None:
    """List channels by name; what may be a secret is hidden.

    \b
    Examples:
      gateway channels list
      gateway channels list --type webhook --json
    """
    from gateway_assets.registry.change_channels import list_channels

    with reading(settings) as session:
        rows = [columns(one) for one in list_channels(session, **wanted)]
    short = [{name: row[name] for name in _SHOWN} for row in rows]
    print_rows(rows if as_json else short, "channels", as_json=as_json)


@channels.command()
@click.argument("name")
@entry_options(ChannelEntry)
@as_json
@click.pass_obj
def add(settings: Settings, name: str, given: dict[str, Any], as_json: bool) -> None:
    """Add a channel. Secrets stay out of it: name the variable of the environment that has one.

    \b
    Examples:
      gateway channels add ops --type webhook --config '{"url": "https://ops.example/hook"}'
      gateway channels add journal --type log
    """
    from gateway_assets.registry.change import checked
    from gateway_assets.registry.change_channels import add_channel

    with writing(settings) as (session, actor):
        row = columns(add_channel(session, actor, checked(ChannelEntry, {"name": name, **given})))
    print_one(row, as_json=True) if as_json else click.echo(f"channel {name} added")


@channels.command()
@_channel
@entry_options(ChannelEntry, edits=True)
@as_json
@click.pass_obj
def edit(settings: Settings, which: str, given: dict[str, Any], as_json: bool) -> None:
    """Change fields of a channel.

    \b
    Examples:
      gateway channels edit ops --no-enabled
      gateway channels edit ops --config '{"url": "https://ops.example/other"}'
    """
    from gateway_assets.registry.change_channels import edit_channel

    with writing(settings) as (session, actor):
        fields = edit_channel(session, actor, which, **given)
    print_changes("channel", which, fields, as_json=as_json)


@channels.command()
@_channel
@yes_option
@as_json
@click.pass_obj
def delete(settings: Settings, which: str, yes: bool, as_json: bool) -> None:
    """Delete a channel for good. Refused while rules name it or notifications wait for it.

    \b
    Examples:
      gateway channels delete ops
      gateway channels delete ops --yes
    """
    from gateway_assets.registry.change_channels import delete_channel

    sure(f"Delete the channel {which}, and what is known of what it sent?", yes=yes)
    with writing(settings) as (session, actor):
        done = delete_channel(session, actor, which)
    print_deleted("channel", done, "deleted", as_json=as_json)
