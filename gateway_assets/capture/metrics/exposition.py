"""Prometheus' text format, version 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PIECE = 500  # series


class Metric(NamedTuple):
    """A metric family; each series has its labels as they are written, with their braces."""

    name: str
    kind: str  # counter or gauge
    about: str
    series: Iterable[tuple[str, float]]


def exposition(metrics: Iterable[Metric]) -> bytes:
    """Made in pieces, so that other threads run meanwhile and only one copy is large."""
    parts: list[bytes] = []
    for name, kind, about, series in metrics:
        parts.append(f"# HELP {name} {about}\n# TYPE {name} {kind}\n".encode())
        rest = iter(series)
        while piece := "".join(
            [f"{name}{labels} {value}\n" for labels, value in islice(rest, _PIECE)]
        ):
            parts.append(piece.encode())
    return b"".join(parts)


def escaped(value: str) -> str:
    """A label's value as it stands between quotation marks."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
