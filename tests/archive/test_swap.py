"""Files that take the place of others: whoever reads meanwhile sees the one or the other."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from gateway_assets import clock
from gateway_assets.archive import swap
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.settings import Settings
from tests.foreign import COUNTED, DONE, TABLE, Event, Foreign
from tests.tiers.places import OLD, TODAY, archive, at, declare, files, make, run

DDL = "CREATE TABLE t (n INTEGER PRIMARY KEY, time INTEGER, who TEXT, size REAL)"
ROWS = [(n, at(OLD, n), ("amy", "bea", "cy")[n % 3], n / 7) for n in range(3000)]


def _erased(settings: Settings, who: str) -> None:
    assert UniversalArchiver(settings).erase("t", {"who": who}).remaining_rows == 0


@pytest.mark.parametrize("column", ["n", "time", "who", "size"])
def test_pages_of_one_file_are_never_read_by_the_footer_of_another(column: str) -> None:
    """DuckDB has read the footer and none of the pages when the other side of the join is read."""
    make(DDL, "t", ROWS)
    settings = declare(time="time")
    archive(settings)
    (path,) = files(settings)

    def others() -> Iterator[pa.RecordBatch]:
        _erased(settings, "bea")
        yield pa.record_batch({"least": pa.array([0])})

    least = pa.RecordBatchReader.from_batches(pa.schema({"least": pa.int64()}), others())
    with duckdb.connect() as session:
        session.execute("SET TimeZone = 'UTC'")
        wanted = session.sql(f"SELECT {column} FROM '{path}' ORDER BY n").fetchall()
        session.register("least", least)
        query = f"SELECT {column} FROM '{path}' AS t SEMI JOIN least ON t.n >= least ORDER BY n"
        try:
            found = session.execute(query).fetchall()
        except duckdb.IOException as error:
            assert f'Cannot open file "{path}"' in str(error)
        else:
            assert found == wanted
    assert len(files(settings)) == 1


@pytest.mark.parametrize("linked", [True, False], ids=["with links", "without links"])
def test_the_other_files_of_a_day_stay_where_they_are(
    linked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day whose files have different columns keeps several."""
    make(DDL, "t", [*ROWS, (9000, at(TODAY), "cy", 0.5)])
    settings = declare(time="time")
    archive(settings)
    (first,) = files(settings)
    run("ALTER TABLE t ADD COLUMN note TEXT")
    run("INSERT INTO t VALUES (5000, ?, 'amy', 0.5, 'late')", at(OLD, 5000))
    archive(settings)
    (second,) = set(files(settings)) - {first}
    content, inode = second.read_bytes(), second.stat().st_ino
    if not linked:

        def refuse(*_: object) -> None:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))

        monkeypatch.setattr("os.link", refuse)
    _erased(settings, "bea")
    after = files(settings)
    assert first not in after
    assert second in after
    assert len(after) == 2
    assert second.read_bytes() == content
    assert not linked or second.stat().st_ino == inode
    assert not list((settings.archive.parent / "staged").rglob("*.*"))
    assert not [wrong for _, wrong in UniversalArchiver(settings).verify("t") if wrong]


class Killed(BaseException):
    pass


def _two_files(folder: Path) -> tuple[Foreign, list[Event], list[Event]]:
    """A day with a file of two early rows, one of them to be erased, and one of a late row."""
    foreign = Foreign(COUNTED, folder)
    foreign.create()
    day = (clock.day_of(clock.now()) - 30) * clock.DAY
    early = [Event(n, day + n * clock.SECOND, "gone" if n == 1 else "ann", DONE, n) for n in (1, 2)]
    late = [Event(3, day + 3 * clock.SECOND, "bob", DONE, 3)]
    for events, grace in ((early, 0), (late, 24)):
        with foreign.opened() as connection:
            foreign.insert(connection, events)
        result = UniversalArchiver(foreign.settings(grace)).archive_table(TABLE)
        assert not result.failed
    return foreign, early, late


def test_a_file_that_goes_after_a_kill_does_not_come_back_with_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The killed run had linked it into the new directory already."""
    foreign, early, late = _two_files(tmp_path / "data")

    def die(*_: Path) -> None:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(swap, "_exchange", die)
        UniversalArchiver(foreign.settings()).erase(TABLE, {"owner": "gone"})
    with foreign.opened() as connection:  # so the late row's file is taken back
        connection.execute(f"UPDATE {TABLE} SET amount = 30 WHERE owner = 'bob'")
    UniversalArchiver(foreign.settings(24)).compact(TABLE)
    assert foreign.in_tree() == Counter(early[1:])
    assert foreign.answered() == Counter([early[1], late[0]._replace(amount=30)])


@pytest.mark.parametrize("renames", [0, 1, 2, 3])
def test_a_kill_where_directories_cannot_be_exchanged_at_once(
    renames: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Directories are renamed one by one there; the run ends after some of three."""
    foreign, early, late = _two_files(tmp_path / "data")
    monkeypatch.setattr(swap, "_exchanged_at_once", lambda *_: False)
    rename, left = Path.rename, renames

    def rename_or_die(path: Path, target: Path) -> Path:
        nonlocal left
        if not left:
            raise Killed
        left -= 1
        return rename(path, target)

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(Path, "rename", rename_or_die)
        patched.setattr("shutil.rmtree", die)
        UniversalArchiver(foreign.settings()).erase(TABLE, {"owner": "gone"})
    assert left == 0
    UniversalArchiver(foreign.settings(24)).compact(TABLE)
    assert foreign.in_tree() == foreign.answered() == Counter([early[1], *late])
    assert not list((foreign.settings().archive.parent / "staged").iterdir())
