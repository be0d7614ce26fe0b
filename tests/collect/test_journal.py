"""A tick is in its files once, whenever the collector is killed and whatever the disk does."""

from __future__ import annotations

import json
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gateway_assets.collect.tick import SOURCES
from gateway_assets.errors import LandingError
from gateway_assets.files.landing import landing_files, read_landing
from gateway_assets.sources import slow_queries
from tests.collect.killed import LATENCIES, TICKS, landed, opened, ticked


def test_a_tick_is_remembered_and_landed(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    assert (journal.memories, journal.last_time) == ({}, None)
    for number in range(5):
        journal.keep(ticked(number))
    again = opened(tmp_path)
    assert again.memories == {"one": {"number": 4}}
    assert again.last_time == ticked(4).time
    assert landed(tmp_path) == landed(tmp_path, LATENCIES) == [ticked(n).time for n in range(5)]


def test_a_clock_that_was_set_back_makes_no_two_files_of_one_name(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.keep(ticked(0))
    journal.keep(ticked(0))
    opened(tmp_path).keep(ticked(0))
    assert landed(tmp_path) == [ticked(0).time] * 3


def test_the_same_names_and_bytes_come_back(tmp_path: Path) -> None:
    """So the loader knows a file that it has loaded and that was removed."""
    opened(tmp_path).keep(ticked(0))
    (path,) = landing_files(tmp_path / "landing", SOURCES[TICKS])
    content = path.read_bytes()
    path.unlink()
    opened(tmp_path)
    assert path.read_bytes() == content


def test_a_source_that_has_grown_lands_as_it_was(tmp_path: Path) -> None:
    opened(tmp_path).keep(ticked(0))
    path = tmp_path / "collect" / "journal.json"
    journal = json.loads(path.read_text())
    (row,) = journal["rows"][TICKS]["rows"]
    journal["rows"][TICKS] = {"version": 1, "rows": [row[:-1]]}
    journal["stamp"]["sequence"] = 9
    path.write_text(json.dumps(journal))
    opened(tmp_path)
    (younger, _) = landing_files(tmp_path / "landing", SOURCES[TICKS])
    assert '"interval_seconds"' not in younger.read_text()
    assert len(read_landing(younger, SOURCES[TICKS]).rows) == 1


@pytest.mark.parametrize(("mask", "landed_mode"), [(0o000, 0o640), (0o022, 0o640), (0o077, 0o600)])
def test_statements_of_people_are_not_for_everyone(
    tmp_path: Path, mask: int, landed_mode: int
) -> None:
    """The journal is its owner's alone; the loader may be another user of the group."""
    source = SOURCES[slow_queries.SOURCE.name]
    values = {"time": 7, "cluster": "c", "query_id": "q", "milliseconds": 5, "statement": "SELECT"}
    row = tuple(values.get(column.name) for column in source.columns)
    tick = ticked(0)
    (tmp_path / "collect").mkdir()
    (tmp_path / "collect" / "journal.json.partial").touch(0o644)
    before = os.umask(mask)
    try:
        journal = opened(tmp_path)
        journal.keep(tick._replace(rows={**tick.rows, source.name: [row]}))
    finally:
        os.umask(before)
    assert mode(tmp_path / "collect" / "journal.json") == 0o600
    (path,) = landing_files(tmp_path / "landing", source)
    assert mode(path) == landed_mode
    (other,) = landing_files(tmp_path / "landing", SOURCES[TICKS])
    assert mode(other) == 0o666 & ~mask


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_a_killed_process_had_begun_does_not_stay(tmp_path: Path) -> None:
    opened(tmp_path).keep(ticked(0))
    (path,) = landing_files(tmp_path / "landing", SOURCES[TICKS])
    partial = path.with_name(f".{path.name}.0a0b0c0d.partial")
    path.rename(partial)
    opened(tmp_path)
    assert list(path.parent.iterdir()) == [path]


def test_a_tick_that_cannot_be_kept_is_lost_and_nothing_moves_on(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.keep(ticked(0))
    path = tmp_path / "collect"
    path.rename(tmp_path / "aside")
    path.write_text("a file where the directory was")
    with pytest.raises(LandingError):
        journal.keep(ticked(1))
    assert journal.memories == {"one": {"number": 0}}
    path.unlink()
    (tmp_path / "aside").rename(path)
    journal.keep(ticked(2))
    assert landed(tmp_path) == [ticked(0).time, ticked(2).time]


def test_a_disk_that_takes_no_more(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.keep(ticked(0))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(LandingError, match=r"journal\.json"):
            journal.keep(ticked(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert journal.memories == opened(tmp_path).memories == {"one": {"number": 0}}
    journal.keep(ticked(2))
    assert landed(tmp_path) == [ticked(0).time, ticked(2).time]


def test_files_that_cannot_appear_do_so_later(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    landing = tmp_path / "landing"
    landing.write_text("a file where the directory should be")
    journal = opened(tmp_path)
    journal.keep(ticked(0))
    assert "will appear" in capsys.readouterr().err
    with pytest.raises(LandingError):
        journal.keep(ticked(1))
    assert journal.memories == {"one": {"number": 0}}
    landing.unlink()
    journal.keep(ticked(2))
    assert landed(tmp_path) == [ticked(0).time, ticked(2).time]


@pytest.mark.parametrize("content", ["", "{", "[]", "7", '{"version": 1}', '{"version": 2}'])
def test_a_damaged_journal_is_set_aside(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "collect" / "journal.json"
    path.parent.mkdir()
    path.write_text(content)
    journal = opened(tmp_path)
    assert journal.memories == {}
    assert "damaged" in capsys.readouterr().err
    assert (path.parent / "journal.json.damaged").read_text() == content
    journal.keep(ticked(0))
    assert landed(tmp_path) == [ticked(0).time]


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("rows", []),
        ("rows", {"unknown": {"version": 1, "rows": [[1]]}}),
        ("rows", {TICKS: {"version": 1, "rows": []}}),
        ("rows", {TICKS: {"version": 1, "rows": [[7, 8], [7]]}}),
        ("rows", {TICKS: {"version": 1, "rows": [5]}}),
        ("stamp", {"host": "box"}),
        ("stamp", None),
        ("memories", []),
        ("memories", {"one": 7}),
        ("memories", {"one": {"asked_until": "noon"}}),
    ],
    ids=str,
)
def test_a_journal_of_another_shape_is_set_aside(
    tmp_path: Path, where: str, value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    opened(tmp_path).keep(ticked(0))
    for path in landing_files(tmp_path / "landing", SOURCES[TICKS]):
        path.unlink()
    path = tmp_path / "collect" / "journal.json"
    content = json.dumps({**json.loads(path.read_text()), where: value})
    path.write_text(content)
    journal = opened(tmp_path)
    assert (journal.memories, journal.last_time) == ({}, None)
    assert "damaged" in capsys.readouterr().err
    assert (path.parent / "journal.json.damaged").read_text() == content
    journal.keep(ticked(1))
    assert landed(tmp_path) == [ticked(1).time]


def test_killed_anywhere_no_tick_is_lost_or_doubled(tmp_path: Path) -> None:
    """The tick in which the process died is there or is not, and the memory agrees with it."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.collect.killed", str(tmp_path), "41"],
        cwd=Path(__file__).parents[2],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["kills"] > 30
