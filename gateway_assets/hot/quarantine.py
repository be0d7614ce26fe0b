"""Files that break the landing contract: moved aside whole, with the reason in a file beside."""

from __future__ import annotations

import json
from pathlib import Path

from gateway_assets import clock
from gateway_assets.files.appear import appearing, explained, make_directory, sync_directory

REASON = ".reason.json"


def quarantine(path: Path, folder: Path, reason: str) -> Path | None:
    """Move a landing file into ``folder``; None when another process has moved it already.

    Raises LandingError when the folder cannot be written.
    """
    moment = clock.compact(clock.now())
    target = folder / f"{moment}-{path.name[-160:]}"
    with explained(folder):
        make_directory(folder)
        try:
            path.rename(target)
        except FileNotFoundError:
            return None
        sync_directory(folder)
        sync_directory(path.parent)
        facts = {"file": path.name, "from": str(path.parent), "reason": reason, "at": moment}
        with appearing(target.with_name(target.name + REASON)) as file:
            file.write(json.dumps(facts, indent=1).encode() + b"\n")
    return target


def quarantined(folder: Path) -> list[Path]:
    """The files that stand in quarantine, oldest first."""
    return sorted(path for path in folder.glob("*") if not path.name.endswith(REASON))
