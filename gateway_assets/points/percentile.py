"""Exact percentiles: of the raw values, because percentiles of percentiles are none."""

from __future__ import annotations

import math

import numpy as np

from gateway_assets.points.segments import Floats


def percentile(values: Floats, part: float) -> float:
    """The value that ``part`` (0 to 1) of the values do not exceed; NaN of none.

    Linear between the two closest ranks: type 7 of Hyndman and Fan, "Sample quantiles in
    statistical packages", The American Statistician 50, 1996, as DuckDB's ``quantile_cont``. Values
    that are not finite are left out. Raises ValueError for a part that is none.
    """
    if not 0 <= part <= 1:
        raise ValueError(f"{part} is not a part from 0 to 1")
    known = values[np.isfinite(values)]
    return float(np.quantile(known, part)) if len(known) else math.nan
