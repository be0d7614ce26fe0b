"""A small writer of MaxMind DB files, https://maxmind.github.io/MaxMind-DB/, for flat schemas
that no published test data has.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network, ip_network
from pathlib import Path
from typing import Any, NamedTuple

_SEPARATOR = b"\0" * 16
_MARKER = b"\xab\xcd\xefMaxMind.com"


class _Number(NamedTuple):
    kind: int  # 5 is uint16, 6 is uint32, 9 is uint64
    value: int


def write_mmdb(
    path: Path,
    networks: Mapping[str, Any],
    *,
    database_type: str = "made for a test",
    ip_version: int = 6,
    built: int = 1_700_000_000,
    description: str = "",
) -> Path:
    """Write a database with one record for each network; narrower networks come after wider."""
    nodes: list[list[Any]] = [[None, None]]
    data, offsets = b"", {}
    for text, record in networks.items():
        encoded = _encoded(record)
        if encoded not in offsets:
            offsets[encoded] = len(data)
            data += encoded
        _insert(nodes, _bits(text, ip_version), ("data", offsets[encoded]))
    tree = b"".join(
        _pointer(record, len(nodes)).to_bytes(4, "big") for node in nodes for record in node
    )
    metadata = {
        "node_count": _Number(6, len(nodes)),
        "record_size": _Number(5, 32),
        "ip_version": _Number(5, ip_version),
        "database_type": database_type,
        "languages": [],
        "binary_format_major_version": _Number(5, 2),
        "binary_format_minor_version": _Number(5, 0),
        "build_epoch": _Number(9, built),
        "description": {"en": description} if description else {},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(tree + _SEPARATOR + data + _MARKER + _encoded(metadata))
    return beside.replace(path)


def _bits(text: str, ip_version: int) -> str:
    network = ip_network(text)
    width = network.max_prefixlen
    bits = f"{int(network.network_address):0{width}b}"[: network.prefixlen]
    return "0" * 96 + bits if isinstance(network, IPv4Network) and ip_version == 6 else bits


def _insert(nodes: list[list[Any]], bits: str, leaf: Any) -> None:
    node = 0
    for bit in map(int, bits[:-1]):
        following = nodes[node][bit]
        if not isinstance(following, int):
            nodes.append([following, following])
            following = nodes[node][bit] = len(nodes) - 1
        node = following
    nodes[node][int(bits[-1])] = leaf


def _pointer(record: Any, count: int) -> int:
    if record is None:
        return count
    return record if isinstance(record, int) else count + len(_SEPARATOR) + int(record[1])


def _encoded(value: Any) -> bytes:
    match value:
        case str():
            raw = value.encode()
            return _control(2, len(raw)) + raw
        case int():
            return _encoded(_Number(6, value))
        case _Number():
            raw = value.value.to_bytes(8, "big").lstrip(b"\0")
            return _control(value.kind, len(raw)) + raw
        case dict():
            pairs = (_encoded(name) + _encoded(item) for name, item in value.items())
            return _control(7, len(value)) + b"".join(pairs)
        case list():
            return _control(11, len(value)) + b"".join(map(_encoded, value))
    raise TypeError(value)


def _control(kind: int, size: int) -> bytes:
    short, more = (size, b"") if size < 29 else (29, bytes([size - 29]))
    if kind < 8:
        return bytes([kind << 5 | short]) + more
    return bytes([short, kind - 7]) + more
