"""What is called good was restored; what is wrong with the others is named."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway_assets.backups.place import sha256_of
from gateway_assets.backups.prove import prove
from gateway_assets.backups.record import Backup, newest_proven, read_record
from gateway_assets.backups.take import take
from gateway_assets.errors import BackupError
from gateway_assets.settings import Settings
from tests.backups.filled import declare_user_table, left

PARTS = ["data/hot.db", "data/points.db", "archive.jsonl", "frames", "landing", "elsewhere"]


def flip(path: Path) -> None:
    """One bit in the middle of a file, which keeps its size and time."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()  # a linked file is the live one, too
    path.write_bytes(content)


def claim(backup: Backup, **told: object) -> None:
    """Let the record say something else."""
    path = backup.path / "backup.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **told}))


@pytest.fixture
def made(filled: Settings, tmp_path: Path) -> Backup:
    declare_user_table(filled, tmp_path / "bot.db", 25)
    return take(filled)


def test_a_good_one_is_noted_beside_its_record(made: Backup, filled: Settings) -> None:
    record = (made.path / "backup.json").read_bytes()
    live = {path: path.read_bytes() for path in filled.archive.rglob("*.parquet")}
    assert newest_proven(filled.backups) is None
    proof = prove(made, filled)
    assert (proof.parts, proof.databases, proof.archive_files, proof.registry) == (
        len(made.parts),
        3,
        len(live),
        "none",
    )
    assert made.proven == proof.time
    assert newest_proven(filled.backups) == made.path
    assert (made.path / "backup.json").read_bytes() == record
    assert left(filled.backups) == {made.name, *(p.name for p in filled.backups.glob("*.db"))}
    assert {path: path.read_bytes() for path in filled.archive.rglob("*.parquet")} == live


@pytest.mark.parametrize("which", PARTS)
def test_a_flipped_bit(which: str, made: Backup, filled: Settings) -> None:
    prove(made, filled)
    (part,) = (
        part
        for part in made.parts
        if which in {part.path, part.kind} or part.path.startswith(f"{which}/")
    )
    flip(made.path / part.path)
    wanted = f"{re.escape(part.path)} has other bytes: its SHA-256 differs"
    with pytest.raises(BackupError, match=wanted):
        prove(made, filled)
    assert made.proven is None, "what was good is not any more"


def test_a_part_that_is_missing_or_shorter(made: Backup, filled: Settings) -> None:
    hot, points = made.path / "data" / "hot.db", made.path / "data" / "points.db"
    hot.unlink()
    points.write_bytes(points.read_bytes()[:-1])
    with pytest.raises(BackupError) as refused:
        prove(made, filled)
    assert f"{hot} is missing" in refused.value.message
    assert re.search(r"points\.db has \d+ bytes, not \d+", refused.value.message)


def test_archived_files_that_are_missing_or_damaged(made: Backup, filled: Settings) -> None:
    first, second = sorted(filled.archive.rglob("*.parquet"))[:2]
    first.unlink()
    flip(second)
    with pytest.raises(BackupError) as refused:
        prove(made, filled)
    assert f"{first} is missing" in refused.value.message
    assert f"{second} has other bytes" in refused.value.message


def test_rows_that_are_not_those_of_the_record(made: Backup, filled: Settings) -> None:
    path = made.path / "data" / "points.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("DELETE FROM points WHERE value = 3")
    parts = json.loads((made.path / "backup.json").read_text())["parts"]
    for part in parts:
        if part["path"] == "data/points.db":
            part |= {"size": path.stat().st_size, "sha256": sha256_of(path)}
    claim(made, parts=parts)
    with pytest.raises(BackupError, match=r"data/points\.db: points has 9 rows, not 10"):
        prove(read_record(made.path), filled)


def test_a_manifest_with_a_file_that_is_not_listed(made: Backup, filled: Settings) -> None:
    path = made.path / "archive.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))
    parts = json.loads((made.path / "backup.json").read_text())["parts"]
    for part in parts:
        if part["path"] == "archive.jsonl":
            part |= {"size": path.stat().st_size, "sha256": sha256_of(path)}
    claim(made, parts=parts)
    with pytest.raises(BackupError, match=r"data/hot\.db names an archived file that is not liste"):
        prove(read_record(made.path), filled)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"format": 2}, "of another format than 1"),
        ({"parts": [{"path": "x"}]}, "is damaged"),
        ({"parts": None}, "is damaged"),
        ({"more": 1}, "is damaged"),
    ],
    ids=["format", "part", "parts", "more"],
)
def test_records_that_cannot_be_read(made: Backup, told: dict[str, object], why: str) -> None:
    claim(made, **told)
    with pytest.raises(BackupError, match=why):
        read_record(made.path)


def test_a_record_leads_nowhere_else(made: Backup) -> None:
    parts = json.loads((made.path / "backup.json").read_text())["parts"]
    claim(made, parts=[{**parts[0], "path": "../../hot.db"}])
    with pytest.raises(BackupError, match="leads out of the backup"):
        read_record(made.path)
    (made.path / "backup.json").write_text("{")
    with pytest.raises(BackupError, match="is damaged"):
        read_record(made.path)
    with pytest.raises(BackupError, match="is no backup"):
        read_record(made.path.parent)
