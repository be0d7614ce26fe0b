"""Answers of archived rows are kept, and never used when anything changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.bridge import lookup
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.bridge.cache import LARGEST, AnswerCache
from gateway_assets.bridge.where import column
from gateway_assets.errors import ArchiveDamaged
from gateway_assets.settings import Settings, load_settings
from tests.tiers.places import OLD, TODAY, archive, at, declare, files, make, run

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


def test_files_met_before_are_told_and_read_again_when_they_change(settings: Settings) -> None:
    with UnifiedQueryBridge(settings) as bridge:
        uses = [bridge.query("t", column("n") < limit).explained.tables[0] for limit in (3, 4)]
        assert [(use.files_opened, use.files_met) for use in uses] == [(1, 0), (1, 1)]
        (file,) = files(settings)
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        with pytest.raises(ArchiveDamaged, match=file.name):
            bridge.query("t", column("n") < 5)


def test_few_rows_and_many_are_answered_alike(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("INSERT INTO t VALUES (?, ?)", 50, at(OLD, 9))
    asked = {"order": "-n"}, {"order": "n", "offset": 2}, {"columns": ["time"]}
    with UnifiedQueryBridge(settings) as bridge:
        few = [bridge.query("t", **how) for how in asked]
        monkeypatch.setattr(lookup, "FEW", 0)
        many = [bridge.query("t", **how) for how in asked]
    assert [one.rows() for one in few] == [one.rows() for one in many]
    assert [one.arrow() for one in few] == [one.arrow() for one in many]


def test_few_archived_rows_beside_many_hot_ones(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(50, 60):
        run("INSERT INTO t VALUES (?, ?)", number, at(TODAY, 9))
    monkeypatch.setattr(lookup, "FEW", 5)
    with UnifiedQueryBridge(settings) as bridge:
        answer = bridge.query("t")
        assert len(answer.rows()) == 15
        assert answer.explained.tables[0].files_opened == 1
