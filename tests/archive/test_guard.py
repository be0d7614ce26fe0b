"""What triggers and comparisons are there for, each alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway_assets import clock
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.errors import ArchiveError
from gateway_assets.settings import Settings
from tests.tiers.places import OLD, TODAY, answered, archive, at, declare, make, patient, run

COUNTED = "id INTEGER PRIMARY KEY AUTOINCREMENT, ts INTEGER, v TEXT"


@pytest.fixture
def hidden() -> Settings:
    """One row of a day that is published and hidden, one of today."""
    make(f"CREATE TABLE t ({COUNTED})", "t", [(1, at(OLD), "old"), (2, at(TODAY), "new")])
    settings = declare()
    archive(patient(settings))
    return settings


def test_a_row_that_moves_into_a_hidden_day_shows(hidden: Settings) -> None:
    run("UPDATE t SET ts = ? WHERE id = 2", at(OLD, 5))
    assert answered(hidden, columns="id") == [(1,), (2,)]


def test_a_row_that_moves_out_of_a_hidden_day_is_answered_once(hidden: Settings) -> None:
    run("UPDATE t SET ts = ? WHERE id = 1", at(TODAY, 5))
    assert answered(hidden, columns="id") == [(1,), (2,)]


def test_rows_that_a_trigger_changes_do_not_come_back_unnoticed() -> None:
    make(f"CREATE TABLE t ({COUNTED})", "t", [(1, at(OLD), "old"), (2, at(TODAY), "new")])
    run("CREATE TRIGGER x AFTER INSERT ON t BEGIN UPDATE t SET v = 'x' WHERE id = NEW.id; END")
    settings = declare(triggers="fire")
    archive(settings)
    with pytest.raises(ArchiveError, match="differ after they were put back"):
        UniversalArchiver(settings).restore("t", [OLD])
    assert answered(settings, columns="id, v") == [(1, "old"), (2, "new")]


def test_no_copy_is_made_of_a_month_that_is_not_over() -> None:
    """Its other days would be missing from the copy until it was dropped and made again."""
    first = clock.parse_day(clock.day_text(OLD)[:8] + "01")
    rows = [(1, at(first), "a"), (2, at(first + 1), "b"), (3, at(TODAY), "c")]
    make(f"CREATE TABLE t ({COUNTED})", "t", rows)
    result = archive(declare(hot_days=TODAY - first - 3))
    assert (len(result.days), result.months) == (2, [])
    Path("gateway.toml").unlink()
    assert archive(declare(hot_days=7)).months == [clock.day_text(first)[:7]]
