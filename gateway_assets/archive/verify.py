"""Whether a file still holds what the manifest says: its values, then its bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gateway_assets.archive.checksum import file_sha256
from gateway_assets.archive.facts import hashed
from gateway_assets.archive.manifest import ArchiveFile
from gateway_assets.archive.parquet import read_batches
from gateway_assets.errors import ArchiveDamaged
from gateway_assets.tiers.fields import Field


def damage(file: ArchiveFile, fields: Sequence[Field], root: Path) -> str:
    """What is wrong with an archived file; empty when nothing is."""
    path = file.below(root)
    try:
        rows, content_hash = hashed(read_batches(path, fields), fields)
        sha256 = file_sha256(path)
    except ArchiveDamaged as error:
        return error.message
    if rows != file.rows:
        return f"{path} holds {rows} rows, the manifest says {file.rows}"
    if content_hash != file.content_hash:
        return f"{path} holds other values than were archived"
    if sha256 != file.sha256:
        return f"{path} holds the right values in other bytes than were written"
    return ""


def check_whole(files: Sequence[ArchiveFile], fields: Sequence[Field], root: Path) -> None:
    """Raise ArchiveDamaged before rows of a damaged file get a new file and a new checksum."""
    for file in files:
        found = damage(file, fields, root)
        if found:
            raise ArchiveDamaged(found, hint="put the file back from a backup, then run again")
