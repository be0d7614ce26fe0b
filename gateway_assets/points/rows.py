"""Lines of line protocol as rows of the table of points."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import repeat
from operator import itemgetter
from typing import NamedTuple, cast

from gateway_assets.points.line import Line, Type
from gateway_assets.points.quality import Quality
from gateway_assets.points.series import Plan, Registry

EXACT = 2**53  # a double holds every whole number up to here, and not the next one

Row = tuple[int, int, float | None, str | None, int | None]
COLUMNS = ("series", "time", "value", "text", "quality")


class Rows(NamedTuple):
    """``rows`` by series and time; of one key, the last one was written last.

    A quality of NULL is good. ``conflicts`` are lines that were left out.
    """

    rows: list[Row]
    conflicts: list[tuple[Line, str]]


def rows_of(lines: Iterable[Line], registry: Registry) -> Rows:
    rows: list[Row] = []
    conflicts: list[tuple[Line, str]] = []
    nothing = repeat(None)
    for line in lines:
        head, shape, values, time = line
        plan = registry.plan(head, shape, time)
        if plan.is_plain:
            numbers = cast("tuple[float, ...]", values)
            if min(numbers) >= -EXACT and max(numbers) <= EXACT:
                rows.extend(zip(plan.series, repeat(time), numbers, nothing, nothing))
                continue
        if plan.conflict:
            conflicts.append((line, plan.conflict))
            continue
        if plan.unit is not None:
            for series in plan.series:
                registry.set_unit(series, str(values[plan.unit]))
        rows += _one_by_one(plan, values, time)
    rows.sort(key=itemgetter(0, 1))  # stable: what was written last stays last
    return Rows(rows, conflicts)


def _one_by_one(plan: Plan, values: tuple[object, ...], time: int) -> Iterable[Row]:
    quality = None
    if plan.quality is not None:
        told = values[plan.quality]
        known = {int(quality) for quality in Quality}
        # A number that is no quality says that something is wrong, but not that the value is.
        quality = told if told in known else Quality.UNCERTAIN
        quality = None if quality == Quality.GOOD else int(quality)
    for series, place, type_ in zip(plan.series, plan.places, plan.types, strict=True):
        number, text = _stored(values[place], type_)
        yield series, time, number, text, quality


def _stored(value: object, type_: Type) -> tuple[float | None, str | None]:
    """Number and text of a value; an integer that no double holds is both, its digits exact."""
    if isinstance(value, str):
        return None, value
    assert isinstance(value, int | float)
    if type_ is not Type.FLOAT and not -EXACT <= value <= EXACT:
        return float(value), str(value)
    return value, None
