"""The engine of a data directory: one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gateway_assets.alarms.engine import Engine, Evaluated
from gateway_assets.files.lock import exclusive
from gateway_assets.hot.store import translated
from gateway_assets.points.schema import open_points
from gateway_assets.registry.opened import opened_registry
from gateway_assets.settings import Settings


@contextmanager
def held_engine(settings: Settings) -> Iterator[Engine]:
    """The engine of this data directory. Raises Busy when another process has it."""
    with (
        exclusive(settings.data_dir / "alarms.lock", "gateway alerts"),
        opened_registry(settings) as registry,
        open_points(settings.points_database) as points,
    ):
        yield Engine(settings, registry, points)


def evaluate(settings: Settings) -> Evaluated:
    """Everything that is there now. Raises Busy when another process does it."""
    with held_engine(settings) as engine, translated(settings.points_database):
        return engine.run()
