"""Points, where there are any: the frame logs, and what is loaded from them."""

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from gateway_assets.defs.describe import OWNERS
from gateway_assets.defs.hot import GROUP as HOT
from gateway_assets.defs.landing import GROUP as LANDING
from gateway_assets.errors import Busy
from gateway_assets.frames.quarantine import FOLDER, REASON
from gateway_assets.points.schema import has_points, open_points
from gateway_assets.points.waiting import held, waiting_bytes
from gateway_assets.settings import Settings

FRAMES, POINTS, REJECTS = "frames", "points", "point_rejects"
# What a load run writes beside points: the table, and what it holds.
JOURNALS = (
    ("point_logs", "Log lines of devices."),
    ("point_events", "What happened to devices."),
    (REJECTS, "Lines that could not be stored, with the reason."),
)
LOADED = (POINTS, *(name for name, _ in JOURNALS))
POOL = "database_points"  # that of the archives of these tables


def is_shown(settings: Settings) -> bool:
    """Whether this host has points, or takes them."""
    return settings.serve or has_points(settings)


def frames_asset(settings: Settings) -> dg.AssetsDefinition:
    """An inventory of the frame logs: how many segments, how large, how much waits."""

    @dg.asset(
        name=FRAMES,
        group_name=LANDING,
        kinds={"file"},
        owners=OWNERS,
        description=f"Points, logs and events as they were written, durable. Logs below "
        f"`{settings.frames}`.",
        metadata={"dagster/uri": str(settings.frames)},
    )
    def inventory() -> dg.MaterializeResult:
        found = held(settings)
        waiting = [one for one in found if one.is_due]
        return dg.MaterializeResult(
            metadata={
                "logs": len({one.segment.path.parent for one in found}),
                "segments": len(found),
                "size_bytes": sum(one.size for one in found),
                "waiting_segments": len(waiting),
                "waiting_bytes": sum(one.waiting for one in waiting),
                "quarantined_files": len(_quarantined(settings)),
            }
        )

    return inventory


def _quarantined(settings: Settings) -> list[Path]:
    found = settings.frames.glob(f"*/{FOLDER}/*")
    return [path for path in found if not path.name.endswith(REASON)]


def points_asset(settings: Settings) -> dg.AssetsDefinition:
    """Loads every frame that waits, and removes segments that were loaded long enough ago."""

    @dg.multi_asset(
        name=f"load_{POINTS}",
        specs=list(_specs(settings)),
        pool=POOL,
    )
    def loaded(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        from gateway_assets.points.expire import expire_loaded
        from gateway_assets.points.load import Loader

        begun = time.monotonic()
        try:
            with open_points(settings.points_database) as connection:
                result = Loader(connection, settings).load()
                rows = {name: _last_id(connection, name) for name, _ in JOURNALS}
            seconds = time.monotonic() - begun
            removed = expire_loaded(settings)
        except Busy as error:
            context.log.info(f"left to the other process: {error.message}")
            return
        yield dg.MaterializeResult(
            POINTS,
            metadata={
                **result._asdict(),
                "seconds": round(seconds, 3),
                "points_per_second": round(result.points / seconds),
                "removed_segments": removed,
                "waiting_bytes": waiting_bytes(settings),
            },
        )
        for name, last in rows.items():
            yield dg.MaterializeResult(name, metadata={"rows_ever": last})

    return loaded


def _specs(settings: Settings) -> Iterator[dg.AssetSpec]:
    abouts = {POINTS: "Values of series over time, the last write of each moment."}
    abouts |= dict(JOURNALS)
    for name, about in abouts.items():
        yield dg.AssetSpec(
            name,
            deps=[FRAMES],
            group_name=HOT,
            kinds={"sqlite"},
            owners=OWNERS,
            skippable=True,  # another process may be at it
            description=about,
            metadata={
                "dagster/table_name": name,
                "dagster/uri": str(settings.points_database),
            },
        )


def _last_id(connection: sqlite3.Connection, table: str) -> int:
    """How many ids were given: rows that have been archived count, too."""
    query = "SELECT seq FROM sqlite_sequence WHERE name = ?"
    (last,) = connection.execute(query, (table,)).fetchone() or (0,)
    return int(last)
