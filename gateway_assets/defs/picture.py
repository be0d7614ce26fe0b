"""A disk that fills, as a picture that Dagster's pages show: days there were, and days to come.

Dagster shows Markdown in its place if it is shorter than a thousand characters, else behind a
link; a data URI of base64 is the only kind of picture that it draws. So the picture is an SVG of
few bytes: whole coordinates, no text.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence

from gateway_assets import clock
from gateway_assets.starrocks.forecast import RECENT_DAYS, Forecast

INLINE = 1000  # characters
WIDTH, HEIGHT = 240, 75
_SCALE, _EDGE = 2, 2
_MOST_POINTS = 24
_AHEAD = 0.5  # of the days there were, how many are drawn beyond them

Point = tuple[int, float]  # day, bytes


def growth_picture(points: Sequence[Point], limit: float | None, forecast: Forecast) -> str:
    """Markdown with the picture in it: bytes in use by day, the growth with its range ahead, and
    the limit in red where growth comes near it. Empty for less than two days.
    """
    recent = [point for point in points if point[0] > points[-1][0] - RECENT_DAYS]
    if len(recent) < 2:
        return ""
    first, (last, used) = recent[0][0], recent[-1]
    ahead = max(7, round((last - first) * _AHEAD)) if forecast.rate else 0
    ends = [used + ahead * rate for rate in forecast.rate or ()]
    bounds = [used, *ends, *(size for _, size in recent)]
    near = max(bounds) + (max(bounds) - min(bounds))
    if limit is not None and limit < near:
        bounds.append(limit)
    x = _scale(first, last + ahead, 0, WIDTH)
    y = _scale(min(bounds), max(bounds), HEIGHT - _EDGE, _EDGE)
    drawn = _drawn([(x(day), y(size)) for day, size in _thinned(recent)])
    if forecast.rate:
        end = x(last + ahead)
        least, middle, most = ((end, y(size)) for size in ends)
        now = (x(last), y(used))
        drawn += f'<path d="{_path([now, least, most])}" fill="#9bf"/>'
        drawn += f'<path d="{_path([now, middle])}" stroke="#36d" stroke-dasharray="4"/>'
    if limit in bounds:
        drawn += f'<path d="M0 {y(limit or 0)}h{WIDTH}" stroke="red"/>'
    encoded = b64encode(_svg(drawn).encode()).decode()
    days = f"{clock.day_text(first)} to {clock.day_text(last + ahead)}"
    sizes = f"{_size(min(bounds))} (bottom) to {_size(max(bounds))} (top)"
    return f"![growth](data:image/svg+xml;base64,{encoded})\n\n{days}, {sizes}"


def _thinned(points: Sequence[Point]) -> Sequence[Point]:
    """So many of the points that the picture stays small, the last among them."""
    step = -(-len(points) // _MOST_POINTS)
    return points[::-1][::step][::-1]


def _drawn(places: Sequence[tuple[int, int]]) -> str:
    return f'<path d="{_path(places)}" fill="none" stroke="#36d"/>'


def _path(places: Sequence[tuple[int, int]]) -> str:
    return "M" + " ".join(f"{x} {y}" for x, y in places)


def _svg(drawn: str) -> str:
    size = f'width="{_SCALE * WIDTH}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    background = f'<path d="M0 0h{WIDTH}v{HEIGHT}H0" fill="#fff"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{background}{drawn}</svg>'


def _scale(low: float, high: float, start: int, end: int) -> Callable[[float], int]:
    span = (high - low) or 1
    return lambda value: round(start + (value - low) / span * (end - start))


def _size(size: float) -> str:
    return f"{size / 1024**3:,.1f} GiB"
