"""What is not loaded is never removed, and the sequence survives."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway_assets.frames.log import open_log
from gateway_assets.frames.reading import segments
from gateway_assets.frames.retention import expire
from gateway_assets.frames.segment import new_segment
from tests.frames.logs import draft, fill, numbers


def three(directory: Path) -> list[Path]:
    for start in (1, 4, 7):
        fill(directory, range(start, start + 3))
    return [segment.path for segment in segments(directory)]


def test_old_loaded_segments_go(tmp_path: Path) -> None:
    first, second, _ = three(tmp_path)
    assert expire(tmp_path, loaded=lambda _: True).removed == []
    expired = expire(tmp_path, keep_hours=0, loaded=lambda _: True)
    assert [segment.path for segment in expired.removed] == [first, second]
    assert expired.excess == 0
    assert numbers(tmp_path) == [7, 8, 9]


def test_what_is_not_loaded_stays(tmp_path: Path) -> None:
    first, second, _ = three(tmp_path)
    expired = expire(tmp_path, keep_hours=0, loaded=lambda segment: segment.path == second)
    assert [segment.path for segment in expired.removed] == [second]
    assert first.exists()


def test_a_cap_takes_what_is_loaded_and_reports_the_rest(tmp_path: Path) -> None:
    first, second, third = three(tmp_path)
    sizes = [path.stat().st_size for path in (first, second, third)]
    cap = sum(sizes) - 1
    expired = expire(tmp_path, loaded=lambda _: True, max_bytes=cap)
    assert ([segment.path for segment in expired.removed], expired.excess) == ([first], 0)
    expired = expire(tmp_path, loaded=lambda _: False, max_bytes=10)
    assert expired == ([], sizes[1] + sizes[2] - 10)
    assert second.exists()


def test_the_sequence_survives_the_last_frame_that_goes(tmp_path: Path) -> None:
    three(tmp_path)
    new_segment(tmp_path, 10).path.write_bytes(b"")
    open_log(tmp_path).close()
    expire(tmp_path, keep_hours=-1, loaded=lambda _: True)
    log = open_log(tmp_path)
    assert (log.first_seq, log.next_seq) == (7, 10)
    log.append(*draft(10))
    log.close()
    assert numbers(tmp_path) == [7, 8, 9, 10]


def test_the_segment_being_written_stays(tmp_path: Path) -> None:
    three(tmp_path)
    log = open_log(tmp_path)
    log.append(*draft(10))
    expire(tmp_path, keep_hours=-1, loaded=lambda _: True)
    log.append(*draft(11))
    log.close()
    assert numbers(tmp_path) == [7, 8, 9, 10, 11]


def test_a_log_in_rocksdb_forgets_what_is_old_and_loaded(tmp_path: Path) -> None:
    rocks = pytest.importorskip("gateway_assets.frames.rocks")
    log = open_log(tmp_path, backend="rocksdb")
    assert isinstance(log, rocks.RocksLog)
    assert log.expire(loaded=100) == 0
    log.append_many([(1, b"n=%di" % number, number) for number in range(1, 6)])
    log.append_many([(1, b"n=%di" % number, 2**62) for number in range(6, 9)])
    assert log.expire(loaded=4) == 3
    assert numbers(tmp_path) == [4, 5, 6, 7, 8]
    assert log.expire(loaded=100) == 2
    assert (log.first_seq, numbers(tmp_path)) == (6, [6, 7, 8])
    assert expire(tmp_path, keep_hours=-1, loaded=lambda _: True).removed == []
    log.close()
    log = open_log(tmp_path, backend="rocksdb")
    assert isinstance(log, rocks.RocksLog)
    assert log.expire(keep_hours=-(2**62), loaded=100) == 2
    log.close()
    log = open_log(tmp_path, backend="rocksdb")
    assert log.next_seq == 9
    log.close()
