"""Where every day belongs, and why: pure decisions on literal states."""

from __future__ import annotations

import sqlite3

from gateway_assets import clock
from gateway_assets.archive.manifest import ArchiveFile
from gateway_assets.archive.plan import (
    Compact,
    Expire,
    Export,
    Keep,
    Prune,
    Rewrite,
    Rules,
    TableState,
    look,
    plan,
    rules_for,
)
from gateway_assets.hot.load import load
from gateway_assets.settings import Settings
from gateway_assets.tables import IP_TRAFFIC
from tests.traffic import TODAY, land_days, seen

NOW = 20_000 * clock.DAY + 5 * clock.SECOND
RULES = Rules(now=NOW, hot_days=7, grace=24 * 3600 * clock.SECOND, enabled=True)


def published(day: int, at: int, state: str = "published") -> ArchiveFile:
    return ArchiveFile(
        number=1, table_name="t", day=day, path="p", state=state, staged="", day_from=0,
        hidden_from=0, hidden_until=1, answers_until=None, time_format="epoch_us",
        let_go="", row_order="[]", rows=1,
        size=1, first_time=0, last_time=0, columns_text="{}", content_hash="", sha256="",
        schema_version=1, published_at=at,
    )  # fmt: skip


def state(
    *days: int,
    files: tuple[ArchiveFile, ...] = (),
    archived: dict[int, int] | None = None,
    dirty: frozenset[int] = frozenset(),
    held: dict[int, int] | None = None,
) -> TableState:
    return TableState(frozenset(days), archived or {}, files, dirty, held or {})


def test_the_border_of_hot_days() -> None:
    steps = plan(state(19_991, 19_992, 19_993, 19_999, 20_000, 20_001), RULES)
    assert [type(step) for step in steps] == [Export, Export, Keep, Keep, Keep, Keep]
    assert steps[2].reason == "younger than hot_days = 7"
    assert steps[4].reason == "the day is not over"


def test_no_hot_days_still_keep_today() -> None:
    rules = Rules(now=NOW, hot_days=0, grace=0, enabled=True)
    assert [type(step) for step in plan(state(19_999, 20_000), rules)] == [Export, Keep]


def test_dirty_held_and_switched_off_days_stay() -> None:
    (dirty,) = plan(state(1, dirty=frozenset({1})), RULES)
    (held,) = plan(state(1, held={1: NOW + 1}), RULES)
    (over,) = plan(state(1, held={1: NOW}), RULES)
    (off,) = plan(state(1), Rules(now=NOW, hot_days=7, grace=0, enabled=False))
    assert [type(step) for step in (dirty, held, over, off)] == [Keep, Keep, Export, Keep]
    assert "gateway rollup" in dirty.reason
    assert "held until" in held.reason
    assert "archive_enabled" in off.reason


def test_late_rows_go_to_another_file() -> None:
    assert plan(state(1, archived={1: 1}), RULES) == [
        Export(1, "rows came after the day was archived")
    ]


def test_one_copy_of_a_day_is_pruned_before_the_next_is_made() -> None:
    rest, hidden = plan(state(1, files=(published(1, NOW),)), RULES)
    assert isinstance(rest, Keep)
    assert "until its hidden rows are pruned" in rest.reason
    assert isinstance(hidden, Keep)
    assert "hidden until" in hidden.reason


def test_hot_copies_go_after_the_grace_period() -> None:
    fresh, due = published(1, NOW - RULES.grace + 1), published(2, NOW - RULES.grace)
    steps = plan(state(files=(fresh, due), archived={3: 1}), RULES)
    assert steps[1:] == [Prune(2, due, "the grace period is over"), Keep(3, "archived")]
    assert isinstance(steps[0], Keep)


def test_files_of_a_day_become_one_and_old_days_go() -> None:
    rules = Rules(now=NOW, hot_days=7, grace=0, enabled=True, keep_days=30)
    expire, compact, keep = plan(state(archived={19_969: 2, 19_970: 2, 19_971: 1}), rules)
    assert isinstance(expire, Expire)
    assert (compact, keep) == (Compact(19_970, "2 files become one"), Keep(19_971, "archived"))


def test_a_file_that_answers_in_part_is_written_again() -> None:
    cut = published(1, 0, "archived")
    (rewrite,) = plan(state(files=(cut,), archived={1: 1}), RULES)
    assert isinstance(rewrite, Rewrite)


def test_what_is_looked_at(store: sqlite3.Connection, settings: Settings) -> None:
    days = range(TODAY - 9, TODAY + 1)
    land_days(settings.landing, days, files=1, rows=3)
    load(store, IP_TRAFFIC, settings)
    table = seen(store, IP_TRAFFIC)
    found = look(store, table)
    assert found.visible_days == found.dirty_days == frozenset(days)
    steps = plan(found, rules_for(table, settings))
    assert all(isinstance(step, Keep) for step in steps)
