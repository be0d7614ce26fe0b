"""Where remotes are, for the labels of metrics; databases are loaded only where there are some."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gateway_assets import clock
from gateway_assets.capture.say import say
from gateway_assets.geoip.place import NOWHERE, Place

if TYPE_CHECKING:
    from gateway_assets.geoip.geoip import GeoIP


class Places:
    """Where addresses are, and the databases that tell: their names and when they were built."""

    def place(self, address: str) -> Place:
        del address
        return NOWHERE

    def databases(self) -> list[tuple[str, float]]:
        return []


NO_PLACES = Places()


class KnownPlaces(Places):
    def __init__(self, geoip: GeoIP) -> None:
        self._geoip = geoip

    def place(self, address: str) -> Place:
        return self._geoip.place(address)

    def databases(self) -> list[tuple[str, float]]:
        return [
            (Path(one.path).name, clock.parse_moment(one.built) / clock.SECOND)
            for one in self._geoip.status()
            if one.built
        ]


def open_places(paths: Sequence[Path], language: str) -> Places:
    """By the databases at these paths, if there are any. Importing their library costs 8 MB."""
    if not any(path.is_file() or any(path.glob("*.mmdb")) for path in paths):
        return NO_PLACES
    from gateway_assets.geoip.geoip import GeoIP  # noqa: PLC0415

    return KnownPlaces(GeoIP(paths, language, say=say, cached=1024))
