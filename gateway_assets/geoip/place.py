"""What is known of an address, and which addresses are looked up at all."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

UNKNOWN = (
    "ZZ"  # "Unknown or Invalid Territory": https://cldr.unicode.org, user-assigned in ISO 3166
)

Address = IPv4Address | IPv6Address


class Place(NamedTuple):
    """``country`` is an ISO 3166-1 alpha-2 code or ``ZZ``; what else is not known is None."""

    country: str
    province: str | None
    city: str | None
    isp: str | None


NOWHERE = Place(UNKNOWN, None, None, None)


def public_address(text: str) -> Address | None:
    """The address that a text names, if it is one of the Internet's, as IPv4 where it is mapped.

    None for what is no address, and for private, shared, loopback, link-local, multicast and
    reserved ranges (https://www.iana.org/assignments/iana-ipv4-special-registry and -ipv6-),
    which databases wrongly place now and then.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if not address.is_global or address.is_multicast or address.is_reserved:
        return None
    return address
