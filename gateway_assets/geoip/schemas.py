"""The records of several vendors' databases as one.

Nested, by MaxMind and DB-IP (https://dev.maxmind.com/geoip/docs/databases/):
``country.iso_code``, ``subdivisions[].names``, ``city.names``, ``traits.isp``. Flat, by
ip-location-db (https://github.com/sapics/ip-location-db): ``country_code``, ``state1``, ``city``.
Networks, in both: ``isp``, ``autonomous_system_organization``, ``autonomous_system_number``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

FALLBACK = "en"


class Location(NamedTuple):
    """A country, and what is known below it."""

    country: str
    province: str | None
    city: str | None

    @property
    def detail(self) -> int:
        return 1 + sum(label is not None for label in self[1:])


class Provider(NamedTuple):
    """``detail`` is larger for what says more: a provider, the holder of a network, its number."""

    detail: int
    name: str


def location(record: Any, language: str) -> Location | None:
    """Where a record says that its addresses are; None without a country."""
    if not isinstance(record, dict):
        return None
    country = record.get("country")
    code = country.get("iso_code") if isinstance(country, dict) else record.get("country_code")
    if not isinstance(code, str) or len(code) != 2 or not (code.isascii() and code.isalpha()):
        return None
    return Location(code.upper(), _province(record, language), _label(record.get("city"), language))


def provider(record: Any) -> Provider | None:
    """Who provides a record's addresses: an ISP by name, else the holder of their network."""
    if not isinstance(record, dict):
        return None
    traits = record.get("traits")
    known = traits if isinstance(traits, dict) else record
    isp, holder = _text(known.get("isp")), _text(known.get("autonomous_system_organization"))
    number = known.get("autonomous_system_number")
    if isp:
        return Provider(3, isp)
    if holder:
        return Provider(2, holder)
    return Provider(1, f"AS{number}") if isinstance(number, int) else None


def _province(record: dict[str, Any], language: str) -> str | None:
    """The largest of the subdivisions, which are written from the largest to the smallest."""
    subdivisions = record.get("subdivisions")
    if isinstance(subdivisions, list) and subdivisions:
        return _label(subdivisions[0], language)
    return _text(record.get("state1"))


def _label(value: Any, language: str) -> str | None:
    """A name in one language: the one asked for, else English; flat databases have one only."""
    if not isinstance(value, dict):
        return _text(value)
    names = value.get("names")
    if not isinstance(names, dict):
        return None
    return _text(names.get(language)) or _text(names.get(FALLBACK))


def _text(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None
