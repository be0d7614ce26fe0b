"""Answers of archived rows are kept, and never used when anything changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.bridge.cache import LARGEST, AnswerCache
from gateway_assets.bridge.where import column
from gateway_assets.settings import Settings, load_settings
from tests.tiers.places import OLD, archive, at, declare, make, run

COLD = "SELECT sum(n) AS s FROM t WHERE n < 100"


@pytest.fixture
def settings() -> Settings:
    rows = [(number, at(OLD, number)) for number in range(5)]
    make("CREATE TABLE t (n INTEGER PRIMARY KEY, time INTEGER)", "t", rows)
    settings = declare(time="time")
    archive(settings)
    return settings


def states(bridge: UnifiedQueryBridge, text: str = COLD) -> tuple[int, str]:
    table, explained = bridge.explained(text)
    return int(table.column(0)[0].as_py()), explained.cache


def test_an_answer_is_kept_until_something_changes(settings: Settings) -> None:
    with UnifiedQueryBridge(settings) as bridge:
        assert states(bridge) == (10, "miss")
        assert states(bridge) == (10, "hit")
        run("INSERT INTO t VALUES (?, ?)", 50, at(OLD, 9))  # hot as yet
        assert states(bridge) == (60, "off")
        archive(settings)
        assert states(bridge) == (60, "miss")
        assert states(bridge) == (60, "hit")
        UniversalArchiver(settings).erase("t", {"n": "50"})  # takes the publication back
        assert states(bridge) == (10, "off")
        archive(settings)
        assert states(bridge) == (10, "miss")


def test_what_may_vary_is_not_kept(settings: Settings) -> None:
    with UnifiedQueryBridge(settings) as bridge:
        for text in (
            "SELECT sum(n) FROM t WHERE time < now()",
            "SELECT sum(n) FROM t WHERE time < CURRENT_DATE",
            "SELECT sum(n) + 0 * random()::INT FROM t WHERE n < 100",
        ):
            assert states(bridge, text) == states(bridge, text) == (10, "off")


def test_questions_are_kept_too(settings: Settings) -> None:
    with UnifiedQueryBridge(settings) as bridge:
        for order, limit in (("n", 2), ((), None)):
            first, second = (bridge.query("t", column("n") < 3, order, limit) for _ in range(2))
            assert (first.explained.cache, second.explained.cache) == ("miss", "hit")
            assert first.rows() == second.rows()
            assert first.rows()[0]["n"] == 0
        other = bridge.query("t", column("n") < 4)
        assert (other.explained.cache, len(other)) == ("miss", 4)


def test_it_can_be_switched_off(settings: Settings) -> None:
    off = load_settings(data_dir=settings.data_dir, archive_query_cache_enabled=False)
    with UnifiedQueryBridge(off) as bridge:
        assert states(bridge) == states(bridge) == (10, "off")


def test_it_is_bounded_and_forgets(tmp_path: Path) -> None:
    cache = AnswerCache(load_settings(data_dir=tmp_path, archive_query_cache_limit="1KB"))
    largest = 1024 // LARGEST
    assert cache.put("large", 1, largest + 1) == "too large"
    for number in range(2 * LARGEST):
        cache.put(number, number, largest)
    assert [cache.get(number) for number in range(2 * LARGEST)] == [None] * LARGEST + list(
        range(LARGEST, 2 * LARGEST)
    )
    brief = AnswerCache(load_settings(data_dir=tmp_path, archive_query_cache_ttl=1e-9))
    brief.put("key", 1, 1)
    assert brief.get("key") is None
