"""A disk that fills, as a picture that Dagster's pages show: days there were, and days to come."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence

from gateway_assets import clock
from gateway_assets.starrocks.forecast import RECENT_DAYS, Forecast

WIDTH, HEIGHT = 640, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 84, 12, 14, 28
_AHEAD = 0.5  # of the days there were, how many are drawn beyond them
_BLUE, _RED, _GREY = "#3b6fd4", "#c8372d", "#6b7280"

Point = tuple[int, float]  # day, bytes


def growth_picture(
    points: Sequence[Point], limit: float | None, forecast: Forecast, name: str
) -> str:
    """Markdown with the picture in it: bytes in use by day, the growth with its range ahead, and
    the limit where the growth comes near it. Empty for less than two days.
    """
    recent = [point for point in points if point[0] > points[-1][0] - RECENT_DAYS]
    if len(recent) < 2:
        return ""
    encoded = b64encode(_svg(recent, limit, forecast).encode()).decode()
    return f"![{name}](data:image/svg+xml;base64,{encoded})"


def _svg(points: Sequence[Point], limit: float | None, forecast: Forecast) -> str:
    first, (last, used) = points[0][0], points[-1]
    ahead = max(7, round((last - first) * _AHEAD)) if forecast.rate else 0
    ends = [used + ahead * rate for rate in forecast.rate] if forecast.rate else [used]
    bounds = [size for _, size in points] + ends
    is_near = limit is not None and limit < max(bounds) + (max(bounds) - min(bounds))
    if limit is not None and is_near:
        bounds.append(limit)
    low, high = min(bounds), max(bounds)
    x = _scale(first, last + ahead, _LEFT, WIDTH - _RIGHT)
    y = _scale(low, high, HEIGHT - _BOTTOM, _TOP)
    parts = [f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    parts += [_text(_LEFT - 6, y(size) + 4, _size(size), "end") for size in (low, high)]
    parts += [
        _text(x(first), HEIGHT - 8, clock.day_text(first), "start"),
        _text(x(last + ahead), HEIGHT - 8, clock.day_text(last + ahead), "end"),
    ]
    if forecast.rate:
        begin = f"{x(last):.1f},{y(used):.1f}"
        least, middle, most = (f"{x(last + ahead):.1f},{y(end):.1f}" for end in ends)
        parts.append(f'<polygon points="{begin} {least} {most}" fill="{_BLUE}" opacity="0.2"/>')
        parts.append(_line(f"{begin} {middle}", _BLUE, "4 4"))
    parts.append(_line(" ".join(f"{x(day):.1f},{y(size):.1f}" for day, size in points), _BLUE))
    if limit is not None and is_near:
        parts.append(_line(f"{_LEFT},{y(limit):.1f} {WIDTH - _RIGHT},{y(limit):.1f}", _RED))
    size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{"".join(parts)}</svg>'


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    span = (high - low) or 1
    return lambda value: start + (value - low) / span * (end - start)


def _line(points: str, color: str, dashes: str = "none") -> str:
    return (
        f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2" '
        f'stroke-dasharray="{dashes}"/>'
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{_GREY}" '
        f'font-family="sans-serif" font-size="12">{text}</text>'
    )


def _size(size: float) -> str:
    return f"{size / 1024**3:,.2f} GiB"
