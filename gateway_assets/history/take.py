"""A snapshot of the registry: what differs from the newest rows of its history lands.

Nothing is kept beside the rows: what the last snapshots saw is asked of the history itself, after
files that wait were loaded. So a snapshot that was killed, or a file that was lost, is made good
by the next one.
"""

from __future__ import annotations

import os
import socket
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gateway_assets import clock
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.files.landing import Origin, Row, Stamp, discard, land
from gateway_assets.files.lock import exclusive
from gateway_assets.history.as_of import NEWEST, REMOVED
from gateway_assets.hot.load import load
from gateway_assets.hot.store import open_store
from gateway_assets.registry.opened import opened_registry
from gateway_assets.registry.snapshot import Entry, entries
from gateway_assets.settings import Settings
from gateway_assets.sources.registry_history import SOURCE
from gateway_assets.tables import REGISTRY_HISTORY

INSTANCE = "registry"
PART_BYTES = 64 * 2**20  # of contents in one landing file
SHOWN = 100  # changes that a result tells one by one
WAIT_SECONDS = 30.0

Key = tuple[str, str]


@dataclass(slots=True)
class Taken:
    """What a snapshot found. ``number`` is 0 when nothing had changed: then nothing landed."""

    time: int
    number: int = 0
    rows: dict[str, int] = field(default_factory=dict)  # of each table, as they are
    changes: dict[str, dict[str, int]] = field(default_factory=dict)  # by table and change
    first: list[tuple[str, str, str]] = field(default_factory=list)  # change, table, name or key
    files: list[str] = field(default_factory=list)
    seconds: float = 0.0


def take(settings: Settings) -> Taken:
    """Look at the registry, land what changed.

    Raises Busy while another one is taken, RegistryError and RegistryUnavailable when it cannot be
    read, LandingError and StoreError when the history cannot be written or read.
    """
    started = time.monotonic()
    with exclusive(lock_of(settings), "a snapshot of the registry", WAIT_SECONDS):
        load_waiting(settings)
        known, last = _newest(settings)
        with opened_registry(settings) as registry:
            taken = Taken(clock.now())
            found = _differences(known, entries(registry), taken)
            _land(settings, taken, last + 1, found)
    taken.seconds = time.monotonic() - started
    return taken


def lock_of(settings: Settings) -> Path:
    return settings.data_dir / "registry" / ".snapshot"


def load_waiting(settings: Settings) -> None:
    """Load what snapshots have landed."""
    with open_store(settings.hot_database) as connection:
        load(connection, REGISTRY_HISTORY, settings)


def _newest(settings: Settings) -> tuple[dict[Key, tuple[str, str | None]], int]:
    """Hash and name of everything that is there, and the number of the last snapshot."""
    with UnifiedQueryBridge(settings) as bridge:
        rows = bridge.rows(
            "SELECT entity, entity_id, name, change, content_hash, snapshot FROM ("
            f"SELECT *, {NEWEST} AS age FROM registry_history) WHERE age = 1"
        )
    last = max((row["snapshot"] for row in rows), default=0)
    there = (row for row in rows if row["change"] != REMOVED)
    known = {(row["entity"], row["entity_id"]): (row["content_hash"], row["name"]) for row in there}
    return known, last


def _differences(
    known: dict[Key, tuple[str, str | None]], now: Iterable[Entry], taken: Taken
) -> Iterator[Row]:
    """Rows behind time and snapshot; what was passed by is taken out of ``known``."""
    rows: Counter[str] = Counter()
    for entry in now:
        rows[entry.entity] += 1
        digest = entry.digest
        before = known.pop((entry.entity, entry.id), None)
        if before is None or before[0] != digest:
            change = "added" if before is None else "changed"
            yield entry.entity, entry.id, entry.name, change, entry.content, digest
    for (entity, key), (_, name) in known.items():
        yield entity, key, name, REMOVED, None, None
    taken.rows = dict(rows)


def _land(settings: Settings, taken: Taken, number: int, found: Iterable[Row]) -> None:
    origin = Origin(socket.gethostname(), INSTANCE, os.urandom(4).hex())
    discard(settings.landing, SOURCE, origin)
    for sequence, part in enumerate(_parts(found)):
        rows = [(taken.time, number, *row) for row in part]
        landed = land(settings.landing, SOURCE, Stamp(origin, taken.time, sequence), rows)
        taken.number = number
        taken.files.append(landed.name)
        for entity, key, name, change, *_ in part:
            counts = taken.changes.setdefault(entity, {})
            counts[change] = counts.get(change, 0) + 1
            if len(taken.first) < SHOWN:
                taken.first.append((change, entity, name or key))


def _parts(found: Iterable[Row]) -> Iterator[list[Row]]:
    """As many as one file takes: readers hold a file in memory."""
    part: list[Row] = []
    size = 0
    for row in found:
        part.append(row)
        size += len(row[4] or "") + 200
        if size >= PART_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part
