"""Tables, JSON, sizes and progress, as people and scripts want them."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table as Grid
from rich.text import Text

from gateway_assets import clock
from gateway_assets.progress import Progress

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")


def print_json(value: Any) -> None:
    click.echo(to_json(value))


def to_json(value: Any) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    """What JSON has no word for: times as ISO 8601, whole decimals as numbers, bytes as hex,
    NaN and infinity as null.
    """
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case datetime() | date():
            return value.isoformat()
        case Decimal():
            return int(value) if value == value.to_integral_value() else str(value)
        case bytes():
            return value.hex()
        case _:
            return str(value)


def print_grid(rows: Sequence[Mapping[str, Any]], *, title: str = "") -> None:
    """Rows as a table: numbers to the right, nothing cut when the output is not a terminal."""
    console = Console(width=None if sys.stdout.isatty() else 1000, highlight=False)
    grid = Grid(
        title=Text(title) if title else None, title_justify="left", box=None, pad_edge=False
    )
    for name in rows[0] if rows else ():
        right = all(isinstance(row[name], int | float | Decimal | None) for row in rows)
        grid.add_column(Text(name), justify="right" if right else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(Text("" if value is None else _cell(value)) for value in row.values()))
    console.print(grid)


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S.%f%z").replace(".000000", "")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | Decimal):
        return f"{value:,}"
    # A process name may hold anything; on a terminal it must not be able to command it.
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in str(value))


def size(number: int | None) -> str:
    """Bytes for people, in powers of 1024."""
    if number is None:
        return "?"
    amount = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def moment(value: int | None) -> str:
    return "" if value is None else clock.iso(value)[:19].replace("T", " ")


@contextmanager
def bar(title: str) -> Iterator[Progress]:
    """A progress bar on the error stream; silent when that is not a terminal."""
    columns = TextColumn(f"{title:<24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    console = Console(stderr=True)
    with Bar(*columns, console=console, disable=not console.is_terminal) as shown:
        task = shown.add_task(title, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)
