"""The SHA-256 of an archived file, or why there is none."""

from __future__ import annotations

import hashlib
from pathlib import Path

from gateway_assets.errors import ArchiveDamaged

RESTORE_HINT = "put it back from a backup; see what else is damaged: gateway archive verify"


def file_sha256(path: Path) -> str:
    """Raises ArchiveDamaged for a file that is missing or cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise ArchiveDamaged(f"archive file {path} is missing", hint=RESTORE_HINT) from None
    except OSError as error:
        raise ArchiveDamaged(
            f"archive file {path} cannot be read: {error.strerror}", hint=RESTORE_HINT
        ) from error
