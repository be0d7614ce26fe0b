"""Raw rows on disk, waiting: one asset per source, fed by a daemon outside Dagster."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg

from gateway_assets.defs.describe import OWNERS, column_schema
from gateway_assets.files.landing import landing_files
from gateway_assets.hot.load import pending
from gateway_assets.hot.quarantine import quarantined
from gateway_assets.hot.store import open_store
from gateway_assets.settings import Settings
from gateway_assets.source import Source

GROUP = "landing"


def raw_name(source: Source) -> str:
    return f"raw_{source.name}"


def landing_asset(
    source: Source, settings: Settings, after: Sequence[str] = ()
) -> dg.AssetsDefinition:
    """An inventory of a source's landing files: how many, how large, how many wait.

    ``after`` names assets that land some of them.
    """
    folder = settings.landing / source.name

    @dg.asset(
        name=raw_name(source),
        deps=list(after),
        group_name=GROUP,
        kinds={"file", "json"},
        owners=OWNERS,
        description=f"{source.about} Whole files of raw rows below `{folder}`.",
        metadata={
            "dagster/column_schema": column_schema(source.columns),
            "dagster/uri": str(folder),
        },
    )
    def inventory() -> dg.MaterializeResult:
        files = list(landing_files(settings.landing, source))
        with open_store(settings.hot_database) as connection:
            waiting = pending(connection, source, settings.landing)
        return dg.MaterializeResult(
            metadata={
                "files": len(files),
                "waiting_files": len(waiting),
                "size_bytes": sum(_sizes(files)),
                "newest_file": files[-1].name if files else "none",
                "quarantined_files": len(quarantined(settings.quarantine / source.name)),
            }
        )

    return inventory


def _sizes(files: list[Path]) -> Iterator[int]:
    for path in files:
        try:
            yield path.stat().st_size
        except FileNotFoundError:
            continue
