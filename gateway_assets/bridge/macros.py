"""SQL functions for time series that people know from other databases, as DuckDB macros.

``time_bucket(width, time)`` is DuckDB's own; with a time zone it is given as third argument.
"""

from __future__ import annotations

from typing import NamedTuple


class Macro(NamedTuple):
    """One function: how it is called, what it gives, an example, and what makes it."""

    call: str
    about: str
    example: str
    create: str


MACROS = (
    Macro(
        "first_value_at(value, time)",
        "The value at the earliest time, of a group.",
        "SELECT remote_ip, first_value_at(rx_bytes, time) FROM ip_traffic GROUP BY ALL",
        "CREATE MACRO first_value_at(v, t) AS arg_min(v, t)",
    ),
    Macro(
        "last_value_at(value, time)",
        "The value at the latest time, of a group.",
        "SELECT remote_ip, last_value_at(rx_bytes, time) FROM ip_traffic GROUP BY ALL",
        "CREATE MACRO last_value_at(v, t) AS arg_max(v, t)",
    ),
    Macro(
        "buckets(width, first, last)",
        "A table ``bucket`` of every interval from first up to last, whether it has rows or not: "
        "LEFT JOIN it to fill gaps.",
        "SELECT bucket, count(id) AS samples FROM buckets(INTERVAL 1 HOUR, "
        "'2026-11-01'::TIMESTAMPTZ, '2026-11-02'::TIMESTAMPTZ) LEFT JOIN ip_traffic "
        "ON time_bucket(INTERVAL 1 HOUR, time) = bucket GROUP BY bucket ORDER BY bucket",
        "CREATE MACRO buckets(width, first_time, last_time) AS TABLE "
        "SELECT unnest(generate_series(time_bucket(width, first_time), "
        "last_time - INTERVAL 1 MICROSECOND, width)) AS bucket",
    ),
    Macro(
        "locf(value, time)",
        "Last observation carried forward: the value, or the last one before it that is not NULL.",
        "SELECT bucket, locf(value, bucket) FROM filled",
        "CREATE MACRO locf(v, t) AS last_value(v IGNORE NULLS) OVER (ORDER BY t)",
    ),
    Macro(
        "interpolate(value, time)",
        "The value, or where it is NULL the straight line between its neighbours.",
        "SELECT bucket, interpolate(value, bucket) FROM filled",
        "CREATE MACRO interpolate(v, t) AS fill(v::DOUBLE) OVER (ORDER BY t::TIMESTAMPTZ)",
    ),
)
