"""IP addresses in their one text form: lower case, shortest, IPv4 where it is mapped into IPv6."""

from __future__ import annotations

import socket

MAPPED = b"\0" * 10 + b"\xff\xff"


def address_text(family: int, raw: bytes) -> str:
    """The address that starts ``raw``, as text."""
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, raw[:4])
    if raw[:12] == MAPPED:
        return socket.inet_ntop(socket.AF_INET, raw[12:16])
    return socket.inet_ntop(socket.AF_INET6, raw[:16])


def address_bytes(text: str) -> bytes:
    """An address as 16 bytes, IPv4 mapped into IPv6."""
    if ":" in text:
        return socket.inet_pton(socket.AF_INET6, text)
    return MAPPED + socket.inet_aton(text)


def address_of(raw: bytes) -> str:
    """The text of 16 such bytes."""
    return address_text(socket.AF_INET6, raw)


def parse_address(text: str) -> str | None:
    """The address that a text names, in its one form; None when it names none."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        return address_text(family, socket.inet_pton(family, text))
    except (OSError, ValueError):
        return None


def parse_host(text: str) -> str | None:
    """The address in ``address``, ``address:port`` or ``[address]:port``."""
    if text.startswith("["):
        inner, closed, _ = text[1:].partition("]:")
        return parse_address(inner) if closed else None
    if text.count(":") == 1:
        text = text.partition(":")[0]
    return parse_address(text)
