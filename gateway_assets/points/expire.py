"""Frames that were loaded leave the log after a while."""

from __future__ import annotations

from gateway_assets.frames.retention import expire
from gateway_assets.points.schema import open_points
from gateway_assets.settings import Settings


def expire_loaded(settings: Settings) -> int:
    """Remove segments that are loaded whole and older than ``frames_keep_hours``; how many.

    Raises FramesUnavailable.
    """
    with open_points(settings.points_database) as connection:
        loaded = {name for (name,) in connection.execute("SELECT name FROM segments WHERE done")}
    return sum(
        len(
            expire(
                directory,
                keep_hours=settings.frames_keep_hours,
                loaded=lambda segment: segment.name in loaded,
            ).removed
        )
        for directory in settings.frames.glob("*")
        if directory.is_dir()
    )
