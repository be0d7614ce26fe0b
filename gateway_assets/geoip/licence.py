"""Whose data a database holds, and the notice that its licence asks for."""

from __future__ import annotations

from typing import NamedTuple


class Licence(NamedTuple):
    name: str
    notice: str


DB_IP = Licence(
    # https://db-ip.com/db/download/ip-to-country-lite
    "CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/)",
    "IP Geolocation by DB-IP (https://db-ip.com). Pages that show results link there.",
)
GEOLITE2 = Licence(
    # https://www.maxmind.com/en/geolite2/eula, also on updates: old data is to be destroyed
    "GeoLite2 End User License Agreement (https://www.maxmind.com/en/geolite2/eula)",
    "This product includes GeoLite2 data created by MaxMind, available from "
    "https://www.maxmind.com. It is to be kept up to date.",
)
UNKNOWN = Licence("unknown", "See the terms of whoever made this database.")


def licence_of(file_name: str, database_type: str, descriptions: str) -> Licence:
    """The licence of a database, by what it says of itself and by its name."""
    told = f"{database_type} {descriptions} {file_name}".lower()
    if "geolite" in told:
        return GEOLITE2
    return DB_IP if "dbip" in told or "db-ip" in told else UNKNOWN
