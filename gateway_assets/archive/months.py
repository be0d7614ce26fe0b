"""Closed months as one file each, beside the daily tree: which copies there are.

A copy is made of exactly the daily files it names (``covers``). It is used only while those are
the live files of the month, and can be dropped and made again at any time.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from gateway_assets import clock
from gateway_assets.tiers.catalog import has_table
from gateway_assets.tiers.tiered import Tiered


@dataclass(frozen=True, slots=True)
class Month:
    """One monthly copy."""

    number: int
    month: str
    path: str
    covers: frozenset[int]
    rows: int
    size: int
    first_time: int
    last_time: int
    sha256: str
    schema_version: int


def months(connection: sqlite3.Connection, table: Tiered) -> list[Month]:
    if not has_table(connection, "gateway_archive_months"):
        return []
    query = """
        SELECT number, month, path, covers, rows, size, first_time, last_time, sha256,
            schema_version
        FROM gateway_archive_months WHERE table_name = ? ORDER BY month
    """
    return [
        Month(number, month, path, frozenset(json.loads(covers)), *rest)
        for number, month, path, covers, *rest in connection.execute(query, (table.name,))
    ]


def month_of(day: int) -> str:
    return clock.day_text(day)[:7]


def folder(root: Path) -> Path:
    """Beside the daily tree, so that no glob over that matches a row twice."""
    return root.parent / "months"
