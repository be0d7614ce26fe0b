"""From a raw reading to a value, and which values are worth passing on.

A reading is scaled, then looked at: what is out of range is kept but uncertain, what is no number
is bad. Report by exception passes on what differs from what was passed on before, and, after
``max_interval``, also what does not, so that a silent device is told from a steady one. All of it
depends on the samples and their own times only, so doing it again gives the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gateway_assets.errors import ConfigError
from gateway_assets.points.quality import Quality


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """How readings of one tag become values: ``scaling * raw + offset``, within ``low`` to
    ``high`` in the value's unit, both included.

    A dead band is a distance in the value's unit, or per cent of the span ``high - low``; without
    one every sample passes. ``max_interval`` is in ns. Raises ConfigError for what cannot be.
    """

    scaling: float = 1.0  # below zero for a sensor that acts in reverse
    offset: float = 0.0
    low: float | None = None
    high: float | None = None
    deadband: float | None = None
    deadband_percent: float | None = None
    max_interval: int | None = None

    def __post_init__(self) -> None:
        numbers = (
            self.scaling,
            self.offset,
            self.low,
            self.high,
            self.deadband,
            self.deadband_percent,
        )
        if not all(number is None or math.isfinite(number) for number in numbers):
            raise ConfigError("a tag's numbers are not all finite", hint="give finite numbers")
        if self.scaling == 0:
            raise ConfigError("a tag's scaling is 0", hint="1 leaves readings as they are")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ConfigError(
                f"a tag's range goes from {self.low} to {self.high}", hint="low comes first"
            )
        self._check_deadband()

    def _check_deadband(self) -> None:
        if self.deadband is not None and self.deadband_percent is not None:
            raise ConfigError(
                "a tag has two dead bands", hint="give deadband or deadband_percent, not both"
            )
        if self.deadband_percent is not None and self._span is None:
            raise ConfigError(
                "deadband_percent is of a span that is not known", hint="give low and high, too"
            )
        if (self.deadband or 0) < 0 or (self.deadband_percent or 0) < 0:
            raise ConfigError("a tag's dead band is below 0", hint="0 passes every change on")
        if self.max_interval is not None and self.max_interval <= 0:
            raise ConfigError(
                "a tag's max_interval is not above 0", hint="leave it out to have no heartbeat"
            )

    @property
    def _span(self) -> float | None:
        return None if self.low is None or self.high is None else self.high - self.low

    @property
    def band(self) -> float | None:
        """The dead band in the value's unit; None where every sample passes."""
        if self.deadband_percent is not None and self._span is not None:
            return self._span * self.deadband_percent / 100
        return self.deadband


def apply(tag: Tag, raw: float) -> tuple[float, Quality]:
    """The value of a reading, and its quality; a bad value is NaN."""
    try:
        value = float(tag.scaling * raw + tag.offset)
    except OverflowError:  # an integer beyond every double
        value = math.inf
    if not math.isfinite(value):
        return math.nan, Quality.BAD
    is_below = tag.low is not None and value < tag.low
    is_above = tag.high is not None and value > tag.high
    return value, Quality.UNCERTAIN if is_below or is_above else Quality.GOOD


class ExceptionReporter:
    """Which samples of one tag to pass on."""

    def __init__(self, tag: Tag) -> None:
        self._band = tag.band
        self._max_interval = tag.max_interval
        self._passed: tuple[int, float, Quality] | None = None

    def passes(self, time: int, value: float, quality: Quality) -> bool:
        """Whether to pass on the sample of this moment (ns), judged by the last one passed.

        Samples that are not later than that one always pass: they belong to a past that has been
        told already, or correct it.
        """
        if not self._is_exception(time, value, quality):
            return False
        if self._passed is None or time >= self._passed[0]:
            self._passed = (time, value, quality)
        return True

    def _is_exception(self, time: int, value: float, quality: Quality) -> bool:
        if self._passed is None or self._band is None:
            return True
        last_time, last_value, last_quality = self._passed
        if time <= last_time or quality != last_quality:
            return True
        if self._max_interval is not None and time - last_time >= self._max_interval:
            return True
        return abs(value - last_value) > self._band
