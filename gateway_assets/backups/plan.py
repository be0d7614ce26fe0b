"""Which databases and files belong to a data directory, and where they go in a backup."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from gateway_assets.backups.record import CONFIG, STATE
from gateway_assets.settings import DOTENV, Settings, config_file
from gateway_assets.tiers.catalog import catalog

DATA, ELSEWHERE = "data", "elsewhere"
JOURNAL = "collect/journal.json"
PULLS = "pulls/*.json"
_STATE = ("archive/databases/*.json", "archive/receipts/*.json")


class Wanted(NamedTuple):
    """A file to be taken, and its path within the backup."""

    path: Path
    place: str


def databases(settings: Settings) -> tuple[list[Wanted], list[str]]:
    """Every SQLite database, and which of those that are declared are not there.

    Those of this project first: tables of other applications, then Dagster's. The registry comes
    behind points.db: alarms that were evaluated in between are evaluated again, which changes
    nothing, where the other way round nobody would. Raises ConfigError.
    """
    own = sorted(
        settings.data_dir.glob("*.db"), key=lambda path: (path == settings.registry_database, path)
    )
    declared = dict.fromkeys(one.database for one in catalog(settings))
    found = dict.fromkeys(
        path.resolve()
        for path in (
            *own,
            *(path for path in declared if path.is_file()),
            *dagster_databases(settings),
        )
    )
    foreign = set(declared) - {settings.hot_database, settings.points_database}
    missing = [f"{path}: there is no such database" for path in foreign if not path.is_file()]
    return [Wanted(path, _place(path, settings)) for path in found], sorted(missing)


def size_of(wanted: Wanted) -> int:
    """Bytes of a database and its log, without opening them."""
    parts = (wanted.path, wanted.path.with_name(f"{wanted.path.name}-wal"))
    size = 0
    for path in parts:
        with suppress(FileNotFoundError):  # the last to close a database removes its log
            size += path.stat().st_size
    return size


def dagster_databases(settings: Settings) -> list[Path]:
    """Runs, events and schedules of Dagster: https://docs.dagster.io/deployment/oss/dagster-yaml."""
    return sorted(settings.dagster_home.rglob("*.db"))


def state_files(settings: Settings) -> list[Wanted]:
    """Small files that say what was done: whose archive this is, what was erased."""
    return [
        Wanted(path, _place(path, settings))
        for pattern in _STATE
        for path in sorted(settings.data_dir.glob(pattern))
    ]


def config_files(settings: Settings, *, secrets: bool) -> list[Wanted]:
    """What people wrote; with ``secrets`` also what only they may know."""
    found = [Wanted(path, _place(path, settings)) for path in settings.data_dir.glob("*.toml")]
    others = [config_file()]
    if secrets:
        others += [Path(DOTENV), *filter(None, [settings.serve_tokens_file])]
    found += [Wanted(path, f"config/{path.name}") for path in others if path.is_file()]
    return sorted(found)


def kind_of(place: str) -> str:
    """State or configuration, by its path within a backup."""
    return CONFIG if place.startswith("config/") or place.endswith(".toml") else STATE


def _place(path: Path, settings: Settings) -> str:
    for root in (settings.data_dir, settings.data_dir.resolve()):
        if path.is_relative_to(root):
            return f"{DATA}/{path.relative_to(root)}"
    return f"{ELSEWHERE}/{hashlib.sha256(str(path).encode()).hexdigest()[:8]}-{path.name}"
