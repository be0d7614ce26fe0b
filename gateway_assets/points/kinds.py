"""What programs write: metrics, logs and events, checked when they are made.

Names and columns are those of ``device_metrics``, ``device_logs`` and ``device_events``. A time is
a ``datetime`` with a zone, integer nanoseconds since 1970, or None for the moment of writing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gateway_assets.model import INT64_MAX


def nanoseconds(value: Any) -> Any:
    """A datetime as nanoseconds since 1970; anything else as it is."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("a time needs a zone: datetime.now(UTC)")
        since = value - datetime(1970, 1, 1, tzinfo=UTC)
        return ((since.days * 86_400 + since.seconds) * 10**6 + since.microseconds) * 1000
    return value


Time = Annotated[
    Annotated[int, Field(strict=True, ge=0, le=INT64_MAX)] | None, BeforeValidator(nanoseconds)
]
Name = Annotated[str, Field(min_length=1, max_length=1024)]
Value = Annotated[bool, Field(strict=True)] | Annotated[int, Field(strict=True)] | float | str


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"
    FATAL = "fatal"


class Severity(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class _Point(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    device_id: Name
    time: Time = None
    tags: Mapping[Name, Name] = Field(default_factory=dict)


class MetricPoint(_Point):
    """One value of one metric of a device."""

    metric_name: Name
    metric_value: Value
    unit: str | None = None


class LogPoint(_Point):
    """A line that a device logged."""

    level: LogLevel
    message: str = Field(min_length=1)
    source: str | None = None


class EventPoint(_Point):
    """Something that happened to a device; ``event_data`` is any JSON."""

    event_type: Name
    event_data: Any = Field(default_factory=dict)
    severity: Severity | None = None
