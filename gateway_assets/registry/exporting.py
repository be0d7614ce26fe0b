"""What a registry holds as a document that ``importing`` takes, in an order that never changes."""

from __future__ import annotations

from typing import Any, NamedTuple

from gateway_assets.errors import RegistryError
from gateway_assets.registry.change import checked
from gateway_assets.registry.contents import Contents, Fields, contents_of
from gateway_assets.registry.csv_text import DEVICE_COLUMNS, TAG_COLUMNS, write_csv
from gateway_assets.registry.database import Registry
from gateway_assets.registry.entries import (
    ChannelEntry,
    DeviceEntry,
    Entry,
    RuleEntry,
    TagEntry,
    settled,
)
from gateway_assets.registry.find import DELETED
from gateway_assets.registry.yaml_text import write_yaml


class Exported(NamedTuple):
    """Files by the end of their name, and rules left out because what they look at is deleted."""

    texts: dict[str, str]
    left_out: tuple[str, ...]


def export_yaml(registry: Registry) -> Exported:
    """Everything, in one document. What it does not say has its default. Raises RegistryError when
    a row, written by others, is one that no file may have.
    """
    with registry.reading() as session:
        there = contents_of(session)
    rules = {key: one for key, one in there.rules.items() if not _is_lost(one)}
    document = {
        "devices": [_device(there, key) for key in sorted(there.devices)],
        "rules": [_short(RuleEntry, rules[key], "rule") for key in sorted(rules)],
        "channels": [
            _short(ChannelEntry, there.channels[key], "channel") for key in sorted(there.channels)
        ],
    }
    left_out = tuple(one["name"] for one in there.rules.values() if _is_lost(one))
    return Exported({"registry.yaml": write_yaml(document)}, left_out)


def export_csv(registry: Registry) -> Exported:
    """Devices and tags, a file each; every column, in the order of the fields."""
    with registry.reading() as session:
        there = contents_of(session)
    devices = [_entry(DeviceEntry, there.devices[key], "device") for key in sorted(there.devices)]
    tags = [
        {
            "device": there.devices[key[0]]["name"],
            **_entry(TagEntry, there.tags[key], "tag").plain(),
        }
        for key in sorted(there.tags)
    ]
    rows = [settled(one.plain()) for one in devices]
    return Exported(
        {
            "devices.csv": write_csv(DEVICE_COLUMNS, rows),
            "tags.csv": write_csv(TAG_COLUMNS, settled(tags)),
        },
        (),
    )


def _is_lost(rule: Fields) -> bool:
    return any((rule[name] or "").endswith(DELETED) for name in ("device", "tag"))


def _device(there: Contents, key: str) -> dict[str, Any]:
    tags = [there.tags[one] for one in sorted(there.tags) if one[0] == key]
    device = _short(DeviceEntry, there.devices[key], "device")
    return {**device, "tags": [_short(TagEntry, tag, "tag") for tag in tags]}


def _short(entry: type[Entry], fields: Fields, kind: str) -> dict[str, Any]:
    return _entry(entry, fields, kind).short()


def _entry(entry: type[Entry], fields: Fields, kind: str) -> Entry:
    try:
        return checked(entry, settled(fields))
    except RegistryError as error:
        raise RegistryError(
            f"{kind} {fields['name']!r} is none that a file may have: {error.message}",
            hint=f"mend it: gateway {kind}s edit",
        ) from None
