"""What a killed archiver left: the manifest knows all of it, so no tree has to be searched.

Only after a database was restored from an older backup may there be Parquet files that its
manifest does not know. They may be the only copies of their rows: they are set aside to
``archive/orphans``, never deleted.
"""

from __future__ import annotations

import json
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from gateway_assets.archive import manifest
from gateway_assets.archive.manifest import live_paths, unfinished
from gateway_assets.archive.source import Source
from gateway_assets.archive.swap import STAGED, land
from gateway_assets.errors import ArchiveError
from gateway_assets.files.appear import PARTIAL, appearing, make_directory
from gateway_assets.hot.store import writing


def sweep(source: Source) -> None:
    """Finish or undo what was begun. Call it holding the archive's lock."""
    for file in unfinished(source.connection):
        if file.state in {"writing", "retired"}:
            _remove(source.root / file.path)
            with writing(source.connection):
                manifest.forget(source.connection, file.number)
        else:
            land(source, file)


def set_aside_unknown(source: Source) -> list[Path]:
    """Move Parquet files of the table that no manifest row names; where to."""
    known = live_paths(source.connection)
    moved = []
    for path in sorted((source.root / source.table.name).glob("year=*/month=*/*/*")):
        place = path.relative_to(source.root)
        if str(place) in known:
            continue
        if path.name.endswith(PARTIAL):
            path.unlink()
        elif path.suffix == ".parquet":
            aside = orphans(source.root) / place
            make_directory(aside.parent)
            moved.append(path.rename(aside))
    return moved


def begin_run(source: Source) -> bool:
    """Count this run in the database and beside the tree; whether the database is older.

    Raises ArchiveError when the tree belongs to another database altogether.
    """
    connection, mark = source.connection, _mark(source)
    with writing(connection):
        identity = manifest.fact(connection, "identity") or secrets.token_hex(16)
        runs = int(manifest.fact(connection, "runs") or 0) + 1
        known = json.loads(mark.read_text("utf-8")) if mark.exists() else None
        if known and known["identity"] != identity:
            raise ArchiveError(
                f"the archive of {source.table.name} belongs to another database than "
                f"{source.table.database}",
                hint="bring that database back from a backup; or, to begin anew, move away "
                f"{mark} and {source.root / source.table.name}",
            )
        manifest.set_fact(connection, "identity", identity)
        manifest.set_fact(connection, "runs", str(runs))
    make_directory(mark.parent)
    mark.unlink(missing_ok=True)
    with appearing(mark) as file:
        file.write(json.dumps({"identity": identity, "runs": runs}).encode())
    return bool(known and known["runs"] >= runs)


def orphans(root: Path) -> Path:
    """Beside the archive's tree, so that no glob over the tree matches it."""
    return root.parent / "orphans"


def _mark(source: Source) -> Path:
    return source.root.parent / "databases" / f"{source.table.name}.json"


def _remove(path: Path) -> None:
    """Remove a file, and its directories as far as they are empty."""
    if path.parent.name.endswith(STAGED):
        shutil.rmtree(path.parent, ignore_errors=True)
        return
    path.unlink(missing_ok=True)
    for partial in path.parent.glob(f".{path.name}.*{PARTIAL}"):
        partial.unlink(missing_ok=True)
    for above in list(path.parents)[:3]:
        with suppress(OSError):
            above.rmdir()
