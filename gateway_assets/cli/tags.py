"""``gateway tags``: the values of devices."""

from __future__ import annotations

from typing import Any

import click

from gateway_assets.cli.entry_options import entry_options
from gateway_assets.cli.registered import (
    columns,
    deleted_option,
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
from gateway_assets.registry.entries import TagEntry
from gateway_assets.registry.words import TagType
from gateway_assets.settings import Settings

_SHOWN = ("device", "name", "address", "data_type", "unit", "min_value", "max_value", "enabled")
_device = click.argument("device")
_tag = click.argument("which", metavar="TAG")


@click.group()
def tags() -> None:
    """Tags, the values of devices: list, show, add, edit, delete. By name or id."""


@tags.command("list")
@click.option("--device", "-d", help="Only those of this device.")
@click.option("--data-type", type=click.Choice([str(one) for one in TagType]))
@enabled_option
@deleted_option
@as_json
@click.pass_obj
def list_(settings: Settings, /, as_json: bool, **wanted: Any) -> None:
    """List tags by device and name.

    \b
    Examples:
      gateway tags list
      gateway tags list --device boiler-1 --data-type Double
      gateway tags list --json | jq length
    """
    from gateway_assets.registry.change_tags import list_tags

    with reading(settings) as session:
        rows = [
            {"device": device.name, **columns(tag)} for device, tag in list_tags(session, **wanted)
        ]
    short = [{name: row[name] for name in _SHOWN} for row in rows]
    print_rows(rows if as_json else short, "tags", as_json=as_json)


@tags.command()
@_device
@_tag
@as_json
@click.pass_obj
def show(settings: Settings, device: str, which: str, as_json: bool) -> None:
    """Show everything about a tag.

    \b
    Examples:
      gateway tags show boiler-1 steam_pressure
      gateway tags show boiler-1 steam_pressure --json
    """
    from gateway_assets.registry.change_tags import find_tag

    with reading(settings) as session:
        print_one(columns(find_tag(session, device, which)), as_json=as_json)


@tags.command()
@_device
@click.argument("name")
@entry_options(TagEntry)
@as_json
@click.pass_obj
def add(settings: Settings, device: str, name: str, given: dict[str, Any], as_json: bool) -> None:
    """Add a tag to a device. Its value is scaling * raw + tag_offset.

    \b
    Examples:
      gateway tags add plc-1 level --address 40001 --data-type UInt16 --unit % --scaling 0.1
      gateway tags add boiler-1 steam --address "ns=2;s=Steam" --data-type Double
          --min-value 0 --max-value 16 --deadband 0.03
    """
    from gateway_assets.registry.change import checked
    from gateway_assets.registry.change_tags import add_tag

    with writing(settings) as (session, actor):
        entry = checked(TagEntry, {"name": name, **given})
        row = columns(add_tag(session, actor, device, entry))
    print_one(row, as_json=True) if as_json else click.echo(f"tag {device}/{name} added")


@tags.command()
@_device
@_tag
@entry_options(TagEntry, edits=True)
@as_json
@click.pass_obj
def edit(settings: Settings, device: str, which: str, given: dict[str, Any], as_json: bool) -> None:
    """Change fields of a tag; an empty text brings a field's default back.

    \b
    Examples:
      gateway tags edit plc-1 level --deadband 0.5
      gateway tags edit plc-1 level --name tank_level --deadband ""
    """
    from gateway_assets.registry.change_tags import edit_tag

    with writing(settings) as (session, actor):
        fields = edit_tag(session, actor, device, which, **given)
    print_changes("tag", f"{device}/{which}", fields, as_json=as_json)


@tags.command()
@_device
@_tag
@yes_option
@as_json
@click.pass_obj
def delete(settings: Settings, device: str, which: str, yes: bool, as_json: bool) -> None:
    """Delete a tag; rules that only look at it are disabled. Its history stays.

    \b
    Examples:
      gateway tags delete plc-1 level
      gateway tags delete plc-1 level --yes --json
    """
    from gateway_assets.registry.change_tags import delete_tag

    sure(f"Delete the tag {which} of {device}?", yes=yes)
    with writing(settings) as (session, actor):
        done = delete_tag(session, actor, device, which)
    print_deleted("tag", done, "deleted", as_json=as_json)
