"""Values made to fit the columns of a source; what does not fit is NULL, and said."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gateway_assets.files.landing import Row
from gateway_assets.model import Column, Kind, misfit
from gateway_assets.source import Source

# Decimals by unit, as many as are known at all: SHOW gives two of per cents, a page is of a moment
# that is known to milliseconds. What lies behind them is noise that takes room in every tier.
_DECIMALS = {"%": 2, "ms": 1, "s": 3, "1/s": 3}
_PARTS = 4  # of ratios, which have no unit


def fitting(source: Source, values: Mapping[str, Any], said: list[str]) -> Row | None:
    """A row in the order of the source's columns; columns without a value are NULL.

    Adds to ``said`` what had to be left out. None when a column that must be there is not: the
    loader refuses the whole file for one such row.
    """
    row = []
    for column in source.columns:
        value = _as_kind(column, values.get(column.name))
        reason = misfit(column, value)
        if reason:
            said.append(f"{source.name}: {reason}")
            if not column.nullable:
                return None
            value = None
        row.append(value)
    return tuple(row)


def _as_kind(column: Column, value: Any) -> Any:
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        digits = _DECIMALS.get(column.unit, _PARTS)
        return round(value, digits) if column.kind is Kind.REAL else round(value)
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return value
