"""Where every day belongs, and why: pure decisions on literal states."""

from __future__ import annotations

import sqlite3

from gateway_assets import clock
from gateway_assets.archive.manifest import ArchiveFile
from gateway_assets.archive.plan import (
    Export,
    Keep,
    Prune,
    Rules,
    TableState,
    look,
    plan,
    rules_for,
)
from gateway_assets.hot.load import load
from gateway_assets.settings import Settings
from gateway_assets.tables import IP_TRAFFIC
from tests.traffic import TODAY, land_days

NOW = 20_000 * clock.DAY + 5 * clock.SECOND
RULES = Rules(now=NOW, hot_days=7, grace=24 * 3600 * clock.SECOND, enabled=True)


def published(day: int, at: int, state: str = "published") -> ArchiveFile:
    return ArchiveFile(
        number=1, table_name="t", day=day, path="p", state=state, rows=1, size=1, first_id=1,
        last_id=1, first_time=0, last_time=0, columns={}, content_hash="", sha256="",
        published_at=at,
    )  # fmt: skip


def state(
    *days: int, files: tuple[ArchiveFile, ...] = (), dirty: frozenset[int] = frozenset()
) -> TableState:
    return TableState(frozenset(days), files, dirty, {})


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
    (held,) = plan(TableState(frozenset({1}), (), frozenset(), {1: NOW + 1}), RULES)
    (over,) = plan(TableState(frozenset({1}), (), frozenset(), {1: NOW}), RULES)
    (off,) = plan(state(1), Rules(now=NOW, hot_days=7, grace=0, enabled=False))
    assert [type(step) for step in (dirty, held, over, off)] == [Keep, Keep, Export, Keep]
    assert "gateway rollup" in dirty.reason
    assert "held until" in held.reason
    assert "archive_enabled" in off.reason


def test_late_rows_go_to_another_file() -> None:
    export, keep = plan(state(1, files=(published(1, NOW),)), RULES)
    assert export == Export(1, "rows came after the day was archived")
    assert isinstance(keep, Keep)
    assert "hidden until" in keep.reason


def test_hot_copies_go_after_the_grace_period() -> None:
    fresh, due = published(1, NOW - RULES.grace + 1), published(2, NOW - RULES.grace)
    done = published(3, 0, "archived")
    steps = plan(state(files=(fresh, due, done)), RULES)
    assert steps[1:] == [Prune(2, due, "the grace period is over"), Keep(3, "archived")]
    assert isinstance(steps[0], Keep)


def test_what_is_looked_at(store: sqlite3.Connection, settings: Settings) -> None:
    days = range(TODAY - 9, TODAY + 1)
    land_days(settings.landing, days, files=1, rows=3)
    load(store, IP_TRAFFIC, settings)
    seen = look(store, IP_TRAFFIC)
    assert seen.visible_days == seen.dirty_days == frozenset(days)
    steps = plan(seen, rules_for(IP_TRAFFIC, settings))
    assert all(isinstance(step, Keep) for step in steps)
