"""TimeSeriesQuery: what is asked of points, and the checks that it makes sense.

Names and meanings are those of ``gateway points``. Ranges are half-open, times nanoseconds since
1970; a bucket of a day begins with the UTC day.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from gateway_assets.model import INT64_MAX
from gateway_assets.points.fill import How
from gateway_assets.points.kinds import nanoseconds

MOST_ROWS = 1_000_000


class Aggregation(StrEnum):
    AVG = "avg"
    TIME_WEIGHTED_AVG = "time_weighted_avg"
    SUM = "sum"
    MIN = "min"
    MAX = "max"
    COUNT = "count"
    FIRST = "first"
    LAST = "last"
    STDDEV = "stddev"
    DELTA = "delta"
    RATE = "rate"
    INCREASE = "increase"
    COUNTER_RATE = "counter_rate"
    PERCENTILE = "percentile"


Moment = Annotated[
    int, Field(strict=True, ge=-INT64_MAX, le=INT64_MAX), BeforeValidator(nanoseconds)
]
Nanoseconds = Annotated[int, Field(gt=0, le=INT64_MAX)]


class TimeSeriesQuery(BaseModel):
    """A question about points. Without ``aggregation`` they come as they were written.

    ``bucket`` cuts the range into buckets (ns) that begin at multiples of it since 1970; without
    one the whole range is a single bucket. ``percentile`` is from 0 to 100. ``points_shown`` thins
    out every series to that number by LTTB, which keeps its shape. A value of quality bad is in no
    aggregate.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: Moment
    end: Moment
    measurement: str | None = None
    device: str | None = None
    metric: str | None = None
    field: str | None = None
    tags: dict[str, str] = Field(default_factory=dict)
    aggregation: Aggregation | None = None
    bucket: Nanoseconds | None = None
    percentile: Annotated[float, Field(ge=0, le=100)] | None = None
    fill: How = How.NONE
    max_gap: Nanoseconds | None = None
    points_shown: Annotated[int, Field(ge=3)] | None = None
    order: Literal["time", "-time"] = "time"
    limit: Annotated[int, Field(ge=1, le=MOST_ROWS)] | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> TimeSeriesQuery:
        for is_wrong, why in (
            (self.end < self.start, "end lies before start"),
            (self.bucket is not None and self.aggregation is None, "bucket needs aggregation"),
            (self.fill is not How.NONE and self.bucket is None, "fill needs bucket"),
            (self.max_gap is not None and self.fill is How.NONE, "max_gap needs fill"),
            (
                (self.percentile is not None) != (self.aggregation is Aggregation.PERCENTILE),
                "percentile and aggregation=percentile belong together",
            ),
        ):
            if is_wrong:
                raise ValueError(why)
        return self
