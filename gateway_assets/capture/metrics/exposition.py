"""Prometheus' text format, version 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metric(NamedTuple):
    """A metric family; each series has its labels as they are written, with their braces."""

    name: str
    kind: str  # counter or gauge
    about: str
    series: Sequence[tuple[str, float]]


def exposition(metrics: Iterable[Metric]) -> bytes:
    parts: list[bytes] = []
    for name, kind, about, series in metrics:
        lines = [f"# HELP {name} {about}\n# TYPE {name} {kind}\n"]
        lines += [f"{name}{labels} {value}\n" for labels, value in series]
        parts.append("".join(lines).encode())
    return b"".join(parts)


def escaped(value: str) -> str:
    """A label's value as it stands between quotation marks."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
