"""When a rule would have fired: its state machine over the points of the past, of both tiers.

Nothing is written. A simulation of the same rule over the same points gives what the engine did,
as long as no point came late.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from gateway_assets.alarms.activations import activations_of
from gateway_assets.alarms.kpi import Activation
from gateway_assets.alarms.machine import advance, silence
from gateway_assets.alarms.rule import Rule
from gateway_assets.alarms.scope import Series
from gateway_assets.alarms.state import Sample, State, Transition
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.points.levels import DAY
from gateway_assets.points.read import Points, Reader
from gateway_assets.progress import Progress, silent
from gateway_assets.settings import Settings

SERIES_AT_ONCE = 50


class Simulated(NamedTuple):
    """What a rule would have done on a series."""

    series: Series
    samples: int
    steps: tuple[Transition, ...]

    def activations(self, rule: Rule) -> list[Activation]:
        timed = [(step.event_time, step) for step in self.steps]
        return activations_of(rule.id, self.series.key, rule.level, timed)


def simulate(
    connection: sqlite3.Connection,
    settings: Settings,
    rule: Rule,
    series: Sequence[Series],
    start: int,
    end: int,
    progress: Progress = silent,
) -> list[Simulated]:
    """Over the points in ``[start, end)`` (ns) of each series. Raises ArchiveDamaged, and
    QueryError when points of that range were removed already.
    """
    reader = Reader(connection, UnifiedQueryBridge(settings))
    reader.check_points([one.id for one in series], start, end)
    states = {one.id: State() for one in series}
    steps: dict[int, list[Transition]] = {one.id: [] for one in series}
    samples = dict.fromkeys(states, 0)
    whole = {
        number for (number,) in connection.execute("SELECT id FROM series WHERE type <> 'float'")
    }
    for since, until in _days(start, end):
        for some in range(0, len(series), SERIES_AT_ONCE):
            part = [one.id for one in series[some : some + SERIES_AT_ONCE]]
            for number, values in _by_series(reader.points(part, since, until)):
                # Whole numbers are compared exactly, as the engine does.
                found = _whole(values) if number in whole else values
                step = advance(rule, states[number], found)
                states[number] = step.state
                steps[number] += step.transitions
                samples[number] += len(found)
        progress(until - start, end - start)
    for number, state in states.items():
        steps[number] += silence(rule, state, end).transitions
    return [Simulated(one, samples[one.id], tuple(steps[one.id])) for one in series]


def _whole(samples: list[Sample]) -> list[Sample]:
    return [
        (time, value if value is None or not math.isfinite(value) else int(value), quality)
        for time, value, quality in samples
    ]


def _days(start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end:
        until = min(end, (start // DAY + 1) * DAY)
        yield start, until
        start = until


def _by_series(points: Points) -> Iterator[tuple[int, list[Sample]]]:
    if not len(points.series):
        return
    begins = np.flatnonzero(np.diff(points.series, prepend=points.series[0] - 1))
    for first, last in zip(begins, [*begins[1:], len(points.series)], strict=True):
        part = slice(first, last)
        values = points.times[part].tolist(), points.values[part].tolist()
        yield (
            int(points.series[first]),
            list(zip(*values, points.quality[part].tolist(), strict=True)),
        )
