"""``gateway devices``: what is connected."""

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
from gateway_assets.cli.show import as_json, print_json
from gateway_assets.registry.entries import DeviceEntry
from gateway_assets.registry.words import DeviceStatus, Protocol
from gateway_assets.settings import Settings

_SHOWN = ("name", "protocol", "endpoint", "location", "status", "last_seen", "enabled")
_device = click.argument("which", metavar="DEVICE")


@click.group()
def devices() -> None:
    """Devices: list, show, add, edit, status, delete, restore. DEVICE is a name or an id."""


@devices.command("list")
@click.option("--protocol", type=click.Choice([str(one) for one in Protocol]))
@click.option("--status", type=click.Choice([str(one) for one in DeviceStatus]))
@click.option("--location", help="Only those that stand there.")
@enabled_option
@deleted_option
@as_json
@click.pass_obj
def list_(settings: Settings, /, as_json: bool, **wanted: Any) -> None:
    """List devices by name.

    \b
    Examples:
      gateway devices list
      gateway devices list --protocol ModbusTcp --enabled
      gateway devices list --json | jq -r '.[].endpoint'
    """
    from gateway_assets.registry.change_devices import list_devices

    with reading(settings) as session:
        rows = [columns(one) for one in list_devices(session, **wanted)]
    short = [{name: row[name] for name in _SHOWN} for row in rows]
    print_rows(rows if as_json else short, "devices", as_json=as_json)


@devices.command()
@_device
@as_json
@click.pass_obj
def show(settings: Settings, which: str, as_json: bool) -> None:
    """Show everything about a device; secrets in its config are hidden.

    \b
    Examples:
      gateway devices show boiler-1
      gateway devices show boiler-1 --json
    """
    from gateway_assets.registry.change_devices import find_device

    with reading(settings) as session:
        print_one(columns(find_device(session, which)), as_json=as_json)


@devices.command()
@click.argument("name")
@entry_options(DeviceEntry)
@as_json
@click.pass_obj
def add(settings: Settings, name: str, given: dict[str, Any], as_json: bool) -> None:
    """Add a device.

    \b
    Examples:
      gateway devices add boiler-1 --protocol OpcUa --endpoint opc.tcp://10.0.0.20:4840
      gateway devices add plc-1 --protocol ModbusTcp --endpoint tcp://10.0.0.9:502
          --location "hall 3" --config '{"unit_id": 1}'
    """
    from gateway_assets.registry.change import checked
    from gateway_assets.registry.change_devices import add_device

    with writing(settings) as (session, actor):
        row = columns(add_device(session, actor, checked(DeviceEntry, {"name": name, **given})))
    print_one(row, as_json=True) if as_json else click.echo(f"device {name} added")


@devices.command()
@_device
@entry_options(DeviceEntry, edits=True)
@as_json
@click.pass_obj
def edit(settings: Settings, which: str, given: dict[str, Any], as_json: bool) -> None:
    """Change fields of a device; an empty text takes a field away.

    \b
    Examples:
      gateway devices edit plc-1 --endpoint tcp://10.0.0.10:502
      gateway devices edit plc-1 --name plc-hall-3 --location ""
      gateway devices edit plc-1 --no-enabled
    """
    from gateway_assets.registry.change_devices import edit_device

    with writing(settings) as (session, actor):
        fields = edit_device(session, actor, which, **given)
    print_changes("device", which, fields, as_json=as_json)


@devices.command()
@_device
@click.argument("now", type=click.Choice([str(one) for one in DeviceStatus]), metavar="STATUS")
@as_json
@click.pass_obj
def status(settings: Settings, which: str, now: str, as_json: bool) -> None:
    """Say how a device is doing: Maintenance or Error stay until Unknown is said.

    Otherwise the service tells by its points: Online while they come, then Offline
    (device_offline_seconds).

    \b
    Examples:
      gateway devices status plc-1 Maintenance
      gateway devices status plc-1 Unknown
    """
    from gateway_assets.registry.change_devices import set_device_status

    with writing(settings) as (session, actor):
        is_changed = set_device_status(session, actor, which, DeviceStatus(now))
    if as_json:
        print_json({"device": which, "status": now, "changed": is_changed})
        return
    click.echo(f"device {which} is {now}{'' if is_changed else ' already'}")


@devices.command()
@_device
@yes_option
@as_json
@click.pass_obj
def delete(settings: Settings, which: str, yes: bool, as_json: bool) -> None:
    """Delete a device and its tags; rules that only look at it are disabled.

    Its history stays, and it can be restored.

    \b
    Examples:
      gateway devices delete plc-1
      gateway devices delete plc-1 --yes --json
    """
    from gateway_assets.registry.change_devices import delete_device

    sure(f"Delete the device {which} and its tags?", yes=yes)
    with writing(settings) as (session, actor):
        done = delete_device(session, actor, which)
    print_deleted("device", done, "deleted", as_json=as_json)


@devices.command()
@_device
@as_json
@click.pass_obj
def restore(settings: Settings, which: str, as_json: bool) -> None:
    """Bring a deleted device back, with the tags and rules that went with it.

    Of several of one name it is the one deleted last; the others by their id.

    \b
    Examples:
      gateway devices restore plc-1
      gateway devices list --deleted
    """
    from gateway_assets.registry.change_devices import restore_device

    with writing(settings) as (session, actor):
        done = restore_device(session, actor, which)
    print_deleted("device", done, "restored", as_json=as_json)
