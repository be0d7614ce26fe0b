"""Restores a backup beside itself and compares everything; only then it is called good.

When that was, stands in ``proven.json`` beside ``backup.json``, which never changes.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import make_url
from sqlalchemy import select as select_rows
from sqlalchemy.exc import SQLAlchemyError

from gateway_assets import clock
from gateway_assets.archive.backup import damage
from gateway_assets.archive.manifest import select
from gateway_assets.backups import postgres, record
from gateway_assets.backups.bring import (
    archive_root,
    lay_out,
    place_of,
    wrong_with,
    wrong_with_file,
)
from gateway_assets.backups.failures import failing
from gateway_assets.backups.place import PRIVATE_FOLDER, written
from gateway_assets.backups.record import Backup, Part
from gateway_assets.backups.sqlite import opened_copy, rows_by_table
from gateway_assets.backups.take import CHECK, alone
from gateway_assets.errors import BackupError, GatewayError
from gateway_assets.files.appear import sync_directory
from gateway_assets.hot.store import open_store
from gateway_assets.points.schema import open_points
from gateway_assets.progress import Progress, silent
from gateway_assets.registry.alerts import Alert, Notice, Transition
from gateway_assets.registry.database import Registry
from gateway_assets.registry.model import Model
from gateway_assets.registry.snapshot import ENTITIES
from gateway_assets.registry.upgrade import upgrade
from gateway_assets.registry.users import AuditLog, UserSession
from gateway_assets.settings import Settings
from gateway_assets.tiers.catalog import catalog, open_database, tiered

_REGISTRY: tuple[type[Model], ...] = (
    *ENTITIES, Alert, Transition, Notice, UserSession, AuditLog,
)  # fmt: skip
RESTORED, LISTED, NONE = "restored", "listed only", "none"


class Proof(NamedTuple):
    """What was looked at. ``time`` is microseconds since the epoch, ``registry`` one of the words
    above: without the right to create a database, or without a server, a dump is only listed.
    """

    time: int
    parts: int
    databases: int
    archive_files: int
    registry: str


def prove(
    backup: Backup,
    settings: Settings,
    *,
    archive_from: Path | None = None,
    progress: Progress = silent,
) -> Proof:
    """Restore a backup into a scratch directory beside it and compare; note that it is good.

    Raises BackupError naming the first thing that is wrong and how many there are, Busy while
    another backup or check is running. What was proven before and is wrong now is not any more.
    """
    folder = backup.path.parent
    with alone(settings, folder), failing(f"{backup.name} cannot be checked", folder):
        scratch = folder / f".{backup.name}{CHECK}"
        try:
            scratch.mkdir(PRIVATE_FOLDER)
            problems, registry = _problems(backup, settings, scratch, archive_from, progress)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        if problems:
            (backup.path / record.PROOF).unlink(missing_ok=True)
            raise BackupError(
                f"{backup.name}: {problems[0]}{_more(problems)}",
                hint="make a new backup: gateway backup; others: gateway backup --list",
            )
        databases = len(backup.of_kind(record.SQLITE))
        proof = Proof(clock.now(), len(backup.parts), databases, backup.archive_files, registry)
        _write(proof, backup.path / record.PROOF)
        return proof


def _more(problems: list[str]) -> str:
    return "".join(f"\n  {problem}" for problem in problems[1:20]) + (
        f"\n  and {len(problems) - 20:,} more" if len(problems) > 20 else ""
    )


def _write(proof: Proof, target: Path) -> None:
    beside = target.with_name(f".{target.name}")
    content = {**proof._asdict(), "time": clock.iso(proof.time), "time_us": proof.time}
    written(beside, json.dumps(content).encode())
    beside.replace(target)
    sync_directory(target.parent)


def _problems(
    backup: Backup,
    settings: Settings,
    scratch: Path,
    archive_from: Path | None,
    progress: Progress,
) -> tuple[list[str], str]:
    """All that is wrong, and what became of the registry."""
    problems = [wrong for part in backup.parts if (wrong := wrong_with(backup, part))]
    if problems:
        return problems, NONE  # what cannot be read cannot be restored
    lay_out(backup, scratch, progress)
    for part in backup.of_kind(record.SQLITE):
        problems += _database(part, scratch / place_of(part))
    problems += _archive(backup, scratch, archive_from)
    problems += _opened(backup, settings, scratch)
    if problems:
        return problems, NONE
    return _registry(backup, settings)


def _database(part: Part, path: Path) -> Iterator[str]:
    try:
        with opened_copy(path) as copy:
            found, rows = damage(copy), rows_by_table(copy)
    except (GatewayError, sqlite3.Error) as error:
        yield f"{part.path}: {error}"
        return
    if found:
        yield f"{part.path} fails SQLite's check: {found}"
    yield from _differing(part, rows)


def _differing(part: Part, rows: dict[str, int]) -> Iterator[str]:
    for table in sorted(part.rows.keys() | rows.keys()):
        wanted, there = part.rows.get(table, 0), rows.get(table, 0)
        if wanted != there:
            yield f"{part.path}: {table} has {there:,} rows, not {wanted:,}"


def _archive(backup: Backup, scratch: Path, archive_from: Path | None) -> Iterator[str]:
    """Every file is there as it was archived, and no manifest names another."""
    root = archive_root(backup, archive_from)
    known = set()
    for entry in backup.entries():
        known.add(entry.sha256)
        wrong = wrong_with_file(root / entry.path, entry)
        if wrong:
            yield wrong
    for part in backup.of_kind(record.SQLITE):
        with opened_copy(scratch / place_of(part)) as copy:
            for file in select(copy, "state IN ('published', 'archived')", []):
                if file.sha256 not in known:
                    yield f"{part.path} names an archived file that is not listed: {file.path}"


def _opened(backup: Backup, settings: Settings, scratch: Path) -> Iterator[str]:
    """What this release cannot open: own databases, and tables declared in the data directory."""
    there = settings.model_copy(update={"data_dir": scratch, "registry_url": ""})
    if any(_is_registry(part) for part in backup.of_kind(record.SQLITE)):
        try:
            _use_registry(there)
        except (GatewayError, SQLAlchemyError) as error:
            yield f"the registry: {error}"
    for path, opening in ((there.hot_database, open_store), (there.points_database, open_points)):
        if path.exists():
            try:
                with opening(path):
                    pass
            except (GatewayError, sqlite3.Error) as error:
                yield str(error)
    for declared in catalog(there):
        if declared.database.is_relative_to(scratch.resolve()) and declared.database.is_file():
            try:
                with open_database(declared) as connection:
                    tiered(connection, declared, there)
            except (GatewayError, sqlite3.Error) as error:
                yield f"table {declared.name}: {error}"


def _registry(backup: Backup, settings: Settings) -> tuple[list[str], str]:
    parts = backup.of_kind(record.POSTGRES)
    if not parts:
        return [], NONE
    (part,) = parts
    dumped = backup.path / part.path

    def look(database: str) -> None:
        if _is_registry(part):
            url = make_url(settings.registry_url).set(database=database)
            text = url.render_as_string(hide_password=False)
            _use_registry(settings.model_copy(update={"registry_url": text}))

    try:
        rows = postgres.try_out(settings.registry_url, dumped, part.version, look)
    except (GatewayError, SQLAlchemyError) as error:
        # Its bytes are what they were: a server that is away takes no earlier proof back.
        raise BackupError(
            f"{backup.name} could not be tried out: {part.path}: {error}",
            hint="check the server of registry_url, then again: gateway restore --check",
        ) from error
    return ([], LISTED) if rows is None else (list(_differing(part, rows)), RESTORED)


def _is_registry(part: Part) -> bool:
    """Whether it was made by this project; a copy of logs in gateway.db has no migrations."""
    return any(table.rpartition(".")[2] == "alembic_version" for table in part.rows)


def _use_registry(settings: Settings) -> None:
    """Bring a restored registry up to date and read a row of its tables. Raises RegistryError for
    one of a later release, and what reading it raises.
    """
    registry = Registry(settings)
    try:
        upgrade(registry)
        with registry.reading() as session:
            for model in _REGISTRY:
                session.scalars(select_rows(model).limit(1)).all()
    finally:
        registry.close()
