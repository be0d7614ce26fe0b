"""Devices with their tags, rules and channels as one document, from files of YAML or CSV."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from gateway_assets.errors import RegistryError
from gateway_assets.registry.change import told
from gateway_assets.registry.csv_text import read_csv
from gateway_assets.registry.entries import (
    ChannelEntry,
    DeviceEntry,
    Name,
    RuleEntry,
    TagEntry,
    folded,
)
from gateway_assets.registry.yaml_text import MAX_BYTES, Place, read_yaml

_SHOWN = 50
_HINT = "see docs/registry.md for what a file may say"


def _said(value: object) -> object:
    """``tags:`` and nothing after it may mean that there are none, or no change."""
    if value is None:
        raise ValueError("nothing is listed: leave it out, or write []")
    return value


class DeviceWithTags(DeviceEntry):
    tags: list[TagEntry] | None = None

    _tags_are_said = field_validator("tags", mode="before")(_said)


class TagOfDevice(TagEntry):
    device: Name


class Document(BaseModel):
    """What is None is not spoken of: it is left alone, also when the rest is removed.

    ``tags`` are tags of devices that need not be in the document.
    """

    model_config = ConfigDict(strict=True, extra="forbid")

    devices: list[DeviceWithTags] | None = None
    tags: list[TagOfDevice] | None = None
    rules: list[RuleEntry] | None = None
    channels: list[ChannelEntry] | None = None

    _lists_are_said = field_validator("devices", "tags", "rules", "channels", mode="before")(_said)


def read_documents(paths: Sequence[Path]) -> Document:
    """All files as one document. Raises RegistryError with everything that is wrong in them."""
    documents, found = [], []
    for path in paths:
        try:
            documents.append(parsed(_text(path), str(path)))
        except Problems as error:
            found += error.all
    if found:
        raise Problems(found)
    merged = Document()
    for name in Document.model_fields:
        parts = [getattr(one, name) for one in documents if getattr(one, name) is not None]
        setattr(merged, name, [entry for part in parts for entry in part] if parts else None)
    twice = [f"{place}: {what}" for place, what in _twice(merged.model_dump())]
    if twice:
        raise Problems(twice)
    return merged


class Problems(RegistryError):
    """Everything that is wrong with some files, a line each."""

    def __init__(self, all_: list[str]) -> None:
        self.all = all_
        shown = all_[:_SHOWN]
        if len(all_) > _SHOWN:
            shown.append(f"… and {len(all_) - _SHOWN} more")
        super().__init__("\n".join(shown), hint=_HINT)


def parsed(text: str, name: str) -> Document:
    """The text of one file, which is CSV if its ``name`` says so. Raises RegistryError."""
    return _of_csv(text, name) if name.lower().endswith(".csv") else _of_yaml(text, name)


def _of_yaml(text: str, name: str) -> Document:
    read = read_yaml(text, name)
    if not isinstance(read.content, dict):
        raise RegistryError(
            f"{name}: it must have devices:, tags:, rules: or channels:", hint=_HINT
        )
    problems = [*read.problems, *_twice(read.content)]
    try:
        document = Document.model_validate(read.content)
    except ValidationError as error:
        problems += [(one["loc"], one["msg"]) for one in error.errors(include_input=False)]
    if problems:
        raise Problems(
            [f"{name}:{_line(read.lines, place)}: {told(place, what)}" for place, what in problems]
        )
    return document


def _of_csv(text: str, name: str) -> Document:
    table = read_csv(text, name)
    problems = [f"{name}:{line}: {what}" for line, what in table.problems]
    content = {table.kind: table.rows}
    found = list(_twice(content))
    try:
        document = Document.model_validate(content)
    except ValidationError as error:
        found += [(one["loc"], one["msg"]) for one in error.errors(include_input=False)]
    for place, what in found:
        line = table.lines[int(place[1])] if len(place) > 1 else 1
        problems.append(f"{name}:{line}: {told(place[2:], what)}")
    if problems:
        raise Problems(problems)
    return document


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise RegistryError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise RegistryError(f"{path} is larger than {MAX_BYTES >> 20} MiB", hint="split it")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RegistryError(
            f"{path} is no UTF-8 text: byte {error.start + 1}",
            hint='save it as "CSV UTF-8" or UTF-8',
        ) from None


def _line(lines: dict[Place, int], place: Place) -> int:
    """The line of a value, or of what it would be part of."""
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 1)


def _twice(content: dict[str, Any]) -> Iterator[tuple[Place, str]]:
    """Names that are there more than once, in any case of letters; whatever the content is."""
    names: Counter[tuple[str, ...]] = Counter()
    for place, key in _names(content):
        names[key] += 1
        if names[key] == 2:
            yield place, "the name is there twice"


def _names(content: dict[str, Any]) -> Iterator[tuple[Place, tuple[str, ...]]]:
    for kind in ("devices", "rules", "channels"):
        for index, entry in _named(content.get(kind)):
            # Channels are told apart by the case of letters, by their table.
            name = entry["name"] if kind == "channels" else folded(entry["name"])
            yield (kind, index, "name"), (kind, name)
    for index, device in _named(content.get("devices")):
        for at, tag in _named(device.get("tags")):
            place = ("devices", index, "tags", at, "name")
            yield place, ("tag", folded(device["name"]), folded(tag["name"]))
    for index, tag in _named(content.get("tags")):
        if isinstance(tag.get("device"), str):
            yield ("tags", index, "name"), ("tag", folded(tag["device"]), folded(tag["name"]))


def _named(value: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    for index, one in enumerate(value if isinstance(value, list) else []):
        if isinstance(one, dict) and isinstance(one.get("name"), str):
            yield index, one
