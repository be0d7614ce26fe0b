"""YAML of people and programs: read as data only, within limits; each value knows its line.

Read by the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema): only ``true``
and ``false`` are booleans, and dates, ``no``, ``0x1F`` and ``1:30`` are texts. No tags, no aliases.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import yaml

from gateway_assets.errors import RegistryError

MAX_BYTES = 16 * 2**20
_DEPTH = 24
_NULL = re.compile(r"^(?:~|null|Null|NULL|)$")
_BOOLEAN = re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")
_WHOLE = re.compile(r"^[-+]?[0-9]{1,300}$")
_NUMBER = re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$")
_SCALARS = (
    ("tag:yaml.org,2002:null", _NULL, ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:bool", _BOOLEAN, list("tTfF")),
    ("tag:yaml.org,2002:int", _WHOLE, list("-+0123456789")),
    ("tag:yaml.org,2002:float", _NUMBER, list("-+.0123456789")),
)

Place = tuple[str | int, ...]


class Read(NamedTuple):
    """A document, the line of each of its values, and what is wrong with it so far."""

    content: Any
    lines: dict[Place, int]
    problems: list[tuple[Place, str]]


class _Loader(yaml.CSafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  the library's own name


class _Dumper(yaml.SafeDumper):
    """Quotes what any reader, of YAML 1.1 or 1.2, would take for something else than a text."""

    yaml_implicit_resolvers = {  # noqa: RUF012  the library's own name
        key: list(found) for key, found in yaml.SafeDumper.yaml_implicit_resolvers.items()
    }

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  the library's signature
        return True


for _tag, _pattern, _first in _SCALARS:
    _Loader.add_implicit_resolver(_tag, _pattern, _first)
    _Dumper.add_implicit_resolver(_tag, _pattern, _first)


def write_yaml(content: Any) -> str:
    """Content as YAML that ``read_yaml`` gives back."""
    text: str = yaml.dump(
        content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100, indent=2
    )
    return text


def read_yaml(text: str, name: str) -> Read:
    """Raises RegistryError, naming file and line, for what is no such document."""
    try:
        _check(text, name)
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        told = error.problem or "not understood"
        raise RegistryError(f"{name}:{line}: no YAML: {told}", hint="mend that line") from None
    except yaml.YAMLError as error:
        told = str(error).splitlines()[0]
        raise RegistryError(f"{name}: no YAML: {told}", hint="save it as UTF-8 text") from None
    found = Read(None, {}, [])
    content = None if root is None else _value(root, (), found)
    return found._replace(content=content)


def _check(text: str, name: str) -> None:
    """Refuse what must not be built, before anything is: aliases grow, depth exhausts the stack."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.DocumentStartEvent):
            documents += 1
        what = _refused(event, depth, documents)
        if what:
            raise RegistryError(f"{name}:{line}: {what}", hint="write plain values only")


def _refused(event: yaml.Event, depth: int, documents: int) -> str:
    if isinstance(event, yaml.AliasEvent):
        return "aliases (*name) are not allowed"
    if getattr(event, "tag", None) is not None:
        return f"tags ({getattr(event, 'tag', '')}) are not allowed"
    if depth > _DEPTH:
        return f"nested deeper than {_DEPTH} levels"
    return "a second document (---) is not allowed" if documents > 1 else ""


def _value(node: yaml.Node, place: Place, found: Read) -> Any:
    found.lines[place] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, place, found)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*place, index), found) for index, item in enumerate(node.value)]
    return _scalar(node)


def _mapping(node: yaml.MappingNode, place: Place, found: Read) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = key_node.value
        if not isinstance(key_node, yaml.ScalarNode):
            found.lines[(*place, "?")] = key_node.start_mark.line + 1
            found.problems.append(((*place, "?"), "a key must be a text"))
            continue
        if key in content:
            found.lines[(*place, key)] = key_node.start_mark.line + 1
            found.problems.append(((*place, key), "the key is there twice"))
            continue
        content[key] = _value(value_node, (*place, key), found)
    return content


def _scalar(node: yaml.Node) -> Any:
    match node.tag.rpartition(":")[2]:
        case "null":
            return None
        case "bool":
            return node.value.lower() == "true"
        case "int":
            return int(node.value)
        case "float":
            return float(node.value)
        case _:
            return node.value
