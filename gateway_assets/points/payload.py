"""What a frame of the log carries: line protocol, or logs and events as JSON.

A DATA frame is line protocol. Its first line may be a comment that names the unit of its times,
``# precision=ms``; without it they are nanoseconds. With ``auto`` the size of each time tells its
unit. Lines without a time have that of the frame. An EVENT frame is a JSON array of objects, each a
row of ``device_logs`` or ``device_events``.
"""

from __future__ import annotations

from gateway_assets.points.grammar import AUTO

NANOSECONDS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
NANOSECONDS |= {"auto": AUTO}
_PREFIX = b"# precision="


def wrapped(body: bytes, precision: str = "ns") -> bytes:
    """Line protocol with its unit of time. Raises KeyError for an unknown one."""
    # A client's own comment of this form means nothing and must not come to mean something.
    if NANOSECONDS[precision] == 1 and not body.startswith(_PREFIX):
        return body
    return _PREFIX + precision.encode() + b"\n" + body


def unwrapped(payload: bytes) -> tuple[bytes, int]:
    """The line protocol, and the nanoseconds of its unit of time."""
    if not payload.startswith(_PREFIX):
        return payload, 1
    first, _, body = payload.partition(b"\n")
    unit = NANOSECONDS.get(first[len(_PREFIX) :].decode("ascii", "replace").strip())
    # A comment that happens to begin like this is one: nothing here ever writes another unit.
    return (payload, 1) if unit is None else (body, unit)
