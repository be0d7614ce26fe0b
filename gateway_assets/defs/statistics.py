"""What every table takes, hot and cold, and what is wrong with it; one table never stops others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway_assets import clock
from gateway_assets.defs.describe import TABLE_ERRORS, why
from gateway_assets.settings import Settings
from gateway_assets.tiers.catalog import Declared

if TYPE_CHECKING:
    from gateway_assets.bridge.overview import Overview


@dataclass(slots=True)
class Statistics:
    """One table. Sizes are bytes, times ISO 8601; None is unknown or none.

    ``ratio`` says how many times more a row takes in hot, with its indexes, than archived.
    """

    table: str
    hot_rows: int | None = None
    hot_bytes: int | None = None
    cold_rows: int | None = None
    cold_bytes: int | None = None
    cold_files: int | None = None
    hot_bytes_per_row: float | None = None
    cold_bytes_per_row: float | None = None
    ratio: float | None = None
    days: int | None = None
    oldest: str | None = None
    newest: str | None = None
    problems: list[str] = field(default_factory=list)


def statistics(tables: Sequence[Declared], settings: Settings) -> list[Statistics]:
    """Look at every table; those that cannot be read have a problem and no figures."""
    return [_statistics(declared, settings) for declared in tables]


def _statistics(declared: Declared, settings: Settings) -> Statistics:
    from gateway_assets.archive.status import status
    from gateway_assets.bridge.overview import overview_of

    try:
        found = _of(overview_of(declared, settings))
        found.problems = status(declared, settings).problems
    except TABLE_ERRORS as error:
        return Statistics(declared.name, problems=[f"{declared.name}: {why(error)}"])
    return found


def _of(seen: Overview) -> Statistics:
    hot, cold = per_row(seen)
    return Statistics(
        table=seen.table,
        hot_rows=seen.hot_rows,
        hot_bytes=seen.hot_bytes,
        cold_rows=seen.cold_rows,
        cold_bytes=seen.cold_bytes,
        cold_files=seen.cold_files,
        hot_bytes_per_row=hot,
        cold_bytes_per_row=cold,
        ratio=round(hot / cold, 2) if hot and cold else None,
        days=seen.days,
        oldest=None if seen.oldest is None else clock.iso(seen.oldest),
        newest=None if seen.newest is None else clock.iso(seen.newest),
    )


def per_row(seen: Overview) -> tuple[float | None, float | None]:
    """Bytes of a row in hot and archived. Hidden copies are still in the pages that are counted."""
    in_pages = seen.hot_rows + seen.hidden_rows
    hot = round(seen.hot_bytes / in_pages, 2) if seen.hot_bytes and in_pages else None
    cold = round(seen.cold_bytes / seen.cold_rows, 2) if seen.cold_rows else None
    return hot, cold


def markdown(found: Sequence[Statistics]) -> str:
    """The statistics as a table, narrow enough for Dagster's pages, and the problems below it."""
    head = "| table | hot rows | hot bytes | cold rows | cold bytes | ratio | days | from | to |"
    rows = [
        f"| {one.table} | {_number(one.hot_rows)} | {_number(one.hot_bytes)} "
        f"| {_number(one.cold_rows)} | {_number(one.cold_bytes)} | {_number(one.ratio)} "
        f"| {_number(one.days)} | {(one.oldest or '')[:10]} | {(one.newest or '')[:10]} |"
        for one in found
    ]
    problems = ["- " + problem.replace("\n", " ") for one in found for problem in one.problems]
    return "\n".join([head, "|---|--:|--:|--:|--:|--:|--:|---|---|", *rows, "", *problems])


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,}"


def overall_ratio(found: Sequence[Statistics]) -> float | None:
    """What all archived rows would take in hot, over what they take."""
    known = [one for one in found if one.hot_bytes_per_row and one.cold_rows and one.cold_bytes]
    hot = sum((one.hot_bytes_per_row or 0) * (one.cold_rows or 0) for one in known)
    cold = sum(one.cold_bytes or 0 for one in known)
    return round(hot / cold, 2) if cold else None
