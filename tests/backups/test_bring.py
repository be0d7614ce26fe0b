"""A restored data directory answers as the one that was backed up."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.backups.bring import bring
from gateway_assets.backups.parquet import MODES
from gateway_assets.backups.take import take
from gateway_assets.bridge.reconcile import difference
from gateway_assets.errors import BackupError
from gateway_assets.settings import Settings, load_settings
from gateway_assets.tables import IP_TRAFFIC
from tests.backups.filled import ask, everything
from tests.backups.test_prove import flip


@pytest.mark.parametrize("mode", MODES)
def test_the_bridge_answers_the_same_rows(mode: str, filled: Settings, tmp_path: Path) -> None:
    before = ask(filled, "SELECT * FROM ip_traffic ORDER BY id")
    done = take(filled, archive=mode)
    brought = bring(done, tmp_path / "restored", filled)
    assert (brought.missing, brought.aside) == ([], None)
    restored = load_settings(data_dir=brought.path)
    assert ask(restored, "SELECT * FROM ip_traffic ORDER BY id") == before
    assert everything(restored) == everything(filled)
    assert difference(IP_TRAFFIC, restored) == ""
    UniversalArchiver(restored).archive_table(IP_TRAFFIC)
    assert difference(IP_TRAFFIC, restored) == ""
    assert not list(restored.archive.parent.glob("orphans/**/*.parquet"))
    assert ask(filled) == ask(restored)


def test_another_machine_needs_the_archive(filled: Settings, tmp_path: Path) -> None:
    """The archive lies elsewhere; without it the rest is restored and the files are named."""
    done = take(filled)
    before = ask(filled)
    moved = filled.data_dir.rename(tmp_path / "moved")
    done.path = moved / "backup" / done.name
    brought = bring(done, tmp_path / "without", filled)
    assert (brought.archive_files, len(brought.missing)) == (0, done.archive_files)
    assert all(text.endswith("is missing") for text in brought.missing)
    brought = bring(done, tmp_path / "with", filled, archive_from=moved)
    assert brought.missing == []
    assert ask(load_settings(data_dir=brought.path)) == before


def test_places_that_are_refused(filled: Settings, tmp_path: Path) -> None:
    done = take(filled)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    (tmp_path / "file").write_text("")
    for place, why, force in [
        (tmp_path / "full", "is not empty", False),
        (tmp_path / "file", "is a file", True),
        (filled.data_dir, "never restored over live data", True),
        (tmp_path, "holds the data directory in use", True),
    ]:
        with pytest.raises(BackupError, match=why) as refused:
            bring(done, place, filled, force=force)
        assert refused.value.hint
    brought = bring(done, tmp_path / "full", filled, force=True)
    assert brought.aside
    assert (brought.aside / "mine").read_text() == "mine"
    assert (tmp_path / "full" / "hot.db").exists()
    (tmp_path / "empty").mkdir()
    assert bring(done, tmp_path / "empty", filled).aside is None


def test_a_damaged_part_is_not_restored(filled: Settings, tmp_path: Path) -> None:
    done = take(filled)
    flip(done.path / "data" / "points.db")
    with pytest.raises(BackupError, match=r"points\.db has other bytes"):
        bring(done, tmp_path / "restored", filled)
    assert not list(tmp_path.glob("*restored*"))
