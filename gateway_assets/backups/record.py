"""What a backup is on disk: a directory that appeared by rename, with ``backup.json`` in it.

<UTC time>/backup.json      when, of which host, by which release; each part with its hash
<UTC time>/proven.json      when it was last restored and compared; only if all was well
<UTC time>/archive.jsonl    each Parquet file that the copied manifests name: size, SHA-256
<UTC time>/data/…           databases, frames, landing files as they lay in the data directory
<UTC time>/elsewhere/…      databases of other applications
<UTC time>/config/…         gateway.toml
<UTC time>/registry.dump    the registry, if it is in PostgreSQL (custom format of pg_dump)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from gateway_assets import clock
from gateway_assets.backups.place import written
from gateway_assets.errors import BackupError

FORMAT = 1
RECORD, PROOF, FILES = "backup.json", "proven.json", "archive.jsonl"
SQLITE, POSTGRES, FRAMES, LANDING = "sqlite", "postgresql", "frames", "landing"
STATE, CONFIG, LIST = "state", "config", "archive list"
_NAME = re.compile(r"\d{8}T\d{12}Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a backup. ``rows`` by table; ``version`` is that of the PostgreSQL server."""

    path: str  # within the backup
    kind: str
    origin: str  # where it was
    size: int  # bytes
    sha256: str
    rows: dict[str, int] = field(default_factory=dict)
    version: int = 0


class ArchiveEntry(NamedTuple):
    """A Parquet file that a copied manifest names; ``path`` is relative to the data directory."""

    path: str
    size: int
    sha256: str
    rows: int


@dataclass(slots=True)
class Backup:
    """What ``backup.json`` says. ``created`` is microseconds since the epoch."""

    path: Path
    created: int
    host: str
    versions: dict[str, str]
    data_dir: str
    archive: str  # list, link or copy
    archive_files: int = 0
    archive_bytes: int = 0  # that they have, wherever they are
    seconds: float = 0.0
    left_out: list[str] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def size(self) -> int:
        """Bytes of all parts, and of the Parquet files that are in it."""
        held = 0 if self.archive == "list" else self.archive_bytes
        return sum(part.size for part in self.parts) + held

    def of_kind(self, kind: str) -> list[Part]:
        return [part for part in self.parts if part.kind == kind]

    @property
    def proven(self) -> int | None:
        """When it was last proven good, in microseconds since the epoch."""
        return proven_at(self.path)

    def entries(self) -> Iterator[ArchiveEntry]:
        """The Parquet files that belong to it. Raises BackupError."""
        with (self.path / FILES).open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    yield ArchiveEntry(**json.loads(line))
                except (ValueError, TypeError) as error:
                    raise _damaged(self.path / FILES, f"line {number}: {error}") from None


def proven_at(folder: Path) -> int | None:
    """When a backup was last proven good, in microseconds since the epoch."""
    try:
        return int(json.loads((folder / PROOF).read_text("utf-8"))["time_us"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def line_of(entry: ArchiveEntry) -> bytes:
    return json.dumps(entry._asdict()).encode() + b"\n"


def write_record(backup: Backup, folder: Path) -> None:
    content = {"format": FORMAT, "created_us": backup.created, **asdict(backup)}
    content["created"] = clock.iso(backup.created)
    del content["path"]
    written(folder / RECORD, json.dumps(content, indent=1).encode())


def read_record(folder: Path) -> Backup:
    """Raises BackupError for a directory that is no backup, or one of another format."""
    path = folder / RECORD
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise BackupError(f"{folder} is no backup", hint="see: gateway backup --list") from None
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from None
    if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
        raise BackupError(
            f"{path} is of another format than {FORMAT}", hint="use the release that made it"
        )
    try:
        content["created"] = content.pop("created_us")
        content["parts"] = [_part(one) for one in content["parts"]]
        return Backup(path=folder, **content)
    except (KeyError, TypeError) as error:
        raise _damaged(path, str(error)) from None


def _part(content: dict[str, Any]) -> Part:
    part = Part(**content)
    if Path(part.path).is_absolute() or ".." in Path(part.path).parts:
        raise TypeError(f"{part.path} leads out of the backup")
    return part


def _damaged(path: Path, why: str) -> BackupError:
    return BackupError(f"{path} is damaged: {why}", hint="use another: gateway backup --list")


def backups_in(folder: Path) -> list[Path]:
    """The complete backups of a directory, oldest first."""
    found = folder.glob(f"*/{RECORD}")
    return sorted(path.parent for path in found if _NAME.fullmatch(path.parent.name))


def newest_proven(folder: Path) -> Path | None:
    """The newest backup that was proven good."""
    return next((path for path in reversed(backups_in(folder)) if (path / PROOF).exists()), None)
